#include "pool/interpreter.hpp"

#include <stdexcept>
#include <utility>

#include "pool/messages.hpp"

namespace py = pybind11;

namespace firn::pool {

StartInfo StartInfo::of_this_interpreter(std::string runtime) {
  StartInfo info{std::move(runtime), {}};
  for (const py::handle entry : py::list(py::module_::import("sys").attr("path"))) {
    if (!py::isinstance<py::str>(entry)) continue;
    const auto bytes = py::reinterpret_steal<py::bytes>(PyUnicode_EncodeFSDefault(entry.ptr()));
    if (!bytes) throw py::error_already_set();
    info.path.push_back(bytes);
  }
  return info;
}

PyThreadState* create_interpreter() {
  PyInterpreterConfig config{};
  config.allow_threads = 1;
  config.check_multi_interp_extensions = 1;
  config.gil = PyInterpreterConfig_OWN_GIL;
  PyThreadState* thread = nullptr;
  const PyStatus status = Py_NewInterpreterFromConfig(&thread, &config);
  if (PyStatus_Exception(status) != 0) {
    throw std::runtime_error(messages::no_interpreter(status.err_msg ? status.err_msg : ""));
  }
  return thread;
}

void end_interpreter(PyThreadState* thread) {
  // As ~py::subinterpreter: pybind11 finds its per-interpreter data through a thread-local cache,
  // which must be filled while the interpreter lives, and deletes them when it is gone.
  auto& shared = py::detail::get_internals_pp_manager();
  auto& local = py::detail::get_local_internals_pp_manager();
  shared.get_pp();
  local.get_pp();
  Py_EndInterpreter(thread);
  shared.destroy();
  local.destroy();
}

Runtime Runtime::load(const StartInfo& info) {
  try {
    py::list path;
    for (const std::string& entry : info.path) {
      path.append(py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(entry.c_str())));
    }
    py::module_::import("sys").attr("path") = path;
    const auto module = py::module_::import(info.runtime.c_str());
    return {module.attr("begin"), module.attr("pack"), module.attr("Stopped")};
  } catch (py::error_already_set& error) {
    throw std::runtime_error(describe(error));
  }
}

std::string describe(py::error_already_set& error) {
  try {
    const auto lines = py::module_::import("traceback").attr("format_exception")(error.value());
    return py::str("").attr("join")(lines).cast<std::string>();
  } catch (const std::exception&) {
    return error.what();
  }
}

}  // namespace firn::pool
