// What nobody will read again, though it is writable and full of old pointers: free memory of
// CPython's and of the C library's allocators, and the unused ends of stacks.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "heap/scan/memory_map.hpp"
#include "heap/scan/page_vector.hpp"
#include "heap/scan/stopped_world.hpp"

namespace firn::heap {

// A conservative scan would keep every segment of which a freed list once held rows. So the
// scanning process, whose memory is its own copy, first wipes pointers out of what is certainly
// dead. Where something looks otherwise than expected it is left alone, and counts as alive.
struct Dead {
  // Calls `wipe(context, begin, end)` for each stretch.
  void (*wipe)(void* context, std::uintptr_t begin, std::uintptr_t end);
  void* context;
};

// What must be known before the fork.
struct Caller {
  void* interpreter = nullptr;  // whose GIL the caller holds, or nullptr
  pid_t thread = 0;
  std::uintptr_t stack = 0;  // below it nothing of the caller's stack is alive
  std::uintptr_t tcache_key = 0;
};

// Finds out what freed chunks of the C library's thread caches are marked with; 0 if it cannot.
std::uintptr_t find_tcache_key();

void wipe_stacks(const Dead& dead, const StoppedWorld& world, const Caller& caller,
                 const PageVector<Mapping>& mappings);
void wipe_python(const Dead& dead, const Caller& caller);
void wipe_malloc(const Dead& dead, const Caller& caller, const PageVector<Mapping>& mappings);

}  // namespace firn::heap
