#include "heap/scan/clean_stack.hpp"

#include <cstddef>
#include <cstring>

namespace firn::heap {

// Copying goes a few hundred bytes deep, the C library below it a few thousand.
__attribute__((noinline, no_sanitize("address"))) void clean_stack() {
  char room[std::size_t{24} << 10];
  std::memset(room, 0, sizeof room);
  __asm__ volatile("" : : "r"(room) : "memory");  // it is meant
}

}  // namespace firn::heap
