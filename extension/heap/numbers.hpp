// Lists on their way from a worker of which nothing needs to be copied: of numbers, as their values
// side by side, a quarter of what copies of the objects take, and no objects to make before the
// notebook makes its own; and of what is frozen for good, or CPython's own, as addresses.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>

#include "heap/types.hpp"

namespace firn::heap {

// What all items of a list are: exact ints of at most 60 bits outside of the heap (frozen ones stay
// the objects that they are); exact floats but for NaN, which equals nothing but itself; None,
// bools, small ints, and frozen numbers and strings that last; tuples of one length that nothing
// else refers to, with the same kind of such items in each place.
enum class Alike : std::uint32_t { none, integers, reals, addresses, rows };

// A list in a transfer; only thawing meets it.
struct PackedNumbers {
  PyObject_HEAD PyObject* inner;  // nullptr
  FaceKind kind;                  // reals, or integers, which the others are to all but list_of()
  std::uint16_t flags;
  Alike alike;
  Py_ssize_t count;
  // Before those of rows, one row after the other, come their length and what is in each place.
  union Value {
    std::int64_t integer;
    double real;
    PyObject* address;
    Alike alike;
  } values[1];
};

// A new list; nullptr with an exception set.
PyObject* list_of(const PackedNumbers& packed);

}  // namespace firn::heap
