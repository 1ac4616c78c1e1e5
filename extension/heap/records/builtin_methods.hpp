// Methods that list, dict, object ... have in C, asked of records.
//
// They want an instance of their own type, in C, and a record is none. Yet methods of user classes
// call them (`super().__init__()`, `super().get(key)`, `object.__repr__(self)`), and so does who
// reads an attribute that the class did not override. So their descriptors are taught: with a
// record as self they answer from its container part, refuse what would change it, and do for all
// others what they always did.
#pragma once

#include "heap/cpython_layout.hpp"

#include "heap/records/special_methods.hpp"

namespace firn::heap::records {

// Teaches what all interpreters share. The main interpreter, once. 0, or -1 with an exception set.
int teach_descriptors();

// Teaches the methods of the builtin types that a class derives from, in the calling interpreter.
// 0, or -1 with an exception set.
int route_builtin_methods(PyTypeObject* type);

// repr() as object does it.
PyObject* plain_text(PyObject* record);

}  // namespace firn::heap::records
