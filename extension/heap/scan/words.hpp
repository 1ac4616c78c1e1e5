// What counts as a pointer into the heap: any word that could be one.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "heap/arena.hpp"

namespace firn::heap {

// Whether an object may begin with the word: a count of references, which is less than any address
// is, or an immortal object's, whose flags are where addresses have none.
inline bool is_count(std::uintptr_t word) {
  constexpr std::uintptr_t kLowestAddress = std::uintptr_t{4} << 20;  // the executable's
  return word >> 48 ? static_cast<std::int32_t>(word) < 0 : word && word < kLowestAddress;
}

// Strings and integers hold four bytes of their own next to four that nobody sets, which may be
// half of an address that was there before. `first`: where the reading began.
inline bool is_half_set(std::uintptr_t at, std::uintptr_t first) {
  const auto* const words = reinterpret_cast<const std::uintptr_t*>(at);
  if (at % sizeof *words) return false;
  if (at >= first + 32 && words[-3] == reinterpret_cast<std::uintptr_t>(&PyUnicode_Type)) {
    // The state of a compact string of one byte a character; no object is at such an address.
    return is_count(words[-4]) && (words[0] & 0x3c) == 0x24;
  }
  // An integer of one digit, behind its count, its type and its size.
  return at >= first + 24 && words[-2] == reinterpret_cast<std::uintptr_t>(&PyLong_Type) &&
         words[-1] >> _PyLong_NON_SIZE_BITS == 1 && is_count(words[-3]);
}

// Calls hit(address, offset) for every word that points into [low, high) of the heap.
template <std::size_t step = sizeof(std::uintptr_t), typename Hit>
__attribute__((no_sanitize("address", "undefined"))) void each_pointer(
    std::uintptr_t begin, std::uintptr_t end, std::size_t low, std::size_t high, const Hit& hit) {
  if (end < begin + sizeof(std::uintptr_t)) return;
  end -= sizeof(std::uintptr_t) - 1;
  const auto base = reinterpret_cast<std::uintptr_t>(heap_base) + low;
  const std::uintptr_t size = high - low;
  std::uintptr_t at = begin;
  if constexpr (step == sizeof(std::uintptr_t)) {
    for (; at + 8 * step <= end; at += 8 * step) {
      const auto* words = reinterpret_cast<const std::uintptr_t*>(at);
      bool any = false;
      for (int i = 0; i < 8; ++i) any |= words[i] - base < size;
      if (!any) continue;
      for (int i = 0; i < 8; ++i) {
        const std::uintptr_t here = at + 8 * static_cast<unsigned>(i);
        if (words[i] - base < size && !is_half_set(here, begin)) hit(here, words[i] - base + low);
      }
    }
  }
  for (; at < end; at += step) {
    std::uintptr_t word;
    std::memcpy(&word, reinterpret_cast<const void*>(at), sizeof word);
    if (word - base < size && !is_half_set(at, begin)) hit(at, word - base + low);
  }
}

}  // namespace firn::heap
