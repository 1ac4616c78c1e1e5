#include "pool/cpu_delay.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "pool/descriptor.hpp"

namespace firn::pool {

CpuDelay::CpuDelay()
    : fd_(out_of_the_way(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC))) {}

CpuDelay::~CpuDelay() {
  if (fd_ >= 0) ::close(fd_);
}

double CpuDelay::seconds() const {
  char text[96];
  const auto length = fd_ >= 0 ? ::pread(fd_, text, sizeof text - 1, 0) : -1;
  if (length <= 0) return 0;
  text[length] = '\0';
  unsigned long long ran = 0, waited = 0;  // nanoseconds
  if (std::sscanf(text, "%llu %llu", &ran, &waited) != 2) return 0;
  return static_cast<double>(waited) * 1e-9;
}

}  // namespace firn::pool
