#include "heap/cpython_layout.hpp"

#include "heap/buffers/array.hpp"
#include "module/bindings.hpp"

namespace firn {

namespace {

// Plain C functions: a dispatch of pybind11's costs more than adding two short arrays.
PyObject* apply(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count < 2 || !PyUnicode_Check(arguments[0])) {
    PyErr_SetString(PyExc_TypeError,
                    "array_apply() takes the name of an operation and its operands");
    return nullptr;
  }
  return heap::buffers::apply_named(arguments[0], arguments + 1, count - 1);
}

PyMethodDef apply_method = {
    "array_apply", heap::faces::method(apply), METH_FASTCALL,
    "An elementwise operation by its name in numpy, as \"add\" or \"sqrt\"."};

}  // namespace

void bind_buffers(pybind11::module_& module) {
  PyTypeObject* const type = heap::buffers::array_type();
  if (!type) throw pybind11::error_already_set();
  module.attr("Array") =
      pybind11::reinterpret_borrow<pybind11::object>(reinterpret_cast<PyObject*>(type));
  PyObject* function = PyCFunction_NewEx(&apply_method, nullptr, nullptr);
  if (!function) throw pybind11::error_already_set();
  module.attr("array_apply") = pybind11::reinterpret_steal<pybind11::object>(function);
}

}  // namespace firn
