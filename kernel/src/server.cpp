#include "server.hpp"

#include <poll.h>

#include <array>
#include <csignal>
#include <set>
#include <xeus/xguid.hpp>

#include "common/first_exception.hpp"
#include "common/signals.hpp"
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

// Who answers requests in this thread, for the terminal.
thread_local const char* answerer = "a cell runner";

// What this thread's runner dispatches from.
thread_local std::shared_ptr<Inbox> current_inbox;

// For a thread that Python knows, when signals are blocked in it: who has to look at all of
// Python's threads at one moment stops them by a real-time signal (firn's heap, which otherwise
// could give nothing back). Those that are sent to the process still go to the main thread first.
void let_real_time_signals_in() {
  sigset_t real_time;
  ::sigemptyset(&real_time);
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) ::sigaddset(&real_time, number);
  ::pthread_sigmask(SIG_UNBLOCK, &real_time, nullptr);
}

constexpr const char* kNoAnswer = "the kernel's core gave no answer";

bool is_request(const std::string& type) { return type.ends_with("_request"); }

std::string reply_type(const std::string& request_type) {
  return request_type.substr(0, request_type.size() - std::string_view("request").size()) + "reply";
}

}  // namespace

Server::Server(zmq::context_t& context, const Connection& connection, PythonSide& python,
               const Terminal& terminal)
    : python_(python),
      terminal_(terminal),
      wire_(connection.key, connection.signature_scheme, std::string(xeus::new_xguid())),
      publisher_(wire_, outbox_),
      messenger_(*this),
      io_(context, connection, wire_, {outbox_, inboxes_, control_, stdin_}, publisher_, terminal_,
          [this] {
            stop();
            interrupt();
          }),
      heartbeat_(context, connection, terminal_),
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

  {
    const SignalsBlocked in_threads_of_ours;
    heartbeat_.start();
    io_.start();
    control_thread_ = std::thread([this] { run_control(); });
  }

  python_.run();

  control_stops_ = true;
  control_.push({Item::Kind::stop, {}});
  control_thread_.join();  // its last messages are in the outbox now
  publisher_.restore_descriptors();
  io_.stop();
}

void Server::stop_impl() { inboxes_.main()->push({Item::Kind::stop, {}}); }

void Server::run_control() {
  prepare_for_exceptions();
  let_real_time_signals_in();
  const PythonSide::Thread thread;
  answerer = "the control thread";
  pollfd watched{control_.fd(), POLLIN, 0};
  while (!control_stops_) {
    while (auto item = control_.pop()) {
      if (item->kind == Item::Kind::stop) continue;
      const bool is_shells = item->kind == Item::Kind::beside;
      serve(is_shells ? Channel::shell : Channel::control, std::move(*item));
    }
    if (control_stops_) break;
    ::poll(&watched, 1, -1);
    control_.clear_event();
  }
}

bool Server::dispatch_next(const std::shared_ptr<Inbox>& inbox) {
  prepare_for_exceptions();  // a runner calls this first of all
  auto item = inbox->pop();
  if (!item) return false;
  if (item->kind == Item::Kind::stop) return false;
  current_inbox = inbox;
  serve(Channel::shell, std::move(*item));
  return true;
}

// Nothing may leave it: above are the control thread's first function and Python's event loop.
void Server::serve(Channel channel, Item item) {
  current_turn() = {};
  std::string failure = kNoAnswer;
  try {
    current_request() = std::make_shared<const Request>(item.message);
    dispatch(channel, std::move(item));
  } catch (const std::exception& error) {
    tell(error);
    failure = error.what();
  }
  if (!current_turn().promised) complete_answer(channel, failure);
}

void Server::dispatch(Channel channel, Item item) {
  switch (item.kind) {
    case Item::Kind::aborted:
      return refuse_aborted();
    case Item::Kind::lost:
      return refuse(channel, "NoSuchSubshell", "the kernel has no subshell of this id");
    default:
      return channel == Channel::shell ? dispatch_shell(std::move(item.message))
                                       : dispatch_control(std::move(item.message));
  }
}

// Does nothing after an answer in full. xeus catches what its handlers throw, and leaves the reply
// out: that is seen here, too.
void Server::complete_answer(Channel channel, const std::string& failure) {
  const Turn turn = current_turn();
  if (!turn.request) return;
  const Request& request = *turn.request;
  try {
    release_reply();
    if (!turn.busy) publish_status(request, "busy");
    if (!turn.replied) refuse_with(channel, error_content("KernelError", failure));
    if (!turn.idle) publish_status(request, "idle");
  } catch (const std::exception& error) {
    tell(error);
  }
}

void Server::tell(const std::exception& error) const {
  terminal_.tell(answerer, "answer ", error.what(), current_type());
}

void Server::refuse_aborted() {
  const Request& request = *current_request();
  nl::json content = error_content("ExecutionAborted", "an earlier cell failed");
  content["execution_count"] = python_.execution_count();
  publish_status(request, "busy");
  reply(Channel::shell, request, to_text({{"started", request.received}, {"status", "error"}}),
        std::move(content));
  publish_status(request, "idle");
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
  refuse_with(channel, error_content(name, value));
  publish_status(request, "idle");
}

// The reply to the current request, if it is one that has a reply.
void Server::refuse_with(Channel channel, nl::json content) {
  const Request& request = *current_request();
  if (!is_request(request.type)) return;
  if (request.type == "execute_request") content["execution_count"] = python_.execution_count();
  reply(channel, request, "{}", std::move(content));
}

void Server::reply(Channel channel, const Request& request, std::string metadata,
                   nl::json content) {
  const std::string type = reply_type(request.type);
  outbox_.push(channel, wire_.encode(request.identities, {.header = wire_.new_header(type),
                                                          .parent = *request.header,
                                                          .metadata = std::move(metadata),
                                                          .content = to_text(content),
                                                          .buffers = {}}));
  current_turn().replied = true;
}

void Server::publish_status(const Request& request, const char* state) {
  publisher_.publish("status", *request.header, "{}", to_text({{"execution_state", state}}));
  current_turn().note(state);
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

// xeus sends and publishes by the next four. What they threw would be lost in its core or, at a
// cell's end, come up in Python, and the rest of the answer with it.
void Server::send_shell_impl(xeus::xmessage message) { send_reply(Channel::shell, message); }

void Server::send_control_impl(xeus::xmessage message) { send_reply(Channel::control, message); }

void Server::send_reply(Channel channel, const xeus::xmessage& message) {
  try {
    push_reply(channel, message);
  } catch (const std::exception& error) {
    tell(error);
    refuse_with(channel, error_content("KernelError", error.what()));
  }
}

void Server::push_reply(Channel channel, const xeus::xmessage& message) {
  nl::json metadata = message.metadata(), content = message.content();
  if (message.header().value("msg_type", "") == "execute_reply") {
    // xeus takes the time of the reply for `started`, and counts cells that IPython does not count.
    if (const auto own = content.find("firn"); own != content.end()) {
      metadata["started"] = own->at("started");
      content["execution_count"] = own->at("execution_count");
      content.erase(own);
    }
    metadata["status"] = content.value("status", "error");
    if (metadata["status"] == "error") {
      held_reply = encode(message, metadata, content);
      current_turn().replied = true;
      return;
    }
  }
  outbox_.push(channel, encode(message, metadata, content));
  current_turn().replied = true;
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
  try {
    publish_for_xeus(message);
  } catch (const std::exception& error) {
    tell(error);
  }
}

void Server::publish_for_xeus(const xeus::xpub_message& message) {
  release_reply();
  std::string type = message.header().value("msg_type", "");
  // The first is no message of the protocol; the second the Python half publishes, with the number
  // that it has given the cell.
  if (type == "interrupt" || type == "execute_input") return;
  if (type == "shutdown") type = "shutdown_reply";
  publisher_.publish(type, to_text(message.parent_header()), to_text(message.metadata()),
                     to_text(message.content()));
  if (type == "status") current_turn().note(message.content().value("execution_state", ""));
}

// xeus asks for this between the failing cell's reply and its idle: nothing may be answered yet.
// The fence comes before the reply, so that what a client sends when it has read the reply is not
// aborted.
void Server::abort_queue_impl(const listener&, long) {
  try {
    outbox_.push_fence(current_inbox);
    current_inbox->abort_until_fence();
    release_reply();
  } catch (const std::exception& error) {
    tell(error);
  }
}

}  // namespace firn::kernel
