#include "heap/records/state.hpp"

#include <mutex>
#include <new>

#include "heap/records/attributes.hpp"
#include "heap/records/builtin_methods.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/slots.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap::records {

Place places[kPlaces];

namespace {

constexpr const char* capsule_name = "firn.heap.records";

void clear_cache(State& state) {
  for (CachedAccess& entry : state.cache) {
    Py_CLEAR(entry.name);
    entry = {};
  }
}

void free_state(PyObject* capsule) {
  auto* state = static_cast<State*>(PyCapsule_GetPointer(capsule, capsule_name));
  for (Place& place : places) {
    if (place.state.load() == state) place.thread.store(nullptr);
  }
  clear_cache(*state);
  remove_members(*state);
  for (Class* known : state->classes) {
    if (!known) continue;
    Py_XDECREF(known->type);
    delete known;
  }
  for (PyObject* name : state->names) Py_XDECREF(name);
  Py_XDECREF(state->class_name);
  Py_XDECREF(state->dict_name);
  Py_XDECREF(state->weak_name);
  Py_XDECREF(state->attributes);
  Py_XDECREF(state->cached_property);
  Py_XDECREF(state->denied);
  Py_XDECREF(state->computed);
  delete state;
}

// Whether a special method is one of a builtin type's, which refuses instances that are not its
// own.
bool is_of_builtin(PyObject* method) {
  if (!Py_IS_TYPE(method, &PyWrapperDescr_Type) && !Py_IS_TYPE(method, &PyMethodDescr_Type)) {
    return false;
  }
  return true;
}

}  // namespace

State* find_state() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, capsule_name) : nullptr;
  if (!capsule) {
    PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
    return nullptr;
  }
  auto* found = static_cast<State*>(PyCapsule_GetPointer(capsule, capsule_name));
  // Two threads of different interpreters may want the same place: the writer's own comparison, and
  // everybody else's, fails in between.
  PyThreadState* thread = PyThreadState_GetUnchecked();
  Place& place = place_of(thread);
  static std::mutex writing;
  const std::lock_guard hold(writing);
  place.thread.store(nullptr);
  place.state.store(found);
  place.interpreter.store(thread->interp);
  place.thread.store(thread);
  return found;
}

int make_state() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict) return -1;
  if (PyDict_GetItemString(dict, capsule_name)) return 0;
  auto* made = new (std::nothrow) State;
  if (!made) {
    PyErr_NoMemory();
    return -1;
  }
  PyObject* capsule = PyCapsule_New(made, capsule_name, free_state);
  if (!capsule) {
    delete made;
    return -1;
  }
  for (std::size_t i = 0; i < kSpecials; i++) {
    made->names[i] = PyUnicode_InternFromString(special_names[i]);
  }
  made->class_name = PyUnicode_InternFromString("__class__");
  made->dict_name = PyUnicode_InternFromString("__dict__");
  made->weak_name = PyUnicode_InternFromString("__weakref__");
  made->attributes = make_attributes_type();
  made->computed = PyDict_New();
  int status = -1;
  if (!PyErr_Occurred()) status = PyDict_SetItemString(dict, capsule_name, capsule);
  Py_DECREF(capsule);
  if (status < 0) return -1;
  return 0;
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
  State* own = find_state();
  if (!own) {
    PyErr_Clear();
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
