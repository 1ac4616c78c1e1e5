// Copying instances: the fields of a record, found through the C layout of its class.
#include <algorithm>
#include <cstring>

#include "heap/freezer.hpp"
#include "heap/records/rounds.hpp"
#include "heap/segments.hpp"
#include "heap/static_objects.hpp"
#include "heap/strings.hpp"
#include "heap/tables.hpp"
#include "heap/twins/make_twin.hpp"
#include "heap/twins/shells.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

// A class with more layouts than this has instances that differ by what they hold, as namespaces
// do: they get one field, their whole __dict__.
constexpr std::size_t kMostLayouts = 256;
constexpr std::size_t kMostFields = 1024;

PyObject* slot_value(PyObject* object, Py_ssize_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset);
}

PyDictKeysObject* cached_keys(PyTypeObject* type) {
  return reinterpret_cast<PyHeapTypeObject*>(type)->ht_cached_keys;
}

}  // namespace

void Copier::note_definition(std::uint32_t number) {
  if (std::find(definitions_.begin(), definitions_.end(), number) == definitions_.end())
    definitions_.push_back(number);
}

void Copier::forget_sources() {
  row_keys_.forget_sources();
  layouts_.clear();
}

// By comparing what the latest instance of the class had; this is done for every instance.
const Layout* Copier::find_layout(const Plan& plan, const Plan::Attributes& attributes) {
  if (layouts_.size() <= plan.index) layouts_.resize(plan.index + 1);
  KnownLayouts& known = layouts_[plan.index];
  const PyDictObject* dict = attributes.dict;
  if (const PyDictValues* values = dict ? dict->ma_values : attributes.values) {
    const PyDictKeysObject* keys = dict ? dict->ma_keys : cached_keys(plan.type);
    const std::uint8_t* order = get_insertion_order_array(const_cast<PyDictValues*>(values));
    const std::size_t count = values->size;
    if (known.keys != keys || known.count != count || std::memcmp(known.order, order, count)) {
      known.layout = make_layout(plan, attributes);
      known.keys = keys;
      known.count = count;
      std::memcpy(known.order, order, count);
    }
    return known.layout;
  }
  if (!dict || !dict->ma_used) {
    if (known.keys != empty_keys) {
      known.layout = make_layout(plan, attributes);
      known.keys = empty_keys;
      known.count = 0;
    }
    return known.layout;
  }
  // A dict with a table of its own.
  PyDictKeysObject* keys = dict->ma_keys;
  const auto used = static_cast<std::size_t>(dict->ma_used);
  if (!DK_IS_UNICODE(keys) || used > kMostFields) return make_layout(plan, attributes);
  const PyDictUnicodeEntry* entries = DK_UNICODE_ENTRIES(keys);
  std::vector<PyObject*> set;  // where some have been deleted
  LayoutShapes::Keys shape{&entries->me_key, used, 2};
  if (dict->ma_used != keys->dk_nentries) {
    for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
      if (entries[i].me_value) set.push_back(entries[i].me_key);
    }
    shape = {set.data(), used, 1};
  }
  const std::uint64_t hash = LayoutShapes::hash(shape);
  if (const Layout* layout = known.by_keys.find(shape, hash)) return layout;
  const Layout* layout = make_layout(plan, attributes);
  if (!layout->whole_dict) known.by_keys.insert(shape, hash, layout);
  return layout;
}

// For the first instance of its kind in this thread.
const Layout* Copier::make_layout(const Plan& plan, const Plan::Attributes& attributes) {
  note_definition(plan.definition);
  LayoutKey key{plan.definition,
                plan.kind,
                plan.hash,
                plan.callable,
                plan.has_dict,
                false,
                static_cast<std::uint32_t>(plan.slots.size()),
                {}};
  for (const Plan::Slot& slot : plan.slots) key.names.push_back(slot.name);
  const PyDictObject* dict = attributes.dict;
  if (const PyDictValues* values = dict ? dict->ma_values : attributes.values) {
    PyDictKeysObject* keys = dict ? dict->ma_keys : cached_keys(plan.type);
    const std::uint8_t* order = get_insertion_order_array(const_cast<PyDictValues*>(values));
    for (std::size_t i = 0; i < values->size; ++i)
      key.names.push_back(DK_UNICODE_ENTRIES(keys)[order[i]].me_key);
    return find_or_make_layout(key);
  }
  if (!dict || !dict->ma_used) return find_or_make_layout(key);
  PyDictKeysObject* keys = dict->ma_keys;
  if (DK_IS_UNICODE(keys) && static_cast<std::size_t>(dict->ma_used) <= kMostFields &&
      count_layouts(plan.definition) <= kMostLayouts) {
    for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
      const PyDictUnicodeEntry& entry = DK_UNICODE_ENTRIES(keys)[i];
      if (entry.me_value) key.names.push_back(entry.me_key);
    }
    return find_or_make_layout(key);
  }
  key.whole_dict = true;
  key.names.push_back(plan.dict_name);
  return find_or_make_layout(key);
}

FrozenRecord* Copier::new_record(const Layout& layout, PyTypeObject* type, bool shared) {
  const std::size_t fields = std::max<std::size_t>(layout.count, 1);
  auto* record = reinterpret_cast<FrozenRecord*>(
      allocate(offsetof(FrozenRecord, fields) + fields * sizeof(PyObject*)));
  ++objects_;
  set_header(reinterpret_cast<PyObject*>(record), type, shared);
  record->inner = nullptr;
  record->kind = layout.kind;
  record->flags = 0;
  record->layout = layout.id;
  record->fields[0] = nullptr;
  return record;
}

// The part of a record that is a builtin container, which is `inner` or of the same layout.
void Copier::make_inner(FrozenRecord* record, PyObject* object, PyObject* inner) {
  auto* made = reinterpret_cast<PyObject*>(record);
  switch (record->kind) {
    case FaceKind::tuple_record:
    case FaceKind::list_record: {
      const bool list = PyList_Check(inner);
      const auto size = static_cast<std::size_t>(Py_SIZE(inner));
      PyObject* const* items = list ? reinterpret_cast<PyListObject*>(inner)->ob_item
                                    : reinterpret_cast<PyTupleObject*>(inner)->ob_item;
      PyTupleObject* tuple = new_tuple(size, false);
      if (size) std::memcpy(tuple->ob_item, items, size * sizeof(PyObject*));
      record->inner = reinterpret_cast<PyObject*>(tuple);
      const bool hashed = record->kind == FaceKind::tuple_record;
      if (!hashed) tuple->ob_hash = 1;  // as in make_list()
      push(object, made, tuple->ob_item, size, 1, Role::elements, hashed);
      break;
    }
    case FaceKind::dict_record:
      record->inner =
          reinterpret_cast<PyObject*>(new_dict(&PyDict_Type, sizeof(PyDictObject), false));
      push(object, made, nullptr, 0, 1, Role::unbuilt);
      break;
    case FaceKind::set_record: {
      PySetObject* set = new_set(reinterpret_cast<PySetObject*>(inner), false);
      record->inner = reinterpret_cast<PyObject*>(set);
      push_members(object, made, set);
      break;
    }
    default:
      break;
  }
}

PyObject* Copier::make_record(const Plan& plan, PyObject* object, bool shared) {
  const Plan::Attributes attributes = plan.attributes_of(object);
  const Layout* layout = find_layout(plan, attributes);
  FrozenRecord* record = new_record(*layout, plan.record_type, shared);
  PyObject** field = record->fields;
  for (const Plan::Slot& slot : plan.slots) *field++ = slot_value(object, slot.offset);
  if (layout->whole_dict) {
    *field = reinterpret_cast<PyObject*>(attributes.dict);
  } else if (const PyDictValues* values =
                 attributes.dict ? attributes.dict->ma_values : attributes.values) {
    const std::uint8_t* order = get_insertion_order_array(const_cast<PyDictValues*>(values));
    for (std::size_t i = 0; i < values->size; ++i) *field++ = values->values[order[i]];
  } else if (attributes.dict) {
    PyDictKeysObject* keys = attributes.dict->ma_keys;
    for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
      if (PyObject* value = DK_UNICODE_ENTRIES(keys)[i].me_value) *field++ = value;
    }
  }
  auto* made = reinterpret_cast<PyObject*>(record);
  if (plan.kind != FaceKind::record) make_inner(record, object, object);
  if (layout->count) push(object, made, record->fields, layout->count, 1, Role::fields);
  return made;
}

// Of a record that is frozen already, in a segment that is not kept.
PyObject* Copier::copy_frozen_record(PyObject* object, bool shared) {
  const auto* source = reinterpret_cast<FrozenRecord*>(object);
  const Layout* layout = layout_of(object);
  FrozenRecord* record = new_record(*layout, Py_TYPE(object), shared);
  record->flags = source->flags;
  std::memcpy(record->fields, source->fields, layout->count * sizeof(PyObject*));
  note_definition(layout->definition);
  auto* made = reinterpret_cast<PyObject*>(record);
  if (source->inner) make_inner(record, object, source->inner);
  if (layout->count) push(object, made, record->fields, layout->count, 1, Role::fields);
  return made;
}

void Copier::check_marks(PyObject* object) {
  if (freezing_.transfer && freezing_.marks->is_lent(object)) throw Unfreezable{object, nullptr};
  if (freezing_.marks->says(object) == false) {
    throw Unfreezable{object, nullptr,
                      "It is marked as not to be frozen (firn.set_freezable(..., False))."};
  }
}

// Everything whose type is known to this interpreter only, and what the copier does not know.
PyObject* Copier::make_instance(PyObject* object, bool shared) {
  PyTypeObject* type = Py_TYPE(object);
  const Plan* plan = freezing_.plans.find(type);
  if (!plan) {
    if (!alone_) return nullptr;
    plan = freezing_.plans.make(type);
  }
  // What an object is marked with beats what its class says.
  if (plan->opted_out && !(freezing_.marks && freezing_.marks->says(object) == true))
    throw Unfreezable{object, nullptr, plan->reason};
  switch (plan->way) {
    case Way::record:
      if (plan->pre_freeze && !freezing_.python.is_ready(object)) return nullptr;
      return make_record(*plan, object, shared);
    case Way::builtin:
      return make_rare(object, shared);
    case Way::refused:
      throw Unfreezable{object, nullptr, plan->reason};
    case Way::twin:
      break;
  }
  return make_with_python(object, shared);
}

PyObject* Copier::make_with_python(PyObject* object, bool shared) {
  if (!alone_) return nullptr;
  if (PyObject* known = twin_of(object); known && in_lasting(known)) {
    note_lasting(known);
    freezing_.has_twins = true;
    return known;
  }
  if (freezing_.transfer) throw Unfreezable{object, nullptr};
  if (freezing_.looking && object == freezing_.python.culprit) throw freezing_.python.what;
  PyObject* reduced = freezing_.python.reduced(object);
  return reduced ? make_twin(*this, object, reduced, shared) : nullptr;
}

PyObject* Copier::known_shell(PyObject* object) {
  if (!becomes_shell(Py_TYPE(object))) return nullptr;
  PyObject* shell = freezing_.shells->find(object);
  if (!shell || !in_lasting(shell)) return nullptr;
  note_lasting(shell);
  return shell;
}

void Copier::defer(PyObject** slot, PyObject* original, PyObject* container, Role role) {
  *slot = original;
  deferred_.push_back({slot, original, container, role});
}

void Copier::note_twin(PyObject* container, Role role) {
  if (!container) return;  // a root
  PyTypeObject* type = Py_TYPE(container);
  if (type != frozen_list_type() && type != frozen_dict_type() && type != frozen_face_type() &&
      type != frozen_callable_type()) {
    with_twins_.push_back(container);
    return;
  }
  const bool key = role == Role::keys || role == Role::members;
  __atomic_fetch_or(&reinterpret_cast<FrozenFace*>(container)->flags,
                    key ? kKeyedByTwins : kHoldsTwins, __ATOMIC_RELAXED);
}

void Copier::fill(PyObject** slot, PyObject* original, PyObject* container, Role role) {
  if (PyObject* made = copy(original)) {
    *slot = made;
    if (freezing_.has_twins && is_twin(made)) note_twin(container, role);
  } else {
    defer(slot, original, container, role);
  }
}

}  // namespace firn::heap
