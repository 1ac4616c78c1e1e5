#include "heap/twins/shells.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "heap/faces/faces.hpp"
#include "heap/records/layouts.hpp"
#include "heap/tables.hpp"
#include "heap/twins/resolved.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

using faces::Ref;

bool is_shell(PyObject* object) {
  return is_twin(object) && reinterpret_cast<FrozenFace*>(object)->kind == FaceKind::shell;
}

bool is_face_type(PyTypeObject* type) {
  return type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type() ||
         type == frozen_callable_type();
}

// Whether C code reads it, so that it would have to become a shell.
bool is_exact(PyObject* object) { return becomes_shell(Py_TYPE(object)); }

bool is_changing(PyObject* twin) {
  return !(reinterpret_cast<FrozenFace*>(twin)->flags & kUnchanging);
}

// Calls visit(child, whether it is a key) for what the slots of a tuple, set or dict hold.
template <typename Visit>
void for_each_in(PyObject* part, Visit&& visit) {
  PyTypeObject* type = Py_TYPE(part);
  if (type == &PyTuple_Type) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(part); ++i) visit(PyTuple_GET_ITEM(part, i), false);
  } else if (type == &PyFrozenSet_Type) {
    const auto* set = reinterpret_cast<PySetObject*>(part);
    for (Py_ssize_t i = 0; i <= set->mask; ++i) {
      if (set->table[i].key && set->table[i].hash != -1) visit(set->table[i].key, true);
    }
  } else if (type == &PySlice_Type) {
    const auto* slice = reinterpret_cast<PySliceObject*>(part);
    for (PyObject* child : {slice->start, slice->stop, slice->step}) visit(child, false);
  } else if (type == &PyDict_Type || (type == builtin_frozendict_type() && type)) {
    auto* dict = reinterpret_cast<PyDictObject*>(part);
    PyDictKeysObject* keys = dict->ma_keys;
    for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
      PyObject* value = dict->ma_values       ? dict->ma_values->values[i]
                        : DK_IS_UNICODE(keys) ? DK_UNICODE_ENTRIES(keys)[i].me_value
                                              : DK_ENTRIES(keys)[i].me_value;
      if (!value) continue;
      visit(key_at(dict, static_cast<std::size_t>(i)), true);
      visit(value, false);
    }
  }
}

// The same for any copy; the parts that a frozen container consists of are not children of it.
template <typename Visit>
void for_each_child(PyObject* object, Visit&& visit) {
  if (!is_face_type(Py_TYPE(object))) {
    for_each_in(object, visit);
    return;
  }
  auto* face = reinterpret_cast<FrozenFace*>(object);
  if (face->kind == FaceKind::buffer || face->kind == FaceKind::definition) return;
  if (face->inner) for_each_in(face->inner, visit);
  if (face->kind == FaceKind::twin) {
    if (PyObject* state = reinterpret_cast<FrozenTwin*>(object)->state) for_each_in(state, visit);
  } else if (is_record_face(object)) {
    const auto* record = reinterpret_cast<FrozenRecord*>(object);
    for (std::size_t i = 0; i < layout_of(object)->count; ++i) {
      if (record->fields[i]) visit(record->fields[i], false);
    }
  } else if (face->kind == FaceKind::default_dict && face->extra) {
    visit(face->extra, false);
  }
}

// One thread; nobody else reads what is being frozen.
class Conversion {
 public:
  Conversion(const std::vector<PyObject*>& first, const std::vector<Copier*>& copiers)
      : region_(copiers.front()->region()) {
    for (Copier* copier : copiers) copier->region().add_extents(extents_);
    std::ranges::sort(extents_, {}, &Extent::begin);
    for (PyObject* object : first) {
      if (is_ours(object)) enter(object);
    }
  }

  void run(const std::vector<PyObject*>& roots) {
    for (PyObject* root : roots) walk(root);
    std::ranges::sort(holdings_, {}, &Holding::child);
    while (!todo_.empty()) {
      PyObject* child = todo_.back();
      todo_.pop_back();
      convert(child);
      const auto [begin, end] = std::ranges::equal_range(holdings_, child, {}, &Holding::child);
      for (auto at = begin; at != end; ++at) {
        if (is_face_type(Py_TYPE(at->holder))) {
          auto* face = reinterpret_cast<FrozenFace*>(at->holder);
          if (face->kind < FaceKind::twin) face->flags |= at->key ? kKeyedByTwins : kHoldsTwins;
        } else {
          enter(at->holder);
        }
      }
    }
    mark_changing();
  }

 private:
  struct Holding {
    PyObject* child;
    PyObject* holder;
    bool key;
  };

  void enter(PyObject* object) {
    if (changing_.find(object)) return;
    changing_.insert(object, object);
    todo_.push_back(object);
  }

  // Whether this freeze has made it.
  bool is_ours(const void* object) const {
    const char* at = static_cast<const char*>(object);
    auto after = std::ranges::upper_bound(extents_, at, {}, &Extent::begin);
    return after != extents_.begin() && at < std::prev(after)->end;
  }

  void walk(PyObject* root) {
    std::vector<PyObject*> stack{root};
    while (!stack.empty()) {
      PyObject* object = stack.back();
      stack.pop_back();
      if (!is_ours(object)) continue;
      // What is not shared is met once.
      if (is_marked_shared(object)) {
        if (seen_.find(object)) continue;
        seen_.insert(object, object);
      }
      for_each_child(object, [&](PyObject* child, bool key) {
        if (!is_ours(child)) return;
        if (is_exact(child)) {
          holdings_.push_back({child, object, key});
        } else if (!is_face_type(Py_TYPE(child))) {
          return;
        }
        stack.push_back(child);
      });
    }
  }

  // In its place: all pointers to it stay.
  void convert(PyObject* object) {
    PyTypeObject* type = Py_TYPE(object);
    std::vector<PyObject*> items;
    for_each_in(object, [&](PyObject* child, bool) { items.push_back(child); });
    const std::size_t size = offsetof(PyTupleObject, ob_item) + items.size() * sizeof(PyObject*);
    char* at = region_.allocate(sizeof(PyGC_Head) + size);
    std::memset(at, 0, sizeof(PyGC_Head) + sizeof(PyTupleObject));
    auto* tuple = reinterpret_cast<PyTupleObject*>(at + sizeof(PyGC_Head));
    set_header(reinterpret_cast<PyObject*>(tuple), &PyTuple_Type, false);
    reinterpret_cast<PyVarObject*>(tuple)->ob_size = static_cast<Py_ssize_t>(items.size());
    tuple->ob_hash = 1;  // nobody asks it
    std::ranges::copy(items, tuple->ob_item);
    auto* face = reinterpret_cast<FrozenFace*>(object);
    face->inner = reinterpret_cast<PyObject*>(tuple);
    face->kind = FaceKind::shell;
    face->flags = kUnchanging;
    face->layout = 0;
    face->extra = reinterpret_cast<PyObject*>(type);
    object->ob_type = frozen_face_type();
    shells_.push_back(object);
  }

  // Shells of objects that change, and shells of these.
  void mark_changing() {
    std::vector<PyObject*> changing;
    const auto mark = [&](PyObject* shell) {
      reinterpret_cast<FrozenFace*>(shell)->flags &= ~kUnchanging;
      changing.push_back(shell);
    };
    for (PyObject* shell : shells_) {
      PyObject* items = reinterpret_cast<FrozenFace*>(shell)->inner;
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); ++i) {
        PyObject* item = PyTuple_GET_ITEM(items, i);
        if (is_changing(shell) || !is_twin(item) || !is_changing(item)) continue;
        mark(shell);
      }
    }
    while (!changing.empty()) {
      PyObject* child = changing.back();
      changing.pop_back();
      const auto [begin, end] = std::ranges::equal_range(holdings_, child, {}, &Holding::child);
      for (auto at = begin; at != end; ++at) {
        if (is_twin(at->holder) && changing_.find(at->holder) && !is_changing(at->holder))
          mark(at->holder);
      }
    }
  }

  Region& region_;
  std::vector<Extent> extents_;
  PointerTable changing_;
  PointerTable seen_;
  std::vector<PyObject*> todo_;
  std::vector<Holding> holdings_;
  std::vector<PyObject*> shells_;
};

// ---- reading ----

PyObject* finish(PyObject* type, Ref items) {
  auto* kind = reinterpret_cast<PyTypeObject*>(type);
  if (kind == &PyTuple_Type) return items.release();
  if (kind == &PyFrozenSet_Type) return PyFrozenSet_New(items.get());
  if (kind == &PySlice_Type) {
    return PySlice_New(PyTuple_GET_ITEM(items.get(), 0), PyTuple_GET_ITEM(items.get(), 1),
                       PyTuple_GET_ITEM(items.get(), 2));
  }
  Ref dict(PyDict_New());
  for (Py_ssize_t i = 0; dict && i + 1 < PyTuple_GET_SIZE(items.get()); i += 2) {
    if (PyDict_SetItem(dict.get(), PyTuple_GET_ITEM(items.get(), i),
                       PyTuple_GET_ITEM(items.get(), i + 1)) < 0)
      return nullptr;
  }
  return dict ? PyObject_CallOneArg(type, dict.get()) : nullptr;
}

// A shell whose items are being read.
struct Level {
  PyObject* shell;
  ReadSlot read_slot;  // how its items are read
  Ref items;
  Py_ssize_t at = 0;
};

bool enter(std::vector<Level>& levels, PyObject* shell, ReadSlot read_slot) {
  const auto* face = reinterpret_cast<FrozenFace*>(shell);
  auto* type = reinterpret_cast<PyTypeObject*>(face->extra);
  // What is hashed has to be complete.
  if (type != &PyTuple_Type && type != &PySlice_Type) read_slot = read;
  Ref items(PyTuple_New(PyTuple_GET_SIZE(face->inner)));
  if (!items) return false;
  levels.push_back({shell, read_slot, std::move(items)});
  return true;
}

}  // namespace

PyObject* make_from_shell(PyObject* outermost, ReadSlot read_outermost) {
  Resolved* const own = resolved();
  if (!own) return nullptr;
  std::vector<Level> levels;
  if (!enter(levels, outermost, read_outermost)) return nullptr;
  while (true) {
    Level& level = levels.back();
    const auto* face = reinterpret_cast<FrozenFace*>(level.shell);
    const Py_ssize_t size = PyTuple_GET_SIZE(face->inner);
    PyObject* inside = nullptr;
    for (; level.at < size; ++level.at) {
      PyObject* slot = PyTuple_GET_ITEM(face->inner, level.at);
      if (is_shell(slot) && !own->table.object_of(slot)) {
        inside = slot;
        break;
      }
      PyObject* item = level.read_slot(slot);
      if (!item) return nullptr;
      PyTuple_SET_ITEM(level.items.get(), level.at, item);
    }
    if (inside) {
      if (!enter(levels, inside, level.read_slot)) return nullptr;
      continue;
    }
    Ref made(nullptr);
    // Reading the items may have made it, by way of a cycle.
    if (PyObject* known = own->table.object_of(level.shell)) {
      made = faces::borrowed(known);
    } else {
      made = Ref(finish(face->extra, std::move(level.items)));
      if (!made || remember(level.shell, made.get()) < 0) return nullptr;
      if (level.read_slot != read) own->unfilled.push_back({level.shell, made.get()});
    }
    levels.pop_back();
    if (levels.empty()) return made.release();
  }
}

namespace {

// Its items may lead to other shells, by way of twins.
PyObject* materialise(PyObject* shell) {
  if (Py_EnterRecursiveCall(" while a frozen value is read")) return nullptr;
  PyObject* made = make_from_shell(shell, read);
  Py_LeaveRecursiveCall();
  return made;
}

}  // namespace

void make_shells(const std::vector<PyObject*>& first, const std::vector<PyObject*>& roots,
                 const std::vector<Copier*>& copiers) {
  if (!first.empty()) Conversion(first, copiers).run(roots);
}

void init_shells() { set_materialise(FaceKind::shell, materialise); }

}  // namespace firn::heap
