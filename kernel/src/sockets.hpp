#pragma once

#include <optional>
#include <zmq.hpp>

#include "connection.hpp"
#include "outbox.hpp"
#include "wire.hpp"

namespace firn::kernel {

// Binds a socket to one of the connection's ports, encrypted where the connection has keys
// (CurveZMQ, RFC 26). Throws std::runtime_error that names the address.
void listen(zmq::socket_t& socket, const Connection& connection, int port);

// A bound ROUTER socket (shell, control, stdin). Bound by the main thread, then the I/O thread's
// alone.
class Router {
 public:
  Router(zmq::context_t& context, const Connection& connection, int port);

  int fd() const;
  std::optional<Frames> receive();  // never waits
  void send(Frames frames);

 private:
  zmq::socket_t socket_;
};

// The bound iopub socket. Bound by the main thread, then the I/O thread's alone.
//
// ZeroMQ keeps what a subscriber has not read yet, without a limit: at its usual 1000 messages it
// would drop (an `idle` as well as anything else), and keeping back for one slow subscriber would
// starve all.
class Broadcast {
 public:
  Broadcast(zmq::context_t& context, const Connection& connection, int port);

  int fd() const;
  void send(Frames frames);
  // The topic of a new subscription, if there is one; its subscriber gets what is sent from now on.
  std::optional<std::string> new_subscription();

 private:
  zmq::socket_t socket_;
};

}  // namespace firn::kernel
