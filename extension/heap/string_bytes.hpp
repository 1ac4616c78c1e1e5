// The bytes of exact strings, read eight at a time. In front of them stands the object's header: so
// the last eight can be read of a short one, too, and what is not the string's is shifted out.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace firn::heap {

inline std::uint64_t load_word(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

inline void store_word(char* at, std::uint64_t word) { std::memcpy(at, &word, sizeof(word)); }

// The last size % 8 bytes; what is above them is zero. `size` is not 0.
inline std::uint64_t load_rest(const char* data, std::size_t size) {
  return load_word(data + size - 8) >> 8 >> 8 * (7 - size % 8);
}

// An exact string's that is not empty. Nothing here branches on its length while that is short: as
// lengths vary, one branch in two would be foreseen wrongly, which costs as much as 50
// instructions.
struct StringBytes {
  explicit StringBytes(PyObject* string) {
    const auto* ascii = reinterpret_cast<const PyASCIIObject*>(string);
    const bool is_ascii = ascii->state.ascii;
    data = reinterpret_cast<const char*>(string) +
           (is_ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject));
    size = static_cast<std::size_t>(ascii->length) * ascii->state.kind;
    form = static_cast<unsigned>(ascii->state.kind) << 1 | is_ascii;
    const std::size_t lacking = size < 8 ? 8 - size : 0;
    first = load_word(data - lacking) >> 8 * lacking;
    last = load_word(data + size - 8) >> 8 * lacking;
  }
  const char* data;
  std::size_t size;
  unsigned form;        // what one character takes, and whether all are ASCII
  std::uint64_t first;  // eight bytes, or all
  std::uint64_t last;   // the same from the end
};

inline bool operator==(const StringBytes& a, const StringBytes& b) {
  const bool ends =
      ((a.first ^ b.first) | (a.last ^ b.last) | (a.size ^ b.size) | (a.form ^ b.form)) == 0;
  return ends && (a.size <= 16 || !std::memcmp(a.data + 8, b.data + 8, a.size - 16));
}

}  // namespace firn::heap
