#include "heap/records/instances.hpp"

#include <new>

#include "heap/faces/dict_lookup.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/records/state.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace records {

using faces::Ref;

namespace {

PyHeapTypeObject* heap_type(PyTypeObject* type) {
  return reinterpret_cast<PyHeapTypeObject*>(type);
}

// The offset of the slot `name` that `type` itself has; 0 when it has none.
Py_ssize_t offset_of(PyTypeObject* type, PyObject* name) {
  const PyMemberDef* members = type->tp_members;
  if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || !members) return 0;
  for (Py_ssize_t i = 0; i < Py_SIZE(type) && members[i].name; i++) {
    if (members[i].type == Py_T_OBJECT_EX && PyUnicode_EqualToUTF8(name, members[i].name)) {
      return members[i].offset;
    }
  }
  return 0;
}

// Not the inner one, nor one of the interpreter's own that a table keeps.
PyObject* copy_of_frozenset(PyObject* members) {
  Ref plain(PySet_New(members));
  return plain ? PyFrozenSet_New(plain.get()) : nullptr;
}

// Into an instance's __dict__, which is made if need be. Takes over the reference.
int set_by_name(PyObject* instance, PyObject* name, PyObject* value) {
  Ref owned(value);
  Ref dict(PyObject_GenericGetDict(instance, nullptr));
  return dict ? PyDict_SetItem(dict.get(), name, value) : -1;
}

}  // namespace

PyTypeObject* base_of(PyTypeObject* type) {
  while (!is_static(type)) type = type->tp_base;
  return type;
}

Maker::Maker(const Layout& layout, PyTypeObject* type)
    : layout_(layout), type_(type), base_(base_of(type)) {
  inline_values_ = (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) != 0;
  places_.assign(layout.count, kUnknown);
  // Slots stand in the order of the classes, the base first; a name may come twice.
  std::vector<PyTypeObject*> chain;
  for (PyTypeObject* at = type; at != base_; at = at->tp_base) chain.push_back(at);
  std::size_t slot = 0;
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    const PyMemberDef* members = (*at)->tp_members;
    for (Py_ssize_t i = 0; members && slot < layout.slots && i < Py_SIZE(*at); i++) {
      if (members[i].type != Py_T_OBJECT_EX) continue;
      if (!PyUnicode_EqualToUTF8(layout.name(slot), members[i].name)) break;
      places_[slot++] = members[i].offset;
    }
  }
  // What is left stands elsewhere in this interpreter's class.
  for (; slot < layout.slots; slot++) {
    for (PyTypeObject* at : chain) {
      const Py_ssize_t offset = offset_of(at, layout.name(slot));
      if (offset) {
        places_[slot] = offset;
        break;
      }
    }
  }
}

const Maker* Maker::of(PyObject* record) {
  State* own = state();
  if (!own) return nullptr;
  const std::uint32_t id = as_record(record)->layout;
  if (id < own->makers.size() && own->makers[id]) [[likely]]
    return own->makers[id].get();
  const Class* known = class_of(*own, as_record(record));
  if (!known) return nullptr;
  try {
    if (id >= own->makers.size()) own->makers.resize(id + 1);
    own->makers[id] = std::make_shared<Maker>(*layout_at(id), known->type);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return nullptr;
  }
  return own->makers[id].get();
}

PyObject* Maker::make_empty(Py_ssize_t items) const {
  if (base_ == &PyBaseObject_Type) return type_->tp_alloc(type_, 0);
  if (base_ == &PyTuple_Type) {
    PyObject* made = type_->tp_alloc(type_, items);
    if (made) reinterpret_cast<PyTupleObject*>(made)->ob_hash = -1;
    return made;
  }
  Ref no_arguments(PyTuple_New(0));
  return no_arguments ? base_->tp_new(type_, no_arguments.get(), nullptr) : nullptr;
}

int Maker::set_field(PyObject* instance, std::size_t field, PyObject* value) const {
  if (field < layout_.slots) {
    const Py_ssize_t offset = places_[field];
    if (offset == kUnknown) return set_by_name(instance, layout_.name(field), value);
    auto* slot = reinterpret_cast<PyObject**>(reinterpret_cast<char*>(instance) + offset);
    PyObject* before = *slot;
    *slot = value;
    Py_XDECREF(before);
    return 0;
  }
  if (!inline_values_ || _PyObject_ManagedDictPointer(instance)->dict) {
    return set_by_name(instance, layout_.name(field), value);
  }
  PyDictValues* values = _PyObject_InlineValues(instance);
  Py_ssize_t& place = places_[field];
  if (place == kUnknown) {
    PyDictKeysObject* keys = heap_type(type_)->ht_cached_keys;
    PyObject* name = layout_.name(field);
    place = faces::find_text(keys, name, reinterpret_cast<PyASCIIObject*>(name)->hash);
    if (place < 0) place = kUnknown;  // becomes one of them below, if they have room
  }
  if (place == kUnknown || !values->valid || place >= values->capacity || values->values[place]) {
    return set_by_name(instance, layout_.name(field), value);
  }
  values->values[place] = value;
  _PyDictValues_AddToInsertionOrder(values, place);
  return 0;
}

PyObject* plain_container(PyObject* record) {
  switch (as_record(record)->kind) {
    case FaceKind::tuple_record:
      // Never the inner one: what stands in it for a hash is not for others.
      return faces::resolve_items(as_record(record)->inner).release();
    case FaceKind::list_record: {
      const Ref items = faces::plain_items(record);
      return items ? PySequence_List(items.get()) : nullptr;
    }
    case FaceKind::dict_record:
      return faces::copy_mapping(record).release();
    case FaceKind::set_record: {
      const faces::Ref members = faces::members_of(record);
      PyTypeObject* type = members ? type_of(record) : nullptr;
      if (!type) return nullptr;
      return PyType_IsSubtype(type, &PyFrozenSet_Type) ? copy_of_frozenset(members.get())
                                                       : PySet_New(members.get());
    }
    default:
      return Py_NewRef(record);
  }
}

}  // namespace records

PyObject* shallow(PyObject* object) {
  if (records::is_record(object)) return shallow_instance(object);
  return faces::to_plain(object).release();
}

PyObject* shallow_instance(PyObject* record) {
  using namespace records;
  const Maker* maker = Maker::of(record);
  if (!maker) return nullptr;
  const Layout& layout = maker->layout();
  Ref items(nullptr);
  Py_ssize_t count = 0;
  if (layout.kind != FaceKind::record) {
    items = Ref(plain_container(record));
    if (!items) return nullptr;
    if (PyTuple_CheckExact(items.get())) count = PyTuple_GET_SIZE(items.get());
  }
  Ref made(maker->make_empty(count));
  if (!made) return nullptr;
  int status = 0;
  switch (layout.kind) {
    case FaceKind::tuple_record:
      for (Py_ssize_t i = 0; i < count; i++) {
        reinterpret_cast<PyTupleObject*>(made.get())->ob_item[i] =
            Py_NewRef(PyTuple_GET_ITEM(items.get(), i));
      }
      break;
    case FaceKind::list_record:
      status = PyList_SetSlice(made.get(), 0, 0, items.get());
      break;
    case FaceKind::dict_record:
      status = PyDict_Update(made.get(), items.get());
      break;
    case FaceKind::set_record: {
      // Member by member: a frozenset takes them as long as nobody else has it.
      PyObject* member;
      Py_hash_t hash;
      for (Py_ssize_t at = 0; status == 0 && _PySet_NextEntry(items.get(), &at, &member, &hash);) {
        status = PySet_Add(made.get(), member);
      }
      break;
    }
    default:
      break;
  }
  if (status < 0) return nullptr;
  for (std::size_t i = 0; i < layout.count; i++) {
    PyObject* value = as_record(record)->fields[i];
    if (!value) continue;
    value = read(value);
    if (!value) return nullptr;
    if (layout.whole_dict && i + 1 == layout.count) {
      Ref whole(value);
      Ref plain(faces::to_plain(value));
      Ref dict(plain ? PyObject_GenericGetDict(made.get(), nullptr) : nullptr);
      if (!dict || PyDict_Update(dict.get(), plain.get()) < 0) return nullptr;
    } else if (maker->set_field(made.get(), i, value) < 0) {
      return nullptr;
    }
  }
  return made.release();
}

}  // namespace firn::heap
