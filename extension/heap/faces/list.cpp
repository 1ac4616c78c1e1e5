// FrozenList: what a list or a deque becomes.
#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::faces {

namespace {

Py_ssize_t length(PyObject* self) { return PyTuple_GET_SIZE(items_of(self)); }

bool is_deque(PyObject* self) {
  return reinterpret_cast<FrozenList*>(self)->kind == FaceKind::deque;
}

// Elements are immortal, or what this interpreter made of a twin: a new reference.
PyObject* handed_out(PyObject* self, PyObject* found) {
  if (holds_twins(self)) [[unlikely]]
    return read(found);
  return found;
}

// The tuple's own iterator, which the evaluation loop knows.
PyObject* iterate(PyObject* self) {
  if (holds_twins(self)) [[unlikely]]
    return PySeqIter_New(self);
  return PyTuple_Type.tp_iter(items_of(self));
}

// For loops that do without an iterator.
PyObject* element(PyObject* self, Py_ssize_t index) {
  PyObject* items = items_of(self);
  return index < PyTuple_GET_SIZE(items) ? handed_out(self, PyTuple_GET_ITEM(items, index))
                                         : nullptr;
}

// ---- subscripts ----

PyObject* item(PyObject* self, Py_ssize_t index) {
  PyObject* items = items_of(self);
  if (static_cast<std::size_t>(index) >= static_cast<std::size_t>(PyTuple_GET_SIZE(items)))
      [[unlikely]] {
    PyErr_SetString(PyExc_IndexError,
                    is_deque(self) ? "deque index out of range" : "list index out of range");
    return nullptr;
  }
  return handed_out(self, PyTuple_GET_ITEM(items, index));
}

PyObject* slice(PyObject* self, PyObject* key) {
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(key, &start, &stop, &step) < 0) return nullptr;
  PyObject* items = items_of(self);
  const Py_ssize_t count = PySlice_AdjustIndices(PyTuple_GET_SIZE(items), &start, &stop, step);
  PyObject* result = PyList_New(count);
  if (!result) return nullptr;
  for (Py_ssize_t i = 0, from = start; i < count; i++, from += step) {
    PyObject* element = handed_out(self, PyTuple_GET_ITEM(items, from));
    if (!element) {
      Py_DECREF(result);
      return nullptr;
    }
    PyList_SET_ITEM(result, i, element);
  }
  return result;
}

PyObject* subscript_other(PyObject* self, PyObject* key) {
  if (PyIndex_Check(key)) {
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) return nullptr;
    return item(self, index < 0 ? index + length(self) : index);
  }
  if (is_deque(self)) {  // no slices: the deque's own words
    Ref plain = to_plain(self);
    return plain ? PyObject_GetItem(plain.get(), key) : nullptr;
  }
  if (PySlice_Check(key)) return slice(self, key);
  PyErr_Format(PyExc_TypeError, "list indices must be integers or slices, not %.200s",
               Py_TYPE(key)->tp_name);
  return nullptr;
}

PyObject* subscript(PyObject* self, PyObject* key) {
  if (PyLong_CheckExact(key) && _PyLong_IsCompact(reinterpret_cast<PyLongObject*>(key)))
      [[likely]] {
    PyObject* items = items_of(self);
    const Py_ssize_t size = PyTuple_GET_SIZE(items);
    Py_ssize_t index = _PyLong_CompactValue(reinterpret_cast<PyLongObject*>(key));
    if (index < 0) index += size;
    if (static_cast<std::size_t>(index) < static_cast<std::size_t>(size)) [[likely]] {
      return handed_out(self, PyTuple_GET_ITEM(items, index));
    }
  }
  return subscript_other(self, key);
}

int contains_value(PyObject* self, PyObject* value) {
  if (holds_twins(self)) {
    int equal = 0;
    for (Py_ssize_t i = 0; equal == 0 && i < length(self); i++) {
      const Ref element(read(PyTuple_GET_ITEM(items_of(self), i)));
      equal = element ? PyObject_RichCompareBool(element.get(), value, Py_EQ) : -1;
    }
    return equal;
  }
  return PyTuple_Type.tp_as_sequence->sq_contains(items_of(self), value);
}

// ---- comparison ----

// A list being compared, plain or frozen. A plain one may change under the comparison.
class Elements {
 public:
  explicit Elements(PyObject* object) : object_(object), frozen_(is_list_face(object)) {}
  Py_ssize_t size() const { return frozen_ ? length(object_) : PyList_GET_SIZE(object_); }
  // Empty with an exception set when a twin cannot be read.
  Ref at(Py_ssize_t i) const {
    return frozen_ ? Ref(handed_out(object_, PyTuple_GET_ITEM(items_of(object_), i)))
                   : borrowed(PyList_GET_ITEM(object_, i));
  }

 private:
  PyObject* object_;
  bool frozen_;
};

PyObject* compare_elements(PyObject* self, PyObject* other, int operation) {
  const Elements left(self), right(other);
  const bool only_equality = operation == Py_EQ || operation == Py_NE;
  if (only_equality && left.size() != right.size()) return PyBool_FromLong(operation == Py_NE);
  Py_ssize_t i = 0;
  for (; i < left.size() && i < right.size(); i++) {
    const Ref a = left.at(i), b = right.at(i);
    if (!a || !b) return nullptr;
    if (a.get() == b.get()) continue;
    const int equal = PyObject_RichCompareBool(a.get(), b.get(), Py_EQ);
    if (equal < 0) return nullptr;
    if (!equal) {
      if (only_equality) return PyBool_FromLong(operation == Py_NE);
      return PyObject_RichCompare(a.get(), b.get(), operation);
    }
  }
  Py_RETURN_RICHCOMPARE(left.size(), right.size(), operation);
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  if (is_deque(self)) {
    PyObject* deque = class_of(FaceKind::deque);
    if (!deque) return nullptr;
    const bool comparable = (is_list_face(other) && is_deque(other)) ||
                            PyObject_TypeCheck(other, reinterpret_cast<PyTypeObject*>(deque));
    if (!comparable) Py_RETURN_NOTIMPLEMENTED;
    Ref left = to_plain(self), right = to_plain(other);
    return left && right ? PyObject_RichCompare(left.get(), right.get(), operation) : nullptr;
  }
  if (is_list_face(other)) {
    if (is_deque(other)) Py_RETURN_NOTIMPLEMENTED;
  } else if (!PyList_Check(other)) {
    Py_RETURN_NOTIMPLEMENTED;
  } else if (Py_TYPE(other)->tp_richcompare != PyList_Type.tp_richcompare) {
    // A subclass of list with a comparison of its own goes first, as with a plain list.
    static constexpr int swapped[] = {Py_GT, Py_GE, Py_EQ, Py_NE, Py_LT, Py_LE};
    PyObject* answer = Py_TYPE(other)->tp_richcompare(other, self, swapped[operation]);
    if (answer != Py_NotImplemented) return answer;
    Py_DECREF(answer);
  }
  return compare_elements(self, other, operation);
}

// ---- arithmetic ----

// list has sq_concat only, which sees its left operand alone; nb_add sees both.
PyObject* add(PyObject* left, PyObject* right) {
  const bool ours = is_list_face(left);
  PyObject* other = ours ? right : left;
  if (!ours && !is_face(left) && Py_TYPE(left)->tp_as_sequence &&
      Py_TYPE(left)->tp_as_sequence->sq_inplace_concat && in_augmented_assignment()) {
    const Ref items = plain_items(right);
    return items ? Py_TYPE(left)->tp_as_sequence->sq_inplace_concat(left, items.get()) : nullptr;
  }
  if (ours && !is_deque(left) && (PyList_CheckExact(other) || is_list_face(other))) {
    return on_plain<PySequence_Concat>(left, right);
  }
  if (!ours && !PyList_Check(left) && !is_face(left)) {
    PyObject* deque = class_of(FaceKind::deque);
    if (!deque) return nullptr;
    if (!PyObject_TypeCheck(left, reinterpret_cast<PyTypeObject*>(deque))) Py_RETURN_NOTIMPLEMENTED;
  }
  if (ours && Py_TYPE(right)->tp_as_number && Py_TYPE(right)->tp_as_number->nb_add &&
      !is_face(right) && !PyList_Check(right)) {
    Py_RETURN_NOTIMPLEMENTED;  // ndarray and the like know how to add a list to themselves
  }
  return on_plain<PyNumber_Add>(left, right);
}

PyObject* repeat(PyObject* self, Py_ssize_t count) {
  Ref plain = to_plain(self);
  return plain ? PySequence_Repeat(plain.get(), count) : nullptr;
}

// ---- text ----

PyObject* list_text(PyObject* self) {
  const int entered = Py_ReprEnter(self);
  if (entered != 0) return entered > 0 ? PyUnicode_FromString("[...]") : nullptr;
  PyObject* items = items_of(self);
  const Py_ssize_t size = PyTuple_GET_SIZE(items);
  PyUnicodeWriter* writer = PyUnicodeWriter_Create(0);
  bool good = writer && PyUnicodeWriter_WriteChar(writer, '[') == 0;
  for (Py_ssize_t i = 0; good && i < size; i++) {
    if (i > 0) good = PyUnicodeWriter_WriteASCII(writer, ", ", 2) == 0;
    const Ref element(good ? handed_out(self, PyTuple_GET_ITEM(items, i)) : nullptr);
    good = element && PyUnicodeWriter_WriteRepr(writer, element.get()) == 0;
  }
  good = good && PyUnicodeWriter_WriteChar(writer, ']') == 0;
  PyObject* result = good ? PyUnicodeWriter_Finish(writer) : nullptr;
  if (!good && writer) PyUnicodeWriter_Discard(writer);
  Py_ReprLeave(self);
  return result;
}

PyObject* deque_text(PyObject* self) {
  const int entered = Py_ReprEnter(self);
  if (entered != 0) return entered > 0 ? PyUnicode_FromString("[...]") : nullptr;
  Ref plain = to_plain(self);
  PyObject* result = plain ? PyObject_Repr(plain.get()) : nullptr;
  Py_ReprLeave(self);
  return result;
}

PyObject* text(PyObject* self) { return is_deque(self) ? deque_text(self) : list_text(self); }

// ---- methods ----

PyObject* copy(PyObject* self, PyObject*) { return to_plain(self).release(); }

PyObject* reversed(PyObject* self, PyObject*) {
  const Ref items = plain_items(self);
  if (!items) return nullptr;
  return PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyReversed_Type), items.get());
}

PyObject* count(PyObject* self, PyObject* value) {
  const Ref items = plain_items(self);
  return items ? PyObject_CallMethod(items.get(), "count", "(O)", value) : nullptr;
}

PyObject* index(PyObject* self, PyObject* const* arguments, Py_ssize_t given) {
  if (is_deque(self) || given < 1 || given > 3) {
    Ref plain = to_plain(self);
    Ref bound(plain ? PyObject_GetAttrString(plain.get(), "index") : nullptr);
    return bound ? PyObject_Vectorcall(bound.get(), arguments, static_cast<std::size_t>(given),
                                       nullptr)
                 : nullptr;
  }
  const Py_ssize_t size = length(self);
  Py_ssize_t bounds[2] = {0, size};
  for (int i = 0; i < given - 1; i++) {
    if (!PyIndex_Check(arguments[i + 1])) {
      PyErr_SetString(PyExc_TypeError,
                      "slice indices must be integers or have an __index__ method");
      return nullptr;
    }
    Py_ssize_t bound = PyNumber_AsSsize_t(arguments[i + 1], nullptr);
    if (bound == -1 && PyErr_Occurred()) return nullptr;
    if (bound < 0) bound = bound + size < 0 ? 0 : bound + size;
    bounds[i] = bound;
  }
  for (Py_ssize_t i = bounds[0]; i < bounds[1] && i < size; i++) {
    const Ref element(handed_out(self, PyTuple_GET_ITEM(items_of(self), i)));
    if (!element) return nullptr;
    const int equal = PyObject_RichCompareBool(element.get(), arguments[0], Py_EQ);
    if (equal < 0) return nullptr;
    if (equal) return PyLong_FromSsize_t(i);
  }
  PyErr_SetString(PyExc_ValueError, "list.index(x): x not in list");
  return nullptr;
}

PyObject* size_of(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(sizeof(FrozenList) + sizeof(PyTupleObject) +
                           static_cast<std::size_t>(length(self)) * sizeof(PyObject*));
}

// `type(rows)(...)`, as code that walks data writes it, makes a list.
PyObject* make_plain(PyTypeObject*, PyObject* arguments, PyObject* keywords) {
  return PyObject_Call(reinterpret_cast<PyObject*>(&PyList_Type), arguments, keywords);
}

PyMethodDef methods[] = {
    {"index", method(index), METH_FASTCALL, nullptr},
    {"count", count, METH_O, nullptr},
    {"copy", copy, METH_NOARGS, nullptr},
    {"__reversed__", reversed, METH_NOARGS, nullptr},
    {"__sizeof__", size_of, METH_NOARGS, nullptr},
    {"__dir__", dir_of, METH_NOARGS, nullptr},
    {"__reduce_ex__", reduce_ex, METH_O, nullptr},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    refused("append"),
    refused("extend"),
    refused("insert"),
    refused("pop"),
    refused("remove"),
    refused("clear"),
    refused("reverse"),
    {},
};

PyMethodDef refused_by_list[] = {refused("sort")};
PyMethodDef refused_by_deque[] = {refused("appendleft"), refused("extendleft"), refused("popleft"),
                                  refused("rotate")};

PyGetSetDef members[] = {
    {"__class__", get_class, nullptr, nullptr, nullptr},
    of_class("__class_getitem__"),
    only_some("maxlen"),
    refused_by_some(&refused_by_list[0]),
    refused_by_some(&refused_by_deque[0]),
    refused_by_some(&refused_by_deque[1]),
    refused_by_some(&refused_by_deque[2]),
    refused_by_some(&refused_by_deque[3]),
    {},
};

PyNumberMethods number;
PySequenceMethods sequence;
PyMappingMethods mapping;

}  // namespace

void fill_list_type(PyTypeObject* type) {
  number.nb_add = add;
  number.nb_inplace_add = refuse_binary;
  sequence.sq_length = length;
  sequence.sq_item = item;
  sequence.sq_concat = on_plain<PySequence_Concat>;
  sequence.sq_inplace_concat = refuse_binary;
  sequence.sq_repeat = repeat;
  sequence.sq_inplace_repeat = refuse_repeat;
  sequence.sq_ass_item = refuse_item;
  sequence.sq_contains = contains_value;
  mapping.mp_length = length;
  mapping.mp_subscript = subscript;
  mapping.mp_ass_subscript = refuse_key;
  borrow_documentation(methods, &PyList_Type);
  type->tp_name = "firn.FrozenList";
  type->tp_doc =
      "A list or deque that was frozen and is shared by reference with the workers.\n\n"
      "Reads as the original does; whatever would change it raises TypeError.\n"
      "firn.thaw() gives a mutable deep copy.";
  type->tp_basicsize = sizeof(FrozenList);
  type->tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_SEQUENCE;
  type->tp_repr = text;
  type->tp_hash = refuse_hash;
  type->tp_iter = iterate;
  offer_elements_by_index<element>(type);
  type->tp_richcompare = compare;
  type->tp_setattro = refuse_attribute;
  type->tp_init = refuse_init;
  type->tp_new = make_plain;
  type->tp_methods = methods;
  type->tp_getset = members;
  type->tp_as_number = &number;
  type->tp_as_sequence = &sequence;
  type->tp_as_mapping = &mapping;
}

}  // namespace firn::heap::faces
