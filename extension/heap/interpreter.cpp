#include "heap/interpreter.hpp"

#include "heap/arena.hpp"
#include "heap/heap.hpp"
#include "heap/records/definitions.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/recipes.hpp"
#include "heap/twins/resolved.hpp"
#include "heap/twins/shells.hpp"
#include "heap/types.hpp"
#include "heap/weak_references.hpp"

namespace firn::heap {
namespace {

constexpr const char* kCapsule = "firn.heap.types";

// When the interpreter ends; one object left behind would keep all of its memory.
void destroy_types(PyObject* capsule) {
  auto* types = static_cast<InterpreterTypes*>(PyCapsule_GetPointer(capsule, kCapsule));
  Py_XDECREF(types->deque);
  Py_XDECREF(types->default_dict);
  Py_XDECREF(types->counter);
  Py_XDECREF(types->not_freezable_error);
  delete types;
}

PyTypeObject* import_type(const char* module_name, const char* name) {
  PyObject* module = PyImport_ImportModule(module_name);
  if (!module) return nullptr;
  PyObject* type = PyObject_GetAttrString(module, name);
  Py_DECREF(module);
  return reinterpret_cast<PyTypeObject*>(type);
}

// A private struct that reads differently than expected means another CPython than the ones firn
// was built for: better no heap than a wrong one.
bool layouts_hold(const InterpreterTypes& types, const PyDateTime_CAPI& datetime) {
  bool good = true;
  PyObject* made = PyObject_CallFunction(reinterpret_cast<PyObject*>(types.deque), "((OO)i)",
                                         Py_None, Py_True, 7);
  if (!made) return false;
  auto* deque = reinterpret_cast<DequeLayout*>(made);
  good &= Py_SIZE(made) == 2 && deque->maxlen == 7 &&
          deque->left_block->data[deque->left_index] == Py_None &&
          deque->right_block->data[deque->right_index] == Py_True;
  Py_DECREF(made);

  made = PyObject_CallFunction(reinterpret_cast<PyObject*>(types.default_dict), "O", Py_None);
  if (!made) return false;
  good &= reinterpret_cast<DefaultDictLayout*>(made)->default_factory == Py_None;
  Py_DECREF(made);

  made = PyODict_New();
  if (!made || PyODict_SetItem(made, Py_None, Py_True) < 0 ||
      PyODict_SetItem(made, Py_True, Py_None) < 0) {
    Py_XDECREF(made);
    return false;
  }
  auto* ordered = reinterpret_cast<OrderedDictLayout*>(made);
  good &= ordered->first && ordered->first->key == Py_None &&
          ordered->first->next == ordered->last && ordered->last->key == Py_True &&
          !ordered->last->next;
  Py_DECREF(made);

  made = PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyRange_Type), "iii", 1, 9, 4);
  if (!made) return false;
  auto* range = reinterpret_cast<RangeLayout*>(made);
  good &= PyLong_AsLong(range->start) == 1 && PyLong_AsLong(range->stop) == 9 &&
          PyLong_AsLong(range->step) == 4 && PyLong_AsLong(range->length) == 2;
  Py_DECREF(made);

  PyObject* dict = PyDict_New();
  made = dict ? PyDictProxy_New(dict) : nullptr;
  if (!made) return false;
  good &= reinterpret_cast<MappingProxyLayout*>(made)->mapping == dict;
  Py_DECREF(made);
  Py_DECREF(dict);

  PyObject* offset = datetime.Delta_FromDelta(0, 3600, 0, 1, datetime.DeltaType);
  made = offset ? datetime.TimeZone_FromTimeZone(offset, nullptr) : nullptr;
  if (!made) return false;
  good &= reinterpret_cast<TimezoneLayout*>(made)->offset == offset;
  Py_DECREF(made);
  Py_DECREF(offset);
  return good && !PyErr_Occurred();
}

PyObject* make_error_class() {
  PyObject* namespace_ = Py_BuildValue(
      "{s:s, s:s, s:O, s:O, s:O}", "__module__", "firn", "__doc__",
      "A value cannot be frozen (PEP 795). Nothing has been changed.\n\n"
      "path: where it stands, an expression in the notebook's names, as \"rows[3]['conn']\".\n"
      "root: the variable that leads there.\n"
      "type_name: the full name of its type.",
      "path", Py_None, "root", Py_None, "type_name", Py_None);
  if (!namespace_) return nullptr;
  PyObject* error = PyErr_NewException("firn.NotFreezableError", PyExc_TypeError, namespace_);
  Py_DECREF(namespace_);
  return error;
}

}  // namespace

int init_interpreter() {
  const auto* datetime =
      static_cast<PyDateTime_CAPI*>(PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0));
  if (!datetime) return -1;
  if (!reserve_heap()) {
    PyErr_SetString(PyExc_MemoryError,
                    "firn reserves 1 TiB of addresses (no memory) for its heap and the system "
                    "refused: raise the "
                    "limit of `ulimit -v`");
    return -1;
  }
  if (!find_static_objects(*datetime)) {
    PyErr_SetString(PyExc_ImportError, "firn cannot find the static objects of this CPython");
    return -1;
  }
  init_twins();
  init_shells();
  if (init_types() < 0 || make_resolved() < 0 || init_definitions() < 0 || !teach_weak_references())
    return -1;

  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict) return -1;
  if (PyDict_GetItemString(dict, kCapsule)) return 0;
  auto* types = new InterpreterTypes;
  PyObject* capsule = PyCapsule_New(types, kCapsule, destroy_types);
  if (!capsule) {
    delete types;
    return -1;
  }
  types->deque = import_type("collections", "deque");
  types->default_dict = import_type("collections", "defaultdict");
  types->counter = import_type("collections", "Counter");
  types->not_freezable_error = make_error_class();
  int status = -1;
  if (types->deque && types->default_dict && types->counter && types->not_freezable_error) {
    deque_destructor = types->deque->tp_dealloc;
    if (layouts_hold(*types, *datetime)) {
      status = PyDict_SetItemString(dict, kCapsule, capsule);
    } else if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_ImportError, "firn does not know the object layouts of this CPython");
    }
  }
  Py_DECREF(capsule);
  return status;
}

const InterpreterTypes* interpreter_types() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, kCapsule) : nullptr;
  if (!capsule) {
    PyErr_SetString(PyExc_RuntimeError, "this interpreter has not imported firn");
    return nullptr;
  }
  return static_cast<const InterpreterTypes*>(PyCapsule_GetPointer(capsule, kCapsule));
}

PyObject* not_freezable_error() {
  const InterpreterTypes* types = interpreter_types();
  return types ? types->not_freezable_error : nullptr;
}

}  // namespace firn::heap
