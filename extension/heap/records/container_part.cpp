// The part of a record that is a tuple, list, dict or set, read as those read themselves.
#include "heap/faces/dict_lookup.hpp"
#include "heap/records/attributes.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"

namespace firn::heap::records {

using faces::Ref;

namespace {

PyObject* inner_of(PyObject* record) { return as_record(record)->inner; }

// The inner tuple where nobody can keep it, else a copy.
Ref tuple_of(PyObject* record) {
  if (faces::holds_twins(record)) return faces::resolve_items(inner_of(record));
  return faces::borrowed(inner_of(record));
}

// The inner tuple may be seen by Python code only when it has a hash: it is never written to then.
Ref visible_tuple_of(PyObject* record) {
  const bool hashed = reinterpret_cast<PyTupleObject*>(inner_of(record))->ob_hash != -1;
  if (hashed && !faces::holds_twins(record)) return faces::borrowed(inner_of(record));
  return faces::resolve_items(inner_of(record));
}

PyObject* tuple_item(PyObject* record, PyObject* key) {
  PyObject* items = inner_of(record);
  if (PyIndex_Check(key)) {
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) return nullptr;
    if (index < 0) index += PyTuple_GET_SIZE(items);
    if (index < 0 || index >= PyTuple_GET_SIZE(items)) {
      PyErr_SetString(PyExc_IndexError, "tuple index out of range");
      return nullptr;
    }
    return read_field(record, PyTuple_GET_ITEM(items, index));
  }
  const Ref plain(plain_container(record));
  return plain ? PyObject_GetItem(plain.get(), key) : nullptr;
}

// A dict's subscript asks the class's __missing__.
PyObject* dict_item(PyObject* record, PyObject* key) {
  const Found found = find(record, Special::missing_);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin == Origin::user) {
    const int known = container_contains(record, key);
    if (known < 0) return nullptr;
    if (!known) return call(found, record, key);
  }
  return base_of_face(record)->mapping.mp_subscript(record, key);
}

PyObject* set_text(PyObject* record) {
  PyTypeObject* type = type_of(record);
  if (!type) return nullptr;
  const Ref members = faces::members_of(record);
  if (!members) return nullptr;
  if (PySet_GET_SIZE(members.get()) == 0) return PyUnicode_FromFormat("%s()", type->tp_name);
  const Ref list(PySequence_List(members.get()));
  const Ref inside(list ? PyObject_Repr(list.get()) : nullptr);
  if (!inside) return nullptr;
  const Ref elements(PyUnicode_Substring(inside.get(), 1, PyUnicode_GET_LENGTH(inside.get()) - 1));
  return elements ? PyUnicode_FromFormat("%s({%U})", type->tp_name, elements.get()) : nullptr;
}

bool is_tuple_record(PyObject* object) {
  return is_record(object) && as_record(object)->kind == FaceKind::tuple_record;
}

}  // namespace

Py_ssize_t container_length(PyObject* record) {
  PyObject* inner = inner_of(record);
  switch (as_record(record)->kind) {
    case FaceKind::tuple_record:
    case FaceKind::list_record:
      return PyTuple_GET_SIZE(inner);
    case FaceKind::dict_record:
      return PyDict_GET_SIZE(inner);
    default:
      return PySet_GET_SIZE(inner);
  }
}

PyObject* container_item(PyObject* record, PyObject* key) {
  switch (as_record(record)->kind) {
    case FaceKind::tuple_record:
      return tuple_item(record, key);
    case FaceKind::dict_record:
      return dict_item(record, key);
    default:
      return base_of_face(record)->mapping.mp_subscript(record, key);
  }
}

int container_contains(PyObject* record, PyObject* value) {
  if (as_record(record)->kind == FaceKind::tuple_record) {
    const Ref items = tuple_of(record);
    return items ? PyTuple_Type.tp_as_sequence->sq_contains(items.get(), value) : -1;
  }
  return base_of_face(record)->sequence.sq_contains(record, value);
}

PyObject* container_iterator(PyObject* record) {
  if (as_record(record)->kind == FaceKind::tuple_record) {
    const Ref items = visible_tuple_of(record);
    return items ? PyTuple_Type.tp_iter(items.get()) : nullptr;
  }
  return base_of_face(record)->iterate(record);
}

PyObject* container_text(PyObject* record) {
  const FaceKind kind = as_record(record)->kind;
  if (kind == FaceKind::list_record) return base_of_face(record)->text(record);
  const int entered = Py_ReprEnter(record);
  if (entered != 0) {
    if (entered < 0) return nullptr;
    return PyUnicode_FromString(kind == FaceKind::tuple_record  ? "(...)"
                                : kind == FaceKind::dict_record ? "{...}"
                                                                : "(...)");
  }
  PyObject* result = nullptr;
  if (kind == FaceKind::set_record) {
    result = set_text(record);
  } else {
    const Ref plain(plain_container(record));
    result = plain ? PyObject_Repr(plain.get()) : nullptr;
  }
  Py_ReprLeave(record);
  return result;
}

PyObject* container_compare(PyObject* record, PyObject* other, int operation) {
  if (as_record(record)->kind != FaceKind::tuple_record) {
    return base_of_face(record)->compare(record, other, operation);
  }
  const bool ours = is_tuple_record(other);
  if (!ours && !PyTuple_Check(other)) Py_RETURN_NOTIMPLEMENTED;
  const Ref left = tuple_of(record);
  const Ref right = !left ? Ref() : ours ? tuple_of(other) : faces::borrowed(other);
  return right ? PyTuple_Type.tp_richcompare(left.get(), right.get(), operation) : nullptr;
}

Py_hash_t container_hash(PyObject* record) {
  if (as_record(record)->kind == FaceKind::tuple_record) {
    const Ref plain(plain_container(record));
    return plain ? PyObject_Hash(plain.get()) : -1;
  }
  const Ref members = faces::members_of(record);
  return members ? PyObject_Hash(members.get()) : -1;
}

}  // namespace firn::heap::records
