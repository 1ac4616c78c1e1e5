#include "pool/chunk_sizes.hpp"

#include <algorithm>
#include <cmath>

namespace firn::pool {
namespace {

constexpr double shortest_target = 0.02, longest_target = 0.2;  // seconds
constexpr double pack_share =
    0.01;  // a chunk lasts until packing takes no more of it, or longest_target
// Shorter chunks, in seconds and of the target, would cost more to hand out than they even out.
constexpr double least_seconds = 0.002, least_share = 0.04;
constexpr std::size_t growth = 8;  // a few cheap items say little about the next ones
// Results of one chunk, where each item has its own: with the objects that they are made of, they
// fit the cache of a core. Of quick items that make much, a chunk lasts 1 ms all the same.
constexpr double cached_bytes = 256 << 10, cached_seconds = 0.001;
constexpr std::size_t telling =
    256;                           // items; the results of fewer are mostly what a chunk has once
constexpr double least_bytes = 4;  // an item has no result of its own when it is less
// Of what one more item adds, in what an item has on average: of few items, of which some share is
// what a chunk has once, and of many.
constexpr double own_share = 0.9, own_share_of_many = 0.95;

std::size_t items_for(double seconds, double seconds_per_item, std::size_t most) {
  return static_cast<std::size_t>(
      std::clamp(std::ceil(seconds / seconds_per_item), 1.0, static_cast<double>(most)));
}

}  // namespace

std::size_t ChunkSizes::next(std::size_t remaining) const {
  if (fixed_ != 0) return std::min(fixed_, remaining);
  if (largest_ == 0) return 1;
  std::size_t most = std::min(remaining, largest_ * growth);
  if (bytes_per_item_ > 0) {
    const auto fitting = static_cast<std::size_t>(cached_bytes / bytes_per_item_);
    const std::size_t longer = since_ < patience_ ? 0 : 2 * largest_;
    most = std::min(
        most, std::max({items_for(cached_seconds, seconds_per_item_, most), fitting, longer}));
  }
  const std::size_t share = (remaining + 2 * workers_ - 1) / (2 * workers_);
  const std::size_t least =
      items_for(std::max(least_seconds, least_share * target_seconds_), seconds_per_item_, most);
  const std::size_t wanted = items_for(target_seconds_, seconds_per_item_, most);
  return std::min(wanted, std::min(std::max(share, least), most));
}

void ChunkSizes::record(std::size_t items, double compute_seconds, double pack_seconds,
                        std::size_t bytes) {
  const double seconds = std::max(compute_seconds + pack_seconds, 1e-9);
  const double cost = seconds / static_cast<double>(items);
  target_seconds_ = std::clamp(pack_seconds / pack_share, shortest_target, longest_target);
  seconds_per_item_ = largest_ == 0 ? cost : (seconds_per_item_ + cost) / 2;
  ++since_;
  if (items < 2 * largest_) return;
  if (since_ > patience_) patience_ *= 4;
  since_ = 0;
  const auto count = static_cast<double>(items), size = static_cast<double>(bytes);
  if (largest_ >= telling) {
    const double average = size / count;
    const double added = (size - bytes_) / (count - static_cast<double>(largest_));
    const double share = bytes_per_item_ > 0 ? own_share_of_many : own_share;
    bytes_per_item_ = average >= least_bytes && added >= share * average ? average : 0;
  }
  largest_ = items;
  bytes_ = size;
}

}  // namespace firn::pool
