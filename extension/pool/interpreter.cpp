#include "pool/interpreter.hpp"

#include <stdexcept>
#include <utility>

#include "pool/messages.hpp"

namespace py = pybind11;

namespace firn::pool {
namespace {

/// CPython keeps *all* memory of an interpreter (2 MB) in which one object was left, and pybind11
/// leaves some: it never lets go of the types that its classes are made of, and each class that is
/// freed leaves a reference to its metaclass behind. The interpreter's dict is cleared after the
/// modules and before the last garbage collection.
void release_base_types_late(PyInterpreterState* interpreter) {
  const auto release = [] {
    if (auto& local = *py::detail::get_local_internals_pp_manager().get_pp()) {
      Py_CLEAR(local->function_record_py_type);
    }
    auto& shared = *py::detail::get_internals_pp_manager().get_pp();
    if (!shared) return;
    Py_CLEAR(shared->instance_base);
    Py_CLEAR(shared->static_property_type);
    PyGC_Collect();
    if (!shared->registered_types_cpp.empty()) return;  // a class is alive and has its metaclass
    Py_SET_REFCNT(reinterpret_cast<PyObject*>(shared->default_metaclass), 1);
    Py_CLEAR(shared->default_metaclass);
  };
  const auto state = py::reinterpret_borrow<py::dict>(PyInterpreterState_GetDict(interpreter));
  state["firn.base_types"] = py::capsule(release);
}

}  // namespace

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
  // Otherwise end_interpreter() would delete the notebook's data when the worker had none of its
  // own.
  py::detail::has_seen_non_main_interpreter() = true;
  PyThreadState* thread = nullptr;
  const PyStatus status = Py_NewInterpreterFromConfig(&thread, &config);
  if (PyStatus_Exception(status) != 0) {
    throw std::runtime_error(messages::no_interpreter(status.err_msg ? status.err_msg : ""));
  }
  return thread;
}

void join_threads() {
  const auto threading = py::module_::import("sys").attr("modules").attr("get")("threading");
  if (threading.is_none()) return;
  try {
    const auto main = threading.attr("main_thread")();  // the notebook's, in any interpreter
    for (const auto& other : threading.attr("enumerate")()) {
      if (other.is(main) || other.is(threading.attr("current_thread")())) continue;
      if (!other.attr("daemon").cast<bool>()) other.attr("join")();
    }
  } catch (py::error_already_set&) {  // stopped meanwhile; then the interpreter's end waits
  }
}

void end_interpreter(PyThreadState* thread) {
  // pybind11 finds its per-interpreter data through a thread-local cache, which must be filled
  // while the interpreter lives, and its owner (as ~py::subinterpreter) deletes them when it is
  // gone.
  auto& shared = py::detail::get_internals_pp_manager();
  auto& local = py::detail::get_local_internals_pp_manager();
  shared.get_pp();
  local.get_pp();
  release_base_types_late(thread->interp);
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
    const auto text = py::str("").attr("join")(lines);
    return text.attr("encode")("utf-8", "surrogatepass").cast<std::string>();
  } catch (const std::exception&) {
    return error.what();
  }
}

}  // namespace firn::pool
