#pragma once

#include <array>
#include <string>

namespace firn::kernel {

// File descriptors 1 and 2 of the process, led into pipes, so that what child processes and C code
// write reaches the notebook. Not thread-safe: its owner (Publisher) has the lock.
class Descriptors {
 public:
  Descriptors() = default;
  ~Descriptors() { restore(); }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  void capture();
  void restore();  // what is still in the pipes is lost: read() first

  int pipe(int which) const { return pipes_[which]; }  // 0: stdout, 1: stderr; -1 when not captured
  int original(int which) const { return originals_[which]; }

  // What is in the pipe now, whole characters only, ill-formed ones replaced. Never waits.
  std::string read(int which);
  // The replacement for a character that was begun and is not awaited any longer, or nothing.
  std::string give_up_tail(int which);

 private:
  std::array<int, 2> pipes_{-1, -1}, originals_{-1, -1};
  // The pipes' other ends, kept so that a pipe never reports its end: poll() would return at once
  // for ever when user code has led 1 or 2 somewhere else.
  std::array<int, 2> writers_{-1, -1};
  std::array<std::string, 2> tails_;  // the beginning of a character whose end has not come yet
};

}  // namespace firn::kernel
