#include "heap/thaw/thawer.hpp"

#include <algorithm>
#include <iterator>
#include <new>

#include "heap/buffers/frozen.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/numbers.hpp"
#include "heap/records/state.hpp"
#include "heap/segments.hpp"
#include "heap/transfer.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::thawing {

Thawer::~Thawer() {
  for (Step& step : steps_) Py_XDECREF(step.pending);
  for (PyObject* snapshot : snapshots_) Py_DECREF(snapshot);
  Py_XDECREF(append_);
}

PyObject* Thawer::thaw(PyObject* root) {
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

// A new reference.
PyObject* Thawer::convert(PyObject* object, bool key) {
  if (is_static(object)) return object;
  PyTypeObject* type = Py_TYPE(object);
  bool remember;
  if (!in_heap(object)) {
    const bool copied = type == &PyList_Type || type == &PyTuple_Type || type == &PyDict_Type ||
                        type == &PySet_Type || type == &PyFrozenSet_Type;
    if (!copied || transfer_) return Py_NewRef(object);
    remember = Py_REFCNT(object) > 1;
  } else if (transfer_) {
    if (in_lasting(object)) {
      PyObject* original = has_originals_ ? original_of(object) : nullptr;
      return original ? Py_NewRef(original) : check(read(object));
    }
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
  if (remember && !(is_twin(object) && memo_.find(object))) {
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
void Thawer::find_own_extents(PyObject* root) {
  const auto segments = segments_of({root});
  if (segments.empty()) return;
  std::vector<Extent> extents = extents_of(segments.front());
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (const Extent& extent : extents) {  // those of a big segment lie side by side, mostly
    if (!own_extents_.empty() && own_extents_.back().end == extent.begin) {
      own_extents_.back().end = extent.end;
    } else {
      own_extents_.push_back(extent);
    }
  }
}

bool Thawer::find_in_own_segment(const char* at) {
  const auto after =
      std::upper_bound(own_extents_.begin(), own_extents_.end(), at,
                       [](const char* address, const Extent& b) { return address < b.begin; });
  if (after == own_extents_.begin() || at >= std::prev(after)->end) return false;
  latest_own_ = *std::prev(after);
  return true;
}

PyObject* Thawer::make(PyObject* object, PyTypeObject* type) {
  if (type == &PyUnicode_Type) return make_string(object);
  if (type == &PyLong_Type) return check(_PyLong_Copy(reinterpret_cast<PyLongObject*>(object)));
  if (type == &PyFloat_Type) return check(PyFloat_FromDouble(PyFloat_AS_DOUBLE(object)));
  if (faces::is_face(object)) {
    const FaceKind kind = reinterpret_cast<FrozenFace*>(object)->kind;
    if (kind == FaceKind::integers || kind == FaceKind::reals) {
      return check(list_of(*reinterpret_cast<PackedNumbers*>(object)));
    }
    if (kind == FaceKind::buffer) {
      return check(buffers::thaw_buffer(object));
    }
    if (is_twin(object)) return make_twin(object);
    if (records::has_record_kind(object)) return make_record(object);
  }
  if (type == frozen_dict_type()) return make_mapping(object);
  if (type == frozen_list_type()) return make_sequence(object);
  if (type == &PyTuple_Type) {
    return make_tuple(reinterpret_cast<PyTupleObject*>(object)->ob_item, PyTuple_GET_SIZE(object));
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
  if (type == &PyFrozenSet_Type) return push({object, check(PyFrozenSet_New(nullptr)), Fill::set});
  return make_rare(object, type);
}

// Hashing a key may run code that changes a plain container, or drops it, while it is being
// walked: what is walked is a shallow copy of it, which lives until all is done.
PyObject* Thawer::keep(PyObject* snapshot) {
  check(snapshot);
  try {
    snapshots_.push_back(snapshot);
  } catch (const std::bad_alloc&) {
    Py_DECREF(snapshot);
    throw;
  }
  return snapshot;
}

void Thawer::run(std::size_t left) {
  while (steps_.size() > left) {
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
      case Fill::members:
        done = fill_members(depth);
        break;
      case Fill::entries:
        done = fill_entries(depth);
        break;
      case Fill::state:
        done = fill_state(depth);
        break;
    }
    if (done) steps_.pop_back();
  }
}

// Each returns whether the step is done; otherwise a new one is on top.
bool Thawer::fill_slots(std::size_t depth) {
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

}  // namespace firn::heap::thawing

namespace firn::heap {
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
  return types ? thawing::Thawer(*types, false).thaw(object) : nullptr;
}

PyObject* thaw_transfer(const Transfer& transfer) {
  const InterpreterTypes* types = interpreter_types();
  const NoCollections none;
  return types ? thawing::Thawer(*types, true).thaw(transfer.segment().root) : nullptr;
}

}  // namespace firn::heap
