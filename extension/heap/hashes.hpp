// The hashes that had to wait until every thread was done.
#pragma once

#include "heap/cpython_layout.hpp"

#include <vector>

namespace firn::heap {

// A container whose hash, or table, could not be decided when it was copied.
struct Unchecked {
  PyObject* copy;
  Py_hash_t original;  // what its original has cached, or -1
  bool inner;          // the tuple inside a record: never seen as a tuple
};

// Needs the GIL, and the threads that made the copies to have joined. Runs no code of classes.
// Returns the tuples and frozendicts whose hash only Python code can tell: whoever asked one for it
// would have it written into the heap, hence they cannot stay what they are.
std::vector<PyObject*> check_hashes(const std::vector<Unchecked>& unchecked);

}  // namespace firn::heap
