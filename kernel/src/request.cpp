#include "request.hpp"

namespace firn::kernel {

Request::Request(const xeus::xmessage& message)
    : type(message.header().value("msg_type", "")),
      id(message.header().value("msg_id", "")),
      header(std::make_shared<const std::string>(to_text(message.header()))),
      metadata(to_text(message.metadata())),
      identities(message.identities()),
      received(now()) {}

Turn& current_turn() {
  thread_local Turn turn;
  return turn;
}

}  // namespace firn::kernel
