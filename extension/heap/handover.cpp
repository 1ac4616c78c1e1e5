#include "heap/handover.hpp"

namespace firn::heap {

void Handover::settle() {
  over_ |= offered_.empty() && idle_ == threads_;
  wanted_.store(over_ || idle_ > offered_.size(), std::memory_order_relaxed);
  if (over_) wake_.notify_all();
}

void Handover::offer(const Frame& frame) {
  const std::lock_guard hold(mutex_);
  offered_.push_back(frame);
  settle();
  wake_.notify_one();
}

bool Handover::take(Frame& frame) {
  std::unique_lock hold(mutex_);
  ++idle_;
  settle();
  wake_.wait(hold, [this] { return over_ || !offered_.empty(); });
  if (over_) return false;
  frame = offered_.back();
  offered_.pop_back();
  --idle_;
  settle();
  return true;
}

void Handover::leave() {
  const std::lock_guard hold(mutex_);
  --threads_;
  settle();
}

void Handover::stop() {
  const std::lock_guard hold(mutex_);
  over_ = true;
  settle();
}

}  // namespace firn::heap
