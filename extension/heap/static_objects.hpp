// CPython's own static objects, which have one address in every interpreter (and, where the
// executable is not position-independent, in every process): what equals one of them freezes to
// that very one.
#pragma once

#include "heap/cpython_layout.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace firn::heap {

extern const char* static_begin;  // of the data of CPython's executable or library
extern std::size_t static_bytes;

inline bool is_static(const void* address) {
  return static_cast<std::size_t>(static_cast<const char*>(address) - static_begin) < static_bytes;
}

// Whether a static object means the same in every interpreter.
bool is_shareable_static(PyObject* object);

// CPython's static strings, found by content. Filled once in the main interpreter, then only read.
class StaticStrings {
 public:
  void fill();

  // The static string that equals this one, whose hash is given, or nullptr.
  PyObject* find(PyObject* string, Py_hash_t hash) const {
    const auto bits = static_cast<std::uint64_t>(hash);
    if (!(filter_[bits >> 6 & (kFilterWords - 1)] >> (bits & 63) & 1)) return nullptr;
    return find_slowly(string, hash);
  }

  PyObject* empty() const { return empty_; }

 private:
  static constexpr std::size_t kFilterWords = 512;

  PyObject* find_slowly(PyObject* string, Py_hash_t hash) const;
  void add(PyObject* string);

  std::array<std::uint64_t, kFilterWords> filter_{};
  std::vector<PyObject*> table_;
  PyObject* empty_ = nullptr;
};

extern StaticStrings static_strings;

// The table that every empty dict shares.
extern PyDictKeysObject* empty_keys;

// The datetime module's types are static and the same in every interpreter.
struct DatetimeTypes {
  PyTypeObject* date = nullptr;
  PyTypeObject* datetime = nullptr;
  PyTypeObject* time = nullptr;
  PyTypeObject* timedelta = nullptr;
  PyTypeObject* timezone = nullptr;

  // The bytes of a date, time, datetime or timedelta; times without a zone have no place for one.
  std::size_t size_of(PyTypeObject* type, bool zoned) const;
};
extern DatetimeTypes datetime_types;

// Types whose instances never change and hold nothing that does.
inline bool is_leaf(const PyTypeObject* type) {
  return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
         type == &PyBytes_Type || type == &PyComplex_Type || type == &PyRange_Type ||
         type == datetime_types.date || type == datetime_types.datetime ||
         type == datetime_types.time || type == datetime_types.timedelta ||
         type == datetime_types.timezone;
}

// Finds all of the above; the main interpreter calls it once. False when CPython's data cannot be
// found.
bool find_static_objects(const PyDateTime_CAPI& datetime);

}  // namespace firn::heap
