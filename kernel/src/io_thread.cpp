#include "io_thread.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace firn::kernel {
namespace {

constexpr std::chrono::seconds kOrphansGrace{5};
constexpr int kParentPolling = 1000;  // ms, where there is no pidfd

// A front end that connects while a cell runs asks this first, on the shell channel: without the
// answer it could not open a subshell, which would be there for it.
bool needs_no_runner(const xeus::xmessage& message) {
  return message.header().value("msg_type", "") == "kernel_info_request";
}

}  // namespace

IoThread::IoThread(zmq::context_t& context, const Connection& connection, Wire& wire, Boxes boxes,
                   Publisher& publisher, std::function<void()> on_orphaned)
    : wire_(wire),
      boxes_(boxes),
      publisher_(publisher),
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
  while (!stop_) {
    move_until_quiet();
    streams_due_ = publisher_.flush_if_due();
    if (streams_due_ && *streams_due_ <= Clock::now()) continue;
    if (!stop_) wait();
    look_after_parent();
  }
  send_the_rest();
}

// ZeroMQ's descriptors are edge-triggered, and sending can swallow an edge: poll only after a pass
// in which nothing moved.
void IoThread::move_until_quiet() {
  bool moved = true;
  while (moved) {
    moved = send_errands();
    moved |= receive_requests(shell_, false);
    moved |= receive_requests(control_, true);
    moved |= receive_stdin();
    moved |= welcome_subscribers();
  }
}

bool IoThread::send_errands() {
  std::vector<Errand> errands = boxes_.outbox.take();
  for (Errand& errand : errands) {
    if (auto* inbox = std::get_if<std::shared_ptr<Inbox>>(&errand)) {
      while (receive_requests(shell_, false)) {
      }
      (*inbox)->push({Item::Kind::fence, {}});
      continue;
    }
    Parcel& parcel = std::get<Parcel>(errand);
    switch (parcel.channel) {
      case Channel::shell:
        shell_.send(std::move(parcel.frames));
        break;
      case Channel::control:
        control_.send(std::move(parcel.frames));
        break;
      case Channel::stdin_:
        stdin_.send(std::move(parcel.frames));
        break;
      case Channel::iopub: {
        const std::size_t bytes = byte_count(parcel.frames);
        iopub_.send(std::move(parcel.frames));
        boxes_.outbox.published(bytes);
        break;
      }
    }
  }
  return !errands.empty();
}

bool IoThread::receive_requests(Router& router, bool control) {
  bool any = false;
  while (auto frames = router.receive()) {
    any = true;
    auto message = wire_.decode(std::move(*frames));
    if (!message) continue;
    if (control) {
      boxes_.control.push({Item::Kind::message, std::move(*message)});
    } else if (needs_no_runner(*message) && boxes_.shell.main()->busy()) {
      boxes_.control.push({Item::Kind::beside, std::move(*message)});
    } else {
      boxes_.shell.route(std::move(*message));
    }
  }
  return any;
}

bool IoThread::receive_stdin() {
  bool any = false;
  while (auto frames = stdin_.receive()) {
    any = true;
    if (auto message = wire_.decode(std::move(*frames))) {
      boxes_.stdin_.push({Item::Kind::message, std::move(*message)});
    }
  }
  return any;
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
  if ((watched[5].revents | watched[6].revents) != 0) publisher_.drain_descriptors();
}

void IoThread::look_after_parent() {
  if (exit_at_) {
    if (Clock::now() >= *exit_at_) ::_exit(1);  // a cell that does not stop; nobody waits for it
  } else if (parent_.orphaned()) {
    exit_at_ = Clock::now() + kOrphansGrace;
    on_orphaned_();
  }
}

void IoThread::send_the_rest() {
  publisher_.flush();
  move_until_quiet();
}

}  // namespace firn::kernel
