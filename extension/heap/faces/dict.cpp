// FrozenDict: what a dict, an OrderedDict, a defaultdict or a Counter becomes.
#include "heap/arena.hpp"
#include "heap/cpython_layout.hpp"
#include "heap/faces/dict_lookup.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/interpreter.hpp"
#include "heap/static_objects.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace firn::heap::faces {

namespace {

Py_ssize_t length(PyObject* self) { return PyDict_GET_SIZE(mapping_of(self)); }

// ---- lookup ----

// What tells empty containers apart in every interpreter: the type, and a defaultdict's factory.
using Empty = std::pair<FaceKind, PyObject*>;

// Of an empty container of a builtin type; of a defaultdict, if its factory is one, too.
std::optional<Empty> empty_of(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  if (!PyType_IS_GC(type) || type == &PyTuple_Type) return {};
  FaceKind kind = FaceKind::list;
  PyObject* factory = nullptr;
  if (type == &PyDict_Type) {
    kind = FaceKind::dict;
  } else if (type == &PySet_Type) {
    kind = FaceKind::set;
  } else if (type == &PyODict_Type) {
    kind = FaceKind::ordered_dict;
  } else if (type != &PyList_Type) {
    const InterpreterTypes* types = interpreter_types();
    if (!types) {
      PyErr_Clear();
      return {};
    }
    if (type == types->default_dict) {
      kind = FaceKind::default_dict;
      factory = reinterpret_cast<DefaultDictLayout*>(object)->default_factory;
      if (factory && !is_static(factory)) return {};
    } else if (type == types->counter) {
      kind = FaceKind::counter;
    } else if (type == types->deque && reinterpret_cast<DequeLayout*>(object)->maxlen < 0) {
      kind = FaceKind::deque;
    } else {
      return {};
    }
  }
  if (PyObject_Size(object) != 0) return {};
  return Empty{kind, factory};
}

// A frozen one for an empty container, always the same: what code did to the value of a missing key
// would be lost, for nothing is added.
Ref in_place_of_empty(Ref made) {
  const std::optional<Empty> empty = made ? empty_of(made.get()) : std::nullopt;
  if (!empty) return made;
  static std::mutex mutex;
  static std::map<Empty, PyObject*> known;
  {
    const std::lock_guard hold(mutex);
    if (const auto found = known.find(*empty); found != known.end()) return borrowed(found->second);
  }
  const auto result = freeze_roots({{"the value of a missing key", made.get()}}, {.threads = 1});
  if (!result) return Ref();
  const std::lock_guard hold(mutex);
  return borrowed(known.try_emplace(*empty, result->frozen.front()).first->second);
}

// Whether nobody can change a value, nor what it holds.
bool is_settled(PyObject* value) {
  PyTypeObject* const type = Py_TYPE(value);
  if (in_heap(value) || PyType_Check(value) || !PyType_IS_GC(type)) return true;
  if (type == &PyTuple_Type) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); ++i) {
      if (!is_settled(PyTuple_GET_ITEM(value, i))) return false;
    }
    return true;
  }
  return std::string_view(type->tp_name) == "Fraction";
}

bool is_library(PyObject* value) {
  const char* name = PyModule_Check(value) ? PyModule_GetName(value) : nullptr;
  if (!name) return false;
  const std::string_view known(name);
  return known == "math" || known == "collections" || known == "datetime" || known == "decimal";
}

// Whether a factory gives the same at any time: a class, or a function that reads only classes and
// values that stay what they are. `lambda: len(ids)` does not.
bool is_pure(PyObject* factory) {
  if (PyType_Check(factory)) return true;
  if (!PyFunction_Check(factory)) return false;
  if (PyObject* closure = PyFunction_GET_CLOSURE(factory)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(closure); ++i) {
      const Ref value(PyCell_Get(PyTuple_GET_ITEM(closure, i)));
      if (!value || !is_settled(value.get())) return false;
    }
  }
  const Ref names(PyObject_GetAttrString(PyFunction_GET_CODE(factory), "co_names"));
  const Ref builtins(PyObject_GetAttrString(factory, "__builtins__"));
  if (!names || !builtins || !PyDict_Check(builtins.get())) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.get()); ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names.get(), i);
    PyObject* value = PyDict_GetItemWithError(PyFunction_GET_GLOBALS(factory), name);
    if (!value) value = PyDict_GetItemWithError(builtins.get(), name);
    // What is neither is an attribute of what is.
    if (value && !is_settled(value) && !is_library(value)) return false;
  }
  return true;
}

// The error of reading a missing key where the original would add it.
PyObject* refuse_missing(PyObject* self, PyObject* key) {
  refuse_write(self);
  Ref error(PyErr_GetRaisedException());
  const Ref note(
      PyUnicode_FromFormat("%R is not in this defaultdict, and reading it would add it: read with "
                           ".get(key, default), or ask with 'in' before.",
                           key));
  const Ref noted(note ? PyObject_CallMethod(error.get(), "add_note", "O", note.get()) : nullptr);
  if (!noted) PyErr_Clear();
  PyErr_SetRaisedException(error.release());
  return nullptr;
}

// The value of a defaultdict's missing key: nothing is added, so it must be one that nobody
// changes, and that comes out the same the next time.
PyObject* made_for(PyObject* self, PyObject* key) {
  const Ref factory(read(extra_of(self)));
  if (!factory) return nullptr;
  const bool pure = is_pure(factory.get());
  if (PyErr_Occurred()) PyErr_Clear();
  if (!pure && PyFunction_Check(factory.get())) return refuse_missing(self, key);
  Ref made = in_place_of_empty(Ref(PyObject_CallNoArgs(factory.get())));
  if (!made) return nullptr;
  if (in_heap(made.get()) || (pure && is_settled(made.get()))) return made.release();
  return refuse_missing(self, key);
}

// What a missing key gives: a Counter 0, a defaultdict what its factory makes (nothing is added).
PyObject* missing(PyObject* self, PyObject* key) {
  if (PyErr_Occurred()) return nullptr;
  const FaceKind kind = kind_of(self);
  if (kind == FaceKind::counter) return PyLong_FromLong(0);
  if (kind == FaceKind::default_dict && extra_of(self) && extra_of(self) != Py_None)
    return made_for(self, key);
  // A tuple as the value of the exception would be taken for its arguments.
  Ref arguments(PyTuple_Pack(1, key));
  if (arguments) PyErr_SetObject(PyExc_KeyError, arguments.get());
  return nullptr;
}

PyObject* subscript(PyObject* self, PyObject* key) {
  PyObject* value = find_in(self, key);
  if (!value) return missing(self, key);
  return holds_twins(self) ? read(value) : value;
}

int contains_key(PyObject* self, PyObject* key) {
  if (find_in(self, key)) return 1;
  return PyErr_Occurred() ? -1 : 0;
}

PyObject* get(PyObject* self, PyObject* const* arguments, Py_ssize_t given) {
  if (given < 1 || given > 2) [[unlikely]] {
    PyErr_Format(PyExc_TypeError,
                 given < 1 ? "get expected at least 1 argument, got %zd"
                           : "get expected at most 2 arguments, got %zd",
                 given);
    return nullptr;
  }
  PyObject* value = find_in(self, arguments[0]);
  if (value) return holds_twins(self) ? read(value) : value;
  if (PyErr_Occurred()) return nullptr;
  return Py_NewRef(given > 1 ? arguments[1] : Py_None);
}

// ---- views and iteration ----

PyObject* iterate(PyObject* self) { return new_dict_iterator(self, View::keys, false); }
PyObject* reversed(PyObject* self, PyObject*) { return new_dict_iterator(self, View::keys, true); }
PyObject* keys(PyObject* self, PyObject*) { return new_view(self, View::keys); }
PyObject* values(PyObject* self, PyObject*) { return new_view(self, View::values); }
PyObject* items(PyObject* self, PyObject*) { return new_view(self, View::items); }

// ---- operators ----

bool is_mapping(PyObject* object) {
  PyTypeObject* frozendict = builtin_frozendict_type();
  return is_dict_face(object) || PyDict_Check(object) ||
         (frozendict && PyObject_TypeCheck(object, frozendict));
}

template <PyObject* (*operation)(PyObject*, PyObject*)>
PyObject* combine(PyObject* left, PyObject* right) {
  if (!is_mapping(left) || !is_mapping(right)) Py_RETURN_NOTIMPLEMENTED;
  return on_plain<operation>(left, right);
}

bool is_counter(PyObject* object) {
  if (is_dict_face(object)) return kind_of(object) == FaceKind::counter;
  PyObject* counter = class_of(FaceKind::counter);
  return counter && PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(counter));
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  const bool other_is_face = is_dict_face(other);
  const bool plain_dicts =
      kind_of(self) == FaceKind::dict &&
      (PyDict_CheckExact(other) || (other_is_face && kind_of(other) == FaceKind::dict));
  if (plain_dicts || (!other_is_face && !PyDict_Check(other))) {
    // The mapping is compared by the dict's own code, never by code of `other`, which would see it.
    const Ref left = plain_mapping(self);
    const Ref right = !left ? Ref() : other_is_face ? plain_mapping(other) : borrowed(other);
    return right ? PyDict_Type.tp_richcompare(left.get(), right.get(), operation) : nullptr;
  }
  // Only Counters are ordered.
  if (operation != Py_EQ && operation != Py_NE && !(is_counter(self) && is_counter(other))) {
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NOTIMPLEMENTED;
  }
  Ref left = to_plain(self), right = to_plain(other);
  return left && right ? PyObject_RichCompare(left.get(), right.get(), operation) : nullptr;
}

// ---- text ----

bool write_mapping(PyUnicodeWriter* writer, PyObject* mapping) {
  Py_ssize_t position = 0;
  PyObject *key, *value;
  bool good = PyUnicodeWriter_WriteChar(writer, '{') == 0;
  for (bool first = true; good && PyDict_Next(mapping, &position, &key, &value); first = false) {
    if (!first) good = PyUnicodeWriter_WriteASCII(writer, ", ", 2) == 0;
    good = good && PyUnicodeWriter_WriteRepr(writer, key) == 0 &&
           PyUnicodeWriter_WriteASCII(writer, ": ", 2) == 0 &&
           PyUnicodeWriter_WriteRepr(writer, value) == 0;
  }
  return good && PyUnicodeWriter_WriteChar(writer, '}') == 0;
}

PyObject* mapping_text(PyObject* self) {
  const int entered = Py_ReprEnter(self);
  if (entered != 0) return entered > 0 ? PyUnicode_FromString("{...}") : nullptr;
  const Ref mapping = plain_mapping(self);
  PyUnicodeWriter* writer = mapping ? PyUnicodeWriter_Create(0) : nullptr;
  const bool good = writer && write_mapping(writer, mapping.get());
  PyObject* result = good ? PyUnicodeWriter_Finish(writer) : nullptr;
  if (!good && writer) PyUnicodeWriter_Discard(writer);
  Py_ReprLeave(self);
  return result;
}

PyObject* default_dict_text(PyObject* self) {
  Ref mapping(mapping_text(self));
  Ref own(mapping ? read(extra_of(self) ? extra_of(self) : Py_None) : nullptr);
  const int entered = own ? Py_ReprEnter(own.get()) : -1;  // it may print the dict that has it
  Ref factory(entered < 0    ? nullptr
              : entered == 0 ? PyObject_Repr(own.get())
                             : PyUnicode_FromString("..."));
  if (entered == 0) Py_ReprLeave(own.get());
  return factory ? PyUnicode_FromFormat("defaultdict(%U, %U)", factory.get(), mapping.get())
                 : nullptr;
}

PyObject* text(PyObject* self) {
  const FaceKind kind = kind_of(self);
  if (kind == FaceKind::dict) return mapping_text(self);
  if (kind == FaceKind::default_dict) return default_dict_text(self);
  const int entered = Py_ReprEnter(self);
  if (entered != 0) return entered > 0 ? PyUnicode_FromString("...") : nullptr;
  PyObject* result = on_plain<PyObject_Repr>(self);
  Py_ReprLeave(self);
  return result;
}

// ---- methods ----

PyObject* copy(PyObject* self, PyObject*) { return to_plain(self).release(); }

PyObject* size_of(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(sizeof(FrozenDict) + size_of_dict(mapping_of(self)));
}

// `type(row)(...)`, as code that walks data writes it, makes a dict.
PyObject* make_plain(PyTypeObject*, PyObject* arguments, PyObject* keywords) {
  return PyObject_Call(reinterpret_cast<PyObject*>(&PyDict_Type), arguments, keywords);
}

PyMethodDef methods[] = {
    {"get", method(get), METH_FASTCALL, nullptr},
    {"keys", keys, METH_NOARGS, nullptr},
    {"values", values, METH_NOARGS, nullptr},
    {"items", items, METH_NOARGS, nullptr},
    {"copy", copy, METH_NOARGS, nullptr},
    {"__reversed__", reversed, METH_NOARGS, nullptr},
    {"__sizeof__", size_of, METH_NOARGS, nullptr},
    {"__dir__", dir_of, METH_NOARGS, nullptr},
    {"__reduce_ex__", reduce_ex, METH_O, nullptr},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    refused("clear"),
    refused("pop"),
    refused("popitem"),
    refused("setdefault"),
    refused("update"),
    {},
};

PyMethodDef refused_by_others[] = {refused("move_to_end"), refused("subtract")};

PyGetSetDef members[] = {
    {"__class__", get_class, nullptr, nullptr, nullptr},
    of_class("__class_getitem__"),
    of_class("fromkeys"),
    only_some("default_factory"),
    only_some("__missing__"),
    only_some("__dict__"),
    only_some("__add__"),
    only_some("__sub__"),
    only_some("__and__"),
    only_some("__xor__"),
    only_some("__pos__"),
    only_some("__neg__"),
    only_some("most_common"),
    only_some("elements"),
    only_some("total"),
    refused_by_some(&refused_by_others[0]),
    refused_by_some(&refused_by_others[1]),
    {},
};

PyNumberMethods number;
PySequenceMethods sequence;
PyMappingMethods mapping;

}  // namespace

void fill_dict_type(PyTypeObject* type) {
  // dict, OrderedDict and defaultdict know |, Counter knows more; the originals do it on copies.
  number.nb_or = combine<PyNumber_Or>;
  number.nb_and = combine<PyNumber_And>;
  number.nb_add = combine<PyNumber_Add>;
  number.nb_subtract = combine<PyNumber_Subtract>;
  number.nb_xor = combine<PyNumber_Xor>;
  number.nb_positive = on_plain<PyNumber_Positive>;
  number.nb_negative = on_plain<PyNumber_Negative>;
  number.nb_inplace_or = refuse_binary;
  number.nb_inplace_and = refuse_binary;
  number.nb_inplace_xor = refuse_binary;
  number.nb_inplace_add = refuse_binary;
  number.nb_inplace_subtract = refuse_binary;
  sequence.sq_contains = contains_key;
  mapping.mp_length = length;
  mapping.mp_subscript = subscript;
  mapping.mp_ass_subscript = refuse_key;
  borrow_documentation(methods, &PyDict_Type);
  type->tp_name = "firn.FrozenDict";
  type->tp_doc =
      "A dict, OrderedDict, defaultdict or Counter that was frozen and is shared by reference\n"
      "with the workers.\n\n"
      "Reads as the original does; whatever would change it raises TypeError.\n"
      "firn.thaw() gives a mutable deep copy.";
  type->tp_basicsize = sizeof(FrozenDict);
  type->tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_MAPPING;
  type->tp_repr = text;
  type->tp_hash = refuse_hash;
  type->tp_iter = iterate;
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
