#include "heap/numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "heap/arena.hpp"
#include "heap/freezer.hpp"
#include "heap/leaf.hpp"

namespace firn::heap {
namespace {

bool is_short_integer(PyObject* item) {
  return Py_TYPE(item) == &PyLong_Type && integer_digits(item) <= 2 && !in_heap(item);
}

bool is_real(PyObject* item) {
  return Py_TYPE(item) == &PyFloat_Type && !std::isnan(PyFloat_AS_DOUBLE(item)) && !in_heap(item);
}

}  // namespace

Alike alike(PyObject* const* items, std::size_t count) {
  if (std::all_of(items, items + count, is_short_integer)) return Alike::integers;
  if (std::all_of(items, items + count, is_real)) return Alike::reals;
  return std::all_of(items, items + count, stays) ? Alike::addresses : Alike::none;
}

// The list as such a one, or nullptr when that does not pay, or its items are not alike.
PyObject* Copier::make_numbers(PyObject* const* items, std::size_t count, bool shared) {
  constexpr std::size_t worth_it = 8;
  if (count < worth_it) return nullptr;
  const Alike what = alike(items, count);
  if (what == Alike::none) return nullptr;
  ++objects_;
  const FaceKind kind = what == Alike::reals ? FaceKind::reals : FaceKind::integers;
  auto* packed = reinterpret_cast<PackedNumbers*>(
      allocate(offsetof(PackedNumbers, values) + count * sizeof(PackedNumbers::Value)));
  set_header(reinterpret_cast<PyObject*>(packed), face_type(kind), shared);
  packed->inner = nullptr;
  packed->kind = kind;
  packed->flags = 0;
  packed->alike = what;
  packed->count = static_cast<Py_ssize_t>(count);
  PackedNumbers::Value* values = packed->values;
  if (what == Alike::integers) {
    for (std::size_t i = 0; i < count; ++i) values[i].integer = short_integer(items[i]);
  } else if (what == Alike::reals) {
    for (std::size_t i = 0; i < count; ++i) values[i].real = PyFloat_AS_DOUBLE(items[i]);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      if (in_lasting(items[i])) note_lasting(items[i]);
      values[i].address = items[i];
    }
  }
  return reinterpret_cast<PyObject*>(packed);
}

PyObject* list_of(const PackedNumbers& packed) {
  PyObject* list = PyList_New(packed.count);
  if (!list) return nullptr;
  if (packed.alike == Alike::addresses) {
    // All are immortal: nobody counts them.
    std::memcpy(reinterpret_cast<PyListObject*>(list)->ob_item, packed.values,
                static_cast<std::size_t>(packed.count) * sizeof(PyObject*));
    return list;
  }
  for (Py_ssize_t i = 0; i < packed.count; ++i) {
    const PackedNumbers::Value& value = packed.values[i];
    PyObject* item = packed.alike == Alike::integers ? PyLong_FromLongLong(value.integer)
                                                     : PyFloat_FromDouble(value.real);
    if (!item) {
      Py_DECREF(list);
      return nullptr;
    }
    PyList_SET_ITEM(list, i, item);
  }
  return list;
}

}  // namespace firn::heap
