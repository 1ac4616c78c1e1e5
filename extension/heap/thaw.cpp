// Back from the heap: ordinary mutable objects, sharing and cycles kept, without recursion.
//
// A container's shell is made first and stands in its parent before its own children are made. Only
// keys and members have to be complete before they are put in, for they are hashed then.
#include <cstring>
#include <vector>

#include "heap/cpython_layout.hpp"
#include "heap/arena.hpp"
#include "heap/buffers/frozen.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/interpreter.hpp"
#include "heap/memo.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/state.hpp"
#include "heap/segments.hpp"
#include "heap/static_objects.hpp"
#include "heap/tables.hpp"
#include "heap/transfer.hpp"
#include "heap/twins/twins.hpp"
#include "heap/types.hpp"

namespace firn::heap {
namespace {

struct Failed {};  // an exception is set

PyObject* check(PyObject* made) {
  if (!made) throw Failed{};
  return made;
}

enum class Fill : std::uint8_t { slots, deque, list, dict, values, set, fields };

struct Step {
  PyObject* source;  // deque: a tuple; dict: a dict; set: a set
  PyObject* made;    // borrowed from whatever holds it
  Fill fill;
  Py_ssize_t at = 0;
  Py_ssize_t count = 0;                   // slots
  PyObject** from = nullptr;              // slots
  PyObject** to = nullptr;                // slots
  PyObject* pending = nullptr;            // dict, set: a complete or soon complete key; owned
  PyObject* value = nullptr;              // dict: the original of the pending key's value
  const records::Maker* maker = nullptr;  // fields
};

class Thawer {
 public:
  Thawer(const InterpreterTypes& types, bool transfer) : types_(types), transfer_(transfer) {}
  Thawer(const Thawer&) = delete;
  Thawer& operator=(const Thawer&) = delete;
  ~Thawer() {
    for (Step& step : steps_) Py_XDECREF(step.pending);
    for (PyObject* snapshot : snapshots_) Py_DECREF(snapshot);
    Py_XDECREF(append_);
    Py_XDECREF(deep_copies_);
  }

  PyObject* thaw(PyObject* root) {
    PyObject* made = nullptr;
    try {
      if (in_lasting(root)) find_own_extents(root);
      made = convert(root, true);
      run();
      return made;
    } catch (const Failed&) {
    } catch (const std::bad_alloc&) {
      PyErr_NoMemory();
    }
    // The steps own nothing that `made` does not, but for pending keys.
    Py_XDECREF(made);
    return nullptr;
  }

 private:
  // A new reference.
  PyObject* convert(PyObject* object, bool key = false) {
    if (is_static(object)) return object;
    PyTypeObject* type = Py_TYPE(object);
    bool remember;
    if (!in_heap(object)) {
      const bool copied = type == &PyList_Type || type == &PyTuple_Type || type == &PyDict_Type ||
                          type == &PySet_Type || type == &PyFrozenSet_Type;
      if (!copied || transfer_) return Py_NewRef(object);
      remember = Py_REFCNT(object) > 1;
    } else if (transfer_) {
      if (in_lasting(object)) return object;
      remember = key || is_marked_shared(object);
    } else {
      if (is_leaf(type) && in_lasting(object)) return object;
      remember = key || is_marked_shared(object) || !is_in_own_segment(object);
    }
    if (remember) {
      if (void* known = memo_.find(object)) return Py_NewRef(static_cast<PyObject*>(known));
    }
    const std::size_t depth = steps_.size();
    PyObject* made = make(object, type);
    if (remember) {
      try {
        memo_.insert(object, made);
      } catch (const std::bad_alloc&) {
        steps_.resize(depth);
        Py_DECREF(made);
        throw;
      }
    }
    return made;
  }

  // What lies in the root's segment is reached from there alone: a mark on it tells whether it is
  // shared. What lies in an older one may be referred to twice from a newer one.
  void find_own_extents(PyObject* root) {
    const auto segments = segments_of({root});
    if (!segments.empty()) own_extents_ = extents_of(segments.front());
    constexpr std::size_t few = 8;
    if (own_extents_.size() > few) own_extents_.resize(few);
  }

  bool is_in_own_segment(PyObject* object) const {
    const auto* at = reinterpret_cast<const char*>(object);
    for (const Extent& extent : own_extents_) {
      if (at >= extent.begin && at < extent.end) return true;
    }
    return false;
  }

  static bool is_leaf(PyTypeObject* type) {
    return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
           type == &PyBytes_Type || type == &PyComplex_Type || type == &PyRange_Type ||
           type == datetime_types.date || type == datetime_types.datetime ||
           type == datetime_types.time || type == datetime_types.timedelta ||
           type == datetime_types.timezone;
  }

  PyObject* make(PyObject* object, PyTypeObject* type) {
    if (type == &PyUnicode_Type) return make_string(object);
    if (type == &PyLong_Type) return check(_PyLong_Copy(reinterpret_cast<PyLongObject*>(object)));
    if (type == &PyFloat_Type) return check(PyFloat_FromDouble(PyFloat_AS_DOUBLE(object)));
    if (faces::is_face(object)) {
      if (reinterpret_cast<FrozenFace*>(object)->kind == FaceKind::buffer) {
        return check(buffers::thaw_buffer(object));
      }
      if (is_twin(object)) return make_twin(object);
      if (records::has_record_kind(object)) return make_record(object);
    }
    if (type == frozen_dict_type()) return make_mapping(object);
    if (type == frozen_list_type()) return make_sequence(object);
    if (type == &PyTuple_Type) {
      PyObject* made = check(PyTuple_New(PyTuple_GET_SIZE(object)));
      return push_slots(made, reinterpret_cast<PyTupleObject*>(object)->ob_item,
                        reinterpret_cast<PyTupleObject*>(made)->ob_item, PyTuple_GET_SIZE(object));
    }
    if (type == &PyBytes_Type) {
      return check(PyBytes_FromStringAndSize(PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object)));
    }
    if (type == &PyList_Type) {
      PyObject* items = keep(PyList_AsTuple(object));
      return make_list(reinterpret_cast<PyTupleObject*>(items)->ob_item, PyTuple_GET_SIZE(items));
    }
    if (type == &PyDict_Type) {
      PyObject* items = keep(PyDict_Copy(object));
      return push({items, check(PyDict_New()), Fill::dict});
    }
    if (type == frozen_face_type()) {
      return push(
          {reinterpret_cast<FrozenFace*>(object)->inner, check(PySet_New(nullptr)), Fill::set});
    }
    if (type == &PySet_Type) {
      PyObject* members = keep(PyFrozenSet_New(object));
      return push({members, check(PySet_New(nullptr)), Fill::set});
    }
    if (type == &PyFrozenSet_Type)
      return push({object, check(PyFrozenSet_New(nullptr)), Fill::set});
    return make_rare(object, type);
  }

  PyObject* make_rare(PyObject* object, PyTypeObject* type) {
    if (type == &PyComplex_Type)
      return check(PyComplex_FromCComplex(reinterpret_cast<PyComplexObject*>(object)->cval));
    if (type == &PySlice_Type) {
      PyObject* made = check(PySlice_New(nullptr, nullptr, nullptr));
      return push_slots(made, &reinterpret_cast<PySliceObject*>(object)->start,
                        &reinterpret_cast<PySliceObject*>(made)->start, 3);
    }
    if (type == &PyRange_Type) {
      const auto* range = reinterpret_cast<RangeLayout*>(object);
      PyObject* start = check(convert(range->start));
      PyObject* stop = convert(range->stop);
      PyObject* step = convert(range->step);
      PyObject* arguments[] = {start, stop, step};
      PyObject* made =
          PyObject_Vectorcall(reinterpret_cast<PyObject*>(&PyRange_Type), arguments, 3, nullptr);
      for (PyObject* argument : arguments) Py_DECREF(argument);
      return check(made);
    }
    if (type == builtin_frozendict_type()) {
      return push({object, check(new_builtin_frozendict()), Fill::dict});
    }
    return make_date_or_time(object, type);
  }

  PyObject* make_date_or_time(PyObject* object, PyTypeObject* type) {
    if (type == datetime_types.timezone) {
      PyObject* made = check(type->tp_alloc(type, 0));
      auto* from = reinterpret_cast<TimezoneLayout*>(object);
      auto* to = reinterpret_cast<TimezoneLayout*>(made);
      to->offset = to->name = nullptr;
      return push_slots(made, &from->offset, &to->offset, 2);
    }
    const bool zoned = (type == datetime_types.time || type == datetime_types.datetime) &&
                       reinterpret_cast<_PyDateTime_BaseTZInfo*>(object)->hastzinfo;
    PyObject* made = check(type->tp_alloc(type, zoned));
    std::size_t size = sizeof(PyDateTime_Delta);
    if (type == datetime_types.date) size = sizeof(PyDateTime_Date);
    if (type == datetime_types.time)
      size = zoned ? sizeof(PyDateTime_Time) : sizeof(_PyDateTime_BaseTime);
    if (type == datetime_types.datetime) {
      size = zoned ? sizeof(PyDateTime_DateTime) : sizeof(_PyDateTime_BaseDateTime);
    }
    std::memcpy(reinterpret_cast<char*>(made) + sizeof(PyObject),
                reinterpret_cast<const char*>(object) + sizeof(PyObject), size - sizeof(PyObject));
    if (!zoned) return made;
    const bool is_time = type == datetime_types.time;
    PyObject** from = is_time ? &reinterpret_cast<PyDateTime_Time*>(object)->tzinfo
                              : &reinterpret_cast<PyDateTime_DateTime*>(object)->tzinfo;
    PyObject** to = is_time ? &reinterpret_cast<PyDateTime_Time*>(made)->tzinfo
                            : &reinterpret_cast<PyDateTime_DateTime*>(made)->tzinfo;
    *to = nullptr;
    return push_slots(made, from, to, 1);
  }

  static PyObject* make_string(PyObject* object) {
    const auto* source = reinterpret_cast<PyASCIIObject*>(object);
    const unsigned kind = source->state.kind;
    const Py_UCS4 widest = source->state.ascii ? 0x7f
                           : kind == 1         ? 0xff
                           : kind == 2         ? 0xffff
                                               : 0x10ffff;
    PyObject* made = check(PyUnicode_New(source->length, widest));
    std::memcpy(PyUnicode_DATA(made), PyUnicode_DATA(object),
                static_cast<std::size_t>(source->length) * kind);
    reinterpret_cast<PyASCIIObject*>(made)->hash = source->hash;
    return made;
  }

  PyObject* make_list(PyObject** items, Py_ssize_t size) {
    PyObject* made = check(PyList_New(size));
    return push_slots(made, items, reinterpret_cast<PyListObject*>(made)->ob_item, size);
  }

  PyObject* make_sequence(PyObject* object) {
    const auto* list = reinterpret_cast<FrozenList*>(object);
    if (list->kind == FaceKind::list) {
      return make_list(reinterpret_cast<PyTupleObject*>(list->items)->ob_item,
                       PyTuple_GET_SIZE(list->items));
    }
    PyObject* maxlen = convert(reinterpret_cast<FrozenFace*>(object)->extra);
    PyObject* arguments[] = {PyTuple_New(0), maxlen};
    PyObject* made =
        PyObject_Vectorcall(reinterpret_cast<PyObject*>(types_.deque), arguments, 2, nullptr);
    Py_DECREF(maxlen);
    return push({list->items, check(made), Fill::deque});
  }

  // A real instance; its class runs no code.
  PyObject* make_record(PyObject* object) {
    const records::Maker* maker = records::Maker::of(object);
    if (!maker) throw Failed{};
    auto* record = reinterpret_cast<FrozenRecord*>(object);
    PyObject* inner = record->inner;
    const FaceKind kind = record->kind;
    const Py_ssize_t items = kind == FaceKind::tuple_record ? PyTuple_GET_SIZE(inner) : 0;
    PyObject* made = check(maker->make_empty(items));
    const auto count = static_cast<Py_ssize_t>(maker->layout().count);
    Py_ssize_t at = 0;
    for (; at < count; ++at) {  // what stays as it is needs no step
      PyObject* value = record->fields[at];
      if (!value) continue;
      if (transfer_ || !(is_static(value) || (is_leaf(Py_TYPE(value)) && in_lasting(value)))) break;
      if (maker->set_field(made, static_cast<std::size_t>(at), value) < 0) {
        Py_DECREF(made);
        throw Failed{};
      }
    }
    if (at < count) {
      Step step{object, made, Fill::fields};
      step.maker = maker;
      step.at = at;
      push(step);
    }
    switch (kind) {
      case FaceKind::tuple_record:
        return push_slots(made, reinterpret_cast<PyTupleObject*>(inner)->ob_item,
                          reinterpret_cast<PyTupleObject*>(made)->ob_item, items);
      case FaceKind::list_record:
        return push({inner, made, Fill::list});
      case FaceKind::dict_record:
        return push({inner, made, Fill::dict});
      case FaceKind::set_record:
        return push({inner, made, Fill::set});
      default:
        return made;
    }
  }

  // A copy of the interpreter's own object, as copy.deepcopy() makes it: a Decimal is itself.
  PyObject* make_twin(PyObject* object) {
    PyObject* own = check(resolve(object));
    if (reinterpret_cast<FrozenFace*>(object)->kind == FaceKind::definition) return own;
    if (!deep_copies_) deep_copies_ = PyDict_New();
    PyObject* deepcopy =
        deep_copies_ ? PyImport_ImportModuleAttrString("copy", "deepcopy") : nullptr;
    PyObject* made =
        deepcopy ? PyObject_CallFunctionObjArgs(deepcopy, own, deep_copies_, nullptr) : nullptr;
    Py_XDECREF(deepcopy);
    Py_DECREF(own);
    return check(made);
  }

  PyObject* make_mapping(PyObject* object) {
    const auto* mapping = reinterpret_cast<FrozenDict*>(object);
    PyObject* made = nullptr;
    switch (mapping->kind) {
      case FaceKind::ordered_dict:
        made = PyODict_New();
        break;
      case FaceKind::default_dict: {
        PyObject* factory = check(read(reinterpret_cast<FrozenFace*>(object)->extra));
        made = PyObject_CallOneArg(reinterpret_cast<PyObject*>(types_.default_dict), factory);
        Py_DECREF(factory);
        break;
      }
      case FaceKind::counter: {
        // Not by calling it: its __init__ is Python code.
        PyObject* no_arguments = PyTuple_New(0);
        made = types_.counter->tp_new(types_.counter, no_arguments, nullptr);
        break;
      }
      default:
        if (!transfer_ && !(mapping->flags & kKeyedByTwins)) return copy_table(mapping->mapping);
        made = PyDict_New();
    }
    return push({mapping->mapping, check(made), Fill::dict});
  }

  // A dict whose keys are strings, which stay: its table is copied whole, and what is mutable among
  // its values exchanged there.
  PyObject* copy_table(PyObject* mapping) {
    const PyDictKeysObject* keys = reinterpret_cast<PyDictObject*>(mapping)->ma_keys;
    if (!DK_IS_UNICODE(keys)) return push({mapping, check(PyDict_New()), Fill::dict});
    PyObject* made = check(PyDict_Copy(mapping));
    auto* copy = reinterpret_cast<PyDictObject*>(made);
    const bool same_places =
        copy->ma_keys->dk_nentries == keys->dk_nentries && DK_IS_UNICODE(copy->ma_keys) &&
        !copy->ma_values == !reinterpret_cast<PyDictObject*>(mapping)->ma_values;
    if (!same_places) {
      Py_DECREF(made);
      return push({mapping, check(PyDict_New()), Fill::dict});
    }
    if (!PyObject_GC_IsTracked(made)) PyObject_GC_Track(made);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
      PyObject* value = value_at(mapping, i);
      if (!value || is_static(value) || (is_leaf(Py_TYPE(value)) && in_lasting(value))) continue;
      Step step{mapping, made, Fill::values};
      step.at = i;
      step.count = keys->dk_nentries;
      return push(step);
    }
    return made;
  }

  static PyObject*& value_at(PyObject* mapping, Py_ssize_t i) {
    auto* dict = reinterpret_cast<PyDictObject*>(mapping);
    if (dict->ma_values) return dict->ma_values->values[i];
    return DK_UNICODE_ENTRIES(dict->ma_keys)[i].me_value;
  }

  bool fill_values(std::size_t depth) {
    while (steps_.back().at < steps_.back().count) {
      Step& step = steps_.back();
      const Py_ssize_t at = step.at++;
      PyObject* value = value_at(step.source, at);
      if (!value) continue;
      PyObject* dict = step.made;
      PyObject* made = convert(value);
      // The copy refers to the frozen value, which counts nothing. Hashing a key of another dict
      // may have run code that found this one and changed it: then it stays as that code left it.
      auto* copy = reinterpret_cast<PyDictObject*>(dict);
      const bool untouched = at < copy->ma_keys->dk_nentries && DK_IS_UNICODE(copy->ma_keys) &&
                             value_at(dict, at) == value;
      if (untouched) {
        value_at(dict, at) = made;
      } else {
        snapshots_.push_back(made);
      }
      if (steps_.size() != depth) return false;
    }
    return true;
  }

  // Hashing a key may run code that changes a plain container, or drops it, while it is being
  // walked: what is walked is a shallow copy of it, which lives until all is done.
  PyObject* keep(PyObject* snapshot) {
    check(snapshot);
    try {
      snapshots_.push_back(snapshot);
    } catch (const std::bad_alloc&) {
      Py_DECREF(snapshot);
      throw;
    }
    return snapshot;
  }

  PyObject* push(Step step) {
    try {
      steps_.push_back(step);
    } catch (const std::bad_alloc&) {
      Py_DECREF(step.made);
      throw;
    }
    return step.made;
  }

  PyObject* push_slots(PyObject* made, PyObject** from, PyObject** to, Py_ssize_t count) {
    Step step{nullptr, made, Fill::slots};
    step.from = from;
    step.to = to;
    step.count = count;
    return push(step);
  }

  void run() {
    while (!steps_.empty()) {
      const std::size_t depth = steps_.size();
      bool done = false;
      switch (steps_.back().fill) {
        case Fill::slots:
          done = fill_slots(depth);
          break;
        case Fill::deque:
          done = fill_deque(depth);
          break;
        case Fill::list:
          done = fill_list(depth);
          break;
        case Fill::fields:
          done = fill_fields(depth);
          break;
        case Fill::dict:
          done = fill_dict(depth);
          break;
        case Fill::values:
          done = fill_values(depth);
          break;
        case Fill::set:
          done = fill_set(depth);
          break;
      }
      if (done) steps_.pop_back();
    }
  }

  // Each returns whether the step is done; otherwise a new one is on top.
  bool fill_slots(std::size_t depth) {
    while (steps_.back().at < steps_.back().count) {
      Step& step = steps_.back();
      PyObject* child = step.from[step.at];
      PyObject** slot = &step.to[step.at++];
      if (!child) continue;
      PyObject* made = convert(child);
      PyObject* before = *slot;  // a new slice has Nones
      *slot = made;
      Py_XDECREF(before);
      if (steps_.size() != depth) return false;
    }
    return true;
  }

  bool fill_fields(std::size_t depth) {
    const auto* record = reinterpret_cast<FrozenRecord*>(steps_.back().source);
    const records::Maker& maker = *steps_.back().maker;
    const Layout& layout = maker.layout();
    const auto count = static_cast<Py_ssize_t>(layout.count);
    while (steps_.back().at < count) {
      Step& step = steps_.back();
      const Py_ssize_t at = step.at++;
      PyObject* child = record->fields[at];
      if (!child) continue;
      PyObject* instance = step.made;
      PyObject* made = convert(child);
      int status;
      if (layout.whole_dict && at + 1 == count) {
        status = PyObject_GenericSetDict(instance, made, nullptr);
        Py_DECREF(made);
      } else {
        status = maker.set_field(instance, static_cast<std::size_t>(at), made);
      }
      if (status < 0) throw Failed{};
      if (steps_.size() != depth) return false;
    }
    return true;
  }

  bool fill_list(std::size_t depth) {
    while (steps_.back().at < PyTuple_GET_SIZE(steps_.back().source)) {
      Step& step = steps_.back();
      PyObject* list = step.made;
      PyObject* made = convert(PyTuple_GET_ITEM(step.source, step.at++));
      const int status = PyList_Append(list, made);
      Py_DECREF(made);  // the list holds it
      if (status < 0) throw Failed{};
      if (steps_.size() != depth) return false;
    }
    return true;
  }

  bool fill_deque(std::size_t depth) {
    while (steps_.back().at < PyTuple_GET_SIZE(steps_.back().source)) {
      Step& step = steps_.back();
      PyObject* deque = step.made;
      PyObject* made = convert(PyTuple_GET_ITEM(step.source, step.at++));
      PyObject* none = append_ ? PyObject_CallMethodOneArg(deque, append_, made) : nullptr;
      Py_DECREF(made);  // the deque holds it
      Py_DECREF(check(none));
      if (steps_.size() != depth) return false;
    }
    return true;
  }

  bool fill_dict(std::size_t depth) {
    while (true) {
      if (!steps_.back().pending) {
        Step& step = steps_.back();
        PyObject *key = nullptr, *value = nullptr;
        if (!PyDict_Next(step.source, &step.at, &key, &value)) return true;
        step.value = value;
        PyObject* made = convert(key, true);
        steps_[depth - 1].pending = made;
        if (steps_.size() != depth) return false;
      }
      PyObject* key = steps_.back().pending;
      PyObject* dict = steps_.back().made;
      PyObject* value = convert(steps_.back().value);
      steps_[depth - 1].pending = nullptr;
      const int status = Py_TYPE(dict) == &PyODict_Type ? PyODict_SetItem(dict, key, value)
                                                        : set_item_in_new_dict(dict, key, value);
      Py_DECREF(key);
      Py_DECREF(value);
      if (status < 0) throw Failed{};
      if (steps_.size() != depth) return false;
    }
  }

  bool fill_set(std::size_t depth) {
    while (true) {
      if (!steps_.back().pending) {
        Step& step = steps_.back();
        PyObject* member = nullptr;
        Py_hash_t hash = 0;
        if (!_PySet_NextEntry(step.source, &step.at, &member, &hash)) return true;
        PyObject* made = convert(member, true);
        steps_[depth - 1].pending = made;
        if (steps_.size() != depth) return false;
      }
      Step& step = steps_.back();
      PyObject* member = std::exchange(step.pending, nullptr);
      const int status = PySet_Add(step.made, member);
      Py_DECREF(member);
      if (status < 0) throw Failed{};
    }
  }

  const InterpreterTypes& types_;
  const bool transfer_;
  std::vector<Extent> own_extents_;  // of the root's segment
  PyObject* deep_copies_ = nullptr;  // deepcopy's memo
  PyObject* const append_ = PyUnicode_InternFromString("append");
  PointerTable memo_;
  std::vector<Step> steps_;
  std::vector<PyObject*> snapshots_;
};

}  // namespace

namespace {

// What is made is alive, all of it: looking for garbage among it is for nothing.
class NoCollections {
 public:
  NoCollections() : were_on_(PyGC_Disable()) {}
  NoCollections(const NoCollections&) = delete;
  NoCollections& operator=(const NoCollections&) = delete;
  ~NoCollections() {
    if (were_on_) PyGC_Enable();
  }

 private:
  const bool were_on_;
};

}  // namespace

PyObject* thaw(PyObject* object) {
  const InterpreterTypes* types = interpreter_types();
  const NoCollections none;
  return types ? Thawer(*types, false).thaw(object) : nullptr;
}

PyObject* thaw_transfer(const Transfer& transfer) {
  const InterpreterTypes* types = interpreter_types();
  const NoCollections none;
  return types ? Thawer(*types, true).thaw(transfer.segment().root) : nullptr;
}

}  // namespace firn::heap
