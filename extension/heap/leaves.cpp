// Values without children.
#include <cstring>

#include "heap/freezer.hpp"
#include "heap/static_objects.hpp"
#include "heap/strings.hpp"

namespace firn::heap {
namespace {

// Writes the UTF-8 form of a string and returns its length, or -1 for a lone surrogate. `out` has
// room for four bytes a character.
template <typename Character>
Py_ssize_t encode(const Character* from, std::size_t count, char* out) {
  char* at = out;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t c = from[i];
    if (c < 0x80) {
      *at++ = static_cast<char>(c);
    } else if (c < 0x800) {
      *at++ = static_cast<char>(0xC0 | c >> 6);
      *at++ = static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
      if (c >= 0xD800 && c < 0xE000) return -1;
      *at++ = static_cast<char>(0xE0 | c >> 12);
      *at++ = static_cast<char>(0x80 | (c >> 6 & 63));
      *at++ = static_cast<char>(0x80 | (c & 63));
    } else {
      *at++ = static_cast<char>(0xF0 | c >> 18);
      *at++ = static_cast<char>(0x80 | (c >> 12 & 63));
      *at++ = static_cast<char>(0x80 | (c >> 6 & 63));
      *at++ = static_cast<char>(0x80 | (c & 63));
    }
  }
  return at - out;
}

}  // namespace

Py_ssize_t encode_utf8(PyObject* string, char* out) {
  const auto count = static_cast<std::size_t>(PyUnicode_GET_LENGTH(string));
  switch (PyUnicode_KIND(string)) {
    case PyUnicode_1BYTE_KIND:
      return encode(PyUnicode_1BYTE_DATA(string), count, out);
    case PyUnicode_2BYTE_KIND:
      return encode(PyUnicode_2BYTE_DATA(string), count, out);
    default:
      return encode(PyUnicode_4BYTE_DATA(string), count, out);
  }
}

PyObject* Copier::make_string(PyObject* object, bool shared) {
  PyObject* made = copy_string(region_, object, shared);
  objects_ += !is_static(made);
  return made;
}

PyObject* Copier::make_bytes(PyObject* object, bool shared) {
  ++objects_;
  const std::size_t size =
      offsetof(PyBytesObject, ob_sval) + static_cast<std::size_t>(Py_SIZE(object)) + 1;
  auto* copy = reinterpret_cast<PyObject*>(allocate(size));
  std::memcpy(static_cast<void*>(copy), object, size);
  set_header(copy, &PyBytes_Type, shared);
  PyBytes_Type.tp_hash(copy);  // is cached in the object (hazard 4)
  return copy;
}

PyObject* Copier::make_integer(PyObject* object, bool shared) {
  ++objects_;
  const std::size_t digits = integer_digits(object);
  const std::size_t size =
      offsetof(PyLongObject, long_value.ob_digit) + (digits ? digits : 1) * sizeof(digit);
  auto* copy = reinterpret_cast<PyObject*>(allocate(size));
  std::memcpy(static_cast<void*>(copy), object, size);
  set_header(copy, &PyLong_Type, shared);
  return copy;
}

PyObject* Copier::make_float(PyObject* object, bool shared) {
  ++objects_;
  auto* copy = reinterpret_cast<PyFloatObject*>(allocate(sizeof(PyFloatObject)));
  copy->ob_fval = PyFloat_AS_DOUBLE(object);
  set_header(reinterpret_cast<PyObject*>(copy), &PyFloat_Type, shared);
  return reinterpret_cast<PyObject*>(copy);
}

PyObject* Copier::make_complex(PyObject* object, bool shared) {
  ++objects_;
  auto* copy = reinterpret_cast<PyComplexObject*>(allocate(sizeof(PyComplexObject)));
  copy->cval = reinterpret_cast<PyComplexObject*>(object)->cval;
  set_header(reinterpret_cast<PyObject*>(copy), &PyComplex_Type, shared);
  return reinterpret_cast<PyObject*>(copy);
}

PyObject* Copier::make_date_or_time(PyObject* object, bool shared) {
  PyTypeObject* type = Py_TYPE(object);
  const bool zoned = type != datetime_types.timedelta && type != datetime_types.date &&
                     reinterpret_cast<_PyDateTime_BaseTZInfo*>(object)->hastzinfo;
  // C code looks into the zone: it has to be the very one.
  if (zoned) {
    PyObject* zone = type == datetime_types.time
                         ? reinterpret_cast<PyDateTime_Time*>(object)->tzinfo
                         : reinterpret_cast<PyDateTime_DateTime*>(object)->tzinfo;
    if (Py_TYPE(zone) != datetime_types.timezone) return make_with_python(object, shared);
  }
  ++objects_;
  const std::size_t size = datetime_types.size_of(type, zoned);
  auto* copy = reinterpret_cast<PyObject*>(allocate(size));
  std::memcpy(static_cast<void*>(copy), object, size);
  set_header(copy, type, shared);
  if (zoned) {
    PyObject** zone = type == datetime_types.time
                          ? &reinterpret_cast<PyDateTime_Time*>(copy)->tzinfo
                          : &reinterpret_cast<PyDateTime_DateTime*>(copy)->tzinfo;
    push(object, copy, zone, 1, 1, Role::field);
  }
  Py_hash_t& hash =
      reinterpret_cast<PyDateTime_Date*>(copy)->hashcode;  // in the same place in all four
  if (hash == -1) {
    if (zoned || type == datetime_types.timedelta) {
      unchecked_.push_back({copy, -1, false});
    } else {
      const auto* data = reinterpret_cast<PyDateTime_Date*>(copy)->data;  // here too
      hash = Py_HashBuffer(data, type == datetime_types.date   ? _PyDateTime_DATE_DATASIZE
                                 : type == datetime_types.time ? _PyDateTime_TIME_DATASIZE
                                                               : _PyDateTime_DATETIME_DATASIZE);
    }
  }
  return copy;
}

PyObject* Copier::make_timezone(PyObject* object, bool shared) {
  const auto* source = reinterpret_cast<TimezoneLayout*>(object);
  if (Py_TYPE(source->offset) != datetime_types.timedelta ||
      (source->name && !PyUnicode_CheckExact(source->name))) {
    return make_with_python(object, shared);
  }
  ++objects_;
  auto* copy = reinterpret_cast<TimezoneLayout*>(allocate(sizeof(TimezoneLayout)));
  copy->offset = source->offset;
  copy->name = source->name;
  set_header(reinterpret_cast<PyObject*>(copy), datetime_types.timezone, shared);
  push(object, reinterpret_cast<PyObject*>(copy), &copy->offset, 2, 1, Role::field);
  return reinterpret_cast<PyObject*>(copy);
}

PyObject* Copier::make_range(PyObject* object, bool shared) {
  ++objects_;
  auto* copy = reinterpret_cast<RangeLayout*>(allocate(sizeof(RangeLayout)));
  std::memcpy(static_cast<void*>(copy), object, sizeof(RangeLayout));
  set_header(reinterpret_cast<PyObject*>(copy), &PyRange_Type, shared);
  push(object, reinterpret_cast<PyObject*>(copy), &copy->start, 4, 1, Role::field);
  return reinterpret_cast<PyObject*>(copy);
}

PyObject* Copier::make_slice(PyObject* object, bool shared) {
  ++objects_;
  auto* copy = reinterpret_cast<PySliceObject*>(allocate_gc(sizeof(PySliceObject)));
  std::memcpy(static_cast<void*>(copy), object, sizeof(PySliceObject));
  set_header(reinterpret_cast<PyObject*>(copy), &PySlice_Type, shared);
  push(object, reinterpret_cast<PyObject*>(copy), &copy->start, 3, 1, Role::field);
  return reinterpret_cast<PyObject*>(copy);
}

}  // namespace firn::heap
