#include "heap/cpython_layout.hpp"

#include "heap/reuse.hpp"

#include <algorithm>

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

class Taker {
 public:
  // Those at the end of the list go, up to the first one that is something else.
  void take_items(PyListObject* list) {
    if (integers_.size < 0 || reals_.size < 0) return;  // the interpreter ends
    Py_ssize_t count = Py_SIZE(list);
    // From the end on: the next list's items are then in the order of their addresses, too.
    while (count > 0 && take(list->ob_item[count - 1])) --count;
    Py_SET_SIZE(list, count);
  }

 private:
  bool take(PyObject* item) {
    if (is_static(item)) return true;
    if (in_heap(item)) return false;  // not even looked at: so are the others, most likely
    if (PyTuple_CheckExact(item)) return take_row(item);
    FreeList* unused = list_for(item);
    if (!unused || unused->size >= most) return false;
    drop(item);
    return true;
  }

  bool take_row(PyObject* row) {
    const Py_ssize_t length = PyTuple_GET_SIZE(row);
    if (Py_REFCNT(row) != 1 || length == 0 || length > PyTuple_MAXSAVESIZE) return false;
    FreeList& unused = tuples_[length - 1];
    PyObject** items = reinterpret_cast<PyTupleObject*>(row)->ob_item;
    if (unused.size >= most / length || !std::all_of(items, items + length, goes_quietly)) {
      return false;
    }
    PyObject_GC_UnTrack(row);
    for (Py_ssize_t i = length; i > 0; --i) drop(items[i - 1]);
    push(unused, row);
    return true;
  }

  // Whether nobody's code runs when it goes.
  static bool goes_quietly(PyObject* item) {
    return is_static(item) || in_heap(item) || PyLong_CheckExact(item) ||
           PyFloat_CheckExact(item) || PyUnicode_CheckExact(item);
  }

  void drop(PyObject* item) {
    if (is_static(item) || in_heap(item)) return;
    FreeList* unused = Py_REFCNT(item) == 1 ? list_for(item) : nullptr;
    if (unused && unused->size < most) {
      push(*unused, item);
    } else {
      Py_DECREF(item);
    }
  }

  FreeList* list_for(PyObject* number) {
    if (PyFloat_CheckExact(number)) return &reals_;
    return PyLong_CheckExact(number) && integer_digits(number) <= 1 ? &integers_ : nullptr;
  }

  FreeList& integers_ = integer_free_list();
  FreeList& reals_ = real_free_list();
  FreeList* tuples_ = tuple_free_lists();
};

void take_from(PyObject* object, int depth) {
  if (Py_REFCNT(object) != 1) return;
  if (PyList_CheckExact(object)) {
    Taker().take_items(reinterpret_cast<PyListObject*>(object));
  } else if (PyTuple_CheckExact(object) && depth > 0) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
      take_from(PyTuple_GET_ITEM(object, i), depth - 1);
    }
  }
}

void shorten(FreeList& list, Py_ssize_t length, void (*free)(void*)) {
  while (list.size > length) {
    void* const object = list.freelist;
    list.freelist = *static_cast<void**>(object);
    --list.size;
    free(object);
  }
}

}  // namespace

void reuse_items(PyObject* result) { take_from(result, depth_of_lists); }

void free_reused() {
  shorten(integer_free_list(), Py_ints_MAXFREELIST, PyObject_Free);
  shorten(real_free_list(), Py_floats_MAXFREELIST, PyObject_Free);
  for (int length = 1; length <= PyTuple_MAXSAVESIZE; ++length) {
    shorten(tuple_free_lists()[length - 1], Py_tuple_MAXFREELIST, PyObject_GC_Del);
  }
}

}  // namespace firn::heap
