#include "module/bindings.hpp"

namespace firn {

namespace {

// Returns the value of an (error, value) pair, or raises the error. Being a C function it leaves no
// frame of its own in the traceback: the error looks raised by the line of the cell that called it.
PyObject* outcome(PyObject*, PyObject* pair) {
  if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
    PyErr_SetString(PyExc_TypeError, "outcome() takes one (error, value) pair");
    return nullptr;
  }
  PyObject* error = PyTuple_GET_ITEM(pair, 0);
  if (error == Py_None) return Py_NewRef(PyTuple_GET_ITEM(pair, 1));
  if (!PyExceptionInstance_Check(error)) {
    PyErr_SetString(PyExc_TypeError, "outcome() takes an exception or None as the error");
    return nullptr;
  }
  PyErr_SetRaisedException(Py_NewRef(error));
  return nullptr;
}

PyMethodDef outcome_method = {
    "outcome", outcome, METH_O,
    "The value of an (error, value) pair; raises the error, with no frame of its own."};

}  // namespace

void bind_outcome(pybind11::module_& module) { bind_function(module, &outcome_method); }

}  // namespace firn
