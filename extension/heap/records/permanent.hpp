// Memory of the heap for what belongs to no segment and stays for ever: the names of fields.
#pragma once

#include <cstddef>

#include "heap/arena.hpp"

namespace firn::heap {

// A bump allocator. Its user has a lock of its own. With the guard on, what it holds is read-only
// except within open() ... close().
class Permanent {
 public:
  void open();
  void close();

  // 8-aligned, its content arbitrary. Throws std::bad_alloc.
  char* allocate(std::size_t bytes);
  // Gives back the end of the latest allocation, which was `at`.
  void shrink(char* at, std::size_t bytes);

 private:
  Extent extent_;
  char* current_ = nullptr;
};

}  // namespace firn::heap
