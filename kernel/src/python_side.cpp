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
  const py::cpp_function done_once([reply](const std::string& content) {
    nlohmann::json parsed =
        nlohmann::json::parse(content);  // if it throws, the reply is still owed
    if (const Done call = std::exchange(*reply, nullptr)) call(std::move(parsed));
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
    return nlohmann::json::parse(
        handler_.attr("answer")(current_request(), to_text(content)).cast<std::string>());
  } catch (py::error_already_set& error) {
    return report(error);
  }
}

void PythonSide::receive(const std::string& content, const xeus::buffer_sequence& buffers) {
  const py::gil_scoped_acquire gil;
  py::list parts;
  for (const auto& buffer : buffers) parts.append(py::bytes(buffer.data(), buffer.size()));
  try {
    handler_.attr("receive")(current_request(), content, parts);
  } catch (py::error_already_set& error) {
    report(error);
  }
}

int PythonSide::execution_count() {
  const py::gil_scoped_acquire gil;
  return handler_.attr("execution_count").cast<int>();
}

}  // namespace firn::kernel
