#include "utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace firn::kernel {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned char at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

// Length that a lead byte announces, 0 for a byte that cannot lead.
std::size_t announced(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Bytes from i on that are a well-formed prefix of one character; complete when equal to
// announced().
std::size_t well_formed(std::string_view s, std::size_t i) {
  const unsigned char lead = at(s, i);
  const std::size_t length = announced(lead);
  if (length <= 1) return length;
  std::size_t n = 1;
  for (; n < length && i + n < s.size(); ++n) {
    const unsigned char c = at(s, i + n);
    unsigned char low = 0x80, high = 0xBF;
    if (n == 1) {  // overlong forms, surrogates and what lies beyond U+10FFFF
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    if (c < low || c > high) break;
  }
  return n;
}

// The code unit of the escape \uXXXX at i, or -1.
int escaped_unit(std::string_view s, std::size_t i) {
  if (i + 6 > s.size() || s[i] != '\\' || s[i + 1] != 'u') return -1;
  int unit = 0;
  for (std::size_t k = i + 2; k < i + 6; ++k) {
    const char c = s[k];
    int digit;
    if (c >= '0' && c <= '9')
      digit = c - '0';
    else if (c >= 'a' && c <= 'f')
      digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
      digit = c - 'A' + 10;
    else
      return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

bool is_high(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

}  // namespace

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t n = well_formed(bytes, i);
    if (n != 0 && n == announced(at(bytes, i))) {
      out.append(bytes.substr(i, n));
    } else {
      out.append(kReplacement);
    }
    i += std::max<std::size_t>(n, 1);
  }
  return out;
}

std::size_t unfinished_tail(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const std::size_t i = bytes.size() - back;
    if ((at(bytes, i) & 0xC0) == 0x80) continue;
    const bool waits = announced(at(bytes, i)) > back && well_formed(bytes, i) == back;
    return waits ? back : 0;
  }
  return 0;
}

std::string without_lone_surrogates(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] != '\\') {
      out.push_back(json[i++]);
      continue;
    }
    const int unit = escaped_unit(json, i);
    if (unit < 0) {  // another escape, of two characters
      out.append(json.substr(i, 2));
      i += 2;
    } else if (is_high(unit) && is_low(escaped_unit(json, i + 6))) {
      out.append(json.substr(i, 12));
      i += 12;
    } else {
      out.append(is_high(unit) || is_low(unit) ? "\\ufffd" : json.substr(i, 6));
      i += 6;
    }
  }
  return out;
}

}  // namespace firn::kernel
