// What to do about a value that cannot be frozen.
#pragma once

#include <Python.h>

namespace firn::heap {

// A sentence for the end of the message.
const char* advice_for(PyObject* unfreezable);

}  // namespace firn::heap
