// The slots of the frozen types, for records among their instances.
//
// A slot of a static type serves all of its instances. For a record it asks the class's replica, as
// the slots of a class made by a class statement do; for the other frozen containers it does what
// faces/ says.
#pragma once

#include "heap/cpython_layout.hpp"

#include "heap/faces/faces.hpp"
#include "heap/records/state.hpp"
#include "heap/types.hpp"

namespace firn::heap::records {

// What a frozen type does for containers that are no records: its slots before add_slots().
struct Base {
  reprfunc text = nullptr;
  hashfunc hash = nullptr;
  getiterfunc iterate = nullptr;
  richcmpfunc compare = nullptr;
  PyNumberMethods number{};
  PySequenceMethods sequence{};
  PyMappingMethods mapping{};
};

// Of a face of the first three types, or of the container part of a record; nullptr of a plain
// record and a named tuple.
const Base* base_of_face(PyObject* face);

// Remembers what faces/ filled in, and puts the routing slots over it.
void add_slots(PyTypeObject* type);

// What a container's methods do that members.cpp puts others in the place of. Once in the process.
void remember_container_methods(PyTypeObject* type);

// The type for records of classes with a __call__.
void fill_callable_type(PyTypeObject* type);

// Gives the types' dicts of the calling interpreter what is looked up there by name (`__enter__`,
// `__format__` ...) for records, where there are such: FrozenFace's and FrozenCallable's at once,
// those of FrozenList and FrozenDict when the first record of the type is admitted. -1 with an
// exception set.
int add_members(State& state);

// At the interpreter's end: the types of the dicts that add_members() gave are cycles, and static
// types let go of their dicts after the last garbage collection.
void remove_members(State& state);

// From now on there may be records of this frozen type: it reads attributes for them too. With the
// GIL, before the first one is made.
void admit(PyTypeObject* type);
bool is_admitted(PyTypeObject* type);

// The names of the special methods, which the types' dicts deny to have: a frozenset of the calling
// interpreter, borrowed; nullptr with an exception set.
PyObject* denied_names();

// operators.cpp
void add_number_slots(PyNumberMethods* number, bool scalars);

// comparison.cpp
PyObject* compare(PyObject* self, PyObject* other, int operation);
Py_hash_t hash(PyObject* self);

// The container part of a record, read by the code of its builtin type.
Py_ssize_t container_length(PyObject* record);
PyObject* container_item(PyObject* record, PyObject* key);
int container_contains(PyObject* record, PyObject* value);
PyObject* container_iterator(PyObject* record);
PyObject* container_text(PyObject* record);
PyObject* container_compare(PyObject* record, PyObject* other, int operation);
Py_hash_t container_hash(PyObject* record);

// Each sets a TypeError with CPython's words about a class that has no such method. Returns
// nullptr.
PyObject* refuse_operation(PyObject* self, const char* format);  // one %.200s: the class's name

}  // namespace firn::heap::records
