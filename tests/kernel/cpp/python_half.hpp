#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <memory>
#include <string>

#include "inbox.hpp"

namespace firn::kernel::testing {

// An embedded Python, with a Python half of a kernel that a test can have do anything: a cell is a
// program that the half executes, with these names:
//   done(bytes)   sends the reply, of this content
//   half          the half; what is put into half.answers, by a request's type, is called instead
//                 of giving back {"status": "ok"}
//   request, told what the half was asked, one line each
// Starts Python at its first use, and leaves the GIL to others.
class PythonHalf {
 public:
  PythonHalf();
  ~PythonHalf();
  PythonHalf(const PythonHalf&) = delete;
  PythonHalf& operator=(const PythonHalf&) = delete;

  pybind11::object handler() const;  // with the GIL held
  // From now on the half runs the main inbox's requests by this.
  void serve(std::shared_ptr<Inbox> inbox, std::function<bool()> dispatch_next);
  // Executes a program with these names.
  void run(const std::string& program);
  // The value of an expression, as text.
  std::string value(const std::string& expression);

 private:
  std::unique_ptr<pybind11::object> names_;
};

}  // namespace firn::kernel::testing
