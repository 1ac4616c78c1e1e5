#include "server.hpp"

#include <poll.h>

#include <array>
#include <csignal>
#include <set>
#include <xeus/xguid.hpp>

#include "content.hpp"

namespace firn::kernel {
namespace {

const std::set<std::string> kShellTypesOfXeus{
    "execute_request",     "complete_request",    "inspect_request",  "history_request",
    "is_complete_request", "kernel_info_request", "shutdown_request", "interrupt_request"};
const std::set<std::string> kControlTypesOfXeus{"kernel_info_request", "shutdown_request",
                                                "interrupt_request"};
const std::set<std::string> kControlTypesOfOurs{"usage_request", "debug_request",
                                                "create_subshell_request",
                                                "delete_subshell_request", "list_subshell_request"};

// A failed cell's reply, between xeus's sending it and its next step: aborting the queue, or idle.
thread_local std::optional<Frames> held_reply;

// What this thread's runner dispatches from.
thread_local std::shared_ptr<Inbox> current_inbox;

bool is_request(const std::string& type) { return type.ends_with("_request"); }

std::string reply_type(const std::string& request_type) {
  return request_type.substr(0, request_type.size() - std::string_view("request").size()) + "reply";
}

}  // namespace

Server::Server(zmq::context_t& context, const Connection& connection, PythonSide& python)
    : python_(python),
      wire_(connection.key, connection.signature_scheme, std::string(xeus::new_xguid())),
      publisher_(wire_, outbox_),
      messenger_(*this),
      io_(context, connection, wire_, {outbox_, inboxes_, control_, stdin_}, publisher_,
          [this] {
            stop();
            interrupt();
          }),
      heartbeat_(context, connection),
      main_thread_(::pthread_self()) {}

Server::~Server() {
  control_stops_ = true;
  control_.push({Item::Kind::stop, {}});
  if (control_thread_.joinable()) control_thread_.join();
}

void Server::interrupt() const { ::pthread_kill(main_thread_, SIGINT); }

void Server::start_impl(xeus::xpub_message message) {
  const std::string topic = message.topic();
  publisher_.set_topic_prefix(topic.substr(0, topic.rfind('.') + 1));
  publish(std::move(message), xeus::channel::SHELL);

  // Threads of the kernel's own leave every signal that can be blocked to the main thread.
  sigset_t all, before;
  ::sigfillset(&all);
  for (const int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
    ::sigdelset(&all, fatal);
  }
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  heartbeat_.start();
  io_.start();
  control_thread_ = std::thread([this] { run_control(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

  python_.run();

  control_stops_ = true;
  control_.push({Item::Kind::stop, {}});
  control_thread_.join();  // its last messages are in the outbox now
  publisher_.restore_descriptors();
  io_.stop();
}

void Server::stop_impl() { inboxes_.main()->push({Item::Kind::stop, {}}); }

void Server::run_control() {
  const PythonSide::Thread thread;
  pollfd watched{control_.fd(), POLLIN, 0};
  while (!control_stops_) {
    while (auto item = control_.pop()) {
      if (item->kind == Item::Kind::stop) continue;
      current_request() = std::make_shared<const Request>(item->message);
      if (item->kind == Item::Kind::beside) {
        dispatch_shell(std::move(item->message));
      } else {
        dispatch_control(std::move(item->message));
      }
    }
    if (control_stops_) break;
    ::poll(&watched, 1, -1);
    control_.clear_event();
  }
}

bool Server::dispatch_next(const std::shared_ptr<Inbox>& inbox) {
  auto item = inbox->pop();
  if (!item) return false;
  if (item->kind == Item::Kind::stop) return false;
  current_inbox = inbox;
  current_request() = std::make_shared<const Request>(item->message);
  if (item->kind == Item::Kind::aborted) {
    nl::json content = error_content("ExecutionAborted", "an earlier cell failed");
    content["execution_count"] = python_.execution_count();
    publish_status(*current_request(), "busy");
    reply(Channel::shell, *current_request(),
          to_text({{"started", current_request()->received}, {"status", "error"}}),
          std::move(content));
    publish_status(*current_request(), "idle");
  } else if (item->kind == Item::Kind::lost) {
    refuse(Channel::shell, "NoSuchSubshell", "the kernel has no subshell of this id");
  } else {
    dispatch_shell(std::move(item->message));
  }
  return true;
}

void Server::dispatch_shell(xeus::xmessage message) {
  const std::string type = current_request()->type;
  nl::json content = normalized(type, message.content());
  if (const auto wrong = complaint(type, content)) {
    refuse(Channel::shell, "InvalidRequest", *wrong);
  } else if (kShellTypesOfXeus.contains(type)) {
    const auto identities = message.identities();
    notify_shell_listener(xeus::xmessage(identities, message.header(), message.parent_header(),
                                         message.metadata(), std::move(content),
                                         std::move(message).buffers()));
  } else if (type.starts_with("comm_") && !is_request(type)) {
    // xeus's comms know no handler that fails, no unknown comm and no parent of their own output;
    // the `comm` package, which every widget library uses, does.
    publish_status(*current_request(), "busy");
    python_.receive(to_text(content), message.buffers());
    publish_status(*current_request(), "idle");
  } else if (type == "comm_info_request") {
    answer_ourselves(Channel::shell, content);
  } else {
    refuse(Channel::shell, "UnknownRequest", "the kernel does not know " + type);
  }
}

void Server::dispatch_control(xeus::xmessage message) {
  const std::string type = current_request()->type;
  nl::json content = normalized(type, message.content());
  if (const auto wrong = complaint(type, content)) {
    refuse(Channel::control, "InvalidRequest", *wrong);
  } else if (kControlTypesOfXeus.contains(type)) {
    const auto identities = message.identities();
    notify_control_listener(xeus::xmessage(identities, message.header(), message.parent_header(),
                                           message.metadata(), std::move(content),
                                           std::move(message).buffers()));
  } else if (kControlTypesOfOurs.contains(type)) {
    answer_ourselves(Channel::control, content);
  } else {
    refuse(Channel::control, "UnknownRequest", "the control channel does not take " + type);
  }
}

// Requests that xeus's core leaves without reply or idle: a question to Python.
void Server::answer_ourselves(Channel channel, const nl::json& content) {
  const Request& request = *current_request();
  publish_status(request, "busy");
  reply(channel, request, "{}", python_.answer(content));
  publish_status(request, "idle");
}

void Server::refuse(Channel channel, const std::string& name, const std::string& value) {
  const Request& request = *current_request();
  publish_status(request, "busy");
  if (is_request(request.type)) {
    nl::json content = error_content(name, value);
    if (request.type == "execute_request") content["execution_count"] = python_.execution_count();
    reply(channel, request, "{}", std::move(content));
  }
  publish_status(request, "idle");
}

void Server::reply(Channel channel, const Request& request, std::string metadata,
                   nl::json content) {
  const std::string type = reply_type(request.type);
  outbox_.push(channel, wire_.encode(request.identities, {.header = wire_.new_header(type),
                                                          .parent = *request.header,
                                                          .metadata = std::move(metadata),
                                                          .content = to_text(content),
                                                          .buffers = {}}));
}

void Server::publish_status(const Request& request, const char* state) {
  publisher_.publish("status", *request.header, "{}", to_text({{"execution_state", state}}));
}

Frames Server::encode(const xeus::xmessage& message, const nl::json& metadata,
                      const nl::json& content) const {
  // xeus's headers have dates with missing zeros; ours are made anew.
  const std::string type = message.header().value("msg_type", "");
  return wire_.encode(message.identities(), {.header = wire_.new_header(type),
                                             .parent = to_text(message.parent_header()),
                                             .metadata = to_text(metadata),
                                             .content = to_text(content),
                                             .buffers = {}});
}

void Server::release_reply() {
  if (held_reply) outbox_.push(Channel::shell, *std::exchange(held_reply, std::nullopt));
}

void Server::send_shell_impl(xeus::xmessage message) {
  nl::json metadata = message.metadata(), content = message.content();
  const bool failed = content.value("status", "") == "error";
  if (message.header().value("msg_type", "") == "execute_reply") {
    // xeus takes the time of the reply for `started`, and counts cells that IPython does not count.
    if (const auto own = content.find("firn"); own != content.end()) {
      metadata["started"] = own->at("started");
      content["execution_count"] = own->at("execution_count");
      content.erase(own);
    }
    metadata["status"] = content.value("status", "error");
    if (failed) {
      held_reply = encode(message, metadata, content);
      return;
    }
  }
  outbox_.push(Channel::shell, encode(message, metadata, content));
}

void Server::send_control_impl(xeus::xmessage message) {
  outbox_.push(Channel::control, encode(message, message.metadata(), message.content()));
}

void Server::send_stdin_impl(xeus::xmessage message) {
  outbox_.push(Channel::stdin_, encode(message, message.metadata(), message.content()));
}

void Server::send_input_request(const Request& request, const std::string& content) {
  outbox_.push(Channel::stdin_,
               wire_.encode(request.identities, {.header = wire_.new_header("input_request"),
                                                 .parent = *request.header,
                                                 .metadata = "{}",
                                                 .content = content,
                                                 .buffers = {}}));
}

void Server::publish_impl(xeus::xpub_message message, xeus::channel) {
  release_reply();
  std::string type = message.header().value("msg_type", "");
  // The first is no message of the protocol; the second the Python half publishes, with the number
  // that it has given the cell.
  if (type == "interrupt" || type == "execute_input") return;
  if (type == "shutdown") type = "shutdown_reply";
  publisher_.publish(type, to_text(message.parent_header()), to_text(message.metadata()),
                     to_text(message.content()));
}

// xeus asks for this between the failing cell's reply and its idle: nothing may be answered yet.
// The fence comes before the reply, so that what a client sends when it has read the reply is not
// aborted.
void Server::abort_queue_impl(const listener&, long) {
  current_inbox->abort_until_fence();
  outbox_.push_fence(current_inbox);
  release_reply();
}

}  // namespace firn::kernel
