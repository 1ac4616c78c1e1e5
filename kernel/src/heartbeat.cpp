#include "heartbeat.hpp"

#include <chrono>

#include "common/first_exception.hpp"
#include "sockets.hpp"

namespace firn::kernel {
namespace {

constexpr const char* kSteering = "inproc://heartbeat";
constexpr std::chrono::milliseconds kAfterFailure{10};  // what fails for ever is no busy loop

}  // namespace

Heartbeat::Heartbeat(zmq::context_t& context, const Connection& connection,
                     const Terminal& terminal)
    : terminal_(terminal),
      echo_(context, zmq::socket_type::router),
      steer_(context, zmq::socket_type::pair),
      steered_(context, zmq::socket_type::pair) {
  echo_.set(zmq::sockopt::linger, 0);
  steer_.bind(kSteering);
  steered_.connect(kSteering);
  listen(echo_, connection, connection.heartbeat_port);
}

Heartbeat::~Heartbeat() {
  if (!thread_.joinable()) return;
  steer_.send(zmq::str_buffer("stop"), zmq::send_flags::none);
  thread_.join();
}

void Heartbeat::start() {
  thread_ = std::thread([this] { run(); });
}

void Heartbeat::run() {
  prepare_for_exceptions();
  while (true) {
    try {
      echo_until_stopped();
      return;
    } catch (const std::exception& error) {
      terminal_.tell("the heartbeat's thread", "echo", error.what());
      std::this_thread::sleep_for(kAfterFailure);
    }
  }
}

void Heartbeat::echo_until_stopped() {
  while (true) {
    zmq::pollitem_t watched[] = {{echo_, 0, ZMQ_POLLIN, 0}, {steered_, 0, ZMQ_POLLIN, 0}};
    zmq::poll(watched, 2);
    if (watched[1].revents != 0) return;
    zmq::message_t frame;
    while (echo_.recv(frame, zmq::recv_flags::dontwait)) {
      const auto more = frame.more() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      echo_.send(frame, zmq::send_flags::dontwait | more);
    }
  }
}

}  // namespace firn::kernel
