#pragma once

namespace firn::kernel {

// Knows when the process that started the kernel is gone, so that a client that was killed leaves
// no kernel behind. jupyter_client asks for it with the environment variable JPY_PARENT_PID. Made
// by the main thread, then the I/O thread's alone.
class ParentWatch {
 public:
  ParentWatch();
  ~ParentWatch();
  ParentWatch(const ParentWatch&) = delete;
  ParentWatch& operator=(const ParentWatch&) = delete;

  bool wanted() const { return parent_ != 0; }
  int fd() const { return fd_; }  // readable when the parent ends; -1 where the system has no pidfd
  bool orphaned() const;

 private:
  int parent_ = 0;
  int fd_ = -1;
};

}  // namespace firn::kernel
