#include "heap/unused_pools.hpp"

#include "heap/cpython_layout.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace firn::heap {

std::size_t give_back_unused_pools() {
  const PyInterpreterState* interpreter = PyInterpreterState_Get();
  const long page = sysconf(_SC_PAGESIZE);
  if (!interpreter->obmalloc || page <= 0 || page >= POOL_SIZE) return 0;
  const _obmalloc_mgmt& management = interpreter->obmalloc->mgmt;
  const auto header = static_cast<std::size_t>(page);  // with the list's link, which stays
  std::size_t given = 0;
  for (unsigned i = 0; i < management.maxarenas; ++i) {
    if (!management.arenas[i].address) continue;
    for (pool_header* pool = management.arenas[i].freepools; pool; pool = pool->nextpool) {
      // One of no size has been here before, and has not been used since.
      if (pool->szidx == DUMMY_SIZE_IDX) continue;
      // Its list of free blocks goes: whoever takes the pool next has to make a new one, whatever
      // the size of blocks that is wanted.
      pool->szidx = DUMMY_SIZE_IDX;
      if (madvise(reinterpret_cast<char*>(pool) + header, POOL_SIZE - header, MADV_DONTNEED)) {
        return given;
      }
      given += POOL_SIZE - header;
    }
  }
  return given;
}

}  // namespace firn::heap
