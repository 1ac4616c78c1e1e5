#pragma once

#include <cstddef>

namespace firn::pool {

/// How many items the next chunk gets. The first ones have a single item; once the cost of an item
/// is known a chunk lasts about 20 ms, and towards the end less, so that the workers end together.
/// Where bringing results back costs something, chunks get longer, up to 200 ms: what many chunks
/// share (the words of a count) is then packed, sent and merged less often. Where every item has a
/// result of its own, longer ones save nothing, and a chunk's results stay in the CPU's cache; now
/// and then one is twice as long, for results may turn out to be shared after some thousand items.
class ChunkSizes {
 public:
  ChunkSizes(std::size_t fixed, std::size_t workers) : fixed_(fixed), workers_(workers) {}

  std::size_t next(std::size_t remaining) const;  // 1 .. remaining
  /// What a chunk cost: computing it, and packing its results, which take so many bytes.
  void record(std::size_t items, double compute_seconds, double pack_seconds, std::size_t bytes);

 private:
  std::size_t fixed_;  // 0: adapt
  std::size_t workers_;
  std::size_t largest_ = 0;        // items of the largest chunk that was measured
  double seconds_per_item_ = 0.0;  // of late
  double target_seconds_ = 0.0;
  double bytes_ = 0.0;           // of the results of the largest chunk
  double bytes_per_item_ = 0.0;  // where every item has a result of its own, else 0
  std::size_t since_ = 0;        // so many chunks ended after the largest one
  std::size_t patience_ = 8;     // a longer one comes after so many that fit the cache
};

}  // namespace firn::pool
