// Real instances of this interpreter's replica of a class, made from records without running code
// of the class.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "heap/records/layouts.hpp"

namespace firn::heap {

// An instance with the record's fields as they are (frozen values; twins resolved): a new
// reference, nullptr with an exception set. Mutable, and no part of the heap.
PyObject* shallow_instance(PyObject* record);

namespace records {

// Makes and fills instances of a replica from the records of one layout. Belongs to an interpreter.
class Maker {
 public:
  // Borrowed; it stays until the class is replaced. nullptr with an exception set.
  static const Maker* of(PyObject* record);

  Maker(const Layout& layout, PyTypeObject* type);

  // Without attributes and items; a tuple has room for so many. A new reference; nullptr with an
  // exception set.
  PyObject* make_empty(Py_ssize_t items) const;

  // Gives an instance that was just made an attribute, by the field's place in the layout. Takes
  // over the reference to the value, also when it fails. -1 with an exception set.
  int set_field(PyObject* instance, std::size_t field, PyObject* value) const;

  const Layout& layout() const { return layout_; }
  // The C type that the class derives from: object, tuple, list, dict, set or frozenset.
  PyTypeObject* base() const { return base_; }

 private:
  static constexpr Py_ssize_t kUnknown = -1;

  const Layout& layout_;
  PyTypeObject* const type_;  // the interpreter keeps it
  PyTypeObject* base_;
  bool inline_values_;
  // Of a slot: its offset in the instance. Of another field: where the class's shared keys have it,
  // once they do.
  mutable std::vector<Py_ssize_t> places_;
};

// The C type that a class derives from, past all that class statements made.
PyTypeObject* base_of(PyTypeObject* type);

// The container part as an exact tuple, list, dict, set or frozenset of its own, twins resolved: a
// new reference, nullptr with an exception set. Of a plain record: a new reference to itself.
PyObject* plain_container(PyObject* record);

}  // namespace records
}  // namespace firn::heap
