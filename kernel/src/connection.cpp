#include "connection.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace firn::kernel {

std::string Connection::address(int port) const {
  const char* separator = transport == "ipc" ? "-" : ":";
  return transport + "://" + ip + separator + std::to_string(port);
}

Connection read_connection_file(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("cannot read the connection file " + path);
  try {
    const auto file = nlohmann::json::parse(stream);
    return Connection{
        .transport = file.value("transport", "tcp"),
        .ip = file.value("ip", "127.0.0.1"),
        .key = file.value("key", ""),
        .signature_scheme = file.value("signature_scheme", "hmac-sha256"),
        .shell_port = file.at("shell_port"),
        .control_port = file.at("control_port"),
        .stdin_port = file.at("stdin_port"),
        .iopub_port = file.at("iopub_port"),
        .heartbeat_port = file.at("hb_port"),
    };
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error("the connection file " + path + " is not usable: " + error.what());
  }
}

}  // namespace firn::kernel
