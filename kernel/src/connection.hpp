#pragma once

#include <string>

namespace firn::kernel {

// What a connection file says (messaging protocol, "Connection files").
struct Connection {
  std::string transport, ip, key, signature_scheme;
  std::string curve_public_key, curve_secret_key;  // Z85; empty: nothing is encrypted
  int shell_port, control_port, stdin_port, iopub_port, heartbeat_port;

  bool encrypted() const { return !curve_secret_key.empty(); }

  // The ZeroMQ address of one of the ports.
  std::string address(int port) const;
};

// Throws std::runtime_error with a sentence that names the file and what is wrong with it.
Connection read_connection_file(const std::string& path);

}  // namespace firn::kernel
