#include "terminal.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>

namespace firn::kernel {
namespace {

constexpr int kFirstSpareFd = 10;  // shells use the digits below

iovec part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

Terminal::Terminal(int descriptor) : fd_(::fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstSpareFd)) {}

Terminal::~Terminal() {
  if (fd_ >= 0) ::close(fd_);
}

void Terminal::tell(std::string_view who, std::string_view what, std::string_view why,
                    std::string_view which) const noexcept {
  // One call, so that lines of several threads do not mix; no memory, for it may be what is short.
  const std::array<iovec, 8> line{
      part("firn_kernel: "), part(who),  part(" could not "), part(what),
      part(which),           part(": "), part(why),           part("\n")};
  [[maybe_unused]] const auto written = ::writev(fd_, line.data(), line.size());
}

}  // namespace firn::kernel
