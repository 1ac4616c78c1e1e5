#include "heap/numbers.hpp"

#include <algorithm>
#include <cmath>

#include "heap/arena.hpp"
#include "heap/freezer.hpp"

namespace firn::heap {

Numbers numbers_among(PyObject* const* items, std::size_t count) {
  if (!count) return Numbers::none;
  if (Py_TYPE(items[0]) == &PyLong_Type) {
    const bool all = std::all_of(items, items + count, [](PyObject* item) {
      return Py_TYPE(item) == &PyLong_Type && integer_digits(item) <= 2 && !in_heap(item);
    });
    return all ? Numbers::integers : Numbers::none;
  }
  const bool all = std::all_of(items, items + count, [](PyObject* item) {
    return Py_TYPE(item) == &PyFloat_Type && !std::isnan(PyFloat_AS_DOUBLE(item)) && !in_heap(item);
  });
  return all ? Numbers::reals : Numbers::none;
}

// The list with its numbers as values, or nullptr when that does not pay, or not all are numbers.
PyObject* Copier::make_numbers(PyObject* const* items, std::size_t count, bool shared) {
  constexpr std::size_t worth_it = 8;
  if (count < worth_it) return nullptr;
  const Numbers what = numbers_among(items, count);
  if (what == Numbers::none) return nullptr;
  ++objects_;
  const FaceKind kind = what == Numbers::integers ? FaceKind::integers : FaceKind::reals;
  auto* numbers = reinterpret_cast<PackedNumbers*>(
      allocate(offsetof(PackedNumbers, values) + count * sizeof(PackedNumbers::Value)));
  set_header(reinterpret_cast<PyObject*>(numbers), face_type(kind), shared);
  numbers->inner = nullptr;
  numbers->kind = kind;
  numbers->flags = 0;
  numbers->layout = 0;
  numbers->count = static_cast<Py_ssize_t>(count);
  PackedNumbers::Value* values = numbers->values;
  if (what == Numbers::integers) {
    for (std::size_t i = 0; i < count; ++i) values[i].integer = short_integer(items[i]);
  } else {
    for (std::size_t i = 0; i < count; ++i) values[i].real = PyFloat_AS_DOUBLE(items[i]);
  }
  return reinterpret_cast<PyObject*>(numbers);
}

PyObject* list_of(const PackedNumbers& numbers) {
  PyObject* list = PyList_New(numbers.count);
  if (!list) return nullptr;
  for (Py_ssize_t i = 0; i < numbers.count; ++i) {
    const PackedNumbers::Value& value = numbers.values[i];
    PyObject* item = numbers.kind == FaceKind::integers ? PyLong_FromLongLong(value.integer)
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
