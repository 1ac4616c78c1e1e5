#include "heap/cpython_layout.hpp"

#include <string_view>

#include "module/bindings.hpp"

namespace firn {

namespace {

// The builtin looks past what an object says of its class, on which frozen ones rely.
PyObject* type_of(PyObject*, PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  constexpr std::string_view ours = "firn.";
  if (std::string_view(type->tp_name).starts_with(ours))
    return PyObject_GetAttr(object, heap::class_string());
  return Py_NewRef(reinterpret_cast<PyObject*>(type));
}

PyMethodDef type_method = {"type_of", type_of, METH_O,
                           "type(obj), but of a frozen object the class that it stands for."};

}  // namespace

void bind_types(pybind11::module_& module) { bind_function(module, &type_method); }

}  // namespace firn
