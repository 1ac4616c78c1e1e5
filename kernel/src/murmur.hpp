#pragma once

#include <cstdint>
#include <string_view>

namespace firn::kernel {

// MurmurHash2 by Austin Appleby, the 32-bit variant: front ends name cells by it (messaging
// protocol, "debugInfo").
std::uint32_t murmur2(std::string_view data, std::uint32_t seed);

}  // namespace firn::kernel
