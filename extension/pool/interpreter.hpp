#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

namespace firn::pool {

/// Releases the GIL of whichever interpreter the thread is in.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { PyEval_RestoreThread(state_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

/// What a worker takes from the notebook when it starts.
struct StartInfo {
  std::string runtime;            // name of the module
  std::vector<std::string> path;  // the notebook's sys.path, in the encoding of file names

  static StartInfo of_this_interpreter(std::string runtime);  // GIL held
};

/// A new interpreter with its own GIL, which the calling thread then holds. Throws
/// std::runtime_error with a message for the user.
PyThreadState* create_interpreter();
/// Waits for the current interpreter's threads, as its end does: there it could not be left behind.
void join_threads();
/// Ends the interpreter of the calling thread, and frees what pybind11 keeps for it.
void end_interpreter(PyThreadState* thread);

/// The functions of the runtime module in a worker's interpreter.
struct Runtime {
  pybind11::object begin, pack, stopped;

  static Runtime load(const StartInfo& info);  // throws std::runtime_error with the traceback
};

/// The traceback of an exception as text, whatever happens on the way.
std::string describe(pybind11::error_already_set& error);

}  // namespace firn::pool
