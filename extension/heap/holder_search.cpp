// Looks for who else holds originals of what was frozen.
//
// A tuple, a frozenset, a bound method cannot be changed: it has to be made anew, and who holds it
// is looked for in a further round, as if it were an original. So is who has an object as a key
// whose hash follows from what it holds.
#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "heap/arena.hpp"
#include "heap/holders.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

// How an object of a type is searched.
enum class Holding : std::uint8_t {
  nothing,
  refers,   // hands on what it refers to (a property): it holds no data itself
  changes,  // can be given something else
  anew,     // has to be made anew
  foreign,  // changes, and is not the notebook's
  function,
  type,
};

bool is_original_instance(PyObject* original) {
  return (Py_TYPE(original)->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
}

class Search {
 public:
  Search(const Memo& memo, const InterpreterTypes& types, Holders& holders)
      : memo_(memo), types_(types), holders_(holders) {}

  // One round, which looks at so many references, and below each value at no more than `each`;
  // whether something was found that cannot be changed, and has to be looked for.
  bool run(const std::vector<PyObject*>& values, std::size_t most, std::size_t each) {
    wanted_ = std::exchange(anew_, {});
    seen_.clear();
    foreign_ = false;
    for (std::size_t i = 0; i < values.size() && most; ++i) {
      auto* frozen = is_code(values[i]) ? nullptr : static_cast<PyObject*>(memo_.find(values[i]));
      const bool is_replaced = frozen && !may_change(frozen);
      if (in_heap(values[i]) || (is_replaced && !holders_.keeps(values[i]))) continue;
      value_ = i;
      search(values[i], most, each);
    }
    foreign_ = true;
    for (const auto& [object, value] : std::exchange(abroad_, {})) {
      if (!most) break;
      value_ = value;
      search(object, most, each);
    }
    first_round_ = false;
    return !anew_.empty();
  }

 private:
  void search(PyObject* object, std::size_t& most, std::size_t each) {
    const std::size_t before = left_ = std::min(most, each);
    consider(object);
    while (!todo_.empty() && left_) {
      PyObject* const holder = todo_.back();
      todo_.pop_back();
      if (look_into(holder)) note(holder);
    }
    todo_.clear();
    most -= before - left_;
  }

  // Stops where no more are looked at.
  static int gather(PyObject* child, void* search) {
    auto* self = static_cast<Search*>(search);
    if (self->children_.size() == self->left_) return 1;
    self->children_.push_back(child);
    return 0;
  }

  void gather_from(PyObject* holder) {
    PyTypeObject* type = Py_TYPE(holder);
    if (PyFunction_Check(holder)) {  // not its globals
      auto* function = reinterpret_cast<PyFunctionObject*>(holder);
      for (PyObject* part : {function->func_defaults, function->func_kwdefaults,
                             function->func_closure, function->func_dict})
        if (part) gather(part, this);
    } else if (PyType_Check(holder)) {  // not its bases and subclasses
      PyObject* dict = reinterpret_cast<PyTypeObject*>(holder)->tp_dict;
      if (dict) Py_TYPE(dict)->tp_traverse(dict, &Search::gather, this);
    } else {
      type->tp_traverse(holder, &Search::gather, this);
    }
  }

  // Whether it holds what is looked for. What it refers to lies anywhere: it is asked for ahead.
  bool look_into(PyObject* holder) {
    constexpr std::size_t ahead = 16;
    children_.clear();
    gather_from(holder);
    const std::size_t count = children_.size();
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
    if (!alone && !is_static(child) && !is_code(child)) {
      if (holders_.form_of(child)) return first_round_ && !is_left(child);
      auto* frozen = static_cast<PyObject*>(memo_.find(child));
      if (frozen && may_change(frozen)) {
        if (first_round_) holders_.note_twin(frozen, child);
      } else if (frozen && !holders_.keeps(child) && !is_left(child)) {
        if (!first_round_ || !takes_its_place(child, frozen)) return false;
        holders_.put(child, frozen);
        return true;
      }
    }
    consider(child);
    return !first_round_ && wanted_.contains(child);
  }

  // Frozen data only names it: it stays what it is.
  static bool is_code(PyObject* object) { return PyFunction_Check(object) || PyType_Check(object); }

  // A list that is handed to a library stays a list there.
  bool is_left(PyObject* original) const { return foreign_ && !is_original_instance(original); }

  // Puts what may hold originals on the list, once.
  void consider(PyObject* object) {
    const Holding holding = holding_of(object);
    if (holding == Holding::nothing) return;
    if (holding == Holding::foreign && !foreign_) {
      if (left_) abroad_.emplace_back(object, value_);
      left_ -= left_ ? 1 : 0;
      return;
    }
    if (Py_REFCNT(object) > 1) {
      if (seen_.find(object)) return;
      seen_.insert(object, object);
    }
    todo_.push_back(object);
  }

  void note(PyObject* holder) {
    const Holding holding = holding_of(holder);
    if (holding == Holding::refers) return;
    if (holding == Holding::anew) {
      if (!known_anew_.insert(holder).second) return;
      anew_.insert(holder);
    } else if (has_own_hash(Py_TYPE(holder)) && known_anew_.insert(holder).second) {
      anew_.insert(holder);  // tables that have it as a key are to be looked for
    }
    holders_.note(holder, value_);
  }

  Holding holding_of(PyObject* object) {
    PyTypeObject* type = Py_TYPE(object);
    if (type == &PyList_Type || type == &PyDict_Type || type == &PySet_Type)
      return Holding::changes;
    if (type == &PyTuple_Type || type == &PyFrozenSet_Type || type == &PyMethod_Type ||
        type == &PyCFunction_Type)
      return Holding::anew;
    if (type == &PyFunction_Type)
      return is_notebooks(reinterpret_cast<PyFunctionObject*>(object)->func_module)
                 ? Holding::function
                 : Holding::nothing;
    if (PyType_Check(object)) {
      auto* cls = reinterpret_cast<PyTypeObject*>(object);
      const bool is_own = (cls->tp_flags & Py_TPFLAGS_HEAPTYPE) && is_notebooks(module_of(cls));
      return is_own ? Holding::type : Holding::nothing;
    }
    const auto [known, is_new] = known_types_.try_emplace(type, Holding::nothing);
    if (is_new) known->second = classify(type);
    return known->second;
  }

  // Whether what an instance holds may be part of its hash.
  static bool has_own_hash(PyTypeObject* type) {
    return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) && type->tp_hash != PyBaseObject_Type.tp_hash &&
           type->tp_hash != PyObject_HashNotImplemented;
  }

  static bool is_notebooks(PyObject* module) {
    return module && PyUnicode_Check(module) &&
           PyUnicode_CompareWithASCIIString(module, "__main__") == 0;
  }

  static PyObject* module_of(PyTypeObject* type) {
    return type->tp_dict ? PyDict_GetItemString(type->tp_dict, "__module__") : nullptr;
  }

  Holding classify(PyTypeObject* type) const {
    if (type == &PyODict_Type || type == types_.deque || type == types_.default_dict ||
        type == types_.counter || type == &PyCell_Type)
      return Holding::changes;
    if (type == &PyClassMethod_Type || type == &PyStaticMethod_Type || type == &PyProperty_Type)
      return Holding::refers;
    if (!(type->tp_flags & Py_TPFLAGS_HAVE_GC)) return Holding::nothing;
    const std::string_view name = type->tp_name;
    if (name == "functools.partial" || name == "functools._lru_cache_wrapper" ||
        name == "types.SimpleNamespace")
      return Holding::changes;
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE))
      return Holding::nothing;
    if ((type->tp_flags & Py_TPFLAGS_TUPLE_SUBCLASS) || PyType_IsSubtype(type, &PyFrozenSet_Type))
      return Holding::anew;
    return is_notebooks(module_of(type)) ? Holding::changes : Holding::foreign;
  }

  const Memo& memo_;
  const InterpreterTypes& types_;
  std::size_t left_ = 0;   // of the references below a value
  std::size_t value_ = 0;  // that is searched
  Holders& holders_;
  bool first_round_ = true;
  bool foreign_ = false;  // in what is not the notebook's
  std::vector<PyObject*> todo_;
  std::vector<std::pair<PyObject*, std::size_t>> abroad_;  // what is not, and from which value
  std::vector<PyObject*> children_;                        // of one
  PointerTable seen_;
  std::unordered_set<PyObject*> known_anew_;
  std::unordered_set<PyObject*> anew_;    // found in this round
  std::unordered_set<PyObject*> wanted_;  // found in the round before
  std::unordered_map<PyTypeObject*, Holding> known_types_;
};

}  // namespace

void find_holders(const Memo& memo, const InterpreterTypes& types,
                  const std::vector<PyObject*>& values, bool thoroughly, std::size_t most,
                  Holders& holders) {
  constexpr std::size_t glance = 500;
  constexpr int rounds = 20;  // tuples in each other so deep
  Search search(memo, types, holders);
  for (int round = 0; round < rounds; ++round) {
    if (!search.run(values, most, thoroughly ? most : glance)) break;
  }
}

}  // namespace firn::heap
