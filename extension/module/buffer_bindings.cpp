#include "heap/cpython_layout.hpp"

#include "heap/buffers/array.hpp"
#include "heap/buffers/frozen.hpp"
#include "module/bindings.hpp"

namespace firn {

namespace {

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

PyObject* refuse(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2 || !PyMemoryView_Check(arguments[0]) || !PyUnicode_Check(arguments[1])) {
    PyErr_SetString(PyExc_TypeError, "refuse_buffer_write() takes a memoryview and a type's name");
    return nullptr;
  }
  const char* const kind = PyUnicode_AsUTF8(arguments[1]);
  return kind ? heap::refuse_write_to(PyMemoryView_GET_BUFFER(arguments[0])->buf, kind) : nullptr;
}

PyMethodDef refuse_method = {"refuse_buffer_write", heap::faces::method(refuse), METH_FASTCALL,
                             "Raises the TypeError of a write to frozen memory."};

}  // namespace

void bind_buffers(pybind11::module_& module) {
  PyTypeObject* const type = heap::buffers::array_type();
  if (!type) throw pybind11::error_already_set();
  module.attr("Array") =
      pybind11::reinterpret_borrow<pybind11::object>(reinterpret_cast<PyObject*>(type));
  bind_function(module, &apply_method);
  bind_function(module, &refuse_method);
  heap::buffers::init_buffers();
}

}  // namespace firn
