// What every frozen container answers in the same way: its class, its members, its plain copies.
#include <cstring>

#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::faces {

namespace {

// The kinds that one static type serves, the one that it is named after first.
struct Served {
  FaceKind kinds[4];
  int count;
};

Served served_by(PyTypeObject* type) {
  if (type == frozen_list_type()) return {{FaceKind::list, FaceKind::deque}, 2};
  if (type == frozen_dict_type()) {
    return {{FaceKind::dict, FaceKind::ordered_dict, FaceKind::default_dict, FaceKind::counter}, 4};
  }
  return {{FaceKind::set}, 1};
}

// Names that a type's dict keeps although not every original has them: object's own, and those that
// the interpreter looks up on the type.
bool is_kept(const char* name) {
  static constexpr const char* kept[] = {"__hash__", "__doc__", "__setattr__", "__delattr__",
                                         "__init__"};
  for (const char* one : kept) {
    if (std::strcmp(name, one) == 0) return true;
  }
  return false;
}

// Whether the class that a frozen container reads as has the attribute; AttributeError if not.
bool is_present(PyObject* self, const char* name) {
  PyObject* type = class_of(kind_of(self));
  if (!type) return false;
  const int present = PyObject_HasAttrStringWithError(type, name);
  if (present == 0) {
    PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'",
                 reinterpret_cast<PyTypeObject*>(type)->tp_name, name);
  }
  return present > 0;
}

}  // namespace

PyObject* get_class(PyObject* self, void*) { return Py_XNewRef(class_of(kind_of(self))); }

PyObject* get_from_class(PyObject* self, void* name) {
  PyObject* type = class_of(kind_of(self));
  return type ? PyObject_GetAttrString(type, static_cast<const char*>(name)) : nullptr;
}

PyObject* get_if_present(PyObject* self, void* name) {
  const char* text = static_cast<const char*>(name);
  if (!is_present(self, text)) return nullptr;
  if (kind_of(self) == FaceKind::default_dict && std::strcmp(text, "default_factory") == 0) {
    // Displays ask for it, whatever the size.
    return read(extra_of(self) ? extra_of(self) : Py_None);
  }
  Ref plain = to_plain(self);
  return plain ? PyObject_GetAttrString(plain.get(), text) : nullptr;
}

PyObject* get_refusal_if_present(PyObject* self, void* method_definition) {
  auto* definition = static_cast<PyMethodDef*>(method_definition);
  return is_present(self, definition->ml_name) ? PyCFunction_New(definition, self) : nullptr;
}

PyObject* dir_of(PyObject* self, PyObject*) {
  PyObject* type = class_of(kind_of(self));
  return type ? PyObject_Dir(type) : nullptr;
}

PyObject* reduce_ex(PyObject* self, PyObject* protocol) {
  const FaceKind kind = kind_of(self);
  if (kind == FaceKind::list) {
    return Py_BuildValue("O()ON", &PyList_Type, Py_None, PyObject_GetIter(self));
  }
  if (kind == FaceKind::dict) {
    return Py_BuildValue("O()OON", &PyDict_Type, Py_None, Py_None,
                         new_dict_iterator(self, View::items, false));
  }
  if (kind == FaceKind::set) {
    const Ref members = members_of(self);
    return members ? Py_BuildValue("O(N)", &PySet_Type, PySequence_List(members.get())) : nullptr;
  }
  Ref plain = to_plain(self);
  return plain ? PyObject_CallMethod(plain.get(), "__reduce_ex__", "(O)", protocol) : nullptr;
}

PyObject* reduce(PyObject* self, PyObject*) {
  Ref protocol(PyLong_FromLong(2));
  return protocol ? reduce_ex(self, protocol.get()) : nullptr;
}

void borrow_documentation(PyMethodDef* methods, PyTypeObject* original) {
  for (PyMethodDef* ours = methods; ours->ml_name; ours++) {
    for (const PyMethodDef* theirs = original->tp_methods; theirs->ml_name; theirs++) {
      if (std::strcmp(ours->ml_name, theirs->ml_name) == 0) ours->ml_doc = theirs->ml_doc;
    }
  }
}

int tidy_members(PyTypeObject* type) {
  const Served served = served_by(type);
  Ref dict(PyType_GetDict(type));
  Ref names(PyDict_Keys(dict.get()));
  PyObject* main = class_of(served.kinds[0]);
  if (!names || !main) return -1;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names.get()); i++) {
    PyObject* name = PyList_GET_ITEM(names.get(), i);
    const char* text = PyUnicode_AsUTF8(name);
    if (!text) return -1;
    if (is_kept(text)) continue;
    PyObject* member = PyDict_GetItemWithError(dict.get(), name);
    if (!member) return -1;
    if (Py_IS_TYPE(member, &PyGetSetDescr_Type)) continue;
    // Not by asking for the attribute: the class's own class has an __or__.
    const bool present = _PyType_Lookup(reinterpret_cast<PyTypeObject*>(main), name);
    if (!present && PyDict_DelItem(dict.get(), name) < 0) return -1;
  }
  // A slot's wrapper may have kept the place of a member that only some kinds have.
  for (PyGetSetDef* member = type->tp_getset; member && member->name; member++) {
    const int present = PyDict_ContainsString(dict.get(), member->name);
    if (present < 0) return -1;
    if (present) continue;
    Ref descriptor(PyDescr_NewGetSet(type, member));
    if (!descriptor || PyDict_SetItemString(dict.get(), member->name, descriptor.get()) < 0)
      return -1;
  }
  // Frozen values are as unhashable as their originals, also for collections.abc.Hashable; tp_hash
  // stays for its message.
  if (PyDict_SetItemString(dict.get(), "__hash__", Py_None) < 0) return -1;
  return 0;
}

}  // namespace firn::heap::faces
