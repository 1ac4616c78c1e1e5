#include "heap/cpython_layout.hpp"

#include "heap/set_order.hpp"

#include <algorithm>
#include <new>
#include <unordered_map>

namespace firn::heap {
namespace {

bool same_places(const PySetObject* one, const PySetObject* other) {
  if (one->mask != other->mask) return false;
  for (Py_ssize_t i = 0; i <= one->mask; ++i) {
    if (!one->table[i].key != !other->table[i].key) return false;
    if (one->table[i].key && one->table[i].hash != other->table[i].hash) return false;
  }
  return true;
}

// An empty table of so many entries in the place of a set's own.
void give_table(PySetObject* set, Py_ssize_t mask) {
  setentry* const before = set->table;
  setentry* table = set->smalltable;
  if (mask >= PySet_MINSIZE) {
    table =
        static_cast<setentry*>(PyMem_Calloc(static_cast<std::size_t>(mask) + 1, sizeof(setentry)));
    if (!table) throw std::bad_alloc();
  } else {
    std::fill_n(table, PySet_MINSIZE, setentry{});
  }
  set->table = table;
  set->mask = mask;
  if (before != set->smalltable) PyMem_Free(before);
}

}  // namespace

void take_order(PySetObject* made, const PySetObject* source) {
  if (made->used != source->used || made->fill != made->used || source->fill != source->used ||
      same_places(made, source)) {
    return;
  }
  std::unordered_map<Py_hash_t, PyObject*> members;
  for (Py_ssize_t i = 0; i <= made->mask; ++i) {
    if (made->table[i].key) members.emplace(made->table[i].hash, made->table[i].key);
  }
  if (members.size() != static_cast<std::size_t>(made->used)) return;
  for (Py_ssize_t i = 0; i <= source->mask; ++i) {
    if (source->table[i].key && !members.contains(source->table[i].hash)) return;
  }
  give_table(made, source->mask);
  for (Py_ssize_t i = 0; i <= source->mask; ++i) {
    const Py_hash_t hash = source->table[i].hash;
    if (source->table[i].key) made->table[i] = {members[hash], hash};
  }
}

}  // namespace firn::heap
