// The process's mappings, as /proc tells of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "heap/scan/page_vector.hpp"

namespace firn::heap {

struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  bool heap = false;       // of brk()
  bool anonymous = false;  // no file, or one that is memory (a memfd, /dev/shm)
  bool device = false;     // reading it may do something
};

inline constexpr std::size_t kMapsBytes = std::size_t{16} << 20;  // room for that of any process

// The text of /proc/self/maps, which needs no memory but the buffer's own. False when it cannot be
// read or does not fit.
bool read_maps(PageVector<char>& buffer);

// In ascending order, without [vdso] and its like.
void parse_maps(const PageVector<char>& text, PageVector<Mapping>& mappings);

// Which pages have content of their own. In the process that calls.
class PageMap {
 public:
  PageMap();
  ~PageMap();
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  bool is_open() const { return file_ >= 0; }
  // The next stretch of pages of [from, end) that are in memory or swapped out; an empty one at
  // `end` when there is none. False when the kernel does not tell.
  bool next(std::uintptr_t from, std::uintptr_t end, std::uintptr_t& first, std::uintptr_t& last);

 private:
  bool holds(std::uintptr_t page, bool& content);

  static constexpr std::size_t kEntries = 8192;
  int file_ = -1;
  PageVector<std::uint64_t> entries_;
  std::uintptr_t entries_first_ = 1;  // page number of the first; none are read yet
  std::size_t entries_count_ = 0;
};

}  // namespace firn::heap
