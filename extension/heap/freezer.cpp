#include "heap/freezer.hpp"

#include <algorithm>
#include <cstring>

#include "heap/leaf.hpp"
#include "heap/holders.hpp"
#include "heap/segments.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {

void Copier::note_lasting(const void* object) {
  const char* at = static_cast<const char*>(object);
  if (at >= last_lasting_.begin && at < last_lasting_.end) return;
  const Place place = place_of(at);
  if (!place.segment) return;
  last_lasting_ = place.extent;
  if (std::find(segments_.begin(), segments_.end(), place.segment) == segments_.end())
    segments_.push_back(place.segment);
}

char* Copier::allocate_gc(std::size_t bytes) {
  // Collectors of other interpreters look at the two words in front (hazard 5).
  char* at = allocate(bytes + sizeof(PyGC_Head));
  std::memset(at, 0, sizeof(PyGC_Head));
  return at + sizeof(PyGC_Head);
}

void Copier::push(PyObject* source, PyObject* copy, PyObject** slots, std::size_t count,
                  std::uint8_t stride, Role role, bool check) {
  if (!count && !check && role != Role::unbuilt) return;
  work_.frames.push_back({source, copy, slots, 0, count, stride, role, check});
}

PyObject* Copier::copy(PyObject* object) {
  if (PyObject* leaf = copy_leaf(object)) return leaf;
  bool redirected = false;
  while (true) {
    if (is_static(object)) {
      if (!is_shareable_static(object)) throw Unfreezable{object, nullptr};
      return object;
    }
    if (in_heap(object)) {
      if (in_lasting(object)) {
        note_lasting(object);
        return object;
      }
      redirected = true;  // its count says nothing
      break;
    }
    if (Py_TYPE(object) != &PyDictProxy_Type) break;
    object = reinterpret_cast<MappingProxyLayout*>(object)->mapping;
    redirected = true;  // two proxies of one mapping stay one
  }
  if (!redirected && (Py_REFCNT(object) == 1 || is_worth_less(object)))
    return make_noted(object, false);
  bool made = false;
  auto* copy = static_cast<PyObject*>(freezing_.memo.find_or_make(object, [&]() -> void* {
    made = true;
    return redirected ? make(object, true) : make_noted(object, true);
  }));
  if (!freezing_.roots.empty() && !redirected && copy) count_references(object, copy, made);
  return copy;
}

void Copier::count_references(PyObject* original, PyObject* copy, bool made) {
  if (!takes_its_place(original, copy)) return;
  if (std::binary_search(freezing_.roots.begin(), freezing_.roots.end(), original)) return;
  if (made) held_ += Py_REFCNT(original);
  --held_;
}

PyObject* Copier::make_noted(PyObject* object, bool shared) {
  PyObject* copy = make(object, shared);
  if (freezing_.keeps_originals && copy && !is_leaf(Py_TYPE(object))) [[unlikely]]
    originals_.emplace_back(copy, object);
  return copy;
}

PyObject* Copier::make(PyObject* object, bool shared) {
  if (freezing_.marks) [[unlikely]]
    check_marks(object);
  PyTypeObject* type = Py_TYPE(object);
  if (freezing_.shells) [[unlikely]] {
    if (PyObject* shell = known_shell(object)) return shell;
  }
  if (type == &PyUnicode_Type) return make_string(object, shared);
  if (type == &PyLong_Type) return make_integer(object, shared);
  if (type == &PyDict_Type) return make_dict(object, FaceKind::dict, shared);
  if (type == &PyList_Type) {
    auto* list = reinterpret_cast<PyListObject*>(object);
    const auto size = static_cast<std::size_t>(Py_SIZE(object));
    if (freezing_.transfer && !freezing_.marks) {
      if (PyObject* numbers = make_numbers(list->ob_item, size, shared)) return numbers;
    }
    return make_list(object, list->ob_item, size, shared);
  }
  if (type == &PyTuple_Type) return make_tuple(object, shared);
  if (type == &PyFloat_Type) return make_float(object, shared);
  if (type == &PyBytes_Type) return make_bytes(object, shared);
  if (type == &PyFrozenSet_Type || type == &PySet_Type) return make_set(object, shared);
  if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) return make_instance(object, shared);
  return make_rare(object, shared);
}

PyObject* Copier::make_rare(PyObject* object, bool shared) {
  PyTypeObject* type = Py_TYPE(object);
  const InterpreterTypes& own = freezing_.types;
  if (type == datetime_types.datetime || type == datetime_types.date ||
      type == datetime_types.time || type == datetime_types.timedelta) {
    return make_date_or_time(object, shared);
  }
  if (type == datetime_types.timezone) return make_timezone(object, shared);
  if (type == &PyComplex_Type) return make_complex(object, shared);
  if (type == &PyRange_Type) return make_range(object, shared);
  if (type == &PySlice_Type) return make_slice(object, shared);
  if (type == builtin_frozendict_type()) return make_builtin_frozendict(object, shared);
  if (type == own.deque) return make_deque(object, shared);
  if (type == own.default_dict) {
    PyObject* factory = reinterpret_cast<DefaultDictLayout*>(object)->default_factory;
    PyObject* made = make_dict(object, FaceKind::default_dict, shared);
    PyObject*& extra = reinterpret_cast<FrozenFace*>(made)->extra;
    extra = factory ? factory : Py_None;
    if (!is_static(extra)) push(object, made, &extra, 1, 1, Role::field);
    return made;
  }
  if (type == &PyODict_Type) {
    auto* attributes = reinterpret_cast<OrderedDictLayout*>(object)->instance_dict;
    if (attributes && PyDict_GET_SIZE(attributes)) return make_with_python(object, shared);
    return make_dict(object, FaceKind::ordered_dict, shared);
  }
  if (type == own.counter) {
    if (has_attributes(object)) {
      throw Unfreezable{object, nullptr,
                        "A Counter loses its attributes when it is copied or pickled: delete them, "
                        "or make them a subclass's."};
    }
    return make_dict(object, FaceKind::counter, shared);
  }
  // What follows is frozen already, in a segment that may not be kept.
  const bool is_face =
      type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type();
  if (type == frozen_callable_type() || (is_face && is_record_face(object)))
    return copy_frozen_record(object, shared);
  if (type == frozen_list_type()) {
    auto* list = reinterpret_cast<FrozenList*>(object);
    PyObject* made =
        make_list(object, reinterpret_cast<PyTupleObject*>(list->items)->ob_item,
                  static_cast<std::size_t>(PyTuple_GET_SIZE(list->items)), shared, list->kind);
    reinterpret_cast<FrozenList*>(made)->flags = list->flags;
    if (list->kind == FaceKind::deque)
      set_maxlen(made, reinterpret_cast<FrozenFace*>(object)->extra);
    return made;
  }
  if (type == frozen_dict_type()) {
    const FaceKind kind = reinterpret_cast<FrozenDict*>(object)->kind;
    PyObject* made = make_dict(object, kind, shared);
    reinterpret_cast<FrozenDict*>(made)->flags = reinterpret_cast<FrozenDict*>(object)->flags;
    if (kind != FaceKind::dict) {
      reinterpret_cast<FrozenFace*>(made)->extra = reinterpret_cast<FrozenFace*>(object)->extra;
    }
    return made;
  }
  if (type == frozen_face_type()) {
    PyObject* made = make_set(object, shared);
    reinterpret_cast<FrozenFace*>(made)->flags = reinterpret_cast<FrozenFace*>(object)->flags;
    return made;
  }
  return make_instance(object, shared);
}

}  // namespace firn::heap
