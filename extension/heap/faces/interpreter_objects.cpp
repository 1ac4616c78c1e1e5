// The objects that each interpreter has for itself: types of views and iterators, classes.
#include <atomic>
#include <cstdint>

#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/state.hpp"

namespace firn::heap::faces {

namespace {

constexpr const char* capsule_name = "firn.heap.faces";

// Counts interpreters that went away, so that a thread never trusts what it remembers of one: a
// later interpreter can stand at the same address.
std::atomic<std::uint64_t> gone{0};

struct Remembered {
  PyInterpreterState* interpreter = nullptr;
  std::uint64_t gone = 0;
  InterpreterObjects* objects = nullptr;
};
thread_local Remembered remembered;

void free_objects(PyObject* capsule) {
  auto* objects = static_cast<InterpreterObjects*>(PyCapsule_GetPointer(capsule, capsule_name));
  gone.fetch_add(1, std::memory_order_release);
  for (PyTypeObject* type : objects->views) Py_XDECREF(type);
  for (PyTypeObject* type : objects->iterators) Py_XDECREF(type);
  for (PyTypeObject* type : objects->reverse_iterators) Py_XDECREF(type);
  Py_XDECREF(objects->part);
  for (PyObject* type : objects->classes) Py_XDECREF(type);
  delete objects;
}

InterpreterObjects* find_objects() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, capsule_name) : nullptr;
  if (!capsule) return nullptr;
  return static_cast<InterpreterObjects*>(PyCapsule_GetPointer(capsule, capsule_name));
}

}  // namespace

InterpreterObjects* interpreter_objects() {
  PyInterpreterState* const interpreter = PyInterpreterState_Get();
  const std::uint64_t now = gone.load(std::memory_order_acquire);
  if (remembered.interpreter != interpreter || remembered.gone != now) [[unlikely]] {
    remembered = {interpreter, now, find_objects()};
  }
  return remembered.objects;
}

int make_interpreter_objects() {
  if (find_objects()) return 0;
  auto* objects = new InterpreterObjects;
  Ref capsule(PyCapsule_New(objects, capsule_name, free_objects));
  if (!capsule) {
    delete objects;
    return -1;
  }
  if (make_view_types(objects) < 0) return -1;
  if (!(objects->part = make_part_type())) return -1;
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict || PyDict_SetItemString(dict, capsule_name, capsule.get()) < 0) return -1;
  gone.fetch_add(1, std::memory_order_release);  // forget that this interpreter had none
  return 1;
}

PyObject* class_of(FaceKind kind) {
  switch (kind) {
    case FaceKind::list:
      return reinterpret_cast<PyObject*>(&PyList_Type);
    case FaceKind::dict:
      return reinterpret_cast<PyObject*>(&PyDict_Type);
    case FaceKind::set:
      return reinterpret_cast<PyObject*>(&PySet_Type);
    default:
      break;
  }
  InterpreterObjects* objects = interpreter_objects();
  if (!objects) {
    PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
    return nullptr;
  }
  PyObject*& known = objects->classes[index_of(kind)];
  if (!known) {
    const char* name = kind == FaceKind::deque          ? "deque"
                       : kind == FaceKind::ordered_dict ? "OrderedDict"
                       : kind == FaceKind::default_dict ? "defaultdict"
                                                        : "Counter";
    PyObject* found = PyImport_ImportModuleAttrString("collections", name);
    if (!found) return nullptr;
    Py_XSETREF(known, found);
  }
  return known;
}

Ref to_plain(PyObject* object) {
  if (!is_face(object)) return borrowed(object);
  if (records::is_record(object)) return Ref(records::plain_container(object));
  const FaceKind kind = kind_of(object);
  switch (kind) {
    case FaceKind::list: {
      const Ref items = plain_items(object);
      return Ref(items ? PySequence_List(items.get()) : nullptr);
    }
    case FaceKind::dict:
      return copy_mapping(object);
    case FaceKind::set: {
      const Ref members = members_of(object);
      return Ref(members ? PySet_New(members.get()) : nullptr);
    }
    default:
      break;
  }
  PyObject* type = class_of(kind);
  if (!type) return Ref();
  if (kind == FaceKind::deque) {
    const Ref items = plain_items(object);
    if (!items) return Ref();
    return Ref(PyObject_CallFunctionObjArgs(type, items.get(), extra_of(object), nullptr));
  }
  Ref mapping = copy_mapping(object);
  if (!mapping) return Ref();
  if (kind == FaceKind::default_dict) {
    const Ref factory(read(extra_of(object) ? extra_of(object) : Py_None));
    if (!factory) return Ref();
    return Ref(PyObject_CallFunctionObjArgs(type, factory.get(), mapping.get(), nullptr));
  }
  return Ref(PyObject_CallOneArg(type, mapping.get()));
}

}  // namespace firn::heap::faces
