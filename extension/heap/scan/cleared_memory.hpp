// Memory for what the scan must not take for a holder of segments: cleared, for what fills the gaps
// of objects (of short strings, for instance) would otherwise be what was there before.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace firn::heap {

template <typename T>
struct ClearedMemory {
  using value_type = T;
  ClearedMemory() = default;
  template <typename U>
  ClearedMemory(const ClearedMemory<U>&) {}
  T* allocate(std::size_t count) {
    void* got = std::calloc(count, sizeof(T));
    if (!got) throw std::bad_alloc();
    return static_cast<T*>(got);
  }
  void deallocate(T* at, std::size_t) { std::free(at); }
  bool operator==(const ClearedMemory&) const { return true; }
};

}  // namespace firn::heap
