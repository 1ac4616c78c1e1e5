// Where an object has what it refers to.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>

#include "heap/arena.hpp"

namespace firn::heap {

// Calls visit(begin, end) for the object's own struct and, of objects of builtin types and their
// subclasses, for what it has allocated beside it. Not for tables of keys that instances share. In
// the calling interpreter, with the GIL.
template <typename Visit>
void each_memory_of(PyObject* object, const PyTypeObject* deque_type, const Visit& visit) {
  PyTypeObject* const type = Py_TYPE(object);
  const auto memory = [&](const void* begin, std::size_t bytes) {
    const auto at = reinterpret_cast<std::uintptr_t>(begin);
    if (begin && !in_heap(begin)) visit(at, at + bytes);
  };
  const auto count = [](Py_ssize_t size) { return static_cast<std::size_t>(size); };

  memory(object, count(type->tp_basicsize));
  if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
    const PyDictValues* values = _PyObject_InlineValues(object);
    memory(values->values, values->capacity * sizeof(PyObject*));
  }
  if (PyTuple_Check(object)) {
    memory(reinterpret_cast<PyTupleObject*>(object)->ob_item,
           count(PyTuple_GET_SIZE(object)) * sizeof(PyObject*));
  } else if (PyList_Check(object)) {
    memory(reinterpret_cast<PyListObject*>(object)->ob_item,
           count(PyList_GET_SIZE(object)) * sizeof(PyObject*));
  } else if (PyDict_Check(object)) {
    const auto* dict = reinterpret_cast<const PyDictObject*>(object);
    if (dict->ma_values) {
      memory(dict->ma_values->values, dict->ma_values->capacity * sizeof(PyObject*));
    } else {
      memory(dict->ma_keys, bytes_of_keys(dict->ma_keys));
    }
    if (PyODict_Check(object)) {
      const auto* ordered = reinterpret_cast<const OrderedDictLayout*>(object);
      for (const OrderedDictNode* node = ordered->first; node; node = node->next) {
        memory(node, sizeof *node);
      }
    }
  } else if (PyAnySet_Check(object)) {
    const auto* set = reinterpret_cast<const PySetObject*>(object);
    memory(set->table, count(set->mask + 1) * sizeof *set->table);
  } else if (PyObject_TypeCheck(object, const_cast<PyTypeObject*>(deque_type))) {
    const auto* deque = reinterpret_cast<const DequeLayout*>(object);
    for (const DequeBlock* block = deque->left_block; block; block = block->right) {
      memory(block, sizeof *block);
      if (block == deque->right_block) break;
    }
  }
}

}  // namespace firn::heap
