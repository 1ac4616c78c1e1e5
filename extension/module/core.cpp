// The extension module firn._core: one function a layer binds what Python sees of it.
#include <pybind11/pybind11.h>

#include "module/bindings.hpp"

void firn::bind_function(pybind11::module_& module, PyMethodDef* definition) {
  PyObject* function = PyCFunction_NewEx(definition, nullptr, nullptr);
  if (!function) throw pybind11::error_already_set();
  module.attr(definition->ml_name) = pybind11::reinterpret_steal<pybind11::object>(function);
}

PYBIND11_MODULE(_core, module, pybind11::mod_gil_used(),
                pybind11::multiple_interpreters::per_interpreter_gil()) {
  firn::bind_heap(module);
  firn::bind_optouts(module);
  firn::bind_buffers(module);
  firn::bind_pool(module);
  firn::bind_numbers(module);
  firn::bind_outcome(module);
  firn::bind_types(module);
}
