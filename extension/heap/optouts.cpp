#include "heap/optouts.hpp"

namespace firn::heap {
namespace {

constexpr const char* kCapsule = "firn.heap.optouts";

void destroy(PyObject* capsule) {
  delete static_cast<OptOuts*>(PyCapsule_GetPointer(capsule, kCapsule));
}

OptOuts* find() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, kCapsule) : nullptr;
  return capsule ? static_cast<OptOuts*>(PyCapsule_GetPointer(capsule, kCapsule)) : nullptr;
}

OptOuts* make() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict) {
    PyErr_NoMemory();
    return nullptr;
  }
  auto* made = new OptOuts;
  PyObject* capsule = PyCapsule_New(made, kCapsule, destroy);
  if (!capsule) {
    delete made;
    return nullptr;
  }
  const int failed = PyDict_SetItemString(dict, kCapsule, capsule);
  Py_DECREF(capsule);
  return failed ? nullptr : made;
}

}  // namespace

void OptOuts::mark(const void* object, std::optional<bool> freezable) {
  if (freezable) {
    marks_[object] = *freezable;
  } else {
    marks_.erase(object);
  }
}

const OptOuts* opt_outs() {
  const OptOuts* found = find();
  return found && !found->empty() ? found : nullptr;
}

int mark_freezable(const void* object, std::optional<bool> freezable) {
  OptOuts* marks = find();
  if (!marks) {
    if (!freezable) return 0;
    marks = make();
    if (!marks) return -1;
  }
  marks->mark(object, freezable);
  return 0;
}

int lend(const std::vector<std::uintptr_t>& objects) {
  OptOuts* marks = find();
  if (!marks) {
    if (objects.empty()) return 0;
    marks = make();
    if (!marks) return -1;
  }
  marks->lend(objects);
  return 0;
}

void seal_class(PyTypeObject* type, bool sealed) {
  if (!sealed) {
    type->tp_flags &= ~Py_TPFLAGS_IMMUTABLETYPE;
    return;
  }
  // The version tag first: CPython numbers immutable types from a counter of the whole process,
  // which interpreters do not take turns at.
  PyUnstable_Type_AssignVersionTag(type);
  type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;
}

}  // namespace firn::heap
