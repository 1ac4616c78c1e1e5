// The heap's messages.
#pragma once

#include "heap/cpython_layout.hpp"

#include <string>
#include <vector>

#include "heap/freezer.hpp"

namespace firn::heap {

// Sets NotFreezableError for the object that the frames lead to from the root. `cause` is an
// exception or nullptr.
void raise_not_freezable(const InterpreterTypes& types, const std::string& root,
                         const std::vector<Frame>& frames, const Unfreezable& what,
                         PyObject* cause);

void raise_no_memory();

}  // namespace firn::heap
