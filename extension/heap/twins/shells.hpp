// Tuples, frozensets, slices and frozendicts that hold what every interpreter has its own of.
//
// C code reads them, so that they cannot stay what they are in the heap: each becomes a *shell* in
// its place, of which every interpreter makes the genuine one when it is read. The hash of such a
// tuple is cached in the interpreter's own, which is also why a tuple whose hash only a __hash__ of
// Python's can tell becomes one.
#pragma once

#include "heap/cpython_layout.hpp"

#include <vector>

#include "heap/freezer.hpp"

namespace firn::heap {

// Converts `first` and whatever of these kinds they are in, within what `copiers` have made, and
// marks the other containers that hold them. After the threads have joined and hashes are checked.
// Throws std::bad_alloc.
void make_shells(const std::vector<PyObject*>& first, const std::vector<PyObject*>& roots,
                 const std::vector<Copier*>& copiers);

// Says how shells are materialised. init_interpreter() calls it.
void init_shells();

}  // namespace firn::heap
