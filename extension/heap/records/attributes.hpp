// Reading the attributes of records.
#pragma once

#include "heap/cpython_layout.hpp"

namespace firn::heap::records {

// tp_getattro of the types that have records among their instances, and of no other type: CPython
// specialises what reads attributes of types that have its own.
PyObject* get_attribute(PyObject* self, PyObject* name);

// object.__getattribute__: as get_attribute(), without the class's __getattr__.
PyObject* get_attribute_without_hook(PyObject* record, PyObject* name);

// The value of a field, a new reference; nullptr with an exception set. `value` is not null.
PyObject* read_field(PyObject* record, PyObject* value);

}  // namespace firn::heap::records
