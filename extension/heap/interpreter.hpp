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

// sys.modules of the calling interpreter (borrowed), or nullptr at its end: objects that firn's
// tables keep are the last to go, and their __del__ may still write to frozen data, or freeze.
// (There PyImport_GetModuleDict() ends the process.)
inline PyObject* loaded_modules() { return PyInterpreterState_Get()->imports.modules; }

}  // namespace firn::heap
