#include "heap/cpython_layout.hpp"

#include "heap/faces/faces.hpp"
#include "module/bindings.hpp"

namespace firn {

namespace {

// The builtin looks past what an object says of its class, on which frozen ones rely.
PyObject* type_of(PyObject*, PyObject* object) {
  if (heap::faces::is_face(object)) return PyObject_GetAttr(object, heap::class_string());
  return Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(object)));
}

PyMethodDef type_method = {"type_of", type_of, METH_O,
                           "type(obj), but of a frozen object the class that it stands for."};

}  // namespace

void bind_types(pybind11::module_& module) { bind_function(module, &type_method); }

}  // namespace firn
