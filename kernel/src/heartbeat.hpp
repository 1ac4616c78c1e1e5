#pragma once

#include <thread>
#include <zmq.hpp>

#include "connection.hpp"
#include "terminal.hpp"

namespace firn::kernel {

// Echoes the heartbeat, in a thread of its own (messaging protocol, "Heartbeat for kernels"). Made,
// started and destroyed by the main thread.
class Heartbeat {
 public:
  Heartbeat(zmq::context_t& context, const Connection& connection, const Terminal& terminal);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  void start();

 private:
  void run();
  void echo_until_stopped();

  const Terminal& terminal_;
  zmq::socket_t echo_;
  zmq::socket_t steer_, steered_;  // the main thread's way to end the other
  std::thread thread_;
};

}  // namespace firn::kernel
