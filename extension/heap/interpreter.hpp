// What the heap needs of each interpreter: types that every interpreter has its own copy of.
#pragma once

#include "heap/cpython_layout.hpp"

#include <atomic>

namespace firn::heap {

struct InterpreterTypes {
  PyTypeObject* deque = nullptr;
  PyTypeObject* default_dict = nullptr;
  PyTypeObject* counter = nullptr;
  PyObject* not_freezable_error = nullptr;
};

// What tells a deque of any interpreter; nullptr before the first has called init_interpreter().
inline std::atomic<destructor> deque_destructor{nullptr};

// Of the calling interpreter, which has called init_interpreter(); nullptr with an exception set
// otherwise.
const InterpreterTypes* interpreter_types();

// A module that the calling interpreter has loaded (borrowed), else nullptr: also at its end, when
// the objects that are the last to go may still write to frozen data, or freeze. (There
// PyImport_GetModuleDict() ends the process.)
inline PyObject* loaded_module(const char* name) {
  PyObject* modules = PyInterpreterState_Get()->imports.modules;
  PyObject* found = modules ? PyDict_GetItemString(modules, name) : nullptr;
  return found && PyModule_Check(found) ? found : nullptr;
}

}  // namespace firn::heap
