#pragma once

#include <pybind11/pybind11.h>

namespace firn {

void bind_heap(pybind11::module_& module);
// Shared fields, interpreter-local keys, and who may be frozen.
void bind_optouts(pybind11::module_& module);
void bind_buffers(pybind11::module_& module);
void bind_pool(pybind11::module_& module);
// What lists of numbers are made of.
void bind_numbers(pybind11::module_& module);
// How the driver raises an exception in the line of a cell.
void bind_outcome(pybind11::module_& module);
// What type(x) says in a worker.
void bind_types(pybind11::module_& module);

// Adds a plain C function. Unlike one of pybind11's it costs no dispatch of arguments and adds no
// frames of its own to error messages.
void bind_function(pybind11::module_& module, PyMethodDef* definition);

}  // namespace firn
