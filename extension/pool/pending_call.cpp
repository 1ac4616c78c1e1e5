// CPython's own pending calls of an interpreter; Py_AddPendingCall knows the main one only.
#define Py_BUILD_CORE_MODULE 1
#include "pool/pending_call.hpp"

#include "internal/pycore_ceval.h"

namespace firn::pool {

bool add_pending_call(PyInterpreterState* interpreter, int (*function)(void*), void* argument) {
  return _PyEval_AddPendingCall(interpreter, function, argument, 0) == _Py_ADD_PENDING_SUCCESS;
}

}  // namespace firn::pool
