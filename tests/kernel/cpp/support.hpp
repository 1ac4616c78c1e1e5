#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "connection.hpp"
#include "signer.hpp"
#include "terminal.hpp"

namespace firn::kernel::testing {

constexpr std::chrono::seconds kPatience{60};  // with a loaded machine
constexpr const char* kKey = "a key";

// A folder that goes with its test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path path;
};

// A connection over sockets in a folder of its own: no port can be taken by somebody else.
struct Address {
  TemporaryFolder folder;
  Connection connection{
      .transport = "ipc",
      .ip = (folder.path / "k").string(),
      .key = kKey,
      .signature_scheme = "hmac-sha256",
      .curve_public_key = {},
      .curve_secret_key = {},
      .shell_port = 1,
      .control_port = 2,
      .stdin_port = 3,
      .iopub_port = 4,
      .heartbeat_port = 5,
  };
};

// A message as a front end reads it.
struct Message {
  std::string topic;
  nlohmann::json header, parent, metadata, content;
  std::vector<std::string> buffers;

  std::string type() const { return header.at("msg_type"); }
};

// A front end's end of one of the kernel's sockets, which makes and reads frames on its own: only
// the signature is by firn's Signer.
class Client {
 public:
  Client(zmq::context_t& context, const Connection& connection, int port,
         zmq::socket_type type = zmq::socket_type::dealer, const std::string& identity = {});

  std::vector<std::string> frames(const std::string& type, const nlohmann::json& content,
                                  const nlohmann::json& more_of_header = nlohmann::json::object());
  void send(const std::vector<std::string>& frames);
  // The id of the request.
  std::string request(const std::string& type,
                      const nlohmann::json& content = nlohmann::json::object(),
                      const nlohmann::json& more_of_header = nlohmann::json::object());

  std::optional<std::vector<std::string>> receive_frames(
      std::chrono::milliseconds patience = kPatience);
  // Throws when nothing comes in time, or when the signature is wrong.
  Message receive();
  bool is_silent() { return !receive_frames(std::chrono::milliseconds(100)); }

  zmq::socket_t& socket() { return socket_; }

 private:
  Signer signer_;
  zmq::socket_t socket_;
};

// A subscriber to everything.
class Subscriber : public Client {
 public:
  // Waits for its welcome, which says that from now on nothing is missed.
  Subscriber(zmq::context_t& context, const Connection& connection);

  // Everything up to the next idle of this request.
  std::vector<Message> until_idle(const std::string& id);
};

// A terminal whose text can be read.
class RecordedTerminal {
 public:
  RecordedTerminal();
  ~RecordedTerminal();
  RecordedTerminal(const RecordedTerminal&) = delete;
  RecordedTerminal& operator=(const RecordedTerminal&) = delete;

  const Terminal& terminal() const { return terminal_; }
  std::string text() const;

 private:
  int fd_;
  Terminal terminal_;
};

// Whether it becomes true in time.
bool eventually(const std::function<bool()>& condition);

// While one lives, an allocation of at least so many bytes throws std::bad_alloc.
class ShortOfMemory {
 public:
  explicit ShortOfMemory(std::size_t bytes);
  ~ShortOfMemory();
  ShortOfMemory(const ShortOfMemory&) = delete;
  ShortOfMemory& operator=(const ShortOfMemory&) = delete;
};

}  // namespace firn::kernel::testing
