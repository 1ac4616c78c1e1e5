#include "heap/cpython_layout.hpp"

#include "heap/reuse.hpp"

#include "heap/arena.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap {
namespace {

// Of each kind: 2 MiB of ints. A chunk has fewer results as a rule (pool/chunk_sizes.cpp).
constexpr Py_ssize_t most = 1 << 16;
constexpr int depth_of_lists = 3;  // ("ok", (last values, (keys, values)), slowest)

void push(FreeList& list, PyObject* object) {
  *reinterpret_cast<void**>(object) = list.freelist;
  list.freelist = object;
  ++list.size;
}

// Those at the end of the list go, up to the first one that is something else.
void take_numbers(PyListObject* list) {
  FreeList& integers = integer_free_list();
  FreeList& reals = real_free_list();
  if (integers.size < 0 || reals.size < 0) return;  // the interpreter ends
  Py_ssize_t count = Py_SIZE(list);
  // From the end on: the next list's items are then in the order of their addresses, too.
  for (; count > 0; --count) {
    PyObject* item = list->ob_item[count - 1];
    if (is_static(item)) continue;
    if (in_heap(item)) break;  // not even looked at: so are the others, most likely
    const PyTypeObject* type = Py_TYPE(item);
    const bool integer = type == &PyLong_Type && integer_digits(item) <= 1;
    if (!integer && type != &PyFloat_Type) break;
    FreeList& unused = integer ? integers : reals;
    if (unused.size >= most) break;
    if (Py_REFCNT(item) == 1) {
      push(unused, item);
    } else {
      Py_DECREF(item);
    }
  }
  Py_SET_SIZE(list, count);
}

void take_from(PyObject* object, int depth) {
  if (Py_REFCNT(object) != 1) return;
  if (PyList_CheckExact(object)) {
    take_numbers(reinterpret_cast<PyListObject*>(object));
  } else if (PyTuple_CheckExact(object) && depth > 0) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
      take_from(PyTuple_GET_ITEM(object, i), depth - 1);
    }
  }
}

void shorten(FreeList& list, Py_ssize_t length) {
  while (list.size > length) {
    void* const object = list.freelist;
    list.freelist = *static_cast<void**>(object);
    --list.size;
    PyObject_Free(object);
  }
}

}  // namespace

void reuse_numbers(PyObject* result) { take_from(result, depth_of_lists); }

void free_reused() {
  shorten(integer_free_list(), Py_ints_MAXFREELIST);
  shorten(real_free_list(), Py_floats_MAXFREELIST);
}

}  // namespace firn::heap
