#include "murmur.hpp"

#include <cstring>

namespace firn::kernel {

std::uint32_t murmur2(std::string_view data, std::uint32_t seed) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  std::uint32_t value = seed ^ static_cast<std::uint32_t>(data.size());
  for (; data.size() >= 4; data.remove_prefix(4)) {
    std::uint32_t part;
    std::memcpy(&part, data.data(), sizeof part);
    part *= kMultiplier;
    part ^= part >> 24;
    value = (value * kMultiplier) ^ (part * kMultiplier);
  }
  if (!data.empty()) {
    std::uint32_t rest = 0;
    std::memcpy(&rest, data.data(), data.size());
    value = (value ^ rest) * kMultiplier;
  }
  value = (value ^ (value >> 13)) * kMultiplier;
  return value ^ (value >> 15);
}

}  // namespace firn::kernel
