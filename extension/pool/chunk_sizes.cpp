#include "pool/chunk_sizes.hpp"

#include <algorithm>
#include <cmath>

namespace firn::pool {
namespace {

constexpr double target_seconds = 0.02;
constexpr double least_seconds =
    0.002;                         // shorter ones would cost more to hand out than they even out
constexpr std::size_t growth = 8;  // a few cheap items say little about the next ones

std::size_t items_for(double seconds, double seconds_per_item, std::size_t most) {
  return static_cast<std::size_t>(
      std::clamp(std::ceil(seconds / seconds_per_item), 1.0, static_cast<double>(most)));
}

}  // namespace

std::size_t ChunkSizes::next(std::size_t remaining) const {
  if (fixed_ != 0) return std::min(fixed_, remaining);
  if (largest_ == 0) return 1;
  const std::size_t most = std::min(remaining, largest_ * growth);
  const std::size_t share = (remaining + 2 * workers_ - 1) / (2 * workers_);
  const std::size_t tail = std::max(share, items_for(least_seconds, seconds_per_item_, most));
  return std::min(items_for(target_seconds, seconds_per_item_, most), std::min(tail, most));
}

void ChunkSizes::record(std::size_t items, double seconds) {
  const double cost = std::max(seconds, 1e-9) / static_cast<double>(items);
  seconds_per_item_ = largest_ == 0 ? cost : (seconds_per_item_ + cost) / 2;
  largest_ = std::max(largest_, items);
}

}  // namespace firn::pool
