// What every interpreter makes its own object of: twins, definitions, shells and buffers.
//
// They stand in the slots of frozen containers and are never seen by Python code. Whoever reads a
// slot that may hold one *resolves* it: the calling interpreter makes its object on first touch and
// keeps it, by the twin's address, until the memory goes or the interpreter ends.
#pragma once

#include "heap/cpython_layout.hpp"

#include "heap/types.hpp"

namespace firn::heap {

// A value that pickles, and what its own object is made from.
struct FrozenTwin {
  PyObject_HEAD PyObject* parts;  // exact tuple; may hold twins
  FaceKind kind;                  // twin
  std::uint16_t flags;            // kUnchanging, kRecipe...
  std::uint32_t layout;           // number of the definition that is its class, or 0
  PyObject* state;                // exact tuple that fills the made object, or nullptr
};

// In FrozenFace::flags of what is_twin(). The objects made from it never change (a Decimal, a
// compiled pattern, an array that is read-only): is_frozen() says so of them, and they freeze to
// the twin that they come from.
inline constexpr std::uint16_t kUnchanging = 1 << 2;

inline bool is_twin(PyObject* object) {
  return Py_IS_TYPE(object, frozen_face_type()) &&
         reinterpret_cast<FrozenFace*>(object)->kind >= FaceKind::twin;
}

// Whether the objects made from it can be changed.
inline bool may_change(PyObject* object) {
  const auto* face = reinterpret_cast<const FrozenFace*>(object);
  return is_twin(object) && face->kind == FaceKind::twin && !(face->flags & kUnchanging);
}

// The calling interpreter's own object, a new reference; nullptr with an exception set.
PyObject* resolve(PyObject* twin);

// What a slot holds, a new reference; nullptr with an exception set.
inline PyObject* read(PyObject* object) {
  return is_twin(object) ? resolve(object) : Py_NewRef(object);
}

// Makes the calling interpreter's object of a kind, a new reference; nullptr with an exception set.
// resolve() keeps what it returns. It may call remember() itself before it is done, so that a cycle
// that leads back finds the object.
using Materialise = PyObject* (*)(PyObject * twin);

// Says how a kind is materialised. From static initialisers, or before anything is frozen.
void set_materialise(FaceKind kind, Materialise function);

// Says what the twin is in the calling interpreter: the notebook keeps originals so. -1 with an
// exception set.
int remember(PyObject* twin, PyObject* object);

// The twin (borrowed) that this unchanging object of the calling interpreter comes from, or
// nullptr: also when the twin's segment has retired, and the object is like any other.
PyObject* twin_of(PyObject* object);

// The same of an object that may have changed since.
PyObject* origin_of(PyObject* object);

// How many objects the calling interpreter keeps.
std::size_t count_resolved();

}  // namespace firn::heap
