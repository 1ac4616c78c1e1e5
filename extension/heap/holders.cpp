// Who else holds originals of what was frozen.
//
// A tuple cannot be changed: it has to be made anew, and who holds it is looked for in a further
// round, as if the tuple were an original.
#include "heap/holders.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "heap/arena.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"
#include "heap/types.hpp"

namespace firn::heap {

Holders::~Holders() {
  for (const auto& [holder, value] : found_) Py_DECREF(holder);
  for (const auto& [original, form] : kept_) {
    Py_DECREF(original);
    Py_DECREF(form);
  }
}

void Holders::note(PyObject* holder, std::size_t value) {
  found_.emplace_back(Py_NewRef(holder), value);
}

void Holders::put(PyObject* original, PyObject* form) {
  kept_.emplace_back(Py_NewRef(original), Py_NewRef(form));
  forms_.insert(original, form);
}

bool Holders::swap(PyObject* container) const {
  if (PyList_CheckExact(container)) {
    auto* list = reinterpret_cast<PyListObject*>(container);
    for (Py_ssize_t i = 0; i < Py_SIZE(list); ++i) {
      PyObject* const original = list->ob_item[i];
      PyObject* const form = form_of(original);
      if (!form) continue;
      list->ob_item[i] = Py_NewRef(form);
      Py_DECREF(original);  // not its end: it is kept
    }
    return true;
  }
  const auto is_plain = [](PyObject* key) {
    return PyUnicode_CheckExact(key) || PyLong_CheckExact(key);
  };
  Py_ssize_t at = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(container, &at, &key, &value)) {
    if (form_of(key) || (!is_plain(key) && form_of(value))) return false;
  }
  at = 0;
  while (PyDict_Next(container, &at, &key, &value)) {
    PyObject* const form = form_of(value);
    if (form && PyDict_SetItem(container, key, form) < 0) {
      PyErr_Clear();
      return false;
    }
  }
  return true;
}

class Search {
 public:
  Search(const Memo& memo, const InterpreterTypes& types, std::size_t most, Holders& holders)
      : memo_(memo), types_(types), left_(most), holders_(holders) {}

  // One round; whether tuples were found that have to be looked for.
  bool run(const std::vector<PyObject*>& values) {
    wanted_ = std::exchange(tuples_, {});
    seen_.clear();
    for (std::size_t i = 0; i < values.size() && left_; ++i) {
      if (in_heap(values[i]) || memo_.find(values[i])) continue;
      consider(values[i]);
      while (!todo_.empty() && left_) {
        PyObject* const holder = todo_.back();
        todo_.pop_back();
        if (look_into(holder)) note(holder, i);
      }
      todo_.clear();
    }
    first_round_ = false;
    return !tuples_.empty();
  }

 private:
  static int gather(PyObject* child, void* children) {
    static_cast<std::vector<PyObject*>*>(children)->push_back(child);
    return 0;
  }

  // Whether it holds what is looked for. What it refers to lies anywhere: it is asked for ahead.
  bool look_into(PyObject* holder) {
    constexpr std::size_t ahead = 16;
    children_.clear();
    Py_TYPE(holder)->tp_traverse(holder, &Search::gather, &children_);
    const std::size_t count = std::min(children_.size(), left_);
    left_ -= count;
    bool hit = false;
    for (std::size_t i = 0; i < count; ++i) {
      if (i + ahead < count) __builtin_prefetch(children_[i + ahead]);
      if (i + ahead / 2 < count) memo_.prefetch(children_[i + ahead / 2]);
      if (look_at(children_[i])) hit = true;
    }
    return hit;
  }

  bool look_at(PyObject* child) {
    if (!PyObject_IS_GC(child) || in_heap(child)) return false;
    const bool alone = Py_REFCNT(child) == 1;  // in the graph as well, it had two
    if (!alone && !is_static(child)) {
      if (holders_.form_of(child)) return first_round_;
      if (auto* frozen = static_cast<PyObject*>(memo_.find(child))) {
        if (!first_round_ || !takes_its_place(child, frozen)) return false;
        holders_.put(child, frozen);
        return true;
      }
    }
    consider(child);
    return !first_round_ && PyTuple_CheckExact(child) && wanted_.contains(child);
  }

  // Puts what may hold originals on the list, once.
  void consider(PyObject* object) {
    if (!may_hold(Py_TYPE(object))) return;
    if (Py_REFCNT(object) > 1) {
      if (seen_.find(object)) return;
      seen_.insert(object, object);
    }
    todo_.push_back(object);
  }

  void note(PyObject* holder, std::size_t value) {
    if (PyTuple_CheckExact(holder)) {
      if (!known_tuples_.insert(holder).second) return;
      tuples_.insert(holder);
    }
    holders_.note(holder, value);
  }

  bool may_hold(PyTypeObject* type) {
    if (type == &PyList_Type || type == &PyDict_Type || type == &PySet_Type ||
        type == &PyTuple_Type || type == &PyODict_Type || type == types_.deque ||
        type == types_.default_dict || type == types_.counter)
      return true;
    constexpr unsigned long containers =
        Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_DICT_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS;
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || !(type->tp_flags & Py_TPFLAGS_HAVE_GC) ||
        (type->tp_flags & (Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_TYPE_SUBCLASS | containers)))
      return false;
    const auto [known, is_new] = own_classes_.try_emplace(type, false);
    if (is_new) {
      PyObject* module = PyDict_GetItemString(type->tp_dict, "__module__");
      known->second = module && PyUnicode_Check(module) &&
                      PyUnicode_CompareWithASCIIString(module, "__main__") == 0 &&
                      !PyType_IsSubtype(type, &PySet_Type) &&
                      !PyType_IsSubtype(type, &PyFrozenSet_Type);
    }
    return known->second;
  }

  const Memo& memo_;
  const InterpreterTypes& types_;
  std::size_t left_;
  Holders& holders_;
  bool first_round_ = true;
  std::vector<PyObject*> todo_;
  std::vector<PyObject*> children_;  // of one
  PointerTable seen_;
  std::unordered_set<PyObject*> known_tuples_;
  std::unordered_set<PyObject*> tuples_;  // found in this round
  std::unordered_set<PyObject*> wanted_;  // found in the round before
  std::unordered_map<PyTypeObject*, bool> own_classes_;
};

bool takes_its_place(PyObject* original, PyObject* frozen) {
  if (PyList_CheckExact(original) || PyDict_CheckExact(original) || PySet_CheckExact(original))
    return true;
  if (!PyObject_IS_GC(original) || !in_heap(frozen)) return false;
  const PyTypeObject* type = Py_TYPE(frozen);
  if (type == &PyTuple_Type || type == &PyFrozenSet_Type) return true;
  return (type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type() ||
          type == frozen_callable_type()) &&
         !is_twin(frozen);
}

void find_holders(const Memo& memo, const InterpreterTypes& types,
                  const std::vector<PyObject*>& values, std::size_t most, Holders& holders) {
  Search search(memo, types, most, holders);
  while (search.run(values)) {
  }
}

}  // namespace firn::heap
