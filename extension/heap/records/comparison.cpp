// Comparing and hashing records as their class does.
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"

namespace firn::heap::records {

namespace {

constexpr Special comparisons[] = {Special::lt_, Special::le_, Special::eq_,
                                   Special::ne_, Special::gt_, Special::ge_};
constexpr int swapped[] = {Py_GT, Py_GE, Py_EQ, Py_NE, Py_LT, Py_LE};

bool is_of_object(PyObject* descriptor) { return PyDescr_TYPE(descriptor) == &PyBaseObject_Type; }

// What the class of `self` says, and nobody else.
PyObject* ask(PyObject* self, PyObject* other, int operation) {
  const Found found = find(self, comparisons[operation]);
  switch (found.origin) {
    case Origin::unknown:
      return nullptr;
    case Origin::user:
    case Origin::none:
      return call(found, self, other);
    case Origin::absent:
      Py_RETURN_NOTIMPLEMENTED;
    case Origin::builtin:
      break;
  }
  if (!is_of_object(found.method)) return container_compare(self, other, operation);
  if (operation == Py_EQ) {
    if (self == other) Py_RETURN_TRUE;
    Py_RETURN_NOTIMPLEMENTED;
  }
  if (operation != Py_NE) Py_RETURN_NOTIMPLEMENTED;
  PyObject* equal = ask(self, other, Py_EQ);
  if (!equal || equal == Py_NotImplemented) return equal;
  const int truth = PyObject_IsTrue(equal);
  Py_DECREF(equal);
  return truth < 0 ? nullptr : PyBool_FromLong(!truth);
}

}  // namespace

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  if (!is_record(self)) return base_of_face(self)->compare(self, other, operation);
  PyTypeObject* own = type_of(self);
  PyTypeObject* others = own ? type_of(other) : nullptr;
  if (!others) return nullptr;
  // CPython asks the right operand first where its class derives from the left one's; it cannot see
  // that here.
  if (others != own && PyType_IsSubtype(others, own)) {
    PyObject* answer = nullptr;
    if (is_record(other)) {
      answer = ask(other, self, swapped[operation]);
    } else {
      answer = others->tp_richcompare(other, self, swapped[operation]);
    }
    if (answer != Py_NotImplemented) return answer;
    Py_DECREF(answer);
  }
  return ask(self, other, operation);
}

Py_hash_t hash(PyObject* self) {
  if (!is_record(self)) return base_of_face(self)->hash(self);
  const Found found = find(self, Special::hash_);
  switch (found.origin) {
    case Origin::unknown:
      return -1;
    case Origin::absent:
    case Origin::none:
      refuse_operation(self, "unhashable type: '%.200s'");
      return -1;
    case Origin::builtin:
      return is_of_object(found.method) ? PyObject_GenericHash(self) : container_hash(self);
    case Origin::user:
      break;
  }
  PyObject* result = call(found, self);
  if (!result) return -1;
  if (!PyLong_Check(result)) {
    PyErr_SetString(PyExc_TypeError, "__hash__ method should return an integer");
    Py_DECREF(result);
    return -1;
  }
  // As a class's slot: an integer that fits is the hash, another is hashed.
  Py_hash_t value = PyLong_AsSsize_t(result);
  if (value == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    value = PyLong_Type.tp_hash(result);
  }
  if (value == -1) value = -2;
  Py_DECREF(result);
  return value;
}

}  // namespace firn::heap::records
