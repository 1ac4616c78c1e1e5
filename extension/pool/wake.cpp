#include "pool/wake.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "pool/descriptor.hpp"

namespace firn::pool {

Wake::Wake() : fd_(out_of_the_way(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Wake::~Wake() { close(fd_); }

void Wake::ring() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written =
      write(fd_, &one, sizeof one);  // full means it rings already
}

void Wake::wait_until(Time deadline) {
  const auto left = std::max(deadline - Clock::now(), Clock::duration::zero());
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec limit{whole.count(), static_cast<long>((left - whole).count())};
  pollfd entry{fd_, POLLIN, 0};
  if (ppoll(&entry, 1, &limit, nullptr) == 1) {
    std::uint64_t count;
    [[maybe_unused]] const auto got = read(fd_, &count, sizeof count);
  }
}

}  // namespace firn::pool
