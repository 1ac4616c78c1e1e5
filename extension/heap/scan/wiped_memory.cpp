// What firn's own C++ code frees holds no pointers any more: tables of a freeze are full of
// addresses of the new segment, and who gets their memory next need not write all of it
// (std::deque's blocks, the gaps in objects), so that a scan would find them there for ever.
//
// This library's operators alone: C++ code of other libraries has its own.
#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#ifndef __SANITIZE_ADDRESS__

namespace {

void wipe_and_free(void* at) {
  if (!at) return;
  std::memset(at, 0, malloc_usable_size(at));
  __asm__ volatile("" : : "r"(at) : "memory");  // it is meant
  std::free(at);
}

}  // namespace

void operator delete(void* at) noexcept { wipe_and_free(at); }
void operator delete[](void* at) noexcept { wipe_and_free(at); }
void operator delete(void* at, std::size_t) noexcept { wipe_and_free(at); }
void operator delete[](void* at, std::size_t) noexcept { wipe_and_free(at); }

#endif
