#include "io_thread.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/first_exception.hpp"

namespace firn::kernel {
namespace {

constexpr std::chrono::seconds kOrphansGrace{5};
constexpr int kParentPolling = 1000;                    // ms, where there is no pidfd
constexpr std::chrono::milliseconds kAfterFailure{10};  // what fails for ever is no busy loop

// A front end that connects while a cell runs asks this first, on the shell channel: without the
// answer it could not open a subshell, which would be there for it.
bool needs_no_runner(const xeus::xmessage& message) {
  return message.header().value("msg_type", "") == "kernel_info_request";
}

}  // namespace

IoThread::IoThread(zmq::context_t& context, const Connection& connection, Wire& wire, Boxes boxes,
                   Publisher& publisher, const Terminal& terminal,
                   std::function<void()> on_orphaned)
    : wire_(wire),
      boxes_(boxes),
      publisher_(publisher),
      terminal_(terminal),
      on_orphaned_(std::move(on_orphaned)),
      shell_(context, connection, connection.shell_port),
      control_(context, connection, connection.control_port),
      stdin_(context, connection, connection.stdin_port),
      iopub_(context, connection, connection.iopub_port) {}

void IoThread::start() {
  thread_ = std::thread([this] { run(); });
}

void IoThread::stop() {
  stop_ = true;
  boxes_.outbox.wake();
  if (thread_.joinable()) thread_.join();
}

void IoThread::run() {
  prepare_for_exceptions();
  while (!stop_) {
    move_until_quiet();
    attempt("publish what was printed", [this] { streams_due_ = publisher_.flush_if_due(); });
    if (std::exchange(failed_, false)) {
      std::this_thread::sleep_for(kAfterFailure);
      continue;  // without a look at the sockets' descriptors: a step may have left something there
    }
    if (streams_due_ && *streams_due_ <= Clock::now()) continue;
    if (!stop_) wait();
    look_after_parent();
  }
  send_the_rest();
}

template <class Step>
void IoThread::attempt(const char* what, Step step) {
  try {
    step();
  } catch (const std::exception& error) {
    failed_ = true;
    terminal_.tell("the I/O thread", what, error.what());
  }
}

// ZeroMQ's descriptors are edge-triggered, and sending can swallow an edge: poll only after a pass
// in which nothing moved.
void IoThread::move_until_quiet() {
  bool moved = true;
  while (moved && !failed_) {
    moved = send_errands();
    moved |= receive_all(shell_, &IoThread::take_shell);
    moved |= receive_all(control_, &IoThread::take_control);
    moved |= receive_all(stdin_, &IoThread::take_stdin);
    attempt("welcome a subscriber", [&] { moved |= welcome_subscribers(); });
  }
}

bool IoThread::send_errands() {
  std::vector<Errand> errands = boxes_.outbox.take();
  for (Errand& errand : errands) {
    if (auto* inbox = std::get_if<std::shared_ptr<Inbox>>(&errand)) {
      while (receive_all(shell_, &IoThread::take_shell)) {
      }
      (*inbox)->fence();
      continue;
    }
    attempt("send a message", [&] { send(std::move(std::get<Parcel>(errand))); });
  }
  return !errands.empty();
}

void IoThread::send(Parcel parcel) {
  switch (parcel.channel) {
    case Channel::shell:
      return shell_.send(std::move(parcel.frames));
    case Channel::control:
      return control_.send(std::move(parcel.frames));
    case Channel::stdin_:
      return stdin_.send(std::move(parcel.frames));
    case Channel::iopub:
      // Before it is sent, for a message that cannot be sent must not count for ever.
      boxes_.outbox.published(byte_count(parcel.frames));
      return iopub_.send(std::move(parcel.frames));
  }
}

bool IoThread::receive_all(Router& router, void (IoThread::*take)(xeus::xmessage)) {
  bool any = false, more = true;
  while (std::exchange(more, false)) {
    attempt("take a message from a front end", [&] {
      auto frames = router.receive();
      if (!frames) return;
      any = more = true;
      if (auto message = wire_.decode(std::move(*frames))) (this->*take)(std::move(*message));
    });
  }
  return any;
}

void IoThread::take_shell(xeus::xmessage message) {
  if (needs_no_runner(message) && boxes_.shell.main()->busy()) {
    boxes_.control.push({Item::Kind::beside, std::move(message)});
  } else {
    boxes_.shell.route(std::move(message));
  }
}

void IoThread::take_control(xeus::xmessage message) {
  boxes_.control.push({Item::Kind::message, std::move(message)});
}

void IoThread::take_stdin(xeus::xmessage message) {
  boxes_.stdin_.push({Item::Kind::message, std::move(message)});
}

bool IoThread::welcome_subscribers() {
  bool any = false;
  while (const auto topic = iopub_.new_subscription()) {
    any = true;
    Frames frames = wire_.encode({*topic}, {.header = wire_.new_header("iopub_welcome"),
                                            .parent = "{}",
                                            .metadata = "{}",
                                            .content = to_text({{"subscription", *topic}}),
                                            .buffers = {}});
    iopub_.send(std::move(frames));  // before all that waits in the outbox
  }
  return any;
}

int IoThread::poll_timeout() const {
  using std::chrono::ceil, std::chrono::milliseconds;
  int timeout = -1;
  const auto at_most = [&timeout](int ms) { timeout = timeout < 0 ? ms : std::min(timeout, ms); };
  if (streams_due_) {
    const auto left = ceil<milliseconds>(*streams_due_ - Clock::now()).count();
    at_most(static_cast<int>(std::max<decltype(left)>(left, 0)));
  }
  if (parent_.wanted() && (parent_.fd() < 0 || exit_at_)) at_most(kParentPolling);
  return timeout;
}

void IoThread::wait() {
  // While the outbox is full, the pipes may fill: that slows their writers down.
  const bool room = boxes_.outbox.has_room();
  std::array<pollfd, 8> watched{{
      {shell_.fd(), POLLIN, 0},
      {control_.fd(), POLLIN, 0},
      {stdin_.fd(), POLLIN, 0},
      {iopub_.fd(), POLLIN, 0},
      {boxes_.outbox.fd(), POLLIN, 0},
      {room ? publisher_.pipe(0) : -1, POLLIN, 0},
      {room ? publisher_.pipe(1) : -1, POLLIN, 0},
      {exit_at_ ? -1 : parent_.fd(), POLLIN, 0},
  }};
  ::poll(watched.data(), watched.size(), poll_timeout());
  boxes_.outbox.clear_event();
  if ((watched[5].revents | watched[6].revents) != 0) {
    attempt("read the output of child processes", [this] { publisher_.drain_descriptors(); });
  }
}

void IoThread::look_after_parent() {
  if (exit_at_) {
    if (Clock::now() >= *exit_at_) ::_exit(1);  // a cell that does not stop; nobody waits for it
  } else if (parent_.orphaned()) {
    exit_at_ = Clock::now() + kOrphansGrace;
    attempt("end the kernel of a client that is gone", on_orphaned_);
  }
}

void IoThread::send_the_rest() {
  failed_ = false;
  attempt("publish what was printed", [this] { publisher_.flush(); });
  move_until_quiet();
}

}  // namespace firn::kernel
