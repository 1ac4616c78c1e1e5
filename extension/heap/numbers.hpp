// Lists of numbers on their way from a worker: their values side by side, a quarter of what copies
// of the objects take, and no objects to make before the notebook makes its own.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>

#include "heap/types.hpp"

namespace firn::heap {

// A list in a transfer, of kind integers or reals; only thawing meets it.
struct PackedNumbers {
  PyObject_HEAD PyObject* inner;  // nullptr
  FaceKind kind;
  std::uint16_t flags;
  std::uint32_t layout;
  Py_ssize_t count;
  union Value {
    std::int64_t integer;
    double real;
  } values[1];
};

// What all of these are: exact ints of at most 60 bits outside of the heap (frozen ones stay the
// objects that they are), or exact floats but for NaN, which equals nothing but itself.
enum class Numbers { none, integers, reals };
Numbers numbers_among(PyObject* const* items, std::size_t count);

// A new list; nullptr with an exception set.
PyObject* list_of(const PackedNumbers& numbers);

}  // namespace firn::heap
