#pragma once

namespace firn::pool {

/// How long a thread has waited for a CPU while it was ready to run, because others had them all.
/// Made and used by that thread; the kernel keeps the account (/proc/thread-self/schedstat, in
/// Documentation/scheduler/sched-stats.rst), and reading it takes about a microsecond.
class CpuDelay {
 public:
  CpuDelay();
  ~CpuDelay();
  CpuDelay(const CpuDelay&) = delete;
  CpuDelay& operator=(const CpuDelay&) = delete;

  /// Since the thread began; always 0 where the kernel keeps no such account.
  double seconds() const;

 private:
  int fd_;
};

}  // namespace firn::pool
