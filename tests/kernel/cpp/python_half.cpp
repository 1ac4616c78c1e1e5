#include "python_half.hpp"

#include <pybind11/embed.h>
#include <pybind11/eval.h>
#include <pybind11/functional.h>

#include <thread>

#include "request.hpp"

namespace firn::kernel::testing {
namespace {

namespace py = pybind11;

constexpr const char* kHalf = R"(
import json, select, threading

class Half:
    execution_count = 7

    def __init__(self):
        self.answers, self.told, self.threads = {}, [], {}

    def run(self):
        watched = select.poll()
        watched.register(self.inbox.fileno(), select.POLLIN)
        while not self.inbox.stopped:
            watched.poll()
            self.inbox.clear_event()
            while self.dispatch_next():
                pass

    def execute(self, request, code, silent, store_history, allow_stdin, user_expressions, done):
        self.told.append(f"execute {silent} {store_history} {allow_stdin} {user_expressions}")
        exec(code, {"half": self, "request": request, "done": done})

    def answer(self, request, content):
        self.told.append(f"{request.type} {content}")
        self.threads[request.type] = threading.get_ident()
        if request.type in self.answers:
            return self.answers[request.type](content)
        return b'{"status": "ok", "history": []}'

    def receive(self, request, content, buffers):
        self.told.append(f"{request.type} {content} {buffers}")
        if request.type in self.answers:
            self.answers[request.type](content)

half = Half()
)";

void bind_classes() {
  py::module_ main = py::module_::import("__main__");
  py::class_<Request, std::shared_ptr<Request>>(main, "Request")
      .def_readonly("type", &Request::type)
      .def_readonly("id", &Request::id)
      .def_readonly("received", &Request::received);
  py::class_<Inbox, std::shared_ptr<Inbox>>(main, "Inbox")
      .def("fileno", &Inbox::fd)
      .def("clear_event", &Inbox::clear_event)
      .def_property_readonly("stopped", &Inbox::stopped);
}

void start_python() {
  // Never ended: threads of a test that failed may still be in it.
  static const auto* const interpreter = new py::scoped_interpreter(false);
  static const auto* const released = [] {
    bind_classes();
    return new py::gil_scoped_release;
  }();
  static_cast<void>(interpreter);
  static_cast<void>(released);
}

}  // namespace

PythonHalf::PythonHalf() {
  start_python();
  const py::gil_scoped_acquire gil;
  py::dict names;
  py::exec(kHalf, names);
  names_ = std::make_unique<py::object>(std::move(names));
}

PythonHalf::~PythonHalf() {
  const py::gil_scoped_acquire gil;
  names_.reset();
}

py::object PythonHalf::handler() const { return (*names_)["half"]; }

void PythonHalf::serve(std::shared_ptr<Inbox> inbox, std::function<bool()> dispatch_next) {
  const py::gil_scoped_acquire gil;
  handler().attr("inbox") = std::move(inbox);
  handler().attr("dispatch_next") = py::cpp_function(std::move(dispatch_next));
}

void PythonHalf::run(const std::string& program) {
  const py::gil_scoped_acquire gil;
  py::exec(program, *names_);
}

std::string PythonHalf::value(const std::string& expression) {
  const py::gil_scoped_acquire gil;
  return py::str(py::eval(expression, *names_));
}

}  // namespace firn::kernel::testing
