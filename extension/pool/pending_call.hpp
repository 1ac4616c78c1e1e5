#pragma once

#include <Python.h>

namespace firn::pool {

/// Has `function(argument)` called by a thread of that interpreter, at the next point where its
/// evaluation loop looks up; -1 from it, with an exception set, raises there. Takes no GIL. False
/// when the interpreter's queue is full.
bool add_pending_call(PyInterpreterState* interpreter, int (*function)(void*), void* argument);

}  // namespace firn::pool
