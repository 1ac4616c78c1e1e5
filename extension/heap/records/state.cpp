#include "heap/records/state.hpp"

#include <new>
#include <utility>

#include "heap/records/attribute_dict.hpp"
#include "heap/records/builtin_methods.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/slots.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap::records {

constinit InterpreterLocal<State> states("firn.heap.records");

namespace {

void clear_cache(State& state) {
  for (std::size_t i = 0; i < State::kEntries; i++) {
    Py_CLEAR(state.cache[i].name);
    state.cache[i] = {};
    state.details[i].found = nullptr;
    give_up_binding(std::exchange(state.details[i].bound, nullptr));
  }
}

// Whether a special method is one of a builtin type's, which refuses instances that are not its
// own.
bool is_of_builtin(PyObject* method) {
  return Py_IS_TYPE(method, &PyWrapperDescr_Type) || Py_IS_TYPE(method, &PyMethodDescr_Type);
}

}  // namespace

State::~State() {
  clear_cache(*this);
  remove_members(*this);
  for (Class* known : classes) {
    if (!known) continue;
    Py_XDECREF(known->type);
    delete known;
  }
  for (PyObject* name : names) Py_XDECREF(name);
  Py_XDECREF(class_name);
  Py_XDECREF(dict_name);
  Py_XDECREF(weak_name);
  Py_XDECREF(attributes);
  Py_XDECREF(cached_property);
  Py_XDECREF(denied);
  Py_XDECREF(computed);
}

State* state() {
  State* found = states.find();
  if (!found) PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
  return found;
}

int make_state() {
  if (states.find()) return 0;
  auto made = states.make();
  if (!made) return -1;
  for (std::size_t i = 0; i < kSpecials; i++) {
    made->names[i] = PyUnicode_InternFromString(special_names[i]);
  }
  made->class_name = PyUnicode_InternFromString("__class__");
  made->dict_name = PyUnicode_InternFromString("__dict__");
  made->weak_name = PyUnicode_InternFromString("__weakref__");
  made->attributes = make_attributes_type();
  made->computed = PyDict_New();
  if (PyErr_Occurred()) return -1;
  return states.put(std::move(made)) ? 0 : -1;
}

void give_up_binding(PyObject* bound) {
  if (!bound) return;
  if (Py_REFCNT(bound) == 1) reinterpret_cast<PyMethodObject*>(bound)->im_self = Py_None;
  PyObject_GC_Track(bound);
  Py_DECREF(bound);
}

void each_spare_binding(const PyInterpreterState* interpreter,
                        void (*visit)(void* context, PyObject** record), void* context) {
  const State* own = states.of(interpreter);
  if (!own) return;
  for (const AccessDetails& one : own->details) {
    // Who has a weak reference to it may call it again.
    auto* method = reinterpret_cast<PyMethodObject*>(one.bound);
    if (method && Py_REFCNT(one.bound) == 1 && !method->im_weakreflist) {
      visit(context, &method->im_self);
    }
  }
}

Class* class_of(State& state, const FrozenRecord* record) {
  const std::uint32_t number = layout_at(record->layout)->definition;
  Class* known = number < state.classes.size() ? state.classes[number] : nullptr;
  if (known && known->type && known->version == known->type->tp_version_tag && known->version)
      [[likely]] {
    return known;
  }
  if (!known || !known->type) {
    PyObject* found = replica(number);
    if (!found) return nullptr;
    if (!PyType_Check(found)) {
      PyErr_Format(PyExc_TypeError, "%.200s is no class here, but frozen instances of it are read",
                   name_of_definition(number).qualname.c_str());
      return nullptr;
    }
    try {
      if (number >= state.classes.size()) state.classes.resize(number + 1);
      known = state.classes[number];
      if (!known) known = state.classes[number] = new Class;
    } catch (const std::bad_alloc&) {
      PyErr_NoMemory();
      return nullptr;
    }
    auto* type = reinterpret_cast<PyTypeObject*>(found);
    if (route_builtin_methods(type) < 0 || add_members(state) < 0) return nullptr;
    known->type = reinterpret_cast<PyTypeObject*>(Py_NewRef(found));
  }
  known->origins.fill(Origin::unknown);
  PyUnstable_Type_AssignVersionTag(known->type);
  known->version = known->type->tp_version_tag;
  return known;
}

void forget_class(std::uint32_t number) {
  State* own = states.find();
  if (!own) {
    return;
  }
  if (add_members(*own) < 0) PyErr_Clear();
  clear_cache(*own);
  own->makers.clear();
  if (number < own->classes.size() && own->classes[number]) Py_CLEAR(own->classes[number]->type);
}

Found find(PyObject* record, Special special) {
  State* own = state();
  Class* known = own ? class_of(*own, as_record(record)) : nullptr;
  if (!known) return {};
  const std::size_t at = index_of(special);
  Origin& origin = known->origins[at];
  if (origin == Origin::unknown) {
    PyObject* method = _PyType_Lookup(known->type, own->names[at]);
    known->methods[at] = method;
    origin = !method                 ? Origin::absent
             : method == Py_None     ? Origin::none
             : is_of_builtin(method) ? Origin::builtin
                                     : Origin::user;
  }
  return {origin, known->methods[at], known};
}

PyObject* call(const Found& found, PyObject* record, PyObject* first, PyObject* second) {
  PyObject* method = Py_NewRef(found.method);  // the class may change while it runs
  PyObject* arguments[] = {record, first, second};
  const std::size_t count = first ? (second ? 3 : 2) : 1;
  PyObject* result = nullptr;
  if (PyType_HasFeature(Py_TYPE(method), Py_TPFLAGS_METHOD_DESCRIPTOR)) {
    result = PyObject_Vectorcall(method, arguments, count, nullptr);
  } else {
    descrgetfunc bind = Py_TYPE(method)->tp_descr_get;
    PyObject* bound = bind ? bind(method, record, reinterpret_cast<PyObject*>(found.of->type))
                           : Py_NewRef(method);
    if (bound) {
      result = PyObject_Vectorcall(bound, arguments + 1,
                                   (count - 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
      Py_DECREF(bound);
    }
  }
  Py_DECREF(method);
  return result;
}

PyTypeObject* type_of(PyObject* object) {
  if (!is_record(object)) return Py_TYPE(object);
  State* own = state();
  Class* known = own ? class_of(*own, as_record(object)) : nullptr;
  return known ? known->type : nullptr;
}

}  // namespace firn::heap::records
