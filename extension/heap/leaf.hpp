// The way of most objects: strings that nothing else refers to, and numbers.
#pragma once

#include <cmath>

#include "heap/freezer.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap {

// Small numbers are quicker copied again than looked up, and nobody asks whether two of them are
// one. A NaN is equal to itself only.
inline bool is_worth_less(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyLong_Type) return integer_digits(object) <= 2;
  return type == &PyFloat_Type && !std::isnan(PyFloat_AS_DOUBLE(object));
}

// Whether it is a leaf that is immortal, the same in every interpreter, and no twin.
inline bool stays(PyObject* item) {
  if (is_static(item)) {
    return item == Py_None || PyBool_Check(item) || Py_TYPE(item) == &PyLong_Type ||
           Py_TYPE(item) == &PyUnicode_Type;
  }
  if (!in_lasting(item)) return false;
  const PyTypeObject* type = Py_TYPE(item);
  return type == &PyLong_Type || type == &PyUnicode_Type || type == &PyFloat_Type ||
         type == &PyBytes_Type;
}

// The copy of such an object; nullptr for all others, and for those that may be copies already.
inline PyObject* Copier::copy_leaf(PyObject* object) {
  if (freezing_.marks) [[unlikely]]
    return nullptr;
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) {
    // Neither static nor frozen.
    return Py_REFCNT(object) == 1 ? make_string(object, false) : nullptr;
  }
  if (type == &PyLong_Type) {
    const auto& from = reinterpret_cast<PyLongObject*>(object)->long_value;
    const std::size_t digits = integer_digits(object);
    if (digits > 2 || is_static(object) || in_heap(object)) return nullptr;
    constexpr std::size_t size = offsetof(PyLongObject, long_value.ob_digit) + 2 * sizeof(digit);
    auto* copy = reinterpret_cast<PyLongObject*>(allocate(size));
    set_header(reinterpret_cast<PyObject*>(copy), type, false);
    copy->long_value.lv_tag = from.lv_tag;
    copy->long_value.ob_digit[0] = from.ob_digit[0];
    copy->long_value.ob_digit[1] = digits == 2 ? from.ob_digit[1] : 0;
    ++objects_;
    return reinterpret_cast<PyObject*>(copy);
  }
  if (type == &PyFloat_Type && is_worth_less(object) && !is_static(object) && !in_heap(object)) {
    ++objects_;
    auto* copy = reinterpret_cast<PyFloatObject*>(allocate(sizeof(PyFloatObject)));
    set_header(reinterpret_cast<PyObject*>(copy), type, false);
    copy->ob_fval = PyFloat_AS_DOUBLE(object);
    return reinterpret_cast<PyObject*>(copy);
  }
  return nullptr;
}

}  // namespace firn::heap
