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
#include <optional>
#include <string>

namespace firn::heap {

enum class FaceKind : std::uint16_t {
  list,
  dict,
  set,
  deque,
  ordered_dict,
  default_dict,
  counter,
  // Instances of user-defined classes (FrozenRecord), by what their class derives from in C.
  record,        // object alone
  tuple_record,  // `inner` is an exact tuple; of frozen_list_type()
  list_record,   // `inner` is an exact tuple; of frozen_list_type()
  dict_record,   // `inner` is an exact dict; of frozen_dict_type()
  set_record,    // `inner` is an exact frozenset
  // A list of numbers in a transfer, as their values (PackedNumbers); only thawing meets it.
  integers,
  reals,
  // What every interpreter makes its own object of when it is first read; never seen by Python
  // code. All of frozen_face_type().
  twin,        // a pickle
  definition,  // a class or function that every interpreter has its own of
  shell,       // a tuple, frozenset ... that holds one of these
  buffer,      // a block of memory with a shape and a format
};

// What FrozenFace::flags may say.
inline constexpr std::uint16_t kHoldsTwins = 1;    // an element or a value of it is a twin
inline constexpr std::uint16_t kKeyedByTwins = 2;  // a key or a member of it is a twin

// A frozen sequence. `items` is an exact tuple in the heap.
struct FrozenList {
  PyObject_HEAD PyObject* items;
  FaceKind kind;  // list, deque, tuple_record, list_record
  std::uint16_t flags;
  std::uint32_t layout;  // of records
};

// A frozen mapping. `mapping` is an exact dict in the heap, which never reaches Python code.
struct FrozenDict {
  PyObject_HEAD PyObject* mapping;
  FaceKind kind;  // dict, ordered_dict, default_dict, counter, dict_record
  std::uint16_t flags;
  std::uint32_t layout;  // of records
};

// Every frozen container but list and dict; begins as they do, so that what reads a list also reads
// a deque, and what reads a dict a Counter.
struct FrozenFace {
  PyObject_HEAD PyObject* inner;  // set: frozenset; deque: tuple; the mappings: dict
  FaceKind kind;
  std::uint16_t flags;
  std::uint32_t layout;  // of records; definition: its number
  PyObject* extra;       // deque: maxlen (int or None); default_dict: default_factory; else nullptr
};

// An instance of a user-defined class. Its layout says which class, and what each field is called.
struct FrozenRecord {
  PyObject_HEAD PyObject* inner;  // its part as a builtin container; nullptr of a plain record
  FaceKind kind;
  std::uint16_t flags;
  std::uint32_t layout;
  PyObject* fields[1];  // as many as the layout has names; nullptr: an unset slot
};

// The types' own mapping, below the heap's range.
inline constexpr std::uintptr_t types_address = 0x1ffffff00000;
inline constexpr std::size_t type_stride = 1024;

inline PyTypeObject* frozen_list_type() { return reinterpret_cast<PyTypeObject*>(types_address); }
inline PyTypeObject* frozen_dict_type() {
  return reinterpret_cast<PyTypeObject*>(types_address + type_stride);
}
inline PyTypeObject* frozen_face_type() {
  return reinterpret_cast<PyTypeObject*>(types_address + 2 * type_stride);
}

// Records of classes with a __call__; everything else about it is as of frozen_face_type().
inline PyTypeObject* frozen_callable_type() {
  return reinterpret_cast<PyTypeObject*>(types_address + 3 * type_stride);
}

// The type that an instance of `kind` has; records of classes with a __call__ have another.
inline PyTypeObject* face_type(FaceKind kind) {
  switch (kind) {
    case FaceKind::list:
    case FaceKind::deque:
    case FaceKind::tuple_record:
    case FaceKind::list_record:
      return frozen_list_type();
    case FaceKind::dict:
    case FaceKind::ordered_dict:
    case FaceKind::default_dict:
    case FaceKind::counter:
    case FaceKind::dict_record:
      return frozen_dict_type();
    default:
      return frozen_face_type();
  }
}

// Whether it is a record, given that it is of one of these types.
inline bool is_record_face(PyObject* face) {
  const FaceKind kind = reinterpret_cast<FrozenFace*>(face)->kind;
  return kind >= FaceKind::record && kind <= FaceKind::set_record;
}

// Registers the types in the calling interpreter, in the main one first. -1 with an exception set
// when CPython has too few free slots for static types of extensions (hazard 7), or when another
// interpreter comes before the main one.
int init_types();

// Sets the TypeError that a write to `target` raises, which names the variable, the cell and the
// way out. Always returns nullptr.
PyObject* refuse_write(PyObject* target);

// The same for memory of the heap that is no object; `kind` says what it is to the user.
PyObject* refuse_write_to(const void* memory, const char* kind);

// A write that was refused: what was said, in which function, on which line.
struct RefusedWrite {
  std::string message, function;
  int line = 0;
};

// The first one of this thread since it was last asked. Code may have caught the error.
std::optional<RefusedWrite> take_refused_write();

}  // namespace firn::heap
