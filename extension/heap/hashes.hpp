// The hashes that had to wait until every thread was done.
#pragma once

#include "heap/cpython_layout.hpp"

#include <vector>

namespace firn::heap {

// Needs the GIL, and the threads that made the copies to have joined.
void check_hashes(const std::vector<PyObject*>& unchecked);

}  // namespace firn::heap
