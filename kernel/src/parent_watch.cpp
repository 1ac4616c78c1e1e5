#include "parent_watch.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace firn::kernel {

ParentWatch::ParentWatch() {
  if (std::getenv("JPY_PARENT_PID") == nullptr) return;
  parent_ = ::getppid();
  fd_ = static_cast<int>(::syscall(SYS_pidfd_open, parent_, 0));
}

ParentWatch::~ParentWatch() {
  if (fd_ >= 0) ::close(fd_);
}

bool ParentWatch::orphaned() const { return wanted() && ::getppid() != parent_; }

}  // namespace firn::kernel
