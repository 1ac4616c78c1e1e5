#include "heap/records/plans.hpp"

#include <cstring>
#include <new>

#include "heap/interpreter.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/slots.hpp"

namespace firn::heap {
namespace {

PyHeapTypeObject* heap_type(PyTypeObject* type) {
  return reinterpret_cast<PyHeapTypeObject*>(type);
}

// A string for a look-up; throws when there is no memory.
class Name {
 public:
  explicit Name(const char* text) : string_(PyUnicode_InternFromString(text)) {
    if (!string_) {
      PyErr_Clear();
      throw std::bad_alloc();
    }
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() { Py_DECREF(string_); }
  PyObject* get() const { return string_; }
  PyObject* take() const { return Py_NewRef(string_); }

 private:
  PyObject* string_;
};

// What the classes of the MRO say, nearest first; borrowed. Looks into dicts only.
PyObject* look_up(PyTypeObject* type, const char* name) {
  return _PyType_Lookup(type, Name(name).get());
}

// Whether a class statement made the class, so that its instances hold what its base's do, its
// __slots__ and a __dict__, and nothing else. Classes that C code made differ in at least one of
// these.
bool made_by_statement(PyTypeObject* type, const InterpreterTypes& types) {
  return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) && !heap_type(type)->_ht_tpname &&
         type->tp_dealloc == types.counter->tp_dealloc;
}

// A class of C's that adds nothing to its instances, as typing.Generic.
bool adds_nothing(PyTypeObject* type) {
  const PyTypeObject* base = type->tp_base;
  return base && (type->tp_flags & Py_TPFLAGS_HEAPTYPE) &&
         type->tp_basicsize == base->tp_basicsize && type->tp_itemsize == base->tp_itemsize &&
         base == &PyBaseObject_Type && !(type->tp_flags & Py_TPFLAGS_DISALLOW_INSTANTIATION);
}

bool is_enum_class(PyTypeObject* type) {
  // Enum's own classes come from a module of Python's, which is loaded when there are members.
  PyObject* module = loaded_module("enum");
  if (!module) return false;
  PyObject* meta = PyDict_GetItemString(PyModule_GetDict(module), "EnumType");
  return meta && PyType_Check(meta) &&
         PyType_IsSubtype(Py_TYPE(type), reinterpret_cast<PyTypeObject*>(meta));
}

// Whether the class says itself how its instances are pickled or read.
bool speaks_for_itself(PyTypeObject* type, PyTypeObject* base) {
  for (const char* name : {"__getattribute__", "__reduce_ex__", "__reduce__"}) {
    if (look_up(type, name) != look_up(base, name)) return true;
  }
  PyObject* state = look_up(type, "__getstate__");
  if (state == look_up(base, "__getstate__")) return false;
  // A dataclass with slots says what object would: its fields.
  PyObject* module = loaded_module("dataclasses");
  return !module || state != PyDict_GetItemString(PyModule_GetDict(module), "_dataclass_getstate");
}

bool is_iterator(PyTypeObject* type) {
  PyObject* step = look_up(type, "__next__");
  return step && step != Py_None;
}

HashBy hash_of_type(PyTypeObject* type) {
  if (type->tp_hash == PyBaseObject_Type.tp_hash) return HashBy::identity;
  if (type->tp_hash == PyObject_HashNotImplemented || !type->tp_hash) return HashBy::none;
  if (type->tp_hash == PyTuple_Type.tp_hash || type->tp_hash == PyFrozenSet_Type.tp_hash)
    return HashBy::value;
  return HashBy::python;
}

}  // namespace

Plans::Plans(const InterpreterTypes& types, bool make_numbers)
    : types_(types), make_numbers_(make_numbers) {
  for (PyTypeObject* type : {types.deque, types.default_dict, types.counter}) make(type);
}

Plans::~Plans() {
  for (Plan& plan : plans_) {
    for (const Plan::Slot& slot : plan.slots) Py_DECREF(slot.name);
    Py_XDECREF(plan.dict_name);
    Py_DECREF(plan.type);
  }
}

const Plan* Plans::make(PyTypeObject* type) {
  if (const Plan* known = find(type)) return known;
  Plan& plan = plans_.emplace_back();
  plan.type = reinterpret_cast<PyTypeObject*>(Py_NewRef(type));
  plan.index = static_cast<std::uint32_t>(plans_.size() - 1);
  plan.dict_name = Name("__dict__").take();
  decide(plan);
  by_type_.insert(type, &plan);
  return &plan;
}

void Plans::decide(Plan& plan) {
  PyTypeObject* type = plan.type;
  plan.way = Way::twin;
  if (type == types_.deque || type == types_.default_dict || type == types_.counter) {
    plan.way = Way::builtin;
    plan.kind = type == types_.counter ? FaceKind::counter
                : type == types_.deque ? FaceKind::deque
                                       : FaceKind::default_dict;
    return;
  }
  PyObject* permission = look_up(type, "__firn_freezable__");
  if (permission == Py_False) {
    plan.opted_out = true;
    plan.reason = "Its class says that its instances are not to be frozen (firn.unfreezable).";
  }
  PyObject* hook = look_up(type, "__pre_freeze__");
  plan.pre_freeze = hook && hook != Py_None;

  PyTypeObject* base = type;
  while (made_by_statement(base, types_) || adds_nothing(base)) base = base->tp_base;
  FaceKind kind;
  if (base == &PyBaseObject_Type) {
    kind = FaceKind::record;
  } else if (base == &PyTuple_Type) {
    kind = FaceKind::tuple_record;
  } else if (base == &PyList_Type) {
    kind = FaceKind::list_record;
  } else if (base == &PyDict_Type) {
    kind = FaceKind::dict_record;
  } else if (base == &PySet_Type || base == &PyFrozenSet_Type) {
    kind = FaceKind::set_record;
  } else {
    return;
  }
  if (base == type || is_enum_class(type)) return;
  PyTypeObject* speaker = PyType_IsSubtype(type, types_.counter) ? types_.counter : base;
  if (speaks_for_itself(type, speaker)) return;
  if (type->tp_as_buffer && type->tp_as_buffer->bf_getbuffer) return;  // of a __buffer__

  plan.definition = make_numbers_ ? number_of(reinterpret_cast<PyObject*>(type))
                                  : shared_number_of(reinterpret_cast<PyObject*>(type));
  if (PyErr_Occurred()) {
    PyErr_Clear();
    throw std::bad_alloc();
  }
  if (!plan.definition) {
    plan.way = Way::refused;
    plan.reason = "Its class exists in this worker only: the notebook would not find it.";
    return;
  }
  plan.way = Way::record;
  plan.kind = kind;
  plan.hash = hash_of_type(type);
  plan.callable = type->tp_call != nullptr;
  plan.record_type = face_type(kind);
  // C code takes the elements of what is a list to it by index, and would not ask. And a list that
  // is an iterator as well, or callable, needs a type that has the slot.
  const bool is_sequence = kind == FaceKind::tuple_record || kind == FaceKind::list_record;
  if (is_sequence && type->tp_iter != base->tp_iter) plan.record_type = frozen_face_type();
  if (is_iterator(type)) plan.record_type = frozen_face_type();
  if (plan.callable) plan.record_type = frozen_callable_type();
  if (plan.way == Way::record) records::admit(plan.record_type);
  plan.has_dict = (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) || type->tp_dictoffset != 0;
  if (!(type->tp_flags & Py_TPFLAGS_MANAGED_DICT)) plan.dict_offset = type->tp_dictoffset;
  // The slots of base classes come first.
  std::vector<PyTypeObject*> chain;
  for (PyTypeObject* at = type; at != base; at = at->tp_base) chain.push_back(at);
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    if (!made_by_statement(*at, types_)) continue;
    const PyMemberDef* members = (*at)->tp_members;
    for (Py_ssize_t i = 0; members && i < Py_SIZE(*at) && members[i].name; ++i) {
      if (members[i].type != Py_T_OBJECT_EX) continue;
      plan.slots.reserve(plan.slots.size() + 1);
      plan.slots.push_back({Name(members[i].name).take(), members[i].offset});
    }
  }
}

Plan::Attributes Plan::attributes_of(PyObject* instance) const {
  if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
    PyDictObject* dict = _PyObject_ManagedDictPointer(instance)->dict;
    if (dict) return {dict, nullptr};
    if (!(type->tp_flags & Py_TPFLAGS_INLINE_VALUES)) return {nullptr, nullptr};
    PyDictValues* values = _PyObject_InlineValues(instance);
    return {nullptr, values->valid ? values : nullptr};
  }
  if (!dict_offset) return {nullptr, nullptr};
  Py_ssize_t offset = dict_offset;
  if (offset < 0) {
    // Behind the items, for a type of variable size.
    const auto items = static_cast<std::size_t>(Py_ABS(Py_SIZE(instance)));
    const std::size_t size = static_cast<std::size_t>(type->tp_basicsize) +
                             items * static_cast<std::size_t>(type->tp_itemsize);
    offset += static_cast<Py_ssize_t>((size + 7) & ~std::size_t{7});
  }
  PyObject* dict = *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(instance) + offset);
  return {reinterpret_cast<PyDictObject*>(dict), nullptr};
}

}  // namespace firn::heap
