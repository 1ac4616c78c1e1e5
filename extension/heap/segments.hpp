// The lasting segments: what was frozen when, under which names.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "heap/arena.hpp"
#include "heap/heap.hpp"

namespace firn::heap {

// What the values of a segment lead to: classes and functions by their numbers, other segments.
struct Needs {
  std::set<std::uint32_t> definitions;
  std::set<std::uint64_t> segments;
};

// Keeps the extents until take_out() and returns the segment's id, which no other one ever gets.
// Any thread.
std::uint64_t add_segment(std::vector<Span> extents, std::vector<std::string> names,
                          const Figures& figures, Needs needs);

// The segment that an address lies in, and the stretch of it around the address; 0 when it lies in
// none.
struct Place {
  std::uint64_t segment = 0;
  Extent extent;
};
Place place_of(const void* address);

// Of the segments that have retired, those that this was not asked about before.
std::vector<std::uint64_t> newly_retired(const std::vector<std::uint64_t>& segments);
void set_backing(std::uint64_t segment, Backing backing);
// Of what is retired and in memory, and has at least so many bytes: says that it moves, returns
// what.
bool begin_move(std::uint64_t segment, std::size_t least);
std::vector<Span> spans_of(std::uint64_t segment);
std::vector<Extent> extents_of(std::uint64_t segment);
// Where the retired segments are, ascending; those that are unreached.
std::vector<Span> retired_spans();
std::vector<Span> unreached_spans();
// Says of a retired segment that nothing leads to it but what interpreters keep for its values.
void set_unreached(std::uint64_t segment);
// Whether the address lies in a segment that has not retired.
bool is_in_use(const void* address);
// How many segments are retired, and their bytes.
std::pair<std::size_t, std::size_t> count_retired();

// What a scan has found out: which older segments the objects of a segment point into, and where
// the first pointer into a retired one stands.
void set_refers(std::uint64_t segment, std::vector<std::uint64_t> others);
void set_holder(std::uint64_t segment, std::uintptr_t holder);
// The segment is no more: nothing can be adopted there. Its memory is the caller's to give back.
std::vector<Span> take_out(std::uint64_t segment);

// Memory of the heap that was given back, so that tables by address drop what they know of it: how
// often that happened, and which spans since a certain count. Any thread.
std::uint64_t forgotten();
std::vector<Span> forgotten_since(std::uint64_t count);

// For the scan, with the lock held: the segments there are.
struct SegmentView {
  std::uint64_t id;
  bool retired;
  bool refers_known;
  const std::vector<Span>* spans;
  const std::vector<std::uint64_t>* refers;
};
std::size_t view_size();
SegmentView view_segment(std::size_t index);
// view_size() where there is none.
std::size_t index_of_segment(std::uint64_t id);

// Around fork(): no other thread is in the middle of a change.
void hold_segments();
void release_segments();

// Whether the address lies in the finished part of the heap.
bool in_segment(const void* address);

}  // namespace firn::heap
