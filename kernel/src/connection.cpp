#include "connection.hpp"

#include <zmq.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace firn::kernel {
namespace {

// Keys that do not fit must not become a kernel that talks in the clear, or to nobody.
void check_keys(const Connection& connection, const std::string& path) {
  const std::string &shown = connection.curve_public_key, &kept = connection.curve_secret_key;
  if (shown.empty() && kept.empty()) return;
  constexpr std::size_t kSize = 40;  // characters (Z85), of 32 bytes
  std::array<char, kSize + 1> derived;
  if (kept.size() == kSize && zmq_curve_public(derived.data(), kept.c_str()) == 0 &&
      shown == derived.data()) {
    return;
  }
  throw std::runtime_error("the connection file " + path +
                           " is not usable: its curve_publickey and curve_secretkey are no pair of "
                           "CurveZMQ keys (40 characters of Z85 each)");
}

}  // namespace

std::string Connection::address(int port) const {
  const char* separator = transport == "ipc" ? "-" : ":";
  return transport + "://" + ip + separator + std::to_string(port);
}

Connection read_connection_file(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("cannot read the connection file " + path);
  try {
    const auto file = nlohmann::json::parse(stream);
    Connection connection{
        .transport = file.value("transport", "tcp"),
        .ip = file.value("ip", "127.0.0.1"),
        .key = file.value("key", ""),
        .signature_scheme = file.value("signature_scheme", "hmac-sha256"),
        .curve_public_key = file.value("curve_publickey", ""),
        .curve_secret_key = file.value("curve_secretkey", ""),
        .shell_port = file.at("shell_port"),
        .control_port = file.at("control_port"),
        .stdin_port = file.at("stdin_port"),
        .iopub_port = file.at("iopub_port"),
        .heartbeat_port = file.at("hb_port"),
    };
    check_keys(connection, path);
    return connection;
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error("the connection file " + path + " is not usable: " + error.what());
  }
}

}  // namespace firn::kernel
