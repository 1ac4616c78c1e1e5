// CPython enters a weak reference into a list that begins in the object: a write to a segment, and
// a list that runs through the objects of several interpreters. So of all types in the heap only
// frozenset takes them. A frozen value lives as long as anything points to it, a weak reference
// included, so a reference to it is complete without the list: nobody has to be told of its end,
// and a reference that goes away takes itself out of no list. Hence references to frozen values are
// made here and entered nowhere (getweakrefcount() does not see them). The constructor stands in a
// static type that all interpreters share (hazard 16); teach.py does the same for weakref.proxy().
#include "heap/weak_references.hpp"

#include "heap/cpython_layout.hpp"

#include "heap/arena.hpp"
#include "heap/faces/faces.hpp"
#include "heap/records/state.hpp"

namespace firn::heap {
namespace {

newfunc make_ordinary = nullptr;
vectorcallfunc call_reference = nullptr;  // what every reference does when it is called

// Whether the value reads as one that takes weak references. -1 with an exception set.
int takes_references(PyObject* target) {
  if (PyFrozenSet_CheckExact(target)) return 1;
  if (!faces::is_face(target)) return 0;
  auto* type = records::is_record(target)
                   ? records::type_of(target)
                   : reinterpret_cast<PyTypeObject*>(faces::class_of(faces::kind_of(target)));
  if (!type) return -1;
  if (type->tp_weaklistoffset || (type->tp_flags & Py_TPFLAGS_MANAGED_WEAKREF)) return 1;
  PyErr_Format(PyExc_TypeError, "cannot create weak reference to '%s' object", type->tp_name);
  return -1;
}

PyObject* make_reference(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  const Py_ssize_t given = PyTuple_GET_SIZE(arguments);
  PyObject* target = given == 1 || given == 2 ? PyTuple_GET_ITEM(arguments, 0) : nullptr;
  const int ours = target && in_heap(target) ? takes_references(target) : 0;
  if (ours <= 0) return ours ? nullptr : make_ordinary(type, arguments, keywords);
  PyObject* made = type->tp_alloc(type, 0);
  if (!made) return nullptr;
  PyObject* callback = given == 2 ? PyTuple_GET_ITEM(arguments, 1) : Py_None;
  auto* reference = reinterpret_cast<PyWeakReference*>(made);
  reference->wr_object = target;
  reference->wr_callback = callback == Py_None ? nullptr : Py_NewRef(callback);
  reference->hash = -1;
  reference->wr_prev = reference->wr_next = nullptr;
  reference->vectorcall = call_reference;
  return made;
}

}  // namespace

bool teach_weak_references() {
  if (make_ordinary) return true;
  PyObject* target = PySet_New(nullptr);
  PyObject* sample = target ? PyWeakref_NewRef(target, nullptr) : nullptr;
  if (sample) {
    call_reference = reinterpret_cast<PyWeakReference*>(sample)->vectorcall;
    make_ordinary = _PyWeakref_RefType.tp_new;
    _PyWeakref_RefType.tp_new = make_reference;
  }
  Py_XDECREF(sample);
  Py_XDECREF(target);
  return sample != nullptr;
}

}  // namespace firn::heap
