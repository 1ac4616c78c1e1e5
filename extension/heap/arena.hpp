// The heap's address range: one reservation of 1 TiB, cut into extents.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "heap/scan/cleared_memory.hpp"

namespace firn::heap {

struct Extent {
  char* begin = nullptr;
  char* end = nullptr;
  std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

// The same as offsets in the heap. What is kept for long is kept so: the scan for pointers into
// segments takes every word for one that might be (scan/scan.hpp), and never an offset.
struct Span {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t size() const { return last - first; }
};

// Ascending, with those that touch as one.
std::vector<Span> joined(std::vector<Span> spans);
// Whether one of such spans holds the offset.
bool lies_in(const std::vector<Span>& spans, std::size_t offset);

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
inline constexpr std::size_t kGiB = std::size_t{1} << 30;
inline constexpr std::size_t kReservedBytes = 1024 * kGiB;
inline constexpr std::size_t kLastingBytes = 768 * kGiB;  // the rest is for transfers

// Set once, by reserve_heap(), before anything is frozen.
extern char* heap_base;

inline bool in_heap(const void* address) {
  return static_cast<std::size_t>(static_cast<const char*>(address) - heap_base) < kReservedBytes;
}
inline bool in_lasting(const void* address) {
  return static_cast<std::size_t>(static_cast<const char*>(address) - heap_base) < kLastingBytes;
}
inline std::size_t heap_offset(const void* address) {
  return static_cast<std::size_t>(static_cast<const char*>(address) - heap_base);
}
inline Span span_of(const Extent& extent) {
  return {heap_offset(extent.begin), heap_offset(extent.end)};
}
inline Extent extent_of(const Span& span) {
  return {heap_base + span.first, heap_base + span.last};
}
inline bool in_transfer(const void* address) { return in_heap(address) && !in_lasting(address); }

// Reserves the range, at a base that depends on the process. False when the system refuses.
bool reserve_heap();

// FIRN_GUARD=1: finished segments are read-only, released ones unreadable.
bool guard_is_on();

// A part of the range that hands out extents in multiples of its grain. Any thread; the lock is
// never held while Python runs.
class Area {
 public:
  Area(std::size_t grain, bool huge_pages, bool zeroed)
      : grain_(grain), huge_pages_(huge_pages), zeroed_(zeroed) {}
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;

  void set_range(char* begin, char* end);

  // Writable memory of at least so many bytes, its content arbitrary unless the area is zeroed.
  // Throws std::bad_alloc.
  Extent take(std::size_t bytes);
  void give_back(Extent extent);
  void give_back_tail(Extent& extent, char* used_end);  // shortens the extent to what is used
  // As give_back(), but nothing can be read there until it is taken again. Also what is mapped from
  // a file.
  void unmap(Extent extent);
  // Gives the system the pages that free extents have kept.
  void cool();

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  // With the lock held: what was ever handed out, and what of it is free.
  Span used() const { return span_of({begin_ + kUnused, frontier_}); }
  template <typename Visit>
  void each_free(const Visit& visit) const {
    for (const auto* free : {&free_, &cold_}) {
      for (const auto& [first, size] : *free) visit(Span{first, first + size});
    }
  }

 private:
  void commit(char* end);
  Extent take_addresses(std::size_t size, bool* warm);
  void choose_pages(const Extent& extent);
  // Offset -> bytes.
  using Free = std::map<std::size_t, std::size_t, std::less<>,
                        ClearedMemory<std::pair<const std::size_t, std::size_t>>>;
  static void insert(Free& free, char* begin, std::size_t size);
  static Extent find(Free& free, std::size_t size);

  static constexpr std::size_t kUnused = kGiB;

  const std::size_t grain_;
  const bool huge_pages_;
  const bool zeroed_;
  std::mutex mutex_;
  char* begin_ = nullptr;
  char* frontier_ = nullptr;   // nothing above was ever handed out
  char* committed_ = nullptr;  // everything below is writable (but for the guard)
  char* end_ = nullptr;
  Free free_;
  Free cold_;                   // PROT_NONE
  std::size_t warm_bytes_ = 0;  // of the free extents that keep their pages
  static constexpr std::size_t kSmallPagesAfterSlow = std::size_t{256} << 20;
  // Bytes that get small pages because huge ones were slow to get, and how many will when they are
  // so again; threads that change these at the same time may lose a change.
  std::atomic<std::size_t> small_pages_left_{0};
  std::atomic<std::size_t> small_pages_after_slow_{kSmallPagesAfterSlow};
};

// The two areas of a kind of segment: small pages for small ones, huge pages for the rest.
class Zone {
 public:
  explicit Zone(bool zeroed)
      : small_(std::size_t{64} << 10, false, zeroed), large_(std::size_t{2} << 20, true, zeroed) {}
  void set_range(char* begin, char* end);
  Extent take(std::size_t bytes) { return area(bytes).take(bytes); }
  void give_back(Extent extent) { area_of(extent).give_back(extent); }
  void give_back_tail(Extent& extent, char* used_end) {
    area_of(extent).give_back_tail(extent, used_end);
  }
  void unmap(Extent extent) { area_of(extent).unmap(extent); }
  void cool() {
    small_.cool();
    large_.cool();
  }
  void lock();
  void unlock();
  template <typename Visit>
  void each_area(const Visit& visit) const {
    visit(small_);
    visit(large_);
  }

 private:
  Area& area(std::size_t bytes) { return bytes < kLarge ? small_ : large_; }
  Area& area_of(const Extent& extent) { return extent.begin < middle_ ? small_ : large_; }

  static constexpr std::size_t kLarge = std::size_t{1} << 20;
  char* middle_ = nullptr;
  Area small_;
  Area large_;
};

Zone& lasting_zone();
Zone& transfer_zone();

// With the guard on, makes a finished extent read-only.
void protect(const Extent& extent);

class Populator;

// A bump allocator over extents of one zone. One thread at a time.
class Region {
 public:
  explicit Region(Zone& zone, Populator* populator) : zone_(zone), populator_(populator) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() { discard(); }

  // 8-aligned, its content arbitrary. Throws std::bad_alloc.
  char* allocate(std::size_t bytes) {
    bytes = (bytes + 7) & ~std::size_t{7};
    if (bytes > static_cast<std::size_t>(limit_ - current_)) return allocate_slowly(bytes);
    char* at = current_;
    current_ += bytes;
    return at;
  }

  // Gives back the end of the latest allocation, which was `at`.
  void shrink(char* at, std::size_t bytes) {
    bytes = (bytes + 7) & ~std::size_t{7};
    if (at >= begin_ && at < current_) current_ = at + bytes;
  }

  // The first extent that is taken will be a large one.
  void expect_much() { next_bytes_ = std::size_t{4} << 20; }

  // The extents that were taken so far.
  void add_extents(std::vector<Extent>& out) const {
    for (const Span& span : extents_) out.push_back(extent_of(span));
    for (const Span& span : single_) out.push_back(extent_of(span));
  }

  // Everything allocated so far, trimmed; the region is empty afterwards.
  std::vector<Span> finish(std::size_t* used);
  void discard();

 private:
  char* allocate_slowly(std::size_t bytes);
  void populate_ahead(std::size_t bytes);

  Zone& zone_;
  Populator* const populator_;
  char* begin_ = nullptr;
  char* current_ = nullptr;
  char* limit_ = nullptr;  // of what has its pages
  char* end_ = nullptr;    // of the extent
  std::size_t next_bytes_ = std::size_t{64} << 10;
  std::vector<Span> extents_;    // of the bump pointer's extent: the last
  std::vector<Span> single_;     // extents of one large object each
  std::size_t used_before_ = 0;  // in the extents that are full
};

}  // namespace firn::heap
