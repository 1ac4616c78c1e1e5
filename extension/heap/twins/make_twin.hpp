// How the copier makes twins: of everything that is no record and no builtin value.
#pragma once

#include <Python.h>

namespace firn::heap {

class Copier;

// What a twin of the value will be made of: a new reference to any object, which is kept until the
// freeze ends. With the GIL, while no thread copies, at most once per object and freeze; may run
// any Python code. nullptr with an exception set; it becomes the cause of a NotFreezableError with
// the path, unless it is a MemoryError or no Exception.
PyObject* reduce_for_twin(PyObject* original);

// The copy; its children are pushed. Runs no Python and changes no counts; by the main copier.
// Twice for one object and the same `reduced` when the path of an error is looked for. Throws
// std::bad_alloc, Unfreezable.
PyObject* make_twin(Copier& copier, PyObject* original, PyObject* reduced, bool shared);

// Refuses methods of objects that did not freeze by reference: what one changes in an interpreter's
// own object would be lost. After all rounds; throws Unfreezable, with its cause in the Python
// part.
void check_methods(Copier& copier);

}  // namespace firn::heap
