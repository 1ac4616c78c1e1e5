#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include <xeus/xmessage.hpp>

#include "publisher.hpp"

namespace firn::kernel {

// The request that a runner works on. Immutable, so that threads and Python may share it.
struct Request {
  explicit Request(const xeus::xmessage& message);

  std::string type, id;
  Parent header;  // JSON text
  std::string metadata;
  std::vector<std::string> identities;
  std::string received;  // when its runner took it up: execute_reply's metadata.started
};

using RequestPtr = std::shared_ptr<const Request>;

// A request in work, and how far its answer has come. Each runner has one, in its thread: set by
// Server, read by Interpreter and History, which xeus calls without it.
struct Turn {
  RequestPtr request;
  bool busy = false, replied = false, idle = false;  // what has gone out
  bool promised = false;  // a cell: who runs it sends the reply when it has ended

  void note(std::string_view state) {
    busy |= state == "busy";
    idle |= state == "idle";
  }
};

Turn& current_turn();

inline RequestPtr& current_request() { return current_turn().request; }

// What kind of request it is, for the terminal.
inline std::string_view current_type() {
  const RequestPtr& request = current_request();
  return request ? std::string_view(request->type) : "a request";
}

}  // namespace firn::kernel
