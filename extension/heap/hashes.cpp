// The last step of a copy: the hashes that CPython would cache in it, and tables whose keys hash by
// identity.
//
// While threads copy, a tuple may have children that another thread has not completed. What cannot
// be decided at once waits for check_hashes(), which goes through it children first, with a stack
// of its own. Hashes of instances are found natively: by identity, or as a tuple's; one that a
// __hash__ tells stays unknown, for it would run code of the class.
#include "heap/hashes.hpp"

#include <cmath>
#include <utility>

#include "heap/freezer.hpp"
#include "heap/records/layouts.hpp"
#include "heap/segments.hpp"
#include "heap/static_objects.hpp"
#include "heap/tables.hpp"
#include "heap/types.hpp"

namespace firn::heap {
namespace {

enum class Hash : std::uintptr_t {
  later,  // not decided yet
  known,
  never,   // has none
  python,  // a __hash__, or another interpreter's own object, tells
};

struct HashOf {
  Hash state;
  Py_hash_t value = -1;
};

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
  return type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type() ||
         type == frozen_callable_type();
}

// What decides the hash of an object in its place: of a record that hashes as the tuple or
// frozenset that it is, that; else the object.
PyObject* decider(PyObject* object) {
  if (!is_frozen_face(Py_TYPE(object)) || !is_record_face(object)) return object;
  if (layout_of(object)->hash != HashBy::value) return object;
  return reinterpret_cast<FrozenFace*>(object)->inner;
}

// The hash of a copy, or of a static object, as far as it can be had without Python. Any thread.
HashOf native_hash(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) return {Hash::known, reinterpret_cast<PyASCIIObject*>(object)->hash};
  if (type == &PyLong_Type && integer_digits(object) <= 2) {
    const Py_hash_t value = short_integer(object);  // below the modulus of CPython's hash
    return {Hash::known, value == -1 ? -2 : value};
  }
  object = decider(object);
  type = Py_TYPE(object);
  if (type == &PyLong_Type || type == &PyFloat_Type || type == &PyBytes_Type || is_static(object)) {
    return {Hash::known, type->tp_hash(object)};
  }
  if (!in_heap(object)) return {Hash::later};  // an original whose copy was deferred
  if (is_frozen_face(type)) {
    const FaceKind kind = reinterpret_cast<FrozenFace*>(object)->kind;
    if (kind >= FaceKind::twin) return {Hash::python};
    if (!is_record_face(object)) return {Hash::never};
    switch (layout_of(object)->hash) {
      case HashBy::identity:
        return {Hash::known, Py_HashPointer(object)};
      case HashBy::python:
        return {Hash::python};
      default:
        return {Hash::never};
    }
  }
  if (const Py_hash_t* cache = cache_of(object)) {
    const Py_hash_t value = cached(*cache);
    return {value == -1 ? Hash::later : Hash::known, value};
  }
  if (type == &PyComplex_Type) return {Hash::known, type->tp_hash(object)};
  return {Hash::later};
}

// The hash of a tuple, of its elements' (tupleobject.c: xxHash).
class TupleHash {
 public:
  void add(Py_hash_t element) {
    value_ += static_cast<std::uint64_t>(element) * kPrime2;
    value_ = (value_ << 31 | value_ >> 33) * kPrime1;
  }
  Py_hash_t finish(std::size_t size) const {
    const std::uint64_t value = value_ + (size ^ (kPrime5 ^ 3527539));
    return value == ~std::uint64_t{0} ? 1546275796 : static_cast<Py_hash_t>(value);
  }

 private:
  static constexpr std::uint64_t kPrime1 = 11400714785074694791u;
  static constexpr std::uint64_t kPrime2 = 14029467366897019727u;
  static constexpr std::uint64_t kPrime5 = 2870177450012600261u;
  std::uint64_t value_ = kPrime5;
};

// Whether it was complete before this freeze began: nothing is written to it any more. Of a record
// that is a tuple, that tuple may have no hash: what decides it needs Python.
bool is_complete(PyObject* object) { return in_lasting(object) && place_of(object).segment; }

void set_hash(PyObject* tuple, Py_hash_t hash) {
  __atomic_store_n(&reinterpret_cast<PyTupleObject*>(tuple)->ob_hash, hash, __ATOMIC_RELEASE);
}

// Whether a key's hash may differ from its original's: by identity (NaN, an instance), or by
// something in it that does.
bool may_differ(PyObject* key) {
  PyTypeObject* type = Py_TYPE(key);
  return type == &PyFloat_Type || type == &PyComplex_Type || type == &PyTuple_Type ||
         type == &PyFrozenSet_Type || type == &PySlice_Type || type == builtin_frozendict_type() ||
         is_frozen_face(type) || (!in_heap(key) && !is_static(key));
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
  if (type == &PyFrozenSet_Type || type == builtin_frozendict_type()) return object;
  if (!is_frozen_face(type)) return nullptr;
  switch (reinterpret_cast<FrozenFace*>(object)->kind) {
    case FaceKind::dict:
    case FaceKind::ordered_dict:
    case FaceKind::default_dict:
    case FaceKind::counter:
    case FaceKind::dict_record:
    case FaceKind::set:
    case FaceKind::set_record:
      return reinterpret_cast<FrozenFace*>(object)->inner;
    default:
      return nullptr;
  }
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

// Whether a __hash__ that looks at this may say something else of the copy than of the original: an
// instance, or NaN, hashes by identity. Looks at so many parts; what has more may.
bool tells_identity(PyObject* object, unsigned& parts) {
  if (!parts) return true;
  --parts;
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyFloat_Type) return std::isnan(PyFloat_AS_DOUBLE(object));
  if (is_static(object)) return false;
  bool tells = false;
  const auto look_at = [&](PyObject* part) {
    if (part && !tells) tells = tells_identity(part, parts);
  };
  if (type == &PyDict_Type) {  // of a frozen container
    Py_ssize_t at = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    while (PyDict_Next(object, &at, &key, &value)) {
      look_at(key);
      look_at(value);
    }
    return tells;
  }
  if (!is_frozen_face(type)) {
    for_each_dependency(object, look_at);
    return tells;
  }
  const auto* face = reinterpret_cast<FrozenFace*>(object);
  if (face->kind == FaceKind::definition) return true;
  if (face->kind == FaceKind::twin || face->kind == FaceKind::buffer) return false;
  if (is_record_face(object)) {
    const Layout* layout = layout_of(object);
    if (layout->hash == HashBy::identity) return true;
    const auto* record = reinterpret_cast<FrozenRecord*>(object);
    for (std::size_t i = 0; i < layout->count; ++i) look_at(record->fields[i]);
  }
  look_at(face->inner);
  return tells;
}

// The same of something whose hash needs Python.
bool may_hash_anew(PyObject* object) {
  unsigned parts = 256;
  return tells_identity(object, parts);
}

// Goes through what waited. One thread, with the GIL.
class Check {
 public:
  explicit Check(const std::vector<Unchecked>& unchecked) : unchecked_(unchecked) {
    for (const Unchecked& entry : unchecked) {
      if (!entries_.find(entry.copy)) entries_.insert(entry.copy, const_cast<Unchecked*>(&entry));
    }
  }

  std::vector<PyObject*> run() {
    for (const Unchecked& entry : unchecked_) visit(entry.copy);
    return std::move(only_python_);
  }

 private:
  void visit(PyObject* object) {
    if (seen_.find(object)) return;
    std::vector<std::pair<PyObject*, bool>>
        stack;  // with whether its dependencies are on the stack
    seen_.insert(object, object);
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
        child = decider(child);
        if (native_hash(child).state != Hash::later || seen_.find(child)) return;
        seen_.insert(child, child);
        stack.emplace_back(child, false);
      });
    }
  }

  // Of an object that is decided, or needs no decision.
  HashOf hash_of(PyObject* object) {
    object = decider(object);
    const HashOf native = native_hash(object);
    if (native.state != Hash::later) return native;
    if (void* found = states_.find(object))
      return {static_cast<Hash>(reinterpret_cast<std::uintptr_t>(found))};
    // A date, a range, a slice of such: nobody's class. A cycle of tuples has no hash.
    if (cache_of(object)) return {Hash::never};
    const Py_hash_t value = PyObject_Hash(object);
    if (value == -1) PyErr_Clear();
    return {value == -1 ? Hash::never : Hash::known, value};
  }

  void set_state(PyObject* object, Hash state) {
    states_.insert(object, reinterpret_cast<void*>(state));
  }

  void decide(PyObject* object) {
    PyTypeObject* type = Py_TYPE(object);
    if (type == &PyTuple_Type) {
      decide_tuple(object);
      return;
    }
    PyObject* table = table_of(object);
    if (table && is_complete(table)) {
      set_state(object, Hash::python);
      return;
    }
    if (table) check_table(table);
    if (table && has_key_that_hashes_anew(table)) {
      // Every interpreter gets a table of its own.
      if (is_frozen_face(type)) {
        reinterpret_cast<FrozenFace*>(object)->flags |= kKeyedByTwins;
        return;
      }
      set_state(object, Hash::python);
      if (entries_.find(object)) only_python_.push_back(object);  // not a record's own part
      return;
    }
    if (table && PyFrozenSet_CheckExact(table)) {
      PyFrozenSet_Type.tp_hash(table);  // of the hashes in its table
    } else if (type == builtin_frozendict_type() || type == &PySlice_Type) {
      Hash state = Hash::known;
      for_each_dependency(object, [&](PyObject* child) {
        const Hash child_state = hash_of(child).state;
        if (child_state == Hash::never || state == Hash::known) state = child_state;
      });
      if (state == Hash::known) {
        if (PyObject_Hash(object) == -1) PyErr_Clear();
        return;
      }
      set_state(object, state);
      if (state == Hash::python && type != &PySlice_Type) only_python_.push_back(object);
    } else if (!is_frozen_face(type)) {
      if (PyObject_Hash(object) == -1) PyErr_Clear();  // a date: is cached in it
    }
  }

  bool has_key_that_hashes_anew(PyObject* table) {
    return !for_each_doubtful_key(table, [this](PyObject* key, Py_hash_t) {
      return hash_of(key).state != Hash::python || !may_hash_anew(key);
    });
  }

  void check_table(PyObject* table) {
    const bool same = for_each_doubtful_key(table, [this](PyObject* key, Py_hash_t known) {
      const HashOf hash = hash_of(key);
      return hash.state != Hash::known || hash.value == known;
    });
    if (same) return;
    const auto new_hash = [this](PyObject* key, Py_hash_t known) {
      if (!may_differ(key)) return known;
      const HashOf hash = hash_of(key);
      return hash.state == Hash::known ? hash.value : known;
    };
    if (PyFrozenSet_CheckExact(table)) {
      rehash_set(reinterpret_cast<PySetObject*>(table), new_hash);
    } else {
      rehash_dict(dict_of(table), new_hash);
    }
  }

  void decide_tuple(PyObject* tuple) {
    TupleHash hash;
    const Py_ssize_t size = PyTuple_GET_SIZE(tuple);
    Hash state = Hash::known;
    for (Py_ssize_t i = 0; i < size; ++i) {
      const HashOf element = hash_of(PyTuple_GET_ITEM(tuple, i));
      hash.add(element.value);
      if (element.state == Hash::never || (element.state == Hash::python && state == Hash::known))
        state = element.state;
    }
    if (is_complete(tuple)) {
      set_state(tuple, state == Hash::never ? state : Hash::python);
      return;
    }
    if (state == Hash::known) {
      set_hash(tuple, hash.finish(static_cast<std::size_t>(size)));
      return;
    }
    const auto* entry = static_cast<const Unchecked*>(entries_.find(tuple));
    if (state == Hash::python && entry && entry->original != -1 && keeps_its_hash(tuple, 0)) {
      set_hash(tuple, entry->original);
      return;
    }
    set_state(tuple, state);
    if (state == Hash::python && !(entry && entry->inner)) only_python_.push_back(tuple);
  }

  // Whether nothing in it hashes by identity, so that its hash is its original's.
  static bool keeps_its_hash(PyObject* object, int depth) {
    constexpr int deepest = 16;
    PyTypeObject* type = Py_TYPE(object);
    if (type == &PyUnicode_Type || type == &PyLong_Type || type == &PyBytes_Type ||
        is_static(object)) {
      return true;
    }
    if (type == &PyFloat_Type) return !std::isnan(PyFloat_AS_DOUBLE(object));
    if (is_frozen_face(type)) {
      return is_record_face(object) && layout_of(object)->hash == HashBy::python &&
             !may_hash_anew(object);
    }
    if (type != &PyTuple_Type || depth == deepest) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
      if (!keeps_its_hash(PyTuple_GET_ITEM(object, i), depth + 1)) return false;
    }
    return true;
  }

  const std::vector<Unchecked>& unchecked_;
  PointerTable entries_;  // of unchecked_, by the copy
  PointerTable seen_;
  PointerTable states_;  // of what turned out to have no hash, or a Python one
  std::vector<PyObject*> only_python_;
};

}  // namespace

void Copier::complete(const Frame& frame) {
  PyObject* copy = frame.copy;
  // Of a record that is a tuple, that tuple.
  const bool inner = is_frozen_face(Py_TYPE(copy)) &&
                     reinterpret_cast<FrozenFace*>(copy)->kind == FaceKind::tuple_record;
  if (inner) copy = reinterpret_cast<FrozenFace*>(copy)->inner;
  if (Py_TYPE(copy) == &PyTuple_Type) {
    TupleHash hash;
    bool never = false;
    bool later = false;
    bool pending = false;
    const Py_ssize_t size = PyTuple_GET_SIZE(copy);
    for (Py_ssize_t i = 0; i < size; ++i) {
      PyObject* element = PyTuple_GET_ITEM(copy, i);
      const HashOf known = native_hash(element);
      hash.add(known.value);
      never |= known.state == Hash::never;
      later |= known.state == Hash::later || known.state == Hash::python;
      pending |= known.state == Hash::later && !in_heap(element);
    }
    if (pending || (later && !never)) {
      const bool tuple = PyTuple_Check(frame.source);
      unchecked_.push_back(
          {copy, tuple ? reinterpret_cast<PyTupleObject*>(frame.source)->ob_hash : -1, inner});
    } else if (!never) {
      set_hash(copy, hash.finish(static_cast<std::size_t>(size)));
    }
    return;
  }
  PyObject* table = table_of(copy);
  const bool same = Py_TYPE(copy) != builtin_frozendict_type() &&
                    for_each_doubtful_key(table, [](PyObject* key, Py_hash_t known) {
                      const HashOf hash = native_hash(key);
                      // A twin's hash is that of its value; of all else it has to be found out.
                      if (hash.state == Hash::python)
                        return reinterpret_cast<FrozenFace*>(key)->kind == FaceKind::twin;
                      return hash.state == Hash::known && hash.value == known;
                    });
  if (!same) {
    unchecked_.push_back({copy, -1, false});
  } else if (PyFrozenSet_CheckExact(table)) {
    PyFrozenSet_Type.tp_hash(table);
  }
}

std::vector<PyObject*> check_hashes(const std::vector<Unchecked>& unchecked) {
  return Check(unchecked).run();
}

}  // namespace firn::heap
