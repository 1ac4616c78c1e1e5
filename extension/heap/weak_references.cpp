// frozenset is the one type in the heap that takes weak references. CPython enters each of them
// into a list that begins in the object: a write to a segment, and a list that runs through the
// objects of several interpreters. A frozen value lives for ever, so a reference to it is complete
// without the list: nobody has to be told of its end, and a reference that goes away takes itself
// out of no list. Hence references to frozen values are made here and entered nowhere
// (getweakrefcount() does not see them). The constructor stands in a static type that all
// interpreters share; teach.py does the same for weakref.proxy().
#include "heap/weak_references.hpp"

#include "heap/cpython_layout.hpp"

#include "heap/arena.hpp"

namespace firn::heap {
namespace {

newfunc make_ordinary = nullptr;
vectorcallfunc call_reference = nullptr;  // what every reference does when it is called

PyObject* make_reference(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  const Py_ssize_t given = PyTuple_GET_SIZE(arguments);
  PyObject* target = given == 1 || given == 2 ? PyTuple_GET_ITEM(arguments, 0) : nullptr;
  if (!target || !in_heap(target) || !PyFrozenSet_CheckExact(target)) {
    return make_ordinary(type, arguments, keywords);
  }
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
