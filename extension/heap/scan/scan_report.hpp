// What the scanning process tells the one that it is a copy of.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace firn::heap {

enum ScanStatus : int { kDone = 0, kFaulted = 3, kConfused = 4, kNoMemory = 5 };

// In memory that both have. Offsets and numbers only, for it is memory that is scanned.
struct ScanReport {
  std::atomic<std::uint32_t> private_from_here;  // the threads may go on
  double seconds;
  std::uint64_t bytes;
  std::size_t segments;
  std::size_t refers;  // words in use
  std::size_t refers_capacity;
  char problem[120];

  struct Verdict {
    std::uint64_t id;
    std::uintptr_t holder;  // where the first pointer was found; 0: in other frozen data
    bool retired;
    bool referenced;
    bool unreached;
  };
  Verdict* verdicts() { return reinterpret_cast<Verdict*>(this + 1); }
  // For each segment that was looked at: its id, how many others follow, those.
  std::uint64_t* refers_words() { return reinterpret_cast<std::uint64_t*>(verdicts() + segments); }
};

}  // namespace firn::heap
