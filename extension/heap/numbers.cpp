#include "heap/numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <vector>

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

Alike alike(PyObject* const* items, std::size_t count) {
  if (std::all_of(items, items + count, is_short_integer)) return Alike::integers;
  if (std::all_of(items, items + count, is_real)) return Alike::reals;
  return std::all_of(items, items + count, stays) ? Alike::addresses : Alike::none;
}

bool is(Alike what, PyObject* item) {
  switch (what) {
    case Alike::integers:
      return is_short_integer(item);
    case Alike::reals:
      return is_real(item);
    default:
      return stays(item);
  }
}

// What an item may be taken for, as bits.
constexpr unsigned bit(Alike what) { return 1U << static_cast<unsigned>(what); }
constexpr Alike kinds[] = {Alike::integers, Alike::reals, Alike::addresses};
constexpr unsigned all = bit(kinds[0]) | bit(kinds[1]) | bit(kinds[2]);
unsigned kinds_of(PyObject* item, unsigned among) {
  for (const Alike what : kinds) {
    if (among & bit(what) && !is(what, item)) among &= ~bit(what);
  }
  return among;
}

bool is_row(PyObject* item, Py_ssize_t length) {
  return Py_TYPE(item) == &PyTuple_Type && Py_REFCNT(item) == 1 &&
         PyTuple_GET_SIZE(item) == length && !in_heap(item);
}

PyObject* const* items_of(PyObject* row) { return reinterpret_cast<PyTupleObject*>(row)->ob_item; }

// What is in each place of the rows; empty if not all are rows, or items in one place differ.
std::vector<Alike> places_of(PyObject* const* rows, std::size_t count) {
  if (Py_TYPE(rows[0]) != &PyTuple_Type) return {};
  const Py_ssize_t length = PyTuple_GET_SIZE(rows[0]);
  std::vector<unsigned> among(static_cast<std::size_t>(length), all);
  for (std::size_t row = 0; row < count; ++row) {
    if (!is_row(rows[row], length)) return {};
    PyObject* const* item = items_of(rows[row]);
    for (unsigned& place : among) {
      place = kinds_of(*item++, place);
      if (!place) return {};
    }
  }
  std::vector<Alike> places;
  for (const unsigned place : among) {
    places.push_back(*std::find_if(std::begin(kinds), std::end(kinds),
                                   [&](Alike what) { return (place & bit(what)) != 0; }));
  }
  return places;
}

PyObject* make(Alike what, const PackedNumbers::Value& value) {
  switch (what) {
    case Alike::integers:
      return PyLong_FromLongLong(value.integer);
    case Alike::reals:
      return PyFloat_FromDouble(value.real);
    default:
      return value.address;  // immortal: nobody counts it
  }
}

// A tuple that the collector does not look at, as it leaves those that hold nothing of its
// business.
PyObject* new_row(const PackedNumbers::Value* places, Py_ssize_t length,
                  const PackedNumbers::Value* from) {
  auto* row = PyObject_GC_NewVar(PyTupleObject, &PyTuple_Type, length);
  if (!row) return nullptr;
  row->ob_hash = -1;
  for (Py_ssize_t place = 0; place < length; ++place) {
    row->ob_item[place] = make(places[place].alike, from[place]);
    if (row->ob_item[place]) continue;
    std::fill(row->ob_item + place, row->ob_item + length, nullptr);
    Py_DECREF(row);
    return nullptr;
  }
  return reinterpret_cast<PyObject*>(row);
}

}  // namespace

PackedNumbers* Copier::new_packed(Alike what, std::size_t count, std::size_t values, bool shared) {
  ++objects_;
  const FaceKind kind = what == Alike::reals ? FaceKind::reals : FaceKind::integers;
  auto* packed = reinterpret_cast<PackedNumbers*>(
      allocate(offsetof(PackedNumbers, values) + values * sizeof(PackedNumbers::Value)));
  set_header(reinterpret_cast<PyObject*>(packed), face_type(kind), shared);
  packed->inner = nullptr;
  packed->kind = kind;
  packed->flags = 0;
  packed->alike = what;
  packed->count = static_cast<Py_ssize_t>(count);
  return packed;
}

// The list as such a one, or nullptr when that does not pay, or its items are not alike.
PyObject* Copier::make_numbers(PyObject* const* items, std::size_t count, bool shared) {
  constexpr std::size_t worth_it = 8;
  if (count < worth_it) return nullptr;
  const Alike what = alike(items, count);
  if (what == Alike::none) return make_rows(items, count, shared);
  PackedNumbers* packed = new_packed(what, count, count, shared);
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

PyObject* Copier::make_rows(PyObject* const* rows, std::size_t count, bool shared) {
  if (freezing_.shells) return nullptr;  // a row may be one
  const std::vector<Alike> places = places_of(rows, count);
  const std::size_t length = places.size();
  if (!length) return nullptr;
  PackedNumbers* packed = new_packed(Alike::rows, count, 1 + length + count * length, shared);
  PackedNumbers::Value* to = packed->values;
  (to++)->integer = static_cast<std::int64_t>(length);
  for (const Alike what : places) (to++)->alike = what;
  for (std::size_t row = 0; row < count; ++row) {
    for (std::size_t i = 0; i < length; ++i, ++to) {
      PyObject* item = items_of(rows[row])[i];
      if (places[i] == Alike::integers) {
        to->integer = short_integer(item);
      } else if (places[i] == Alike::reals) {
        to->real = PyFloat_AS_DOUBLE(item);
      } else {
        if (in_lasting(item)) note_lasting(item);
        to->address = item;
      }
    }
  }
  return reinterpret_cast<PyObject*>(packed);
}

PyObject* list_of(const PackedNumbers& packed) {
  PyObject* list = PyList_New(packed.count);
  if (!list) return nullptr;
  if (packed.alike == Alike::addresses) {
    std::memcpy(reinterpret_cast<PyListObject*>(list)->ob_item, packed.values,
                static_cast<std::size_t>(packed.count) * sizeof(PyObject*));
    return list;
  }
  const bool rows = packed.alike == Alike::rows;
  const Py_ssize_t length = rows ? static_cast<Py_ssize_t>(packed.values[0].integer) : 1;
  const PackedNumbers::Value* places = packed.values + 1;
  const PackedNumbers::Value* from = rows ? places + length : packed.values;
  for (Py_ssize_t i = 0; i < packed.count; ++i, from += length) {
    PyObject* item = rows ? new_row(places, length, from) : make(packed.alike, *from);
    if (!item) {
      Py_DECREF(list);
      return nullptr;
    }
    PyList_SET_ITEM(list, i, item);
  }
  return list;
}

}  // namespace firn::heap
