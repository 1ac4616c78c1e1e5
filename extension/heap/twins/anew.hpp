// Objects that the calling interpreter has made of frozen data and that code may have changed.
#pragma once

#include "heap/cpython_layout.hpp"

#include <utility>
#include <vector>

#include "heap/faces/faces.hpp"

namespace firn::heap {

// Each such object for which wanted(object, address of its twin) is true, with another one that is
// made of the same twin; the first stay what the interpreter has. Of the first kNoted that were
// made. Runs code of the objects' classes. Throws std::bad_alloc.
std::vector<std::pair<faces::Ref, faces::Ref>> made_anew(PyObject* wanted);

// Another object that is made of the twin that this one comes from (origin_of()), which the
// interpreter goes on with; nullptr with an exception set. Runs code of the object's class.
PyObject* made_again(PyObject* object);

// Whether there are any.
bool has_made();

// Says that a changing twin was made of an object that the interpreter goes on with.
void note_kept(PyObject* twin);

// The latest such objects, each with its twin.
std::vector<std::pair<faces::Ref, PyObject*>> kept_objects();

// Lets go of them: who reads one again gets another object.
void forget_made();

}  // namespace firn::heap
