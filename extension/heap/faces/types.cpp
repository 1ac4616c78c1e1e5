#include "heap/cpython_layout.hpp"
#include "heap/types.hpp"

#include <sys/mman.h>

#include <mutex>

namespace firn::heap {
namespace {

constexpr std::uintptr_t kTypesAddress = 0x1ffffff00000;
constexpr std::size_t kTypesBytes = 1 << 16;

PyTypeObject* types() {
  static PyTypeObject* const page = [] {
    void* wanted = reinterpret_cast<void*>(kTypesAddress);
    void* got = mmap(wanted, kTypesBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != wanted) {
      got = mmap(nullptr, kTypesBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    return static_cast<PyTypeObject*>(got);
  }();
  return page;
}

PyObject* items_of(PyObject* self) { return reinterpret_cast<FrozenList*>(self)->items; }
PyObject* mapping_of(PyObject* self) { return reinterpret_cast<FrozenDict*>(self)->mapping; }
PyObject* inner_of(PyObject* self) { return reinterpret_cast<FrozenFace*>(self)->inner; }

PyObject* list_iter(PyObject* self) { return PyObject_GetIter(items_of(self)); }
Py_ssize_t list_length(PyObject* self) { return PyTuple_GET_SIZE(items_of(self)); }
PyObject* list_subscript(PyObject* self, PyObject* key) { return PyObject_GetItem(items_of(self), key); }
PyObject* dict_iter(PyObject* self) { return PyObject_GetIter(mapping_of(self)); }
Py_ssize_t dict_length(PyObject* self) { return PyDict_GET_SIZE(mapping_of(self)); }
PyObject* dict_subscript(PyObject* self, PyObject* key) {
  return PyObject_GetItem(mapping_of(self), key);
}
PyObject* dict_items(PyObject* self, PyObject*) { return PyDict_Items(mapping_of(self)); }
PyObject* dict_keys(PyObject* self, PyObject*) { return PyDict_Keys(mapping_of(self)); }
PyObject* face_iter(PyObject* self) { return PyObject_GetIter(inner_of(self)); }
Py_ssize_t face_length(PyObject* self) { return PyObject_Length(inner_of(self)); }
PyObject* face_subscript(PyObject* self, PyObject* key) { return PyObject_GetItem(inner_of(self), key); }

PyMappingMethods list_mapping = {list_length, list_subscript, nullptr};
PyMappingMethods dict_mapping = {dict_length, dict_subscript, nullptr};
PyMappingMethods face_mapping = {face_length, face_subscript, nullptr};
PyMethodDef dict_methods[] = {{"items", dict_items, METH_NOARGS, nullptr},
                              {"keys", dict_keys, METH_NOARGS, nullptr},
                              {nullptr, nullptr, 0, nullptr}};

void fill(PyTypeObject* type, const char* name, Py_ssize_t size, getiterfunc iter,
          PyMappingMethods* mapping) {
  set_static_type_header(type);
  type->tp_name = name;
  type->tp_basicsize = size;
  type->tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION;
  type->tp_iter = iter;
  type->tp_as_mapping = mapping;
  type->tp_hash = PyObject_HashNotImplemented;
}

}  // namespace

PyTypeObject* frozen_list_type() { return &types()[0]; }
PyTypeObject* frozen_dict_type() { return &types()[1]; }
PyTypeObject* frozen_face_type() { return &types()[2]; }

PyTypeObject* face_type(FaceKind kind) {
  if (kind == FaceKind::list || kind == FaceKind::deque) return frozen_list_type();
  return kind == FaceKind::set ? frozen_face_type() : frozen_dict_type();
}

int init_types() {
  static std::once_flag once;
  std::call_once(once, [] {
    fill(frozen_list_type(), "firn.FrozenList", sizeof(FrozenList), list_iter, &list_mapping);
    fill(frozen_dict_type(), "firn.FrozenDict", sizeof(FrozenDict), dict_iter, &dict_mapping);
    frozen_dict_type()->tp_methods = dict_methods;
    fill(frozen_face_type(), "firn.FrozenFace", sizeof(FrozenFace), face_iter, &face_mapping);
  });
  for (PyTypeObject* type : {frozen_list_type(), frozen_dict_type(), frozen_face_type()}) {
    if (init_static_type(type) < 0) return -1;
  }
  return 0;
}

PyObject* refuse_write(PyObject* target) {
  PyErr_Format(PyExc_TypeError, "this %s is frozen", Py_TYPE(target)->tp_name);
  return nullptr;
}

}  // namespace firn::heap
