// The lasting segments: what was frozen when, under which names.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "heap/arena.hpp"
#include "heap/heap.hpp"

namespace firn::heap {

// What the values of a segment lead to: classes and functions by their numbers, other segments.
struct Needs {
  std::set<std::uint32_t> definitions;
  std::set<std::uint64_t> segments;
};

// Keeps the extents for ever and returns the segment's id. Any thread.
std::uint64_t add_segment(std::vector<Extent> extents, std::vector<std::string> names,
                          const Figures& figures, Needs needs);

// The segment that an address lies in, and the stretch of it around the address; 0 when it lies in
// none.
struct Place {
  std::uint64_t segment = 0;
  Extent extent;
};
Place place_of(const void* address);

// Marks those as moving that are in memory and have at least so many bytes; returns their ids.
std::vector<std::uint64_t> begin_retirement(const std::vector<std::uint64_t>& segments,
                                            std::size_t least);
void set_backing(std::uint64_t segment, Backing backing);
std::vector<Extent> extents_of(std::uint64_t segment);

// Around fork(): no other thread is in the middle of a change.
void hold_segments();
void release_segments();

// Whether the address lies in the finished part of the heap.
bool in_segment(const void* address);

}  // namespace firn::heap
