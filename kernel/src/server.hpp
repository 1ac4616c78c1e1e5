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
#include "wire.hpp"

namespace firn::kernel {

// xeus's server: takes messages from the boxes to xeus's core and back, and corrects on their way
// what the core gets wrong (said at each place).
//
// start() returns when the kernel has stopped; it is the main thread's, and so is dispatch() of the
// main inbox. Control requests are dispatched by the control thread. The rest may be called by any.
class Server final : public xeus::xserver {
 public:
  Server(zmq::context_t& context, const Connection& connection, PythonSide& python);
  ~Server() override;

  // Handles what is next in the inbox; false when it is empty or the kernel stops. Holds the GIL.
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

  void dispatch_shell(xeus::xmessage message);
  void dispatch_control(xeus::xmessage message);
  void answer_ourselves(Channel channel, const nl::json& content);
  void refuse(Channel channel, const std::string& name, const std::string& value);
  void run_control();
  Frames encode(const xeus::xmessage& message, const nl::json& metadata,
                const nl::json& content) const;
  void release_reply();
  void reply(Channel channel, const Request& request, std::string metadata, nl::json content);
  void publish_status(const Request& request, const char* state);

  PythonSide& python_;
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
