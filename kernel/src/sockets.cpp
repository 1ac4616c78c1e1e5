#include "sockets.hpp"

#include <sys/stat.h>

#include <memory>
#include <stdexcept>
#include <utility>
#include <zmq_addon.hpp>

namespace firn::kernel {
namespace {

constexpr int kLinger = 2000;  // ms, for what is still unsent when the kernel ends

// While it lives, new files are their owner's alone. The process has one thread yet.
struct PrivateFiles {
  PrivateFiles() : before(::umask(S_IRWXG | S_IRWXO)) {}
  ~PrivateFiles() { ::umask(before); }
  PrivateFiles(const PrivateFiles&) = delete;
  PrivateFiles& operator=(const PrivateFiles&) = delete;

  mode_t before;
};

constexpr std::size_t kWorthKeeping = 1u << 16;  // bytes; below, a copy costs less than keeping

// A frame that ZeroMQ reads where it is, and deletes.
zmq::message_t kept(std::string frame) {
  auto owned = std::make_unique<std::string>(std::move(frame));
  const auto forget = [](void*, void* string) { delete static_cast<std::string*>(string); };
  zmq::message_t message(owned->data(), owned->size(), forget, owned.get());
  owned.release();
  return message;
}

void send_frames(zmq::socket_t& socket, Frames frames) {
  // What needs memory comes first: the next message would be taken for the rest of half a one.
  std::vector<zmq::message_t> parts;
  parts.reserve(frames.size());
  for (std::string& frame : frames) {
    if (frame.size() >= kWorthKeeping) {
      parts.push_back(kept(std::move(frame)));
    } else {
      parts.emplace_back(frame);
    }
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto flags = zmq::send_flags::dontwait;
    if (i + 1 < parts.size()) flags = flags | zmq::send_flags::sndmore;
    socket.send(parts[i], flags);
  }
}

}  // namespace

void listen(zmq::socket_t& socket, const Connection& connection, int port) {
  const std::string address = connection.address(port);
  try {
    if (connection.encrypted()) {
      socket.set(zmq::sockopt::curve_server, true);
      socket.set(zmq::sockopt::curve_secretkey, connection.curve_secret_key);
    }
    const PrivateFiles of_ipc_sockets;
    socket.bind(address);
  } catch (const zmq::error_t& error) {
    throw std::runtime_error("cannot listen on " + address + ": " + error.what());
  }
}

Router::Router(zmq::context_t& context, const Connection& connection, int port)
    : socket_(context, zmq::socket_type::router) {
  socket_.set(zmq::sockopt::router_handover, true);  // a client that reconnects keeps its identity
  socket_.set(zmq::sockopt::sndhwm, 0);
  socket_.set(zmq::sockopt::rcvhwm, 0);
  socket_.set(zmq::sockopt::linger, kLinger);
  listen(socket_, connection, port);
}

int Router::fd() const { return socket_.get(zmq::sockopt::fd); }

std::optional<Frames> Router::receive() {
  std::vector<zmq::message_t> parts;
  if (!zmq::recv_multipart(socket_, std::back_inserter(parts), zmq::recv_flags::dontwait)) {
    return std::nullopt;
  }
  Frames frames;
  frames.reserve(parts.size());
  for (const auto& part : parts) frames.push_back(part.to_string());
  return frames;
}

void Router::send(Frames frames) {
  try {
    send_frames(socket_, std::move(frames));
  } catch (const zmq::error_t&) {
    // The client is gone; nobody is left to be told.
  }
}

Broadcast::Broadcast(zmq::context_t& context, const Connection& connection, int port)
    : socket_(context, zmq::socket_type::xpub) {
  // Subscriptions count from when they are read here, so that nothing overtakes a welcome.
  socket_.set(zmq::sockopt::xpub_manual, true);
  socket_.set(zmq::sockopt::sndhwm, 0);
  socket_.set(zmq::sockopt::linger, kLinger);
  listen(socket_, connection, port);
}

int Broadcast::fd() const { return socket_.get(zmq::sockopt::fd); }

void Broadcast::send(Frames frames) { send_frames(socket_, std::move(frames)); }

std::optional<std::string> Broadcast::new_subscription() {
  zmq::message_t event;
  while (socket_.recv(event, zmq::recv_flags::dontwait)) {
    const std::string text = event.to_string();
    if (text.empty()) continue;
    const std::string topic = text.substr(1);
    if (text.front() == '\1') {
      socket_.set(zmq::sockopt::subscribe, topic);
      return topic;
    }
    if (text.front() == '\0') socket_.set(zmq::sockopt::unsubscribe, topic);
  }
  return std::nullopt;
}

}  // namespace firn::kernel
