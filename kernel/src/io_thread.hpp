#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "connection.hpp"
#include "inbox.hpp"
#include "outbox.hpp"
#include "parent_watch.hpp"
#include "publisher.hpp"
#include "sockets.hpp"
#include "terminal.hpp"
#include "wire.hpp"

namespace firn::kernel {

// The thread that owns every socket of the kernel. It moves frames between sockets and boxes,
// publishes collected stream text in time, and never touches Python. A step that throws (for want
// of memory) is told on the terminal, and costs the one message that it was about.
//
// Made, started and stopped by the main thread; everything private is the I/O thread's in between.
class IoThread {
 public:
  struct Boxes {
    Outbox& outbox;
    Inboxes& shell;
    Inbox& control;
    Inbox& stdin_;
  };

  // Binds the sockets; throws std::runtime_error naming the address that is taken.
  IoThread(zmq::context_t& context, const Connection& connection, Wire& wire, Boxes boxes,
           Publisher& publisher, const Terminal& terminal, std::function<void()> on_orphaned);
  ~IoThread() { stop(); }
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  void start();
  void stop();  // sends what the outbox holds first

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  template <class Step>
  void attempt(const char* what, Step step);
  bool send_errands();
  void send(Parcel parcel);
  bool receive_all(Router& router, void (IoThread::*take)(xeus::xmessage));
  void take_shell(xeus::xmessage message);
  void take_control(xeus::xmessage message);
  void take_stdin(xeus::xmessage message);
  bool welcome_subscribers();
  void move_until_quiet();
  int poll_timeout() const;
  void wait();
  void look_after_parent();
  void send_the_rest();

  Wire& wire_;
  Boxes boxes_;
  Publisher& publisher_;
  const Terminal& terminal_;
  std::function<void()> on_orphaned_;
  ParentWatch parent_;
  std::optional<Clock::time_point> exit_at_;  // set once the parent is gone
  Router shell_, control_, stdin_;
  Broadcast iopub_;
  std::optional<Clock::time_point> streams_due_;
  bool failed_ = false;  // a step of this round has thrown
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace firn::kernel
