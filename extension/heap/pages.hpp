// Pages from the system, before they are touched.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>

namespace firn::heap {

// Gets all pages from `begin` on, where a page begins, many in one call. Recycled memory has its
// pages, and to hear that of each would cost a quarter of what getting it does: so the first of
// many is asked about, and speaks for them. An old kernel refuses: then they come when touched.
inline void get_pages(char* begin, std::size_t bytes) {
  constexpr std::size_t many = std::size_t{2} << 20;
  for (std::size_t done = 0; done < bytes; done += many) {
    unsigned char there = 0;
    if (mincore(begin + done, 1, &there) == 0 && (there & 1)) continue;
    madvise(begin + done, std::min(many, bytes - done), MADV_POPULATE_WRITE);
  }
}

}  // namespace firn::heap
