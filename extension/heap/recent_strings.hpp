// The strings that were copied last, by content. Columns hold the same few words over and over, and
// whoever parsed them made each one anew: a word that is still known is not copied, nor hashed,
// again. That saves a quarter of the archive's bytes.
#pragma once

#include "heap/cpython_layout.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "heap/arena.hpp"
#include "heap/string_bytes.hpp"

namespace firn::heap {

// One thread, while it makes the copies: it marks them.
class RecentStrings {
 public:
  struct Place {
    std::uint64_t tag = 0;
    PyObject* copy = nullptr;
  };

  // Where a string with this content, which is not empty, is or will be: the caller puts its copy
  // there. nullptr when looking does not pay.
  Place* place_of(PyObject* string, PyObject** known) {
    *known = nullptr;
    if (pause_) {
      --pause_;
      return nullptr;
    }
    if (!places_) places_ = std::make_unique<Places>();
    const StringBytes bytes(string);
    const std::uint64_t tag = tag_of(bytes);
    // A word has two places, its own and the one beside it, which takes what the first one held.
    const std::size_t at = tag >> (64 - kLogPlaces);
    Place& place = (*places_)[at];
    Place& beside = (*places_)[at ^ 1];
    for (Place* found : {&place, &beside}) {
      if (found->tag != tag || !found->copy || !(StringBytes(found->copy) == bytes)) continue;
      credit_ = credit_ + kGain < kMostCredit ? credit_ + kGain : kMostCredit;
      *known = found->copy;
      // Thawing and counting have to know that it is met again.
      if (in_heap(found->copy) && !is_marked_shared(found->copy)) mark_shared(found->copy);
      return found;
    }
    beside = place;
    place = {tag, nullptr};
    if (!--credit_) {
      pause_ = kPause;
      credit_ = kTrial;
    }
    return &place;
  }

 private:
  static constexpr unsigned kLogPlaces = 10;
  using Places = std::array<Place, std::size_t{1} << kLogPlaces>;
  // A find is worth so many looks in vain. When they are used up, so many strings are let through
  // before some more are tried.
  static constexpr unsigned kGain = 16;
  static constexpr unsigned kMostCredit = 4096;
  static constexpr unsigned kTrial = 256;
  static constexpr unsigned kPause = 16384;
  // Not for a handful of strings.
  static constexpr unsigned kFirst = 64;

  // Tells most strings apart by their ends.
  static std::uint64_t tag_of(const StringBytes& bytes) {
    return ((bytes.first ^ bytes.size) * 0x9E3779B97F4A7C15ull ^ std::rotl(bytes.last, 29)) *
           0xC2B2AE3D27D4EB4Full;
  }

  std::unique_ptr<Places> places_;
  unsigned pause_ = kFirst;
  unsigned credit_ = 1024;
};

}  // namespace firn::heap
