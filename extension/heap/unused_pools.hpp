// Memory that CPython's allocator keeps for later.
#pragma once

#include <cstddef>

namespace firn::heap {

// Gives the system what it can of the calling interpreter's unused pools (16 KiB each: CPython
// gives back an arena of 64 of them, when none is in use); the bytes. The GIL must be held.
std::size_t give_back_unused_pools();

}  // namespace firn::heap
