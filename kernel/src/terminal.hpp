#pragma once

#include <string_view>

namespace firn::kernel {

// Where the kernel was started: the stderr that the process had then, whatever 2 means later. What
// goes wrong inside the kernel is told there, for there may be no request to answer it to. Any
// thread.
class Terminal {
 public:
  explicit Terminal(int descriptor = 2);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Writes a line: "firn_kernel: <who> could not <what><which>: <why>".
  void tell(std::string_view who, std::string_view what, std::string_view why,
            std::string_view which = {}) const noexcept;

 private:
  int fd_;  // -1: nobody listens
};

}  // namespace firn::kernel
