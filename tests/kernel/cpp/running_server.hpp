#pragma once

#include <xeus/xkernel.hpp>
#include <zmq.hpp>

#include <future>
#include <memory>
#include <thread>

#include "python_half.hpp"
#include "server.hpp"
#include "support.hpp"

namespace firn::kernel::testing {

// A whole kernel with a Python half of the test's, in threads of this process. What is the main
// thread's in a kernel runs in one of the test's.
class RunningServer {
 public:
  RunningServer();
  ~RunningServer();
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  // Dispatches what comes into the inbox in the calling thread until it is stopped, as the thread
  // of a subshell does.
  void serve(const std::shared_ptr<Inbox>& inbox);

  // Waits until the kernel has ended.
  void join();
  int interrupts() const;  // that have reached the kernel's main thread

  Server& server() { return *server_; }
  const Connection& connection() const { return address_.connection; }
  zmq::context_t& clients() { return clients_; }

  RecordedTerminal terminal;
  PythonHalf half;

 private:
  void run(std::promise<void> bound);

  Address address_;
  zmq::context_t clients_;
  Server* server_ = nullptr;
  int interrupts_before_;
  std::thread main_;
};

}  // namespace firn::kernel::testing
