#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "event_fd.hpp"
#include "inbox.hpp"
#include "wire.hpp"

namespace firn::kernel {

enum class Channel { shell, control, stdin_, iopub };

// Frames for a socket, or a fence to put into an inbox once the sockets have been emptied.
struct Parcel {
  Channel channel;
  Frames frames;
};
using Errand = std::variant<Parcel, std::shared_ptr<Inbox>>;

// What other threads ask of the I/O thread, in order. Any thread may push; only the I/O thread
// takes.
//
// Publications count against a bound until ZeroMQ has taken them: who writes faster than the I/O
// thread sends is asked to wait (wait_for_room), and nothing is dropped.
class Outbox {
 public:
  int fd() const { return arrived_.fd(); }
  void clear_event() const { arrived_.clear(); }
  void wake() const { arrived_.notify(); }

  void push(Channel channel, Frames frames);
  void push_fence(std::shared_ptr<Inbox> inbox);
  std::vector<Errand> take();

  void published(std::size_t bytes);  // the I/O thread handed these over to ZeroMQ
  bool has_room() const;
  // False when the time is over. Not for the I/O thread, and not while holding the GIL.
  bool wait_for_room(std::chrono::milliseconds limit) const;

 private:
  static constexpr std::size_t kBound = 64u << 20;

  EventFd arrived_;
  mutable std::mutex mutex_;
  mutable std::condition_variable room_;
  std::vector<Errand> errands_;
  std::size_t unpublished_ = 0;  // bytes
};

}  // namespace firn::kernel
