#include "heap/records/slots.hpp"

#include <atomic>

#include "heap/records/attributes.hpp"
#include "heap/records/builtin_methods.hpp"
#include "heap/records/state.hpp"

namespace firn::heap::records {

using faces::Ref;

namespace {

Base bases[3];  // of FrozenList, FrozenDict and FrozenFace; filled before any other thread can come

std::size_t place_of(PyTypeObject* type) {
  return (reinterpret_cast<std::uintptr_t>(type) - types_address) / type_stride;
}

PyTypeObject* container_type(FaceKind kind) {
  switch (kind) {
    case FaceKind::list_record:
      return frozen_list_type();
    case FaceKind::dict_record:
      return frozen_dict_type();
    case FaceKind::set_record:
      return frozen_face_type();
    default:
      return nullptr;
  }
}

// ---- text ----

PyObject* text(PyObject* self) {
  if (!has_record_kind(self)) return base_of_face(self)->text(self);
  const Found found = find(self, Special::repr_);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin != Origin::builtin) return call(found, self);
  return PyDescr_TYPE(found.method) == &PyBaseObject_Type ? plain_text(self) : container_text(self);
}

PyObject* string(PyObject* self) {
  if (!has_record_kind(self)) return PyObject_Repr(self);
  const Found found = find(self, Special::str_);
  if (found.origin == Origin::unknown) return nullptr;
  return found.origin == Origin::builtin ? PyObject_Repr(self) : call(found, self);
}

// ---- iteration ----

// An iterator over record[0], record[1] ...
PyObject* iterate_by_index(PyObject* record) {
  const Ref function(PyImport_ImportModuleAttrString("firn.records", "iterate_by_index"));
  return function ? PyObject_CallOneArg(function.get(), record) : nullptr;
}

PyObject* iterate(PyObject* self) {
  if (!has_record_kind(self)) return base_of_face(self)->iterate(self);
  const Found found = find(self, Special::iter_);
  switch (found.origin) {
    case Origin::unknown:
      return nullptr;
    case Origin::user:
      return call(found, self);
    case Origin::builtin:
      return container_iterator(self);
    case Origin::none:
      break;
    case Origin::absent: {
      const Found item = find(self, Special::getitem_);
      if (item.origin == Origin::unknown) return nullptr;
      if (item.origin == Origin::user) return iterate_by_index(self);
    }
  }
  return refuse_operation(self, "'%.200s' object is not iterable");
}

PyObject* next(PyObject* self) {
  if (has_record_kind(self)) {
    const Found found = find(self, Special::next_);
    if (found.origin == Origin::unknown) return nullptr;
    if (found.origin == Origin::user) return call(found, self);
  }
  return refuse_operation(self, "'%.200s' object is not an iterator");
}

// ---- containers ----

Py_ssize_t length(PyObject* self) {
  if (!has_record_kind(self)) {
    const Base* base = base_of_face(self);
    return base->sequence.sq_length ? base->sequence.sq_length(self)
                                    : base->mapping.mp_length(self);
  }
  const Found found = find(self, Special::len_);
  if (found.origin == Origin::unknown) return -1;
  if (found.origin == Origin::builtin) return container_length(self);
  if (found.origin != Origin::user) {
    refuse_operation(self, "object of type '%.200s' has no len()");
    return -1;
  }
  const Ref answer(call(found, self));
  const Ref number(answer ? PyNumber_Index(answer.get()) : nullptr);
  if (!number) return -1;
  if (_PyLong_IsNegative(reinterpret_cast<PyLongObject*>(number.get()))) {
    PyErr_SetString(PyExc_ValueError, "__len__() should return >= 0");
    return -1;
  }
  return PyNumber_AsSsize_t(number.get(), PyExc_OverflowError);
}

int contains(PyObject* self, PyObject* value) {
  if (!has_record_kind(self)) return base_of_face(self)->sequence.sq_contains(self, value);
  const Found found = find(self, Special::contains_);
  switch (found.origin) {
    case Origin::unknown:
      return -1;
    case Origin::builtin:
      return container_contains(self, value);
    case Origin::user: {
      const Ref answer(call(found, self, value));
      return answer ? PyObject_IsTrue(answer.get()) : -1;
    }
    case Origin::none:
      refuse_operation(self, "'%.200s' object is not a container");
      return -1;
    case Origin::absent:
      break;
  }
  const bool iterable = find(self, Special::iter_).origin == Origin::user ||
                        find(self, Special::getitem_).origin == Origin::user;
  if (PyErr_Occurred()) return -1;
  if (!iterable) {
    refuse_operation(self, "argument of type '%.200s' is not a container or iterable");
    return -1;
  }
  const Ref iterator(PyObject_GetIter(self));
  if (!iterator) return -1;
  while (const Ref item{PyIter_Next(iterator.get())}) {
    const int equal = PyObject_RichCompareBool(item.get(), value, Py_EQ);
    if (equal) return equal;
  }
  return PyErr_Occurred() ? -1 : 0;
}

PyObject* record_item(PyObject* self, PyObject* key) {
  const Found found = find(self, Special::getitem_);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin == Origin::builtin) return container_item(self, key);
  if (found.origin == Origin::user) return call(found, self, key);
  return refuse_operation(self, "'%.200s' object is not subscriptable");
}

template <std::size_t place>
PyObject* subscript(PyObject* self, PyObject* key) {
  if (!has_record_kind(self)) [[likely]]
    return bases[place].mapping.mp_subscript(self, key);
  return record_item(self, key);
}

PyObject* subscript_face(PyObject* self, PyObject* key) {
  if (has_record_kind(self)) [[likely]]
    return record_item(self, key);
  return refuse_operation(self, "'%.200s' object is not subscriptable");
}

PyObject* item(PyObject* self, Py_ssize_t index) {
  if (!has_record_kind(self)) [[likely]]
    return bases[0].sequence.sq_item(self, index);
  const Ref key(PyLong_FromSsize_t(index));
  return key ? record_item(self, key.get()) : nullptr;
}

int change_item(PyObject* self, PyObject* key, PyObject* value) {
  const bool is_set = Py_IS_TYPE(self, frozen_face_type()) && !has_record_kind(self);
  if (!has_record_kind(self) && !is_set) return faces::refuse_key(self, key, value);
  Found found{Origin::absent};
  if (!is_set) found = find(self, value ? Special::setitem_ : Special::delitem_);
  switch (found.origin) {
    case Origin::unknown:
      return -1;
    case Origin::user: {
      const Ref answer(call(found, self, key, value));
      return answer ? 0 : -1;
    }
    case Origin::builtin:
      return faces::refuse_key(self, key, value);
    default:
      refuse_operation(self, value ? "'%.200s' object does not support item assignment"
                                   : "'%.200s' object doesn't support item deletion");
      return -1;
  }
}

PyObject* repeat(PyObject* self, Py_ssize_t count) {
  if (!has_record_kind(self)) return base_of_face(self)->sequence.sq_repeat(self, count);
  const Ref number(PyLong_FromSsize_t(count));
  return number ? PyNumber_Multiply(self, number.get()) : nullptr;
}

PyObject* concatenate(PyObject* self, PyObject* other) {
  if (!has_record_kind(self)) return base_of_face(self)->sequence.sq_concat(self, other);
  return PyNumber_Add(self, other);
}

// ---- calls ----

PyObject* call_record(PyObject* self, PyObject* arguments, PyObject* keywords) {
  const Found found = find(self, Special::call_);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin != Origin::user) {
    return refuse_operation(self, "'%.200s' object is not callable");
  }
  const Ref method = faces::borrowed(found.method);
  descrgetfunc bind = Py_TYPE(method.get())->tp_descr_get;
  const Ref bound(bind ? bind(method.get(), self, reinterpret_cast<PyObject*>(found.of->type))
                       : Py_NewRef(method.get()));
  return bound ? PyObject_Call(bound.get(), arguments, keywords) : nullptr;
}

// ---- async ----

template <Special name, const char* words>
PyObject* ask_async(PyObject* self) {
  if (has_record_kind(self)) {
    const Found found = find(self, name);
    if (found.origin == Origin::unknown) return nullptr;
    if (found.origin == Origin::user) return call(found, self);
  }
  return refuse_operation(self, words);
}

constexpr char no_await[] = "'%.200s' object can't be awaited";
constexpr char no_aiter[] = "'async for' requires an object with __aiter__ method, got %.200s";
constexpr char no_anext[] = "'async for' requires an iterator with __anext__ method, got %.200s";

PyAsyncMethods async_methods = {ask_async<Special::await_, no_await>,
                                ask_async<Special::aiter_, no_aiter>,
                                ask_async<Special::anext_, no_anext>, nullptr};

PyNumberMethods numbers[4];
PySequenceMethods sequences[4];
PyMappingMethods mappings[4];

}  // namespace

const Base* base_of_face(PyObject* face) {
  PyTypeObject* type =
      has_record_kind(face) ? container_type(as_record(face)->kind) : Py_TYPE(face);
  return type ? &bases[place_of(type)] : nullptr;
}

void add_slots(PyTypeObject* type) {
  const std::size_t place = place_of(type);
  const bool is_face = place >= 2;  // FrozenFace, and records with a __call__
  if (place < 3) {
    Base& base = bases[place];
    base.text = type->tp_repr;
    base.hash = type->tp_hash;
    base.iterate = type->tp_iter;
    base.compare = type->tp_richcompare;
    if (type->tp_as_number) base.number = *type->tp_as_number;
    if (type->tp_as_sequence) base.sequence = *type->tp_as_sequence;
    if (type->tp_as_mapping) base.mapping = *type->tp_as_mapping;
    numbers[place] = base.number;
    sequences[place] = base.sequence;
    mappings[place] = base.mapping;
  }
  PySequenceMethods& sequence = sequences[place];
  PyMappingMethods& mapping = mappings[place];
  add_number_slots(&numbers[place], is_face);
  sequence.sq_contains = contains;
  if (sequence.sq_length || is_face) sequence.sq_length = length;
  if (sequence.sq_item) sequence.sq_item = item;
  if (sequence.sq_repeat) sequence.sq_repeat = repeat;
  if (sequence.sq_concat) sequence.sq_concat = concatenate;
  if (place == 1) {
    mapping.mp_subscript = subscript<1>;
  } else {
    mapping.mp_subscript = is_face ? subscript_face : subscript<0>;
  }
  mapping.mp_length = length;
  mapping.mp_ass_subscript = change_item;
  type->tp_repr = text;
  type->tp_str = string;
  type->tp_hash = hash;
  type->tp_iter = iterate;
  type->tp_richcompare = compare;
  type->tp_setattro = faces::refuse_attribute;
  if (is_face) type->tp_iternext = next;
  if (is_face) type->tp_getattro = get_attribute;
  type->tp_as_async = &async_methods;
  type->tp_as_number = &numbers[place];
  type->tp_as_sequence = &sequences[place];
  type->tp_as_mapping = &mappings[place];
}

void fill_callable_type(PyTypeObject* type) {
  type->tp_name = "firn.FrozenCallable";
  type->tp_doc =
      "An instance of a class with a __call__ that was frozen and is shared by reference with the\n"
      "workers.\n\n"
      "Reads as the original does; whatever would change it raises TypeError.\n"
      "firn.thaw() gives a mutable deep copy.";
  type->tp_basicsize = sizeof(FrozenRecord);
  type->tp_flags = Py_TPFLAGS_DEFAULT;
  type->tp_call = call_record;
  type->tp_init = faces::refuse_init;
}

bool is_admitted(PyTypeObject* type) {
  return std::atomic_ref<getattrofunc>(type->tp_getattro).load() == get_attribute;
}

void admit(PyTypeObject* type) {
  if (is_admitted(type)) return;
  // Instructions that were specialised for the type notice by its version. Other interpreters read
  // both fields, one word each, at any time.
  PyType_Modified(type);
  std::atomic_ref<getattrofunc>(type->tp_getattro).store(get_attribute);
  PyUnstable_Type_AssignVersionTag(type);
  State* own = state();
  if (!own || add_members(*own) < 0) PyErr_Clear();  // asked again when a record is read
}

}  // namespace firn::heap::records
