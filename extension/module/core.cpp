// The extension module firn._core: one function a layer binds what Python sees of it.
#include <pybind11/pybind11.h>

#include "module/bindings.hpp"

PYBIND11_MODULE(_core, module, pybind11::mod_gil_used(),
                pybind11::multiple_interpreters::per_interpreter_gil()) {
  firn::bind_heap(module);
  firn::bind_optouts(module);
  firn::bind_buffers(module);
  firn::bind_pool(module);
  firn::bind_numbers(module);
  firn::bind_outcome(module);
}
