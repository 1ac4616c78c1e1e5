#pragma once

#include <pybind11/pybind11.h>

namespace firn {

void bind_heap(pybind11::module_& module);
void bind_pool(pybind11::module_& module);

}  // namespace firn
