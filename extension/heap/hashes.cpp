// The last step of a copy: the hashes that CPython would cache in it, and tables whose keys hash by
// identity.
//
// While threads copy, a tuple may have children that another thread has not completed. What cannot
// be decided at once waits for check_hashes(), which goes through it children first, with a stack
// of its own.
#include "heap/hashes.hpp"

#include "heap/freezer.hpp"
#include "heap/static_objects.hpp"
#include "heap/tables.hpp"
#include "heap/types.hpp"

namespace firn::heap {
namespace {

enum class Hash { known, never, later };

Py_hash_t cached(const Py_hash_t& hash) { return __atomic_load_n(&hash, __ATOMIC_ACQUIRE); }

// The cached hash of a container that caches it, by reference; nullptr for every other type.
Py_hash_t* cache_of(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyTuple_Type) return &reinterpret_cast<PyTupleObject*>(object)->ob_hash;
  if (type == &PyFrozenSet_Type) return &reinterpret_cast<PySetObject*>(object)->hash;
  if (type == builtin_frozendict_type()) return &frozendict_hash(object);
  return nullptr;
}

bool is_frozen_face(PyTypeObject* type) {
  return type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type();
}

// Whether the hash of a copy, or of a static object, can be had without Python.
Hash hash_state(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
      type == &PyBytes_Type || is_static(object)) {
    return Hash::known;
  }
  if (is_frozen_face(type)) return Hash::never;
  if (const Py_hash_t* cache = cache_of(object))
    return cached(*cache) == -1 ? Hash::later : Hash::known;
  return type == &PyComplex_Type ? Hash::known : Hash::later;
}

// Whether a key's hash may differ from its original's: by identity (NaN), or by something in it
// that does.
bool may_differ(PyObject* key) {
  PyTypeObject* type = Py_TYPE(key);
  return type == &PyFloat_Type || type == &PyComplex_Type || type == &PyTuple_Type ||
         type == &PyFrozenSet_Type || type == &PySlice_Type || type == builtin_frozendict_type();
}

// Calls visit(key, hash in the table) for every key of a dict's or set's copy that may differ;
// stops when that returns false.
template <typename Visit>
bool for_each_doubtful_key(PyObject* table, Visit&& visit) {
  if (PyFrozenSet_CheckExact(table)) {
    const auto* set = reinterpret_cast<PySetObject*>(table);
    for (Py_ssize_t i = 0; i <= set->mask; ++i) {
      const setentry& entry = set->table[i];
      if (entry.key && entry.hash != -1 && may_differ(entry.key) && !visit(entry.key, entry.hash))
        return false;
    }
    return true;
  }
  PyDictKeysObject* keys = dict_of(table)->ma_keys;
  if (DK_IS_UNICODE(keys)) return true;
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    const PyDictKeyEntry& entry = DK_ENTRIES(keys)[i];
    if (may_differ(entry.me_key) && !visit(entry.me_key, entry.me_hash)) return false;
  }
  return true;
}

// The table inside a container, for what has one.
PyObject* table_of(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyFrozenSet_Type || type == frozen_dict_type() || type == builtin_frozendict_type())
    return object;
  if (type == frozen_face_type()) return reinterpret_cast<FrozenFace*>(object)->inner;
  return nullptr;
}

// What has to be decided before the object.
template <typename Visit>
void for_each_dependency(PyObject* object, Visit&& visit) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyTuple_Type) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) visit(PyTuple_GET_ITEM(object, i));
  } else if (type == &PySlice_Type) {
    const auto* slice = reinterpret_cast<PySliceObject*>(object);
    visit(slice->start);
    visit(slice->stop);
    visit(slice->step);
  } else if (PyObject* table = table_of(object)) {
    for_each_doubtful_key(table, [&](PyObject* key, Py_hash_t) {
      visit(key);
      return true;
    });
    if (type == builtin_frozendict_type()) {
      PyDictKeysObject* keys = dict_of(table)->ma_keys;
      for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
        visit(DK_IS_UNICODE(keys) ? DK_UNICODE_ENTRIES(keys)[i].me_value
                                  : DK_ENTRIES(keys)[i].me_value);
      }
    }
  }
}

// Decides one object whose dependencies are decided: a container among them that has no hash now
// has none.
void decide(PyObject* object) {
  PyObject* table = table_of(object);
  if (table) {
    const bool same = for_each_doubtful_key(
        table, [](PyObject* key, Py_hash_t known) { return PyObject_Hash(key) == known; });
    if (!same) {
      if (PyFrozenSet_CheckExact(table)) {
        rehash_set(reinterpret_cast<PySetObject*>(table));
      } else {
        rehash_dict(dict_of(table));
      }
    }
  }
  PyTypeObject* type = Py_TYPE(object);
  if (type == frozen_dict_type()) return;
  if (type == frozen_face_type()) object = table;
  bool hashable = true;
  for_each_dependency(object, [&](PyObject* child) {
    const Py_hash_t* cache = cache_of(child);
    if (is_frozen_face(Py_TYPE(child)) || (cache && *cache == -1)) hashable = false;
  });
  if (hashable && PyObject_Hash(object) == -1) PyErr_Clear();  // a TypeError: it has no hash
}

}  // namespace

void Copier::complete(PyObject* copy) {
  // Of a record that is a tuple, that tuple.
  if (is_frozen_face(Py_TYPE(copy)) &&
      reinterpret_cast<FrozenFace*>(copy)->kind == FaceKind::tuple_record) {
    copy = reinterpret_cast<FrozenFace*>(copy)->inner;
  }
  if (Py_TYPE(copy) == &PyTuple_Type) {
    bool later = false;
    const Py_ssize_t size = PyTuple_GET_SIZE(copy);
    for (Py_ssize_t i = 0; i < size; ++i) {
      const Hash state = hash_state(PyTuple_GET_ITEM(copy, i));
      if (state == Hash::never) return;
      later |= state == Hash::later;
    }
    if (later) {
      unchecked_.push_back(copy);
      return;
    }
    PyTuple_Type.tp_hash(copy);  // stores it; other threads may look at any time
    return;
  }
  PyObject* table = table_of(copy);
  const bool same = Py_TYPE(copy) != builtin_frozendict_type() &&
                    for_each_doubtful_key(table, [](PyObject* key, Py_hash_t known) {
                      return hash_state(key) == Hash::known && Py_TYPE(key)->tp_hash(key) == known;
                    });
  if (!same) {
    unchecked_.push_back(copy);
  } else if (PyFrozenSet_CheckExact(table)) {
    PyFrozenSet_Type.tp_hash(table);
  }
}

void check_hashes(const std::vector<PyObject*>& unchecked) {
  PointerTable seen;
  std::vector<std::pair<PyObject*, bool>> stack;  // with whether its dependencies are on the stack
  for (PyObject* object : unchecked) {
    if (seen.find(object)) continue;
    seen.insert(object, object);
    stack.emplace_back(object, false);
    while (!stack.empty()) {
      auto& [top, entered] = stack.back();
      if (entered) {
        PyObject* ready = top;
        stack.pop_back();
        decide(ready);
        continue;
      }
      entered = true;
      for_each_dependency(top, [&](PyObject* child) {
        const Py_hash_t* cache = cache_of(child);
        const bool waits = (cache && *cache == -1 && in_heap(child)) || PySlice_Check(child);
        if (!waits || seen.find(child)) return;
        seen.insert(child, child);
        stack.emplace_back(child, false);
      });
    }
  }
}

}  // namespace firn::heap
