#include "outbox.hpp"

namespace firn::kernel {

void Outbox::push(Channel channel, Frames frames) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = channel == Channel::iopub ? byte_count(frames) : 0;
    errands_.emplace_back(Parcel{channel, std::move(frames)});
    unpublished_ += bytes;
  }
  arrived_.notify();
}

void Outbox::push_fence(std::shared_ptr<Inbox> inbox) {
  {
    const std::lock_guard lock(mutex_);
    errands_.emplace_back(std::move(inbox));
  }
  arrived_.notify();
}

std::vector<Errand> Outbox::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(errands_, {});
}

void Outbox::published(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    unpublished_ -= bytes;
    if (unpublished_ >= kBound) return;
  }
  room_.notify_all();
}

bool Outbox::has_room() const {
  const std::lock_guard lock(mutex_);
  return unpublished_ < kBound;
}

bool Outbox::wait_for_room(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return room_.wait_for(lock, limit, [this] { return unpublished_ < kBound; });
}

}  // namespace firn::kernel
