// What firn's own tables keep for values of retired segments, and who needs it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace firn::heap {

// Memory of an object that can be reached in no other way than by a value of a segment, of which it
// was made: what points out of it counts as long as something leads to that segment, as if the
// segment itself did. (Otherwise a segment would keep itself by what was made of it.)
struct KeptMemory {
  std::uintptr_t begin;
  std::uintptr_t end;
  std::size_t owner;  // the value's place in the heap
};

}  // namespace firn::heap
