#pragma once

#include <thread>
#include <zmq.hpp>

#include "connection.hpp"

namespace firn::kernel {

// Echoes the heartbeat, in a thread of its own (messaging protocol, "Heartbeat for kernels").
class Heartbeat {
 public:
  Heartbeat(zmq::context_t& context, const Connection& connection);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  void start();

 private:
  void run();

  zmq::socket_t echo_;
  zmq::socket_t steer_, steered_;  // the other thread's way to end the proxy
  std::thread thread_;
};

}  // namespace firn::kernel
