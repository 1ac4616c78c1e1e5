// The lasting segments: what was frozen when, under which names.
#pragma once

#include "heap/cpython_layout.hpp"

#include <string>
#include <vector>

#include "heap/arena.hpp"
#include "heap/heap.hpp"

namespace firn::heap {

// Keeps the extents for ever and returns the segment's id. Any thread.
std::uint64_t add_segment(std::vector<Extent> extents, std::vector<std::string> names, const Figures& figures);

// Whether the address lies in the finished part of the heap.
bool in_segment(const void* address);

}  // namespace firn::heap
