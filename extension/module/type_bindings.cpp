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

PyMethodDef type_method = {"type", type_of, METH_O,
                           "type(obj), but of a frozen object the class that it stands for."};

}  // namespace

void bind_types(pybind11::module_& module) {
  // It pickles as the attribute of that name of its owner: as the builtin, also where no firn is.
  const auto builtin =
      pybind11::reinterpret_borrow<pybind11::object>(reinterpret_cast<PyObject*>(&PyType_Type));
  const pybind11::object owner =
      pybind11::module_::import("types").attr("SimpleNamespace")(pybind11::arg("type") = builtin);
  PyObject* function = PyCFunction_NewEx(&type_method, owner.ptr(), nullptr);
  if (!function) throw pybind11::error_already_set();
  module.attr("type_of") = pybind11::reinterpret_steal<pybind11::object>(function);
}

}  // namespace firn
