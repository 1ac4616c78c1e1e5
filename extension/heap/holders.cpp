// Who else holds originals of what was frozen.
//
// A tuple cannot be changed: it has to be made anew, and who holds it is looked for in a further
// round, as if the tuple were an original.
#include "heap/holders.hpp"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "heap/arena.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"
#include "heap/types.hpp"

namespace firn::heap {
namespace {

class Search {
 public:
  Search(const Memo& memo, const InterpreterTypes& types, std::size_t most)
      : memo_(memo), types_(types), left_(most) {}

  // One round; whether tuples were found that have to be looked for.
  bool run(const std::vector<PyObject*>& values) {
    wanted_ = std::exchange(tuples_, {});
    seen_.clear();
    for (std::size_t i = 0; i < values.size() && left_; ++i) {
      if (in_heap(values[i]) || memo_.find(values[i])) continue;
      consider(values[i]);
      while (!todo_.empty() && left_) {
        PyObject* holder = todo_.back();
        todo_.pop_back();
        hit_ = false;
        Py_TYPE(holder)->tp_traverse(holder, &Search::visit, this);
        if (hit_) note(holder, i);
      }
      todo_.clear();
    }
    first_round_ = false;
    return !tuples_.empty();
  }

  Holders holders;

 private:
  static int visit(PyObject* child, void* search) {
    return static_cast<Search*>(search)->look_at(child);
  }

  int look_at(PyObject* child) {
    if (!left_) return 1;
    --left_;
    if (!PyObject_IS_GC(child) || in_heap(child)) return 0;
    const bool alone = Py_REFCNT(child) == 1;  // in the graph as well, it had two
    if (!alone && !is_static(child)) {
      if (void* frozen = memo_.find(child)) {
        if (first_round_ && takes_its_place(child, static_cast<PyObject*>(frozen))) {
          hit_ = true;
          if (!replaced_.find(child)) {
            replaced_.insert(child, frozen);
            holders.replaced.emplace_back(child, static_cast<PyObject*>(frozen));
          }
        }
        return 0;
      }
    }
    if (!first_round_ && PyTuple_CheckExact(child) && wanted_.contains(child)) hit_ = true;
    consider(child);
    return 0;
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
    holders.found.emplace_back(holder, value);
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
  bool first_round_ = true;
  bool hit_ = false;
  std::vector<PyObject*> todo_;
  PointerTable seen_;
  PointerTable replaced_;
  std::unordered_set<PyObject*> known_tuples_;
  std::unordered_set<PyObject*> tuples_;  // found in this round
  std::unordered_set<PyObject*> wanted_;  // found in the round before
  std::unordered_map<PyTypeObject*, bool> own_classes_;
};

}  // namespace

bool takes_its_place(const PyObject* original, PyObject* frozen) {
  if (PyUnicode_CheckExact(original) || !in_heap(frozen)) return false;
  const PyTypeObject* type = Py_TYPE(frozen);
  if (type == &PyTuple_Type || type == &PyFrozenSet_Type) return true;
  return (type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type() ||
          type == frozen_callable_type()) &&
         !is_twin(frozen);
}

Holders find_holders(const Memo& memo, const InterpreterTypes& types,
                     const std::vector<PyObject*>& values, std::size_t most) {
  Search search(memo, types, most);
  while (search.run(values)) {
  }
  return std::move(search.holders);
}

}  // namespace firn::heap
