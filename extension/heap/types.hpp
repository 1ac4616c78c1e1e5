// The frozen containers: their layouts, and their types.
//
// A frozen container is a small immortal object of one of firn's own static types around an inner
// tuple, dict or frozenset of the heap. None of them is a GC type, and none is a subclass in C of
// what it reads as (hazard 9). The types stand at one constant address in every process.
//
// One type serves all containers of one protocol, because slots and flags belong to the type:
// sequences match `case [a, *b]` and index from C, mappings match `case {"a": b}`, sets neither.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

namespace firn::heap {

enum class FaceKind : std::uint32_t { list, dict, set, deque, ordered_dict, default_dict, counter };

// A frozen sequence. `items` is an exact tuple in the heap.
struct FrozenList {
  PyObject_HEAD PyObject* items;
  FaceKind kind;  // list, deque
  std::uint32_t reserved;
};

// A frozen mapping. `mapping` is an exact dict in the heap, which never reaches Python code.
struct FrozenDict {
  PyObject_HEAD PyObject* mapping;
  FaceKind kind;  // dict, ordered_dict, default_dict, counter
  std::uint32_t reserved;
};

// Every frozen container but list and dict; begins as they do, so that what reads a list also reads
// a deque, and what reads a dict a Counter.
struct FrozenFace {
  PyObject_HEAD PyObject* inner;  // set: frozenset; deque: tuple; the mappings: dict
  FaceKind kind;
  std::uint32_t reserved;
  PyObject* extra;  // deque: maxlen (int or None); default_dict: default_factory; else nullptr
};

// The types' own mapping, below the heap's range. Its second half is kept for callable records.
inline constexpr std::uintptr_t types_address = 0x1ffffff00000;
inline constexpr std::size_t type_stride = 1024;

inline PyTypeObject* frozen_list_type() { return reinterpret_cast<PyTypeObject*>(types_address); }
inline PyTypeObject* frozen_dict_type() {
  return reinterpret_cast<PyTypeObject*>(types_address + type_stride);
}
inline PyTypeObject* frozen_face_type() {
  return reinterpret_cast<PyTypeObject*>(types_address + 2 * type_stride);
}

// The type that an instance of `kind` has.
inline PyTypeObject* face_type(FaceKind kind) {
  switch (kind) {
    case FaceKind::list:
    case FaceKind::deque:
      return frozen_list_type();
    case FaceKind::set:
      return frozen_face_type();
    default:
      return frozen_dict_type();
  }
}

// Registers the types in the calling interpreter, in the main one first. -1 with an exception set
// when CPython has too few free slots for static types of extensions (hazard 7), or when another
// interpreter comes before the main one.
int init_types();

// Sets the TypeError that a write to `target` raises, which names the variable, the cell and the
// way out. Always returns nullptr.
PyObject* refuse_write(PyObject* target);

}  // namespace firn::heap
