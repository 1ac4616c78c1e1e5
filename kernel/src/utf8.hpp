#pragma once

#include <string>
#include <string_view>

namespace firn::kernel {

// The text with every ill-formed sequence replaced by U+FFFD.
std::string valid_utf8(std::string_view bytes);

// How many bytes at the end of `bytes` begin a character whose rest has not arrived yet (0 to 3).
std::size_t unfinished_tail(std::string_view bytes);

// JSON text whose escapes of lone surrogates (which browsers send and UTF-8 cannot carry) are
// replaced by the one of U+FFFD.
std::string without_lone_surrogates(std::string_view json);

}  // namespace firn::kernel
