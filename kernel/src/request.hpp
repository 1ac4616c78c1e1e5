#pragma once

#include <memory>
#include <string>
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

// The request that this thread works on; set by Server, read by Interpreter and History, which xeus
// calls without it.
RequestPtr& current_request();

}  // namespace firn::kernel
