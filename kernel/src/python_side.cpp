#include "python_side.hpp"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "content.hpp"
#include "wire.hpp"

namespace py = pybind11;

namespace firn::kernel {
namespace {

// Shows an exception that nothing in the Python half has caught, where the kernel's log goes.
nlohmann::json report(py::error_already_set& error) {
  const std::string text = error.what();
  error.discard_as_unraisable("firn_kernel");
  return error_content("KernelError", text);
}

}  // namespace

struct PythonSide::Thread::Kept {
  py::gil_scoped_acquire thread_state;
  py::gil_scoped_release without_gil;
};

PythonSide::Thread::Thread() : kept_(std::make_unique<Kept>()) {}

PythonSide::Thread::~Thread() = default;

void PythonSide::run() {
  const py::gil_scoped_acquire gil;
  try {
    handler_.attr("run")();
  } catch (py::error_already_set&) {
    raised_ = std::current_exception();
  }
}

void PythonSide::rethrow() {
  if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
}

void PythonSide::execute(const std::string& code, bool silent, bool store_history, bool allow_stdin,
                         const nlohmann::json& user_expressions, Done done) {
  const py::gil_scoped_acquire gil;
  const auto reply = std::make_shared<Done>(std::move(done));
  const py::cpp_function done_once([this, reply](const py::object& content) {
    const Done call = std::exchange(*reply, nullptr);
    if (!call) return;
    try {
      call(parsed(content));
    } catch (const std::exception& error) {
      if (!current_turn().replied) call(failed(error));
    }
  });
  try {
    handler_.attr("execute")(current_request(), code, silent, store_history, allow_stdin,
                             to_text(user_expressions), done_once);
  } catch (py::error_already_set& error) {
    const nlohmann::json content = report(error);
    if (const Done call = std::exchange(*reply, nullptr)) call(content);
  }
}

nlohmann::json PythonSide::answer(const nlohmann::json& content) {
  const py::gil_scoped_acquire gil;
  try {
    return parsed(handler_.attr("answer")(current_request(), to_text(content)));
  } catch (py::error_already_set& error) {
    return report(error);
  }
}

// A reply's content, or one that says why it is none.
nlohmann::json PythonSide::parsed(const py::object& content) const {
  try {
    nlohmann::json reply = nlohmann::json::parse(content.cast<std::string>());
    if (!reply.is_object()) throw std::runtime_error("a reply's content is a JSON object");
    return reply;
  } catch (const std::exception& error) {
    return failed(error);
  }
}

nlohmann::json PythonSide::failed(const std::exception& error) const {
  terminal_.tell("the Python half", "answer ", error.what(), current_type());
  return error_content("KernelError", error.what());
}

void PythonSide::receive(const std::string& content, const xeus::buffer_sequence& buffers) {
  const py::gil_scoped_acquire gil;
  try {
    py::list parts;
    for (const auto& buffer : buffers) parts.append(py::bytes(buffer.data(), buffer.size()));
    handler_.attr("receive")(current_request(), content, parts);
  } catch (py::error_already_set& error) {
    report(error);
  }
}

int PythonSide::execution_count() {
  const py::gil_scoped_acquire gil;
  try {
    return handler_.attr("execution_count").cast<int>();
  } catch (py::error_already_set& error) {
    report(error);
  } catch (const std::exception& error) {
    failed(error);
  }
  return 0;
}

}  // namespace firn::kernel
