#pragma once

#include <pthread.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <xeus/xserver.hpp>
#include <zmq.hpp>

#include "connection.hpp"
#include "heartbeat.hpp"
#include "inbox.hpp"
#include "io_thread.hpp"
#include "outbox.hpp"
#include "publisher.hpp"
#include "python_side.hpp"
#include "request.hpp"
#include "terminal.hpp"
#include "wire.hpp"

namespace firn::kernel {

// xeus's server: takes messages from the boxes to xeus's core and back, and corrects on their way
// what the core gets wrong (said at each place).
//
// start() returns when the kernel has stopped; it is the main thread's, and so is dispatch_next()
// of the main inbox; a subshell's thread dispatches from the subshell's. Control requests are
// dispatched by the control thread, which is a private one. The rest may be called by any.
//
// Whatever a request throws is told on the terminal, and what is missing of its answer goes out: an
// error reply and idle.
class Server final : public xeus::xserver {
 public:
  Server(zmq::context_t& context, const Connection& connection, PythonSide& python,
         const Terminal& terminal);
  ~Server() override;

  // Handles what is next in the inbox; false when it is empty or the kernel stops. Holds the GIL.
  // Throws nothing: the runner has to go on with the next request.
  bool dispatch_next(const std::shared_ptr<Inbox>& inbox);

  Publisher& publisher() { return publisher_; }
  const Outbox& outbox() const { return outbox_; }
  Inboxes& inboxes() { return inboxes_; }
  Inbox& stdin_replies() { return stdin_; }
  void send_input_request(const Request& request, const std::string& content);
  void interrupt() const;

 private:
  // Hands out the one thing that xeus's debugger interface wants: work of the control thread that
  // needs Python. It runs in the calling thread, for whoever answers takes the GIL.
  class Messenger final : public xeus::xcontrol_messenger {
   public:
    explicit Messenger(Server& server) : server_(server) {}

   private:
    nl::json send_to_shell_impl(const nl::json& message) override {
      return server_.notify_internal_listener(message);
    }
    Server& server_;
  };

  xeus::xcontrol_messenger& get_control_messenger_impl() override { return messenger_; }
  void send_shell_impl(xeus::xmessage message) override;
  void send_control_impl(xeus::xmessage message) override;
  void send_stdin_impl(xeus::xmessage message) override;
  void publish_impl(xeus::xpub_message message, xeus::channel channel) override;
  void start_impl(xeus::xpub_message message) override;
  void abort_queue_impl(const listener& listener, long polling_interval) override;
  void stop_impl() override;
  void update_config_impl(xeus::xkernel_configuration&) const override {}

  void serve(Channel channel, Item item);
  void dispatch(Channel channel, Item item);
  void complete_answer(Channel channel, const std::string& failure);
  void tell(const std::exception& error) const;
  void refuse_aborted();
  void dispatch_shell(xeus::xmessage message);
  void dispatch_control(xeus::xmessage message);
  void answer_ourselves(Channel channel, const nl::json& content);
  void refuse(Channel channel, const std::string& name, const std::string& value);
  void run_control();
  Frames encode(const xeus::xmessage& message, const nl::json& metadata,
                const nl::json& content) const;
  void send_reply(Channel channel, const xeus::xmessage& message);
  void push_reply(Channel channel, const xeus::xmessage& message);
  void release_reply();
  void refuse_with(Channel channel, nl::json content);
  void publish_for_xeus(const xeus::xpub_message& message);
  void reply(Channel channel, const Request& request, std::string metadata, nl::json content);
  void publish_status(const Request& request, const char* state);

  PythonSide& python_;
  const Terminal& terminal_;
  Wire wire_;
  Outbox outbox_;
  Inboxes inboxes_;
  Inbox control_, stdin_;
  Publisher publisher_;
  Messenger messenger_;
  IoThread io_;
  Heartbeat heartbeat_;
  pthread_t main_thread_;
  std::atomic<bool> control_stops_{false};
  std::thread control_thread_;
};

}  // namespace firn::kernel
