// What the calling interpreter keeps for retired segments: see drop_unneeded() of heap.hpp.
#pragma once

#include <vector>

#include "heap/scan/kept_memory.hpp"

namespace firn::heap {

// The memory of what the notebook's interpreter keeps and nobody else holds, as it is until the GIL
// is given up. None in other interpreters, and while an object is being made.
std::vector<KeptMemory> memory_of_kept();

}  // namespace firn::heap
