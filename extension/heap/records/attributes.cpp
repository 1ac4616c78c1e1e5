// What `record.name` gives: as object.__getattribute__ finds it, with the replica as the class and
// the heap's fields as the instance's attributes.
//
// Each interpreter remembers, for a layout and a name, where it found the attribute, as long as the
// class's version stands.
#include "heap/records/attributes.hpp"

#include <utility>

#include "heap/arena.hpp"
#include "heap/faces/dict_lookup.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/interpreter.hpp"
#include "heap/records/attribute_dict.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::records {

using faces::Ref;

PyObject* read_field(PyObject* record, PyObject* value) {
  if (as_record(record)->flags & kHoldsTwins) [[unlikely]]
    return read(value);
  return Py_NewRef(value);
}

namespace {

PyObject* missing(PyTypeObject* type, PyObject* name) {
  PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '%U'", type->tp_name, name);
  return nullptr;
}

bool same_name(PyObject* known, PyObject* name) {
  return known == name || (reinterpret_cast<PyASCIIObject*>(known)->hash ==
                               reinterpret_cast<PyASCIIObject*>(name)->hash &&
                           faces::same_text(known, name));
}

// The last slot of that name, which hides those of base classes; -1 when there is none.
std::int64_t find_slot(const Layout& layout, PyObject* name) {
  for (std::int64_t i = std::int64_t{layout.slots} - 1; i >= 0; i--) {
    if (same_name(layout.name(static_cast<std::size_t>(i)), name)) return i;
  }
  return -1;
}

std::int64_t find_in_dict(const Layout& layout, PyObject* name) {
  if (layout.whole_dict) return -1;
  for (std::size_t i = layout.slots; i < layout.count; i++) {
    if (same_name(layout.name(i), name)) return static_cast<std::int64_t>(i);
  }
  return -1;
}

PyTypeObject* cached_property_type(State& own) {
  if (!own.cached_property) {
    PyObject* functools = loaded_module("functools");
    if (!functools) return nullptr;  // then no class has one
    own.cached_property =
        reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(functools, "cached_property"));
    if (!own.cached_property) PyErr_Clear();
  }
  return own.cached_property;
}

// The item that a field of a named tuple stands for; -1 when the descriptor is something else.
Py_ssize_t named_item(PyObject* descriptor) {
  if (std::strcmp(Py_TYPE(descriptor)->tp_name, "collections._tuplegetter") != 0) return -1;
  Ref reduced(PyObject_CallMethod(descriptor, "__reduce__", nullptr));
  PyObject* arguments =
      reduced && PyTuple_Check(reduced.get()) && PyTuple_GET_SIZE(reduced.get()) > 1
          ? PyTuple_GET_ITEM(reduced.get(), 1)
          : nullptr;
  if (!arguments || !PyTuple_Check(arguments) || PyTuple_GET_SIZE(arguments) < 1) return -1;
  return PyLong_AsSsize_t(PyTuple_GET_ITEM(arguments, 0));
}

// Finds an attribute as _PyObject_GenericGetAttrWithDict does. False with an exception set.
bool classify(State& own, const Class& known, const FrozenRecord* record, PyObject* name,
              AccessDetails& entry) {
  const Layout& layout = *layout_at(record->layout);
  entry.found = nullptr;
  entry.index = 0;
  if (name == own.class_name || same_name(own.class_name, name)) {
    entry.access = Access::own_class;
    return true;
  }
  PyObject* found = _PyType_Lookup(known.type, name);
  entry.found = found;
  if (same_name(own.dict_name, name) && (!found || Py_IS_TYPE(found, &PyGetSetDescr_Type))) {
    entry.access = layout.has_dict ? Access::own_dict : Access::absent;
    return true;
  }
  if (found && same_name(own.weak_name, name) && Py_IS_TYPE(found, &PyGetSetDescr_Type)) {
    entry.access = Access::value;  // nothing of the heap is in a list of references
    entry.found = Py_None;
    return true;
  }
  if (found && Py_TYPE(found)->tp_descr_set) {
    if (Py_IS_TYPE(found, &PyMemberDescr_Type) || Py_IS_TYPE(found, &PyGetSetDescr_Type)) {
      const std::int64_t slot = find_slot(layout, name);
      if (slot >= 0) {
        entry.access = Access::field;
        entry.index = static_cast<std::uint32_t>(slot);
        return true;
      }
      entry.access = reinterpret_cast<PyDescrObject*>(found)->d_type == &PyBaseObject_Type
                         ? Access::descriptor
                         : Access::inside;
      return true;
    }
    const Py_ssize_t item = named_item(found);
    if (item == -1 && PyErr_Occurred()) return false;
    if (item >= 0 && record->kind == FaceKind::tuple_record) {
      entry.access = Access::item;
      entry.index = static_cast<std::uint32_t>(item);
      return true;
    }
    if (Py_TYPE(found)->tp_descr_get) {
      entry.access = Access::descriptor;
      return true;
    }
  }
  const std::int64_t field = find_in_dict(layout, name);
  if (field >= 0) {
    entry.access = Access::field;
    entry.index = static_cast<std::uint32_t>(field);
    return true;
  }
  if (!found) {
    entry.access = Access::absent;
    return true;
  }
  PyTypeObject* kind = Py_TYPE(found);
  if (PyType_HasFeature(kind, Py_TPFLAGS_METHOD_DESCRIPTOR)) {
    entry.access = Access::method;
  } else if (!kind->tp_descr_get) {
    entry.access = Access::value;
  } else {
    PyTypeObject* cached = cached_property_type(own);
    entry.access =
        cached && PyObject_TypeCheck(found, cached) ? Access::cached : Access::descriptor;
  }
  return true;
}

// What the function of a cached_property computed for this record, here and now or before. It is
// kept by the record's place in the heap, with the segment's number: another record may stand there
// once the segment's memory is gone.
PyObject* read_cached(State& own, PyObject* record, PyObject* property, PyTypeObject* type) {
  Ref name(PyObject_GetAttrString(property, "attrname"));
  if (!name) return nullptr;
  if (!PyUnicode_CheckExact(name.get())) {  // its own words for a property without a name
    return Py_TYPE(property)->tp_descr_get(property, record, reinterpret_cast<PyObject*>(type));
  }
  const auto segments = segments_of({record});
  if (segments.empty()) {  // on a journey between interpreters: nothing lasts
    Ref function(PyObject_GetAttrString(property, "func"));
    return function ? PyObject_CallOneArg(function.get(), record) : nullptr;
  }
  Ref segment(PyLong_FromUnsignedLongLong(segments.front()));
  if (!segment) return nullptr;
  Ref at(PyLong_FromSize_t(reinterpret_cast<std::size_t>(record) -
                           reinterpret_cast<std::size_t>(heap_base)));
  if (!at) return nullptr;
  PyObject* values = PyDict_GetItemWithError(own.computed, at.get());
  if (!values && PyErr_Occurred()) return nullptr;
  if (values) {
    PyObject* of = PyDict_GetItemWithError(values, Py_None);
    const int same = of ? PyObject_RichCompareBool(of, segment.get(), Py_EQ) : 0;
    if (same < 0 || PyErr_Occurred()) return nullptr;
    if (!same) values = nullptr;
  }
  Ref held(Py_XNewRef(values));
  if (values) {
    PyObject* value = PyDict_GetItemWithError(values, name.get());
    if (value || PyErr_Occurred()) return Py_XNewRef(value);
  }
  Ref function(PyObject_GetAttrString(property, "func"));
  Ref value(function ? PyObject_CallOneArg(function.get(), record) : nullptr);
  if (!value) return nullptr;
  if (!values) {
    held = Ref(PyDict_New());
    if (!held || PyDict_SetItem(held.get(), Py_None, segment.get()) < 0 ||
        PyDict_SetItem(own.computed, at.get(), held.get()) < 0) {
      return nullptr;
    }
  }
  if (PyDict_SetItem(held.get(), name.get(), value.get()) < 0) return nullptr;
  return value.release();
}

// Binds a method of the class to the record, and leaves it to the place for bind_again().
PyObject* bind(AccessDetails* place, PyObject* function, PyObject* record) {
  PyObject* made = PyMethod_New(function, record);
  // A garbage collection may have run what made another attribute's of the place.
  if (!made || !place || place->access != Access::method || place->found != function) return made;
  PyObject_GC_UnTrack(made);
  give_up_binding(std::exchange(place->bound, Py_NewRef(made)));  // last: it may run code
  return made;
}

// A bound method that nobody else has may be bound to another record: most are called at once and
// dropped, so that a call makes no object. nullptr when somebody has it. Records are immortal:
// which one it is bound to is not counted.
inline PyObject* bind_again(PyObject* bound, PyObject* record) {
  auto* method = reinterpret_cast<PyMethodObject*>(bound);
  if (Py_REFCNT(bound) != 1 || method->im_weakreflist) return nullptr;
  method->im_self = record;
  return Py_NewRef(bound);
}

// `place` is where the access is remembered, if it is.
[[gnu::noinline]] PyObject* perform(State& own, const AccessDetails& entry, AccessDetails* place,
                                    PyTypeObject* type, PyObject* self, PyObject* name) {
  switch (entry.access) {
    case Access::field: {
      PyObject* value = as_record(self)->fields[entry.index];
      return value ? read_field(self, value) : missing(type, name);
    }
    case Access::item: {
      PyObject* items = as_record(self)->inner;
      if (static_cast<Py_ssize_t>(entry.index) < PyTuple_GET_SIZE(items)) {
        return read_field(self, PyTuple_GET_ITEM(items, entry.index));
      }
      PyErr_SetString(PyExc_IndexError, "tuple index out of range");
      return nullptr;
    }
    case Access::method:
      return bind(place, entry.found, self);
    case Access::value:
      return Py_NewRef(entry.found);
    case Access::descriptor: {
      Ref found = faces::borrowed(entry.found);
      Ref of = faces::borrowed(reinterpret_cast<PyObject*>(type));
      return Py_TYPE(found.get())->tp_descr_get(found.get(), self, of.get());
    }
    case Access::cached: {
      Ref found = faces::borrowed(entry.found);
      Ref of = faces::borrowed(reinterpret_cast<PyObject*>(type));
      return read_cached(own, self, found.get(), reinterpret_cast<PyTypeObject*>(of.get()));
    }
    case Access::own_class:
      return Py_NewRef(reinterpret_cast<PyObject*>(type));
    case Access::own_dict:
      return attributes_of(self);
    case Access::inside: {
      Ref found = faces::borrowed(entry.found);
      Ref instance(shallow_instance(self));
      if (!instance) return nullptr;
      return Py_TYPE(found.get())
          ->tp_descr_get(found.get(), instance.get(), reinterpret_cast<PyObject*>(type));
    }
    case Access::unset:
    case Access::absent:
      break;
  }
  return missing(type, name);
}

// The class's __getattr__, after an AttributeError.
[[gnu::noinline]] PyObject* ask_hook(PyObject* self, PyObject* name) {
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
  PyObject* error = PyErr_GetRaisedException();
  const Found hook = find(self, Special::getattr_);
  if (hook.origin != Origin::user) {
    if (hook.origin == Origin::unknown) {
      Py_DECREF(error);
    } else {
      PyErr_SetRaisedException(error);
    }
    return nullptr;
  }
  Py_DECREF(error);
  return call(hook, self, name);
}

struct SpareBinding {
  PyObject* bound = nullptr;
  SpareBinding() = default;
  SpareBinding(const SpareBinding&) = delete;
  SpareBinding& operator=(const SpareBinding&) = delete;
  ~SpareBinding() { give_up_binding(bound); }
};

// `dropped` is what must not go before the access is done: it may run code.
AccessDetails* remember(State& own, const AccessDetails& entry, const FrozenRecord& record,
                        PyTypeObject* type, unsigned version, PyObject* name,
                        SpareBinding& dropped) {
  const std::size_t at = State::place_of(record.layout, name);
  const bool plain = entry.access == Access::field && !(record.flags & kHoldsTwins);
  const Ref name_before(own.cache[at].name);
  dropped.bound = own.details[at].bound;
  own.cache[at] = {.name = Py_NewRef(name),
                   .type = type,
                   .records = identity_of(&record) | (plain ? 0 : kOtherAccess),
                   .version = version};
  if (plain)
    own.cache[at].offset = offsetof(FrozenRecord, fields) + entry.index * sizeof(PyObject*);
  own.details[at] = entry;
  return &own.details[at];
}

[[gnu::noinline]] PyObject* read_slowly(State& own, PyObject* self, PyObject* name) {
  if (!PyUnicode_Check(name)) {
    PyErr_Format(PyExc_TypeError, "attribute name must be string, not '%.200s'",
                 Py_TYPE(name)->tp_name);
    return nullptr;
  }
  if (reinterpret_cast<PyASCIIObject*>(name)->hash == -1 && PyObject_Hash(name) == -1)
    return nullptr;
  const FrozenRecord* record = as_record(self);
  const Class* known = class_of(own, record);
  if (!known) return nullptr;
  const Layout& layout = *layout_at(record->layout);
  PyTypeObject* type = known->type;
  const unsigned version = known->version;
  AccessDetails entry;
  if (!classify(own, *known, record, name, entry)) return nullptr;
  if (layout.whole_dict && entry.access != Access::own_dict && entry.access != Access::own_class) {
    // The names are the record's own: nothing to remember.
    const bool hides = entry.found && Py_TYPE(entry.found)->tp_descr_set;
    if (!hides) {
      Ref value(nullptr);
      PyObject* whole = whole_dict(self, layout);
      PyObject* mapping = whole ? reinterpret_cast<FrozenDict*>(whole)->mapping : nullptr;
      PyObject* found = mapping ? faces::find_value(mapping, name) : nullptr;
      if (found) return read(found);
      if (PyErr_Occurred()) return nullptr;
    }
    return perform(own, entry, nullptr, type, self, name);
  }
  AccessDetails* place = nullptr;
  SpareBinding dropped;
  if (PyUnicode_CheckExact(name) && PyUnicode_CHECK_INTERNED(name) && version) {
    place = remember(own, entry, *record, type, version, name, dropped);
  }
  return perform(own, entry, place, type, self, name);
}

// What is read most, a field and a method, in as few instructions as can be: nullptr, without an
// exception, of anything else. Of a frozen container that is no record the layout is 0, which no
// record has.
inline PyObject* read_at_once(State& own, PyObject* self, PyObject* name) {
  const FrozenRecord* record = as_record(self);
  const std::size_t at = State::place_of(record->layout, name);
  const CachedAccess& entry = own.cache[at];
  if (entry.name != name) [[unlikely]]
    return nullptr;
  const std::uint64_t other = entry.records ^ identity_of(record);
  if (entry.type->tp_version_tag != entry.version) [[unlikely]]
    return nullptr;
  if (!other) [[likely]] {
    // Immortal: not counted.
    return *reinterpret_cast<PyObject* const*>(reinterpret_cast<const char*>(record) +
                                               entry.offset);
  }
  PyObject* bound = own.details[at].bound;
  return bound && other == kOtherAccess ? bind_again(bound, self) : nullptr;
}

PyObject* read_attribute(State& own, PyObject* self, PyObject* name) {
  if (PyObject* value = read_at_once(own, self, name)) return value;
  const FrozenRecord* record = as_record(self);
  const std::size_t at = State::place_of(record->layout, name);
  const CachedAccess& entry = own.cache[at];
  if (entry.name == name && entry.type->tp_version_tag == entry.version &&
      (entry.records | kOtherAccess) == (identity_of(record) | kOtherAccess)) {
    const AccessDetails copy = own.details[at];  // what runs now may read other attributes
    return perform(own, copy, &own.details[at], entry.type, self, name);
  }
  return read_slowly(own, self, name);
}

}  // namespace

namespace {

// Of a frozen container that is no record. The type's dict has special methods that only records
// may have.
PyObject* get_attribute_of_container(PyObject* self, PyObject* name) {
  if (PyUnicode_CheckExact(name) && PyUnicode_GET_LENGTH(name) > 4 &&
      PyUnicode_READ_CHAR(name, 0) == '_') {
    PyObject* denied = denied_names();
    const int is_denied = denied ? PySet_Contains(denied, name) : -1;
    if (is_denied < 0) return nullptr;
    if (is_denied) {
      auto* type = reinterpret_cast<PyTypeObject*>(faces::class_of(faces::kind_of(self)));
      if (!type) return nullptr;
      if (!_PyType_Lookup(type, name)) return missing(type, name);
    }
  }
  return PyObject_GenericGetAttr(self, name);
}

}  // namespace

namespace {

[[gnu::noinline]] PyObject* get_attribute_slowly(PyObject* self, PyObject* name) {
  if (!has_record_kind(self)) return get_attribute_of_container(self, name);
  PyObject* value = get_attribute_without_hook(self, name);
  return value ? value : ask_hook(self, name);
}

}  // namespace

PyObject* get_attribute(PyObject* self, PyObject* name) {
  if (State* own = states.glance()) [[likely]] {
    if (PyObject* value = read_at_once(*own, self, name)) [[likely]]
      return value;
  }
  return get_attribute_slowly(self, name);
}

PyObject* get_attribute_without_hook(PyObject* record, PyObject* name) {
  State* own = state();
  return own ? read_attribute(*own, record, name) : nullptr;
}

}  // namespace firn::heap::records
