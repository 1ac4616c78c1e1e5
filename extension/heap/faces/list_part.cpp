// A part of a frozen sequence to iterate over, at no cost and without a copy: what a worker works
// on would otherwise leave arrays of addresses in freed memory, chunk after chunk. Who gets such
// memory next need not write all of it (SQLite's pages), and a scan finds the segment in use.
#include "heap/cpython_layout.hpp"

#include <algorithm>

#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"

namespace firn::heap::faces {
namespace {

// A list, whose iterator the evaluation loop knows; its items are those of a tuple of the heap,
// which are immortal. Nothing that runs Python code gets to see it.
void free_part(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

int visit_part(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

int clear_part(PyObject*) { return 0; }

// The tuple that holds the elements as they are handed out; nullptr where there is none.
PyObject* elements_of(PyObject* sequence) {
  if (Py_IS_TYPE(sequence, frozen_list_type())) {
    const bool plain = kind_of(sequence) == FaceKind::list && !holds_twins(sequence);
    return plain ? items_of(sequence) : nullptr;
  }
  return PyTuple_CheckExact(sequence) && contains(sequence) ? sequence : nullptr;
}

}  // namespace

PyTypeObject* make_part_type() {
  PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(free_part)},
                         {Py_tp_traverse, reinterpret_cast<void*>(visit_part)},
                         {Py_tp_clear, reinterpret_cast<void*>(clear_part)},
                         {0, nullptr}};
  PyType_Spec spec = {"firn.list_part", sizeof(PyListObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                          Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      slots};
  return reinterpret_cast<PyTypeObject*>(
      PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(&PyList_Type)));
}

}  // namespace firn::heap::faces

namespace firn::heap {

using namespace faces;

PyObject* iterate_part(PyObject* sequence, Py_ssize_t start, Py_ssize_t stop) {
  const InterpreterObjects* objects = interpreter_objects();
  PyObject* elements = objects ? elements_of(sequence) : nullptr;
  if (!elements) {
    const Ref slice(PySequence_GetSlice(sequence, start, stop));
    return slice ? PyObject_GetIter(slice.get()) : nullptr;
  }
  stop = std::clamp<Py_ssize_t>(stop, 0, PyTuple_GET_SIZE(elements));
  start = std::clamp<Py_ssize_t>(start, 0, stop);
  const Ref part(objects->part->tp_alloc(objects->part, 0));
  if (!part) return nullptr;
  auto* list = reinterpret_cast<PyListObject*>(part.get());
  list->ob_item = reinterpret_cast<PyTupleObject*>(elements)->ob_item + start;
  Py_SET_SIZE(list, stop - start);
  return PyList_Type.tp_iter(part.get());
}

}  // namespace firn::heap
