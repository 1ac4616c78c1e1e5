#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace firn::kernel {

// A wake-up that a thread can poll for. Any thread may call any method; several notifications
// before a clear() count as one.
class EventFd {
 public:
  EventFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~EventFd() { ::close(fd_); }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  int fd() const { return fd_; }

  void notify() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
  }

  void clear() const {
    std::uint64_t count;
    [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
  }

 private:
  int fd_;
};

}  // namespace firn::kernel
