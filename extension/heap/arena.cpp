#include "heap/cpython_layout.hpp"

#include "heap/arena.hpp"

#include "heap/pages.hpp"
#include "heap/populator.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/layouts.hpp"
#include "heap/retirement.hpp"
#include "heap/segments.hpp"
#include "heap/shared_fields.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace firn::heap {

char* heap_base = nullptr;

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLargestExtent = std::size_t{4} << 20;
// Small pages are got so many bytes at a time by the thread that is about to fill them: a call for
// all of them costs less than as many faults do, and they are still in the core's cache when they
// are filled. What is got and not used in the end costs as much as what is.
constexpr std::size_t kAhead = std::size_t{256} << 10;
constexpr std::size_t kCommitStep = std::size_t{64} << 20;
// A huge page takes 0.2 ms to get where the memory is at hand, and several where a virtual machine
// has to ask its host for it, page by page; then small ones, of which the system has some that were
// used a moment ago, are quicker by far. How it stands is measured anew now and then, ever more
// seldom while it stays so.
constexpr double kSlowHugePage = 1.5e-3;  // seconds of the thread's CPU time
constexpr std::size_t kMostSmallPages = std::size_t{1} << 30;
constexpr std::size_t kWarmLimit = std::size_t{256}
                                   << 20;  // pages that free extents of an area may keep

std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

char* try_reserve(void* wanted, int flags) {
  void* got = mmap(wanted, kReservedBytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
  if (got == MAP_FAILED) return nullptr;
  if (wanted && got != wanted) {
    munmap(got, kReservedBytes);
    return nullptr;
  }
  return static_cast<char*>(got);
}

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void before_fork() {
  hold_definitions();
  hold_layouts();
  lasting_zone().lock();
  transfer_zone().lock();
  hold_segments();
  hold_shared_fields();
  hold_retirement();
}

void release_all_but_retirement() {
  release_shared_fields();
  release_segments();
  transfer_zone().unlock();
  lasting_zone().unlock();
  release_layouts();
  release_definitions();
}

void after_fork() {
  release_retirement();
  release_all_but_retirement();
}

void after_fork_in_child() {
  resume_retirement_in_child();
  release_all_but_retirement();
}

}  // namespace

std::vector<Span> joined(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.first < b.first; });
  std::vector<Span> runs;
  for (const Span& span : spans) {
    if (!runs.empty() && runs.back().last == span.first) {
      runs.back().last = span.last;
    } else {
      runs.push_back(span);
    }
  }
  return runs;
}

bool lies_in(const std::vector<Span>& spans, std::size_t offset) {
  const auto after =
      std::upper_bound(spans.begin(), spans.end(), offset,
                       [](std::size_t wanted, const Span& span) { return wanted < span.first; });
  return after != spans.begin() && offset < std::prev(after)->last;
}

bool reserve_heap() {
  if (heap_base) return true;
  // The base differs between processes, so that segments of several can be mapped side by side; it
  // is a multiple of 64 GiB between 32 and 64 TiB, where neither programs nor sanitizers put
  // anything.
  constexpr std::uintptr_t low = std::uintptr_t{0x200000000000};
  constexpr std::size_t steps = 512;
  const std::size_t start = static_cast<std::size_t>(getpid()) * 0x9E3779B97F4A7C15ull >> 32;
  char* base = nullptr;
  for (std::size_t i = 0; i < 16 && !base; ++i) {
    const std::uintptr_t at = low + (start + i * 17) % steps * (64 * kGiB);
    base = try_reserve(reinterpret_cast<void*>(at), MAP_FIXED_NOREPLACE);
  }
  if (!base) base = try_reserve(nullptr, 0);  // an unusual address space (valgrind's): anywhere
  if (!base) return false;
  heap_base = base;
  lasting_zone().set_range(base, base + kLastingBytes);
  transfer_zone().set_range(base + kLastingBytes, base + kReservedBytes);
  pthread_atfork(before_fork, after_fork, after_fork_in_child);
  return true;
}

bool guard_is_on() {
  static const bool on = [] {
    const char* value = std::getenv("FIRN_GUARD");
    return value && *value && std::strcmp(value, "0") != 0;
  }();
  return on;
}

// Zeroed: what objects leave unset would hold addresses that stood there before, and count as the
// new segment's references to others.
Zone& lasting_zone() {
  static Zone zone(true);
  return zone;
}

Zone& transfer_zone() {
  static Zone zone(false);
  return zone;
}

void protect(const Extent& extent) {
  if (guard_is_on()) mprotect(extent.begin, extent.size(), PROT_READ);
}

void Zone::set_range(char* begin, char* end) {
  middle_ = begin + (end - begin) / 4;
  small_.set_range(begin, middle_);
  large_.set_range(middle_, end);
}

void Zone::lock() {
  small_.lock();
  large_.lock();
}

void Zone::unlock() {
  large_.unlock();
  small_.unlock();
}

void Area::set_range(char* begin, char* end) {
  // The range's bounds are kept as addresses: no segment begins there, for a scan would take them
  // for pointers into it. Nor where the lower half of an address is as small as the digit of an
  // integer: half of an old address next to it would look like a new one.
  begin_ = begin;
  frontier_ = committed_ = begin + kUnused;
  end_ = end;
}

void Area::commit(char* end) {
  if (end <= committed_) return;
  char* to = std::min(
      end_, committed_ + round_up(static_cast<std::size_t>(end - committed_), kCommitStep));
  const std::size_t size = static_cast<std::size_t>(to - committed_);
  if (mprotect(committed_, size, PROT_READ | PROT_WRITE)) throw std::bad_alloc();
  committed_ = to;
}

void Area::choose_pages(const Extent& extent) {
  const std::size_t left = small_pages_left_;
  const bool small = left > extent.size();
  if (small) small_pages_left_ = left - extent.size();
  madvise(extent.begin, extent.size(), small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  if (small) return;
  // Other threads need not find out the same.
  const std::size_t after_slow = small_pages_after_slow_;
  if (after_slow > kSmallPagesAfterSlow) small_pages_left_ = after_slow;
  const double began = thread_seconds();
  madvise(extent.begin, kHugePage, MADV_POPULATE_WRITE);
  if (thread_seconds() - began < kSlowHugePage) {
    small_pages_left_ = 0;
    small_pages_after_slow_ = kSmallPagesAfterSlow;
  } else {
    small_pages_left_ = after_slow;
    small_pages_after_slow_ = std::min(after_slow * 2, kMostSmallPages);
    madvise(extent.begin + kHugePage, extent.size() - kHugePage, MADV_NOHUGEPAGE);
  }
}

Extent Area::take(std::size_t bytes) {
  const std::size_t size = round_up(bytes, grain_);
  bool warm = false;
  const Extent extent = take_addresses(size, &warm);
  if (huge_pages_ && !warm) choose_pages(extent);  // takes its time, others need not wait for it
  return extent;
}

Extent Area::take_addresses(std::size_t size, bool* warm) {
  const std::lock_guard hold(mutex_);
  Extent extent = find(free_, size);
  if (extent.begin) {
    warm_bytes_ -= std::min(warm_bytes_, size);
    if (guard_is_on() && mprotect(extent.begin, size, PROT_READ | PROT_WRITE))
      throw std::bad_alloc();
    *warm = true;
    return extent;
  }
  extent = find(cold_, size);
  if (extent.begin) {
    if (mprotect(extent.begin, size, PROT_READ | PROT_WRITE)) {
      insert(cold_, extent.begin, size);
      throw std::bad_alloc();
    }
    return extent;
  }
  if (size > static_cast<std::size_t>(end_ - frontier_)) throw std::bad_alloc();
  commit(frontier_ + size);
  extent = {frontier_, frontier_ + size};
  frontier_ += size;
  return extent;
}

// The lowest extent that is large enough: low addresses have been used last and have their pages.
Extent Area::find(Free& free, std::size_t size) {
  for (auto at = free.begin(); at != free.end(); ++at) {
    if (at->second < size) continue;
    const Span span{at->first, at->first + size};
    const std::size_t rest = at->second - size;
    free.erase(at);
    if (rest) free.emplace(span.last, rest);
    return extent_of(span);
  }
  return {};
}

void Area::insert(Free& free, char* begin, std::size_t size) {
  const std::size_t first = heap_offset(begin);
  auto next = free.lower_bound(first);
  if (next != free.end() && first + size == next->first) {
    size += next->second;
    next = free.erase(next);
  }
  if (next != free.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == first) {
      before->second += size;
      return;
    }
  }
  free.emplace_hint(next, first, size);
}

void Area::give_back(Extent extent) {
  const std::size_t size = extent.size();
  if (!size) return;
  std::unique_lock hold(mutex_);
  // With the guard on, what is to be zeroed cannot be written.
  if (warm_bytes_ + size > kWarmLimit || (zeroed_ && guard_is_on())) {
    madvise(extent.begin, size, MADV_DONTNEED);
  } else {
    warm_bytes_ += size;
    if (zeroed_) {
      hold.unlock();  // it takes a while
      std::memset(extent.begin, 0, size);
      hold.lock();
    }
  }
  if (guard_is_on()) mprotect(extent.begin, size, PROT_NONE);
  insert(free_, extent.begin, size);
}

void Area::unmap(Extent extent) {
  if (!extent.size()) return;
  const std::lock_guard hold(mutex_);
  // In one step, so that no mapping of anybody else ever gets there.
  mmap(extent.begin, extent.size(), PROT_NONE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  insert(cold_, extent.begin, extent.size());
}

void Area::cool() {
  const std::lock_guard hold(mutex_);
  for (const auto& [first, size] : free_) {
    char* const begin = heap_base + first;
    mmap(begin, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    insert(cold_, begin, size);
  }
  free_.clear();
  warm_bytes_ = 0;
}

void Area::give_back_tail(Extent& extent, char* used_end) {
  const std::size_t used = round_up(static_cast<std::size_t>(used_end - extent.begin), grain_);
  char* keep = extent.begin + used;
  if (huge_pages_) {
    // What a segment leaves unused of its last huge page is given back too.
    char* page = extent.begin + round_up(static_cast<std::size_t>(used_end - extent.begin), kPage);
    if (page < keep) madvise(page, static_cast<std::size_t>(keep - page), MADV_DONTNEED);
  }
  if (keep >= extent.end) return;
  const std::size_t size = static_cast<std::size_t>(extent.end - keep);
  if (huge_pages_) madvise(keep, size, MADV_DONTNEED);  // may have been touched ahead
  extent.end = keep;
  const std::lock_guard hold(mutex_);
  if (keep + size == frontier_) {
    frontier_ = keep;
    return;
  }
  if (guard_is_on()) mprotect(keep, size, PROT_NONE);
  insert(free_, keep, size);
}

// Gets the pages of the next so many bytes of the extent, and of some more.
void Region::populate_ahead(std::size_t bytes) {
  const auto left = static_cast<std::size_t>(end_ - limit_);
  const std::size_t ahead = std::min(left, round_up(bytes, kAhead));
  get_pages(limit_, ahead);
  limit_ += ahead;
}

char* Region::allocate_slowly(std::size_t bytes) {
  if (bytes <= static_cast<std::size_t>(end_ - current_)) {
    populate_ahead(bytes - static_cast<std::size_t>(limit_ - current_));
    char* const at = current_;
    current_ += bytes;
    return at;
  }
  if (bytes > next_bytes_ / 4) {
    single_.reserve(single_.size() + 1);
    const Extent extent = zone_.take(bytes);
    single_.push_back(span_of(extent));
    used_before_ += bytes;
    populator_->populate({extent.begin, extent.begin + bytes});
    return extent.begin;
  }
  extents_.reserve(extents_.size() + 1);
  const Extent extent = zone_.take(next_bytes_);
  if (begin_) used_before_ += static_cast<std::size_t>(current_ - begin_);
  extents_.push_back(span_of(extent));
  begin_ = extent.begin;
  current_ = extent.begin + bytes;
  end_ = extent.end;
  if (extent.size() < kAhead) {
    limit_ = end_;
  } else {
    limit_ = extent.begin;
    populate_ahead(bytes);
  }
  next_bytes_ = std::min(next_bytes_ * 2, kLargestExtent);
  return extent.begin;
}

std::vector<Span> Region::finish(std::size_t* used) {
  *used += used_before_ + static_cast<std::size_t>(current_ - begin_);
  if (!extents_.empty()) {
    Extent last = extent_of(extents_.back());
    zone_.give_back_tail(last, current_);
    extents_.back() = span_of(last);
  }
  std::vector<Span> all = std::move(extents_);
  all.insert(all.end(), single_.begin(), single_.end());
  extents_.clear();
  single_.clear();
  begin_ = current_ = limit_ = end_ = nullptr;
  used_before_ = 0;
  next_bytes_ = std::size_t{64} << 10;
  return all;
}

void Region::discard() {
  for (const Span& span : extents_) zone_.give_back(extent_of(span));
  for (const Span& span : single_) zone_.give_back(extent_of(span));
  extents_.clear();
  single_.clear();
  begin_ = current_ = limit_ = end_ = nullptr;
  used_before_ = 0;
  next_bytes_ = std::size_t{64} << 10;
}

}  // namespace firn::heap
