#include "running_server.hpp"

#include <poll.h>
#include <pybind11/pybind11.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <xeus/xeus_context.hpp>

#include "history.hpp"
#include "interpreter.hpp"

namespace firn::kernel::testing {
namespace {

namespace py = pybind11;

std::atomic<int> interrupts_seen{0};

}  // namespace

RunningServer::RunningServer() : interrupts_before_(interrupts_seen) {
  std::signal(SIGINT, [](int) { ++interrupts_seen; });
  std::promise<void> bound;
  std::future<void> ready = bound.get_future();
  main_ = std::thread([this, &bound] { run(std::move(bound)); });
  ready.get();
}

RunningServer::~RunningServer() {
  if (!main_.joinable()) return;
  server_->stop();
  main_.join();
}

void RunningServer::run(std::promise<void> bound) {
  PythonSide python(
      [this] {
        const py::gil_scoped_acquire gil;
        return half.handler();
      }(),
      terminal.terminal());
  {
    auto context = std::make_unique<xeus::xcontext_impl<zmq::context_t>>();
    auto interpreter = std::make_unique<Interpreter>(python, [this] { server_->interrupt(); });
    const auto build = [&](xeus::xcontext& holder, const xeus::xconfiguration&,
                           nl::json::error_handler_t) -> std::unique_ptr<xeus::xserver> {
      auto server = std::make_unique<Server>(holder.get_wrapped_context<zmq::context_t>(),
                                             connection(), python, terminal.terminal());
      server_ = server.get();
      return server;
    };
    xeus::xkernel kernel(xeus::xkernel_configuration{}, "somebody", std::move(context),
                         std::move(interpreter), build, std::make_unique<History>(python), nullptr,
                         xeus::make_null_debugger, nl::json::object(),
                         nl::json::error_handler_t::replace);
    std::clog.setstate(std::ios::failbit);
    const auto inbox = server_->inboxes().main();
    half.serve(inbox, [this, inbox] { return server_->dispatch_next(inbox); });
    bound.set_value();
    kernel.start();
  }
  const py::gil_scoped_acquire gil;
  [[maybe_unused]] const PythonSide ends_with_the_gil = std::move(python);
}

void RunningServer::serve(const std::shared_ptr<Inbox>& inbox) {
  const PythonSide::Thread thread;
  pollfd watched{inbox->fd(), POLLIN, 0};
  while (!inbox->stopped()) {
    ::poll(&watched, 1, -1);
    inbox->clear_event();
    const py::gil_scoped_acquire gil;
    while (server_->dispatch_next(inbox)) {
    }
  }
}

void RunningServer::join() { main_.join(); }

int RunningServer::interrupts() const { return interrupts_seen - interrupts_before_; }

}  // namespace firn::kernel::testing
