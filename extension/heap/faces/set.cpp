// FrozenFace as a set: what a set becomes. The inner frozenset may be seen by anyone.
#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::faces {

namespace {

// Null with an exception set when a member cannot be read.
Ref operand(PyObject* object) {
  return is_set_face(object) ? members_of(object) : borrowed(object);
}

// A frozenset that came out of an operation on the inner one, as the set that it would have been. A
// copy could have another order; nobody has seen a new one yet, and the two types differ in name
// alone.
PyObject* as_set(PyObject* result) {
  if (!result || !PyFrozenSet_CheckExact(result)) return result;
  if (PySet_GET_SIZE(result) > 0 && Py_REFCNT(result) == 1) {
    Py_SET_TYPE(result, &PySet_Type);
    if (!PyObject_GC_IsTracked(result)) PyObject_GC_Track(result);
    return result;
  }
  Ref owned(result);
  return PySet_New(result);
}

Py_ssize_t length(PyObject* self) { return PySet_GET_SIZE(inner_of(self)); }

PyObject* iterate(PyObject* self) {
  const Ref members = members_of(self);
  return members ? PyFrozenSet_Type.tp_iter(members.get()) : nullptr;
}

// As set does: an unhashable set is looked up as the frozenset that it equals.
int contains(PyObject* self, PyObject* key) {
  const Ref members = members_of(self);
  if (!members) return -1;
  const Ref frozen = PySet_Check(key) ? Ref(PyFrozenSet_New(key)) : operand(key);
  return frozen ? PySet_Contains(members.get(), frozen.get()) : -1;
}

// ---- operators ----

bool is_set_like(PyObject* object) {
  return is_set_face(object) || PyAnySet_Check(object) || PyDictViewSet_Check(object);
}

template <PyObject* (*operation)(PyObject*, PyObject*), PyObject* (*in_place)(PyObject*, PyObject*)>
PyObject* combine(PyObject* left, PyObject* right) {
  if (!is_set_like(left) || !is_set_like(right)) Py_RETURN_NOTIMPLEMENTED;
  const Ref own_left = operand(left);
  const Ref own_right = own_left ? operand(right) : Ref();
  if (!own_right) return nullptr;
  if (is_set_face(left)) return as_set(operation(own_left.get(), own_right.get()));
  if (PySet_Check(left) && in_augmented_assignment()) return in_place(left, own_right.get());
  return operation(left, own_right.get());
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  if (!is_set_like(other)) Py_RETURN_NOTIMPLEMENTED;
  const Ref left = members_of(self);
  const Ref right = left ? operand(other) : Ref();
  return right ? PyObject_RichCompare(left.get(), right.get(), operation) : nullptr;
}

// ---- text ----

PyObject* text(PyObject* self) {
  if (length(self) == 0) return PyUnicode_FromString("set()");
  const Ref members = members_of(self);
  Ref list(members ? PySequence_List(members.get()) : nullptr);
  Ref inside(list ? PyObject_Repr(list.get()) : nullptr);
  if (!inside) return nullptr;
  Ref elements(PyUnicode_Substring(inside.get(), 1, PyUnicode_GET_LENGTH(inside.get()) - 1));
  return elements ? PyUnicode_FromFormat("{%U}", elements.get()) : nullptr;
}

// ---- methods ----

template <const char* name>
PyObject* forward(PyObject* self, PyObject* const* arguments, Py_ssize_t given) {
  const Ref members = members_of(self);
  Ref bound(members ? PyObject_GetAttrString(members.get(), name) : nullptr);
  Ref plain(bound ? PyTuple_New(given) : nullptr);
  if (!plain) return nullptr;
  for (Py_ssize_t i = 0; i < given; i++) {
    Ref own = operand(arguments[i]);
    if (!own) return nullptr;
    PyTuple_SET_ITEM(plain.get(), i, own.release());
  }
  return as_set(PyObject_CallObject(bound.get(), plain.get()));
}

constexpr char union_name[] = "union";
constexpr char intersection_name[] = "intersection";
constexpr char difference_name[] = "difference";
constexpr char symmetric_difference_name[] = "symmetric_difference";
constexpr char issubset_name[] = "issubset";
constexpr char issuperset_name[] = "issuperset";
constexpr char isdisjoint_name[] = "isdisjoint";

template <const char* name>
PyMethodDef forwarded() {
  return {name, method(forward<name>), METH_FASTCALL, nullptr};
}

PyObject* copy(PyObject* self, PyObject*) {
  const Ref members = members_of(self);
  return members ? PySet_New(members.get()) : nullptr;
}

PyObject* size_of(PyObject* self, PyObject*) {
  Ref inner(PyObject_CallMethod(inner_of(self), "__sizeof__", nullptr));
  if (!inner) return nullptr;
  return PyLong_FromSize_t(sizeof(FrozenFace) + PyLong_AsSize_t(inner.get()));
}

PyMethodDef methods[] = {
    forwarded<union_name>(),
    forwarded<intersection_name>(),
    forwarded<difference_name>(),
    forwarded<symmetric_difference_name>(),
    forwarded<issubset_name>(),
    forwarded<issuperset_name>(),
    forwarded<isdisjoint_name>(),
    {"copy", copy, METH_NOARGS, nullptr},
    {"__sizeof__", size_of, METH_NOARGS, nullptr},
    {"__dir__", dir_of, METH_NOARGS, nullptr},
    {"__reduce_ex__", reduce_ex, METH_O, nullptr},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    refused("add"),
    refused("clear"),
    refused("difference_update"),
    refused("discard"),
    refused("intersection_update"),
    refused("pop"),
    refused("remove"),
    refused("symmetric_difference_update"),
    refused("update"),
    {},
};

PyGetSetDef members[] = {
    {"__class__", get_class, nullptr, nullptr, nullptr},
    of_class("__class_getitem__"),
    {},
};

PyNumberMethods number;
PySequenceMethods sequence;

}  // namespace

void fill_set_type(PyTypeObject* type) {
  number.nb_or = combine<PyNumber_Or, PyNumber_InPlaceOr>;
  number.nb_and = combine<PyNumber_And, PyNumber_InPlaceAnd>;
  number.nb_subtract = combine<PyNumber_Subtract, PyNumber_InPlaceSubtract>;
  number.nb_xor = combine<PyNumber_Xor, PyNumber_InPlaceXor>;
  number.nb_inplace_or = refuse_binary;
  number.nb_inplace_and = refuse_binary;
  number.nb_inplace_subtract = refuse_binary;
  number.nb_inplace_xor = refuse_binary;
  sequence.sq_length = length;
  sequence.sq_contains = contains;
  borrow_documentation(methods, &PySet_Type);
  type->tp_name = "firn.FrozenFace";
  type->tp_doc =
      "A set that was frozen and is shared by reference with the workers.\n\n"
      "Reads as the original does; whatever would change it raises TypeError.\n"
      "firn.thaw() gives a mutable deep copy.";
  type->tp_basicsize = sizeof(FrozenFace);
  type->tp_flags = Py_TPFLAGS_DEFAULT;
  type->tp_repr = text;
  type->tp_hash = refuse_hash;
  type->tp_iter = iterate;
  type->tp_richcompare = compare;
  type->tp_setattro = refuse_attribute;
  type->tp_init = refuse_init;
  type->tp_methods = methods;
  type->tp_getset = members;
  type->tp_as_number = &number;
  type->tp_as_sequence = &sequence;
}

}  // namespace firn::heap::faces
