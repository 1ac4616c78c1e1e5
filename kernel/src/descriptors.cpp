#include "descriptors.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "utf8.hpp"

namespace firn::kernel {
namespace {

constexpr int kPipeSize = 1 << 20;  // bytes; the most that an ordinary user may ask for
constexpr int kFirstSpareFd = 10;   // shells use the digits below

}  // namespace

void Descriptors::capture() {
  for (int which = 0; which < 2; ++which) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot make a pipe for output");
    }
    // A smaller pipe works as well: its writers only wait more often.
    ::fcntl(ends[1], F_SETPIPE_SZ, kPipeSize);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    originals_[which] = ::fcntl(which + 1, F_DUPFD_CLOEXEC, kFirstSpareFd);
    pipes_[which] = ::fcntl(ends[0], F_DUPFD_CLOEXEC, kFirstSpareFd);
    writers_[which] = ::fcntl(ends[1], F_DUPFD_CLOEXEC, kFirstSpareFd);
    ::dup2(ends[1], which + 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

void Descriptors::restore() {
  for (int which = 0; which < 2; ++which) {
    if (pipes_[which] < 0) continue;
    if (originals_[which] >= 0) {
      ::dup2(originals_[which], which + 1);
      ::close(originals_[which]);
    }
    ::close(pipes_[which]);
    if (writers_[which] >= 0) ::close(writers_[which]);
    pipes_[which] = originals_[which] = writers_[which] = -1;
  }
}

std::string Descriptors::read(int which) {
  int waiting = 0;
  if (pipes_[which] < 0 || ::ioctl(pipes_[which], FIONREAD, &waiting) != 0 || waiting <= 0) {
    return {};
  }
  std::string bytes = std::exchange(tails_[which], {});
  const std::size_t before = bytes.size();
  bytes.resize(before + static_cast<std::size_t>(waiting));
  const ssize_t got = ::read(pipes_[which], bytes.data() + before, waiting);
  bytes.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
  const std::size_t tail = unfinished_tail(bytes);
  tails_[which] = bytes.substr(bytes.size() - tail);
  bytes.resize(bytes.size() - tail);
  return valid_utf8(bytes);
}

std::string Descriptors::give_up_tail(int which) {
  return valid_utf8(std::exchange(tails_[which], {}));
}

}  // namespace firn::kernel
