#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "request.hpp"
#include "terminal.hpp"

namespace firn::kernel {

// The Python object that does the kernel's Python work (firn_kernel.kernel.Kernel). JSON crosses as
// text. run() and rethrow() are the main thread's; any thread may call the rest, and each call
// takes the GIL itself.
class PythonSide {
 public:
  PythonSide(pybind11::object handler, const Terminal& terminal)
      : handler_(std::move(handler)), terminal_(terminal) {}

  // While it lives, its thread is one thread to Python, from call to call: a debugger that was told
  // to leave it alone goes on doing so. Otherwise Python would see a new one in each call.
  class Thread {
   public:
    Thread();
    ~Thread();
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

   private:
    struct Kept;
    std::unique_ptr<Kept> kept_;
  };

  // Runs the main thread's event loop until the kernel stops. What it raises waits for rethrow():
  // the threads and sockets have to be closed first.
  void run();
  void rethrow();  // with the GIL held

  using Done = std::function<void(nlohmann::json)>;
  // done is called exactly once, whatever happens: with the reply's content. In this thread, before
  // or after the return.
  void execute(const std::string& code, bool silent, bool store_history, bool allow_stdin,
               const nlohmann::json& user_expressions, Done done);
  // Asks for the answer to the current request; an error reply's content when it fails.
  nlohmann::json answer(const nlohmann::json& content);
  // The same for messages that have no reply (comms).
  void receive(const std::string& content, const xeus::buffer_sequence& buffers);

  int execution_count();  // 0 when Python does not tell

 private:
  nlohmann::json failed(const std::exception& error) const;
  nlohmann::json parsed(const pybind11::object& content) const;

  pybind11::object handler_;
  const Terminal& terminal_;
  std::exception_ptr raised_;
};

}  // namespace firn::kernel
