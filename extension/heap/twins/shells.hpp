// Tuples, frozensets, slices and frozendicts that hold what every interpreter has its own of.
//
// C code reads them, so that they cannot stay what they are in the heap: each becomes a *shell* in
// its place, of which every interpreter makes the genuine one when it is read. The hash of such a
// tuple is cached in the interpreter's own, which is also why a tuple whose hash only a __hash__ of
// Python's can tell becomes one.
#pragma once

#include "heap/cpython_layout.hpp"

#include <vector>

#include "heap/freezer.hpp"

namespace firn::heap {

// Converts `first` and whatever of these kinds they are in, within what `copiers` have made, and
// marks the other containers that hold them. After the threads have joined and hashes are checked.
// Throws std::bad_alloc.
void make_shells(const std::vector<PyObject*>& first, const std::vector<PyObject*>& roots,
                 const std::vector<Copier*>& copiers);

// Whether it is of these types.
inline bool becomes_shell(PyTypeObject* type) {
  return type == &PyTuple_Type || type == &PyFrozenSet_Type || type == &PySlice_Type ||
         (type == builtin_frozendict_type() && type);
}

// How what a slot holds is read: a new reference, or nullptr with an exception set.
using ReadSlot = PyObject* (*)(PyObject * slot);

// Makes and keeps the calling interpreter's own of a shell that it has none of; shells in it are
// made in a loop. Unless `read_slot` is read(), what it made is put on the list of what is not
// complete yet. A new reference; nullptr with an exception set.
PyObject* make_from_shell(PyObject* shell, ReadSlot read_slot);

// Says how shells are materialised. init_interpreter() calls it.
void init_shells();

}  // namespace firn::heap
