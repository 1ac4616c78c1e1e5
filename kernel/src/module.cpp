#include <pybind11/pybind11.h>

#include <xeus/xkernel.hpp>

PYBIND11_MODULE(_kernel, module) { module.doc() = "The C++ half of the firn kernel."; }
