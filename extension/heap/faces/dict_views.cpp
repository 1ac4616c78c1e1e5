// keys(), values(), items() and the iterators of a FrozenDict.
//
// CPython's own views and iterators would hand out the inner dict (`x.items().mapping`,
// gc.get_referents), and whoever writes to that corrupts the heap. These hold the frozen dict
// itself. They live and die in one interpreter, hence they are heap types of that interpreter.
#include "heap/cpython_layout.hpp"
#include "heap/faces/dict_lookup.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::faces {

namespace {

struct FrozenView {
  PyObject_HEAD PyObject* face;  // immortal
};

struct DictIterator {
  PyObject_HEAD PyObject* face;  // immortal
  Py_ssize_t position;           // in the table's entries; the next one to look at
  Py_ssize_t left;
  PyObject* pair;  // of items: the tuple that is handed out again once nobody else has it
};

PyObject* face_of(PyObject* view) { return reinterpret_cast<FrozenView*>(view)->face; }

template <View view>
bool is_view(PyObject* object) {
  const InterpreterObjects* objects = interpreter_objects();
  return objects && Py_IS_TYPE(object, objects->views[static_cast<int>(view)]);
}

bool is_view(PyObject* object) {
  return is_view<View::keys>(object) || is_view<View::values>(object) ||
         is_view<View::items>(object);
}

PyObject* refuse_at_exit() {
  PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
  return nullptr;
}

// ---- iterators ----

bool entry_at(PyDictObject* dict, Py_ssize_t at, PyObject** key, PyObject** value) {
  PyDictKeysObject* keys = dict->ma_keys;
  if (DK_IS_UNICODE(keys)) {
    const PyDictUnicodeEntry& entry = DK_UNICODE_ENTRIES(keys)[at];
    *key = entry.me_key;
    *value = dict->ma_values ? dict->ma_values->values[at] : entry.me_value;
  } else {
    const PyDictKeyEntry& entry = DK_ENTRIES(keys)[at];
    *key = entry.me_key;
    *value = entry.me_value;
  }
  return *value != nullptr;
}

PyObject* next_pair(DictIterator* iterator, PyObject* key, PyObject* value) {
  if (holds_twins(iterator->face) || is_keyed_by_twins(iterator->face)) [[unlikely]] {
    const Ref own(read(value));
    return own ? PyTuple_Pack(2, key, own.get()) : nullptr;
  }
  PyObject* pair = iterator->pair;
  if (pair && Py_REFCNT(pair) == 1) {
    // Its old elements are immortal, like the new ones.
    auto* tuple = reinterpret_cast<PyTupleObject*>(pair);
    tuple->ob_item[0] = key;
    tuple->ob_item[1] = value;
    tuple->ob_hash = -1;
    return Py_NewRef(pair);
  }
  PyObject* made = PyTuple_Pack(2, key, value);
  if (made && !pair) iterator->pair = Py_NewRef(made);
  return made;
}

template <View view, int step>
PyObject* next(PyObject* self) {
  auto* iterator = reinterpret_cast<DictIterator*>(self);
  if (iterator->left == 0) return nullptr;
  Ref own;  // a reference of its own costs what is not keyed by twins too much
  PyObject* mapping = mapping_of(iterator->face);
  if (is_keyed_by_twins(iterator->face)) [[unlikely]] {
    own = own_mapping(iterator->face);
    if (!own) return nullptr;
    mapping = own.get();
  }
  auto* dict = reinterpret_cast<PyDictObject*>(mapping);
  PyObject *key, *value;
  Py_ssize_t at = iterator->position;
  while (!entry_at(dict, at, &key, &value)) at += step;
  iterator->position = at + step;
  iterator->left--;
  if constexpr (view == View::keys) return Py_NewRef(key);
  if constexpr (view == View::values) {
    if (holds_twins(iterator->face)) [[unlikely]]
      return read(value);
    return Py_NewRef(value);
  }
  return next_pair(iterator, key, value);
}

PyObject* length_hint(PyObject* self, PyObject*) {
  return PyLong_FromSsize_t(reinterpret_cast<DictIterator*>(self)->left);
}

// As CPython's: iter() of a list of what is left; the iterator itself goes on where it stood.
PyObject* reduce_iterator(PyObject* self, PyObject*) {
  auto* iterator = reinterpret_cast<DictIterator*>(self);
  const Py_ssize_t position = iterator->position, left = iterator->left;
  Ref rest(PySequence_List(self));
  iterator->position = position;
  iterator->left = left;
  Ref builtins(rest ? PyImport_ImportModuleAttrString("builtins", "iter") : nullptr);
  return builtins ? Py_BuildValue("O(O)", builtins.get(), rest.get()) : nullptr;
}

void free_iterator(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(reinterpret_cast<DictIterator*>(self)->pair);
  PyObject_Free(self);
  Py_DECREF(type);
}

PyMethodDef iterator_methods[] = {
    {"__length_hint__", length_hint, METH_NOARGS, nullptr},
    {"__reduce__", reduce_iterator, METH_NOARGS, nullptr},
    {},
};

PyTypeObject* make_iterator_type(const char* name, iternextfunc next) {
  PyType_Slot slots[] = {
      {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
      {Py_tp_iternext, reinterpret_cast<void*>(next)},
      {Py_tp_dealloc, reinterpret_cast<void*>(free_iterator)},
      {Py_tp_methods, iterator_methods},
      {0, nullptr},
  };
  PyType_Spec spec = {
      name, sizeof(DictIterator), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

// ---- views ----

Py_ssize_t length(PyObject* self) { return PyDict_GET_SIZE(mapping_of(face_of(self))); }

template <View view>
PyObject* iterate(PyObject* self) {
  return new_dict_iterator(face_of(self), view, false);
}

template <View view>
PyObject* reversed(PyObject* self, PyObject*) {
  return new_dict_iterator(face_of(self), view, true);
}

int contains_key(PyObject* self, PyObject* key) {
  if (find_in(face_of(self), key)) return 1;
  return PyErr_Occurred() ? -1 : 0;
}

int contains_item(PyObject* self, PyObject* item) {
  if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) return 0;
  PyObject* found = find_in(face_of(self), PyTuple_GET_ITEM(item, 0));
  if (!found) return PyErr_Occurred() ? -1 : 0;
  const Ref own(read(found));
  return own ? PyObject_RichCompareBool(own.get(), PyTuple_GET_ITEM(item, 1), Py_EQ) : -1;
}

// A view of a plain copy of the dict for one of ours, which other code may then keep and look
// through; a plain set for a frozen set; anything else as it is.
Ref to_plain_operand(PyObject* object) {
  if (is_set_face(object)) return members_of(object);
  if (!is_view(object)) return borrowed(object);
  Ref plain = copy_mapping(face_of(object));
  const char* name = is_view<View::keys>(object)    ? "keys"
                     : is_view<View::items>(object) ? "items"
                                                    : "values";
  return Ref(plain ? PyObject_CallMethod(plain.get(), name, nullptr) : nullptr);
}

template <PyObject* (*operation)(PyObject*, PyObject*)>
PyObject* combine(PyObject* left, PyObject* right) {
  Ref plain_left = to_plain_operand(left);
  Ref plain_right = plain_left ? to_plain_operand(right) : Ref();
  return plain_right ? operation(plain_left.get(), plain_right.get()) : nullptr;
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  const bool comparable = PyAnySet_Check(other) || PyDictKeys_Check(other) ||
                          PyDictItems_Check(other) || is_set_face(other) ||
                          is_view<View::keys>(other) || is_view<View::items>(other);
  if (!comparable) Py_RETURN_NOTIMPLEMENTED;
  if (is_view(other) || PyAnySet_CheckExact(other)) {
    const bool equality = operation == Py_EQ || operation == Py_NE;
    if (equality && length(self) != PyObject_Size(other))
      return PyBool_FromLong(operation == Py_NE);
  }
  Ref left = to_plain_operand(self);
  Ref right = left ? to_plain_operand(other) : Ref();
  return right ? PyObject_RichCompare(left.get(), right.get(), operation) : nullptr;
}

PyObject* is_disjoint(PyObject* self, PyObject* other) {
  Ref left = to_plain_operand(self);
  Ref right = left ? to_plain_operand(other) : Ref();
  return right ? PyObject_CallMethod(left.get(), "isdisjoint", "(O)", right.get()) : nullptr;
}

PyObject* get_mapping(PyObject* self, void*) { return PyDictProxy_New(face_of(self)); }

bool is_ordered(PyObject* view) { return kind_of(face_of(view)) == FaceKind::ordered_dict; }

template <View view>
PyObject* get_view_class(PyObject* self, void*) {
  PyTypeObject* const types[2][3] = {
      {&PyDictKeys_Type, &PyDictValues_Type, &PyDictItems_Type},
      {&PyODictKeys_Type, &PyODictValues_Type, &PyODictItems_Type},
  };
  return Py_NewRef(reinterpret_cast<PyObject*>(types[is_ordered(self)][static_cast<int>(view)]));
}

template <View view>
PyObject* text(PyObject* self) {
  const int entered = Py_ReprEnter(self);
  if (entered != 0) return entered > 0 ? PyUnicode_FromString("...") : nullptr;
  static constexpr const char* names[] = {"dict_keys", "dict_values", "dict_items"};
  Ref list(PySequence_List(self));
  PyObject* result = list ? PyUnicode_FromFormat("%s%s(%R)", is_ordered(self) ? "o" : "",
                                                 names[static_cast<int>(view)], list.get())
                          : nullptr;
  Py_ReprLeave(self);
  return result;
}

void free_view(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

template <View view>
PyMethodDef view_methods[] = {
    {"__reversed__", reversed<view>, METH_NOARGS, nullptr},
    {"isdisjoint", is_disjoint, METH_O, nullptr},
    {},
};

template <>
PyMethodDef view_methods<View::values>[] = {
    {"__reversed__", reversed<View::values>, METH_NOARGS, nullptr},
    {},
};

template <View view>
PyGetSetDef view_members[] = {
    {"__class__", get_view_class<view>, nullptr, nullptr, nullptr},
    {"mapping", get_mapping, nullptr, "dictionary that this view refers to", nullptr},
    {},
};

template <View view>
PyTypeObject* make_view_type(const char* name) {
  static constexpr objobjproc contains[] = {contains_key, nullptr, contains_item};
  PyType_Slot slots[24] = {
      {Py_tp_iter, reinterpret_cast<void*>(iterate<view>)},
      {Py_tp_repr, reinterpret_cast<void*>(text<view>)},
      {Py_tp_dealloc, reinterpret_cast<void*>(free_view)},
      {Py_tp_methods, view_methods<view>},
      {Py_tp_getset, view_members<view>},
      {Py_sq_length, reinterpret_cast<void*>(length)},
  };
  int count = 6;
  if constexpr (view != View::values) {
    slots[count++] = {Py_sq_contains, reinterpret_cast<void*>(contains[static_cast<int>(view)])};
    slots[count++] = {Py_tp_richcompare, reinterpret_cast<void*>(compare)};
    slots[count++] = {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)};
    slots[count++] = {Py_nb_subtract, reinterpret_cast<void*>(combine<PyNumber_Subtract>)};
    slots[count++] = {Py_nb_and, reinterpret_cast<void*>(combine<PyNumber_And>)};
    slots[count++] = {Py_nb_or, reinterpret_cast<void*>(combine<PyNumber_Or>)};
    slots[count++] = {Py_nb_xor, reinterpret_cast<void*>(combine<PyNumber_Xor>)};
  }
  PyType_Spec spec = {
      name, sizeof(FrozenView), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

}  // namespace

PyObject* new_view(PyObject* dict_face, View view) {
  const InterpreterObjects* objects = interpreter_objects();
  if (!objects) return refuse_at_exit();
  auto* made = PyObject_New(FrozenView, objects->views[static_cast<int>(view)]);
  if (made) made->face = dict_face;
  return reinterpret_cast<PyObject*>(made);
}

PyObject* new_dict_iterator(PyObject* dict_face, View view, bool reverse) {
  const InterpreterObjects* objects = interpreter_objects();
  if (!objects) return refuse_at_exit();
  const Ref mapping = table_of(dict_face);
  if (!mapping) return nullptr;
  auto* made = PyObject_New(DictIterator, (reverse ? objects->reverse_iterators
                                                   : objects->iterators)[static_cast<int>(view)]);
  if (!made) return nullptr;
  auto* dict = reinterpret_cast<PyDictObject*>(mapping.get());
  made->face = dict_face;
  made->position = reverse ? dict->ma_keys->dk_nentries - 1 : 0;
  made->left = dict->ma_used;
  made->pair = nullptr;
  return reinterpret_cast<PyObject*>(made);
}

int make_view_types(InterpreterObjects* objects) {
  objects->views[0] = make_view_type<View::keys>("firn.dict_keys");
  objects->views[1] = make_view_type<View::values>("firn.dict_values");
  objects->views[2] = make_view_type<View::items>("firn.dict_items");
  objects->iterators[0] = make_iterator_type("firn.dict_keyiterator", next<View::keys, 1>);
  objects->iterators[1] = make_iterator_type("firn.dict_valueiterator", next<View::values, 1>);
  objects->iterators[2] = make_iterator_type("firn.dict_itemiterator", next<View::items, 1>);
  objects->reverse_iterators[0] =
      make_iterator_type("firn.dict_reversekeyiterator", next<View::keys, -1>);
  objects->reverse_iterators[1] =
      make_iterator_type("firn.dict_reversevalueiterator", next<View::values, -1>);
  objects->reverse_iterators[2] =
      make_iterator_type("firn.dict_reverseitemiterator", next<View::items, -1>);
  return PyErr_Occurred() ? -1 : 0;
}

}  // namespace firn::heap::faces
