// Stops every other thread of the process for a moment, with its registers in memory.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "heap/scan/page_vector.hpp"

namespace firn::heap {

// Where a thread stands. Below the lower of the two addresses that lie in its stack nothing of it
// is alive; its registers are above that, or on the alternate stack that its handler runs on.
struct StoppedThread {
  pid_t thread = 0;
  std::uintptr_t handler = 0;      // in the frame of the signal handler
  std::uintptr_t interrupted = 0;  // the stack pointer of what the signal interrupted
};

// As Boehm's collector does it: a real-time signal, in whose handler the threads wait. The handler
// has SA_RESTART; the few system calls that never restart (poll, epoll_wait, nanosleep) end with
// EINTR, which Python repeats, as every program must that runs under a debugger. Threads that block
// the signal go on; see `running()`. One at a time in a process; nothing may be allocated, and no
// lock be taken, while it lives.
class StoppedWorld {
 public:
  StoppedWorld();
  ~StoppedWorld();
  StoppedWorld(const StoppedWorld&) = delete;
  StoppedWorld& operator=(const StoppedWorld&) = delete;

  // Prepares what must not be done while threads stand still. False: no signal is to be had.
  bool prepare();
  // Returns when all threads that can be stopped stand still. False when one does not in time.
  bool stop();
  void resume();

  const char* problem() const { return problem_; }  // of prepare() or stop()
  std::size_t size() const;
  const StoppedThread& operator[](std::size_t i) const;
  // Threads that block the signal.
  const PageVector<pid_t>& running() const { return running_; }

 private:
  bool signal_new_threads(bool& found);
  bool all_stand(double deadline);

  PageVector<pid_t> asked_;
  PageVector<pid_t> running_;
  int tasks_ = -1;  // /proc/self/task
  bool stopped_ = false;
  const char* problem_ = "";
};

}  // namespace firn::heap
