// The `__dict__` of records.
#pragma once

#include "heap/cpython_layout.hpp"

namespace firn::heap::records {

// A new dict of the record's attributes, of the type below.
PyObject* attributes_of(PyObject* record);

// The calling interpreter's subclass of dict that refuses to be written to.
PyTypeObject* make_attributes_type();

}  // namespace firn::heap::records
