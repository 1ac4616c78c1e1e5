#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace firn::pool {

// The descriptor under a number that nothing else counts on: the low ones stay in one row for the
// user's program, as they would be without a pool. What cannot be moved, or is none, comes back.
inline int out_of_the_way(int descriptor) {
  constexpr int kFirst = 100;
  const int moved = descriptor < 0 ? -1 : ::fcntl(descriptor, F_DUPFD_CLOEXEC, kFirst);
  if (moved < 0) return descriptor;
  ::close(descriptor);
  return moved;
}

}  // namespace firn::pool
