#include <malloc.h>
#include <poll.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <xeus/xeus_context.hpp>
#include <xeus/xkernel.hpp>
#include <zmq.hpp>

#include "connection.hpp"
#include "history.hpp"
#include "interpreter.hpp"
#include "murmur.hpp"
#include "nudges.hpp"
#include "python_side.hpp"
#include "server.hpp"

namespace py = pybind11;

namespace firn::kernel {
namespace {

// One kernel a process. Written with the GIL held, for threads of the user's may still write when
// the kernel ends; whoever has released the GIL has to look again.
Server* the_server = nullptr;
// Shared by those who use the server without the GIL.
std::shared_mutex in_use;

// Slows the calling thread down while front ends lag behind with reading.
void wait_for_room() {
  while (the_server != nullptr && !the_server->outbox().has_room()) {
    {
      Server& server = *the_server;
      const std::shared_lock use(in_use);
      const py::gil_scoped_release release;
      server.outbox().wait_for_room(std::chrono::milliseconds(50));
    }
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

std::vector<std::string> copies(const std::vector<py::buffer>& buffers) {
  std::vector<std::string> bytes;
  for (const py::buffer& buffer : buffers) {
    const auto contiguous = py::reinterpret_steal<py::bytes>(PyBytes_FromObject(buffer.ptr()));
    if (!contiguous) throw py::error_already_set();
    bytes.emplace_back(contiguous);
  }
  return bytes;
}

void publish(const std::string& type, const RequestPtr& parent, const std::string& metadata,
             const std::string& content, const std::vector<py::buffer>& buffers) {
  wait_for_room();
  if (the_server == nullptr) return;  // a comm that ends with the interpreter
  the_server->publisher().publish(type, parent ? *parent->header : "{}", metadata, content,
                                  copies(buffers));
}

void write(int stream, std::string_view text, const RequestPtr& parent) {
  static const Parent no_parent = std::make_shared<const std::string>("{}");
  wait_for_room();
  if (the_server == nullptr) return;
  the_server->publisher().write(stream, text, parent ? parent->header : no_parent);
}

void ask_input(const Request& request, const std::string& content) {
  if (the_server == nullptr) return;
  while (the_server->stdin_replies().pop()) {
    // An answer to a question that was interrupted: too late.
  }
  the_server->send_input_request(request, content);
}

// The next answer, or None after a while: the caller's signals and locks get their turn.
py::object take_input() {
  if (the_server == nullptr) throw py::value_error("the kernel has ended");
  Inbox& replies = the_server->stdin_replies();
  auto item = replies.pop();
  if (!item) {
    {
      const std::shared_lock use(in_use);
      const py::gil_scoped_release release;
      pollfd watched{replies.fd(), POLLIN, 0};
      ::poll(&watched, 1, 50);
    }
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (the_server == nullptr) return py::none();
    replies.clear_event();
    item = replies.pop();
  }
  if (!item) return py::none();
  const auto value = item->message.content().find("value");
  if (value == item->message.content().end() || !value->is_string()) return py::none();
  return py::str(value->get<std::string>());
}

// Raises KeyboardInterrupt in another thread if the cell runs there now. No bytecode runs between
// the look and the raising, so that the cell cannot end in between.
bool interrupt_thread(unsigned long thread, const py::object& cell) {
  if (!py::cast<bool>(cell.attr("running"))) return false;
  return PyThreadState_SetAsyncExc(thread, PyExc_KeyboardInterrupt) != 0;
}

// Whatever ends the kernel, nobody uses its server afterwards.
struct Farewell {
  ~Farewell() {
    {
      const py::gil_scoped_acquire gil;
      the_server = nullptr;  // what is written from now on goes to the descriptors
    }
    const std::unique_lock nobody_uses(in_use);
  }
};

// Lives as long as the kernel; called without the GIL.
void run_kernel(const Connection& connection, PythonSide& python, const Terminal& terminal) {
  auto context = std::make_unique<xeus::xcontext_impl<zmq::context_t>>();
  auto interpreter = std::make_unique<Interpreter>(python, [] { the_server->interrupt(); });
  const auto build = [&](xeus::xcontext& holder, const xeus::xconfiguration&,
                         nl::json::error_handler_t) -> std::unique_ptr<xeus::xserver> {
    auto server = std::make_unique<Server>(holder.get_wrapped_context<zmq::context_t>(), connection,
                                           python, terminal);
    the_server = server.get();
    return server;
  };
  // Only what Server takes from the connection file counts; xeus gets an empty configuration.
  xeus::xkernel kernel(xeus::xkernel_configuration{}, xeus::get_user_name(), std::move(context),
                       std::move(interpreter), build, std::make_unique<History>(python), nullptr,
                       xeus::make_null_debugger, nl::json::object(),
                       nl::json::error_handler_t::replace);
  std::clog.setstate(std::ios::failbit);  // xeus announces its version there
  const Farewell farewell;
  kernel.start();
}

// malloc() gives threads arenas of their own, eight for each CPU. One whose thread has ended goes
// on holding pages that a few bytes are in, and they get ever more: with as many as can be in use
// at a time, and the main thread's, memory is used again. MALLOC_ARENA_MAX says otherwise.
void limit_arenas() {
  if (std::getenv("MALLOC_ARENA_MAX") != nullptr) return;
  const unsigned cpus = std::thread::hardware_concurrency();
  ::mallopt(M_ARENA_MAX, static_cast<int>(std::max(cpus, 2U) + 1));
}

void run(const std::string& connection_file, py::object handler) {
  limit_arenas();
  const Connection connection = read_connection_file(connection_file);
  const Terminal terminal;
  PythonSide python(std::move(handler), terminal);
  {
    const py::gil_scoped_release release;
    run_kernel(connection, python, terminal);
  }
  python.rethrow();
}

}  // namespace

PYBIND11_MODULE(_kernel, module) {
  module.doc() = "The C++ half of the firn kernel: sockets, wire format, streams (kernel/src).";

  py::class_<Request, std::shared_ptr<Request>>(module, "Request")
      .def_readonly("type", &Request::type)
      .def_readonly("id", &Request::id)
      .def_readonly("received", &Request::received)
      .def_readonly("metadata", &Request::metadata)
      .def_property_readonly("header", [](const Request& request) { return *request.header; });

  py::class_<Inbox, std::shared_ptr<Inbox>>(module, "Inbox")
      .def("fileno", &Inbox::fd)
      .def("clear_event", &Inbox::clear_event)
      .def("dispatch_next",
           [](const std::shared_ptr<Inbox>& inbox) {
             return the_server != nullptr && the_server->dispatch_next(inbox);
           })
      .def_property_readonly("stopped", &Inbox::stopped)
      .def_property("busy", &Inbox::busy, &Inbox::set_busy);

  module.def("run", &run);
  module.def("main_inbox", [] { return the_server->inboxes().main(); });
  module.def("open_inbox",
             [](const std::string& subshell) { return the_server->inboxes().open(subshell); });
  module.def("close_inbox",
             [](const std::string& subshell) { return the_server->inboxes().close(subshell); });
  module.def("interrupt_thread", &interrupt_thread);
  module.def("nudge_after_interrupts", &nudge_after_interrupts);
  module.def("no_more_nudges", &no_more_nudges);
  module.def("give_back_memory", [] {
    const py::gil_scoped_release release;
    ::malloc_trim(0);
  });
  module.def("publish", &publish);
  module.def("write", &write);
  module.def("flush", [] {
    if (the_server != nullptr) the_server->publisher().flush();
  });
  module.def("set_descriptor_parent", [](const RequestPtr& request) {
    the_server->publisher().set_descriptor_parent(request->header);
  });
  module.def("capture_descriptors", [] {
    the_server->publisher().capture_descriptors();
    return the_server->publisher().original_descriptor(1);
  });
  module.def("murmur2", &murmur2);
  module.def("ask_input", &ask_input);
  module.def("take_input", &take_input);
}

}  // namespace firn::kernel
