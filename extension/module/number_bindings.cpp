// What the results of a chunk are made of, looked at without a call of Python for each.
#include "heap/cpython_layout.hpp"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "module/bindings.hpp"

namespace py = pybind11;

namespace firn {
namespace {

py::object to_python(__int128 value) {
  const auto found = static_cast<long long>(value);
  return py::reinterpret_steal<py::object>(
      found == value
          ? PyLong_FromLongLong(found)
          : PyLong_FromNativeBytes(&value, sizeof value, Py_ASNATIVEBYTES_NATIVE_ENDIAN));
}

// All ints, or all bools.
py::object packed_integers(PyObject* const* items, Py_ssize_t count) {
  const PyTypeObject* type = Py_TYPE(items[0]);
  const py::bytes raw(nullptr, static_cast<std::size_t>(count) * sizeof(std::int64_t));
  char* at = PyBytes_AS_STRING(raw.ptr());
  __int128 sum = 0;
  for (Py_ssize_t i = 0; i < count; ++i, at += sizeof(std::int64_t)) {
    if (Py_TYPE(items[i]) != type || heap::integer_digits(items[i]) > 2) return py::none();
    const std::int64_t value = heap::short_integer(items[i]);
    sum += value;
    std::memcpy(at, &value, sizeof value);
  }
  return py::make_tuple(to_python(sum), raw);
}

py::object packed_floats(PyObject* const* items, Py_ssize_t count) {
  const py::bytes raw(nullptr, static_cast<std::size_t>(count) * sizeof(double));
  char* at = PyBytes_AS_STRING(raw.ptr());
  for (Py_ssize_t i = 0; i < count; ++i, at += sizeof(double)) {
    if (Py_TYPE(items[i]) != &PyFloat_Type) return py::none();
    const double value = PyFloat_AS_DOUBLE(items[i]);
    std::memcpy(at, &value, sizeof value);
  }
  return raw;
}

py::object packed_numbers(const py::list& values) {
  const Py_ssize_t count = PyList_GET_SIZE(values.ptr());
  PyObject* const* items = reinterpret_cast<PyListObject*>(values.ptr())->ob_item;
  if (!count) return py::none();
  const PyTypeObject* type = Py_TYPE(items[0]);
  const bool whole = type == &PyLong_Type || type == &PyBool_Type;
  return whole ? packed_integers(items, count) : packed_floats(items, count);
}

// sum() of floats as CPython adds them up (bltinmodule.c, Neumaier's compensated summation), to the
// last bit.
double float_sum(const py::list& parts) {
  double sum = 0, lost = 0;
  for (const py::handle part : parts) {
    char* at;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(part.ptr(), &at, &size) != 0) throw py::error_already_set();
    for (const char* end = at + size; at != end; at += sizeof(double)) {
      double value;
      std::memcpy(&value, at, sizeof value);
      const double next = sum + value;
      lost += std::fabs(sum) >= std::fabs(value) ? (sum - next) + value : (value - next) + sum;
      sum = next;
    }
  }
  return lost != 0 && std::isfinite(lost) ? sum + lost : sum;
}

// `total += value` or `total -= value` for each value, which are side by side.
double fold_floats(double total, const py::bytes& values, bool subtract) {
  const std::string_view raw = values;
  for (std::size_t at = 0; at + sizeof(double) <= raw.size(); at += sizeof(double)) {
    double value;
    std::memcpy(&value, raw.data() + at, sizeof value);
    total = subtract ? total - value : total + value;
  }
  return total;
}

py::object only_type(const py::list& values) {
  const Py_ssize_t count = PyList_GET_SIZE(values.ptr());
  PyObject* const* items = reinterpret_cast<PyListObject*>(values.ptr())->ob_item;
  if (!count) return py::none();
  PyTypeObject* type = Py_TYPE(items[0]);
  const bool all =
      std::all_of(items, items + count, [type](PyObject* item) { return Py_TYPE(item) == type; });
  return all ? py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(type)) : py::none();
}

// Of a type that CPython itself compares and hashes, and that is an index of a list or never is.
bool is_plain_key(PyObject* key) {
  const PyTypeObject* type = Py_TYPE(key);
  return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyBytes_Type ||
         type == &PyBool_Type;
}

bool is_plain(PyObject* key) {
  if (Py_TYPE(key) != &PyTuple_Type) return is_plain_key(key);
  PyObject* const* items = reinterpret_cast<PyTupleObject*>(key)->ob_item;
  return std::all_of(items, items + PyTuple_GET_SIZE(key), [](PyObject* item) {
    return is_plain_key(item) || Py_TYPE(item) == &PyFloat_Type || item == Py_None;
  });
}

bool plain_keys(const py::list& keys) {
  PyObject* const* items = reinterpret_cast<PyListObject*>(keys.ptr())->ob_item;
  return std::all_of(items, items + PyList_GET_SIZE(keys.ptr()), is_plain);
}

bool plain_keys(const py::dict& table) {
  Py_ssize_t at = 0;
  PyObject* key;
  while (PyDict_Next(table.ptr(), &at, &key, nullptr)) {
    if (!is_plain(key)) return false;
  }
  return true;
}

// Whether a key does not equal itself: NaN, or what holds one. No code of the user's runs.
bool is_unlike_itself(PyObject* key) {
  if (is_plain_key(key)) return false;
  if (PyFloat_Check(key)) return std::isnan(PyFloat_AS_DOUBLE(key));
  if (PyTuple_Check(key)) {
    PyObject* const* items = reinterpret_cast<PyTupleObject*>(key)->ob_item;
    return std::any_of(items, items + PyTuple_GET_SIZE(key), is_unlike_itself);
  }
  if (PyFrozenSet_CheckExact(key)) {
    const auto items = py::reinterpret_borrow<py::frozenset>(key);
    return std::any_of(items.begin(), items.end(),
                       [](py::handle item) { return is_unlike_itself(item.ptr()); });
  }
  if (PyComplex_Check(key)) {
    const Py_complex value = PyComplex_AsCComplex(key);
    return std::isnan(value.real) || std::isnan(value.imag);
  }
  if (std::string_view(Py_TYPE(key)->tp_name) != "decimal.Decimal") return false;
  const auto found = py::reinterpret_steal<py::object>(PyObject_RichCompare(key, key, Py_NE));
  if (!found) throw py::error_already_set();
  return found.ptr() == Py_True;
}

// The first key that does not equal itself, in a tuple.
py::object unlike_itself(const py::dict& table) {
  Py_ssize_t at = 0;
  PyObject* key;
  while (PyDict_Next(table.ptr(), &at, &key, nullptr)) {
    if (is_unlike_itself(key)) return py::make_tuple(py::handle(key));
  }
  return py::none();
}

// The one that max() or min() picks; of equal ones the first, or the last. `read` says whether the
// item is one of those that it is for, and what its value is.
template <typename Value, typename Read>
PyObject* pick(PyObject* const* items, Py_ssize_t count, bool largest, bool last, Read read) {
  Value found, value;
  if (!read(items[0], found)) return nullptr;
  PyObject* best = items[0];
  for (Py_ssize_t i = 1; i < count; ++i) {
    if (!read(items[i], value)) return nullptr;
    if ((largest ? value > found : value < found) || (last && value == found)) {
      found = value;
      best = items[i];
    }
  }
  return best;
}

py::object extreme(const py::list& values, bool largest, bool last) {
  const Py_ssize_t count = PyList_GET_SIZE(values.ptr());
  PyObject* const* items = reinterpret_cast<PyListObject*>(values.ptr())->ob_item;
  if (!count) return py::none();
  const auto read_integer = [](PyObject* item, std::int64_t& value) {
    if (Py_TYPE(item) != &PyLong_Type || heap::integer_digits(item) > 2) return false;
    value = heap::short_integer(item);
    return true;
  };
  const auto read_float = [](PyObject* item, double& value) {
    if (Py_TYPE(item) != &PyFloat_Type) return false;
    value = PyFloat_AS_DOUBLE(item);
    return !std::isnan(value);
  };
  PyObject* best = Py_TYPE(items[0]) == &PyFloat_Type
                       ? pick<double>(items, count, largest, last, read_float)
                       : pick<std::int64_t>(items, count, largest, last, read_integer);
  return best ? py::reinterpret_borrow<py::object>(best) : py::none();
}

// The items move, and nobody counts them. The list grows as list.extend() would have it grow.
void move_items(py::handle to, py::handle from) {
  if (!PyList_CheckExact(to.ptr()) || !PyList_CheckExact(from.ptr()) || to.is(from))
    throw py::type_error("items move from one list to another");
  auto* target = reinterpret_cast<PyListObject*>(to.ptr());
  auto* source = reinterpret_cast<PyListObject*>(from.ptr());
  const Py_ssize_t before = Py_SIZE(target), count = Py_SIZE(source);
  if (before == 0) {
    std::swap(target->ob_item, source->ob_item);
    std::swap(target->allocated, source->allocated);
  } else if (before + count > target->allocated) {
    const Py_ssize_t room = before + count + (before + count) / 8;
    auto* items = static_cast<PyObject**>(
        PyMem_Realloc(target->ob_item, static_cast<std::size_t>(room) * sizeof(PyObject*)));
    if (!items) throw std::bad_alloc();
    target->ob_item = items;
    target->allocated = room;
  }
  if (before != 0) std::copy_n(source->ob_item, count, target->ob_item + before);
  Py_SET_SIZE(source, 0);
  Py_SET_SIZE(target, before + count);
}

void move_groups(const py::dict& to, const py::dict& from) {
  if (to.is(from)) throw py::type_error("groups move from one dict to another");
  Py_ssize_t at = 0;
  PyObject *key, *items, *found;
  while (PyDict_Next(from.ptr(), &at, &key, &items)) {
    const int known = PyDict_SetDefaultRef(to.ptr(), key, items, &found);
    if (known < 0) throw py::error_already_set();
    const auto held = py::reinterpret_steal<py::object>(found);
    if (known) move_items(held, items);
  }
  PyDict_Clear(from.ptr());
}

void add_counts(const py::dict& to, const py::dict& from) {
  Py_ssize_t at = 0;
  PyObject *key, *count, *found;
  while (PyDict_Next(from.ptr(), &at, &key, &count)) {
    const int known = PyDict_SetDefaultRef(to.ptr(), key, count, &found);
    if (known < 0) throw py::error_already_set();
    const auto before = py::reinterpret_steal<py::object>(found);
    if (!known) continue;
    const auto sum = py::reinterpret_steal<py::object>(PyNumber_Add(found, count));
    if (!sum || PyDict_SetItem(to.ptr(), key, sum.ptr())) throw py::error_already_set();
  }
}

}  // namespace

void bind_numbers(py::module_& module) {
  module.def("packed_numbers", packed_numbers, py::arg("values"), py::pos_only());
  module.def("float_sum", float_sum, py::arg("parts"), py::pos_only());
  module.def("fold_floats", fold_floats, py::arg("total"), py::arg("values"), py::arg("subtract"),
             py::pos_only());
  module.def("move_items", move_items, py::arg("to"), py::arg("from_"), py::pos_only());
  module.def("move_groups", move_groups, py::arg("to"), py::arg("from_"), py::pos_only());
  module.def("add_counts", add_counts, py::arg("to"), py::arg("from_"), py::pos_only());
  module.def("extreme", extreme, py::arg("values"), py::arg("largest"), py::arg("last"),
             py::pos_only());
  module.def("only_type", only_type, py::arg("values"), py::pos_only());
  module.def("plain_keys", py::overload_cast<const py::list&>(plain_keys), py::arg("keys"),
             py::pos_only());
  module.def("plain_keys", py::overload_cast<const py::dict&>(plain_keys), py::arg("keys"),
             py::pos_only());
  module.def("unlike_itself", unlike_itself, py::arg("table"), py::pos_only());
}

}  // namespace firn
