// Looks for who else holds originals of what was frozen: a list of some of the rows, an index by
// name.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <vector>

#include "heap/heap.hpp"
#include "heap/interpreter.hpp"
#include "heap/memo.hpp"

namespace firn::heap {

// Whether a frozen form can stand wherever its original does: of containers and instances, which
// tell each other apart by identity or can change.
bool takes_its_place(const PyObject* original, PyObject* frozen);

// Searches the values, and what containers and instances of the notebook's classes hold below them,
// until it has looked at `most` references. Runs no Python code.
Holders find_holders(const Memo& memo, const InterpreterTypes& types,
                     const std::vector<PyObject*>& values, std::size_t most);

}  // namespace firn::heap
