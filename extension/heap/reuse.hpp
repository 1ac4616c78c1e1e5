// The ints, floats and tuples of a chunk's results, used again for those of the next chunk. CPython
// keeps some of each on its free lists and returns all others to its allocator, one by one, which
// takes as long as a quarter of a quick loop; here they go onto the free lists as they are.
#pragma once

#include <Python.h>

namespace firn::heap {

// Takes the numbers, and the tuples of numbers and strings, out of the lists in this result that
// nobody else refers to. With the GIL of the interpreter that made them, and before the caller
// drops the result.
void reuse_items(PyObject* result);

// Gives what is on the free lists beyond CPython's own limit to its allocator.
void free_reused();

}  // namespace firn::heap
