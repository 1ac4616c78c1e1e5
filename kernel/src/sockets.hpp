#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <zmq.hpp>

#include "connection.hpp"
#include "outbox.hpp"
#include "wire.hpp"

namespace firn::kernel {

// A bound ROUTER socket (shell, control, stdin). Bound by the main thread, then the I/O thread's alone.
class Router {
 public:
  Router(zmq::context_t& context, const std::string& address);

  int fd() const;
  std::optional<Frames> receive();  // never waits
  void send(const Frames& frames);

 private:
  zmq::socket_t socket_;
};

// The bound iopub socket. Bound by the main thread, then the I/O thread's alone.
//
// ZeroMQ drops what a subscriber cannot take; this one keeps it back and tries again, and drops only
// for a subscriber that has taken nothing for ten seconds.
class Broadcast {
 public:
  Broadcast(zmq::context_t& context, const std::string& address);

  int fd() const;
  void push(Frames frames) { waiting_.push_back(std::move(frames)); }
  bool idle() const { return waiting_.empty(); }
  // Bytes that ZeroMQ took; 0 when nothing could be sent.
  std::size_t send_some();
  // The topic of a new subscription, if there is one.
  std::optional<std::string> new_subscription();

 private:
  zmq::socket_t socket_;
  std::deque<Frames> waiting_;
  std::optional<std::chrono::steady_clock::time_point> stalled_since_;
};

}  // namespace firn::kernel
