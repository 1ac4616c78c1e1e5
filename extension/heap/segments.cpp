#include "heap/segments.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <utility>

#include "heap/scan/cleared_memory.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

// Any thread; the lock is never held while Python runs, and no other lock is taken under it. Knows
// addresses as offsets only: see Span.
class Registry {
 public:
  struct Segment {
    SegmentInfo info;
    std::vector<Span> spans;
    bool handed_over = false;  // newly_retired() has told of it
    bool unreached = false;    // see set_unreached()
    bool refers_known = false;
    std::vector<std::uint64_t> refers;
    Needs needs;
  };
  using Segments = std::vector<Segment, ClearedMemory<Segment>>;

  std::uint64_t add(std::vector<Span> spans, SegmentInfo info, Needs needs) {
    const std::lock_guard hold(mutex_);
    info.id = ++newest_;
    Segment& segment = segments_.emplace_back();
    for (const Span& span : spans) places_[span.first] = {span.last, info.id};
    segment.spans = std::move(spans);
    segment.info = std::move(info);
    segment.needs = std::move(needs);
    return newest_;
  }

  std::uint64_t find(const void* address) {
    const std::lock_guard hold(mutex_);
    return locate(address);
  }

  std::vector<std::uint64_t> find(const std::vector<const void*>& addresses) {
    std::set<std::uint64_t> found;
    const std::lock_guard hold(mutex_);
    for (const void* address : addresses) {
      if (const std::uint64_t id = in_lasting(address) ? locate(address) : 0) found.insert(id);
    }
    return {found.begin(), found.end()};
  }

  Place place(const void* address) {
    const std::size_t wanted = heap_offset(address);
    const std::lock_guard hold(mutex_);
    auto after = places_.upper_bound(wanted);
    if (after == places_.begin()) return {};
    const auto& [first, stretch] = *std::prev(after);
    if (wanted >= stretch.last) return {};
    return {stretch.id, extent_of({first, stretch.last})};
  }

  // Also of the segments that these lead to.
  std::vector<std::uint32_t> definitions(const std::vector<std::uint64_t>& ids) {
    std::set<std::uint32_t> found;
    std::set<std::uint64_t> seen;
    const std::lock_guard hold(mutex_);
    walk(ids, seen, [&](const Needs& needs) {
      found.insert(needs.definitions.begin(), needs.definitions.end());
    });
    return {found.begin(), found.end()};
  }

  // These, and those that they lead to.
  std::vector<std::uint64_t> below(const std::vector<std::uint64_t>& ids) {
    std::set<std::uint64_t> seen;
    const std::lock_guard hold(mutex_);
    walk(ids, seen, [](const Needs&) {});
    return {seen.begin(), seen.end()};
  }

  std::uint64_t newest() {
    const std::lock_guard hold(mutex_);
    return newest_;
  }

  // What `look` gives for a segment; a default when there is none.
  template <typename Look>
  auto with(std::uint64_t id, const Look& look) -> decltype(look(std::declval<Segment&>())) {
    const std::lock_guard hold(mutex_);
    const std::size_t index = index_of(id);
    if (index == segments_.size()) return {};
    return look(segments_[index]);
  }

  template <typename Look>
  void each(const Look& look) {
    const std::lock_guard hold(mutex_);
    for (Segment& segment : segments_) look(segment);
  }

  template <typename Wanted>
  std::vector<Span> spans_where(const Wanted& wanted) {
    std::vector<Span> found;
    each([&](const Segment& segment) {
      if (wanted(segment)) found.insert(found.end(), segment.spans.begin(), segment.spans.end());
    });
    return joined(std::move(found));
  }

  std::vector<Span> take_out(std::uint64_t id) {
    const std::lock_guard hold(mutex_);
    const std::size_t index = index_of(id);
    if (index == segments_.size()) return {};
    std::vector<Span> spans = std::move(segments_[index].spans);
    for (const Span& span : spans) {
      places_.erase(span.first);
      forgotten_.push_back(span);
    }
    segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(index));
    forgotten_count_.store(forgotten_.size(), std::memory_order_release);
    return spans;
  }

  std::uint64_t forgotten() const { return forgotten_count_.load(std::memory_order_acquire); }
  std::vector<Span> forgotten_since(std::uint64_t count) {
    const std::lock_guard hold(mutex_);
    return {forgotten_.begin() +
                static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(count, forgotten_.size())),
            forgotten_.end()};
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  // With the lock held.
  const Segments& segments() const { return segments_; }
  std::size_t index_of(std::uint64_t id) const {
    const auto at = std::lower_bound(
        segments_.begin(), segments_.end(), id,
        [](const Segment& segment, std::uint64_t wanted) { return segment.info.id < wanted; });
    return at != segments_.end() && at->info.id == id
               ? static_cast<std::size_t>(at - segments_.begin())
               : segments_.size();
  }

 private:
  // Looks once at the needs of each segment that these lead to. With the lock held.
  template <typename Look>
  void walk(std::vector<std::uint64_t> todo, std::set<std::uint64_t>& seen, const Look& look) {
    while (!todo.empty()) {
      const std::uint64_t id = todo.back();
      todo.pop_back();
      const std::size_t index = index_of(id);
      if (index == segments_.size() || !seen.insert(id).second) continue;
      const Needs& needs = segments_[index].needs;
      look(needs);
      todo.insert(todo.end(), needs.segments.begin(), needs.segments.end());
    }
  }

  struct Stretch {
    std::size_t last;
    std::uint64_t id;
  };

  std::uint64_t locate(const void* address) {
    const std::size_t wanted = heap_offset(address);
    auto after = places_.upper_bound(wanted);
    if (after == places_.begin()) return 0;
    const auto& [last, id] = std::prev(after)->second;
    return wanted < last ? id : 0;
  }

  std::mutex mutex_;
  std::uint64_t newest_ = 0;
  std::map<std::size_t, Stretch, std::less<>, ClearedMemory<std::pair<const std::size_t, Stretch>>>
      places_;
  Segments segments_;  // by id, ascending
  std::vector<Span> forgotten_;
  std::atomic<std::uint64_t> forgotten_count_{0};
};

Registry& registry();

// Never destroyed: a thread may be retiring segments while the process ends. A child process must
// not find the lock taken by a thread that it does not have. Not in memory that was something else
// before: what fills its gaps would be scanned.
Registry& registry() {
  alignas(Registry) static char room[sizeof(Registry)];
  static Registry& registry = *new (room) Registry;
  return registry;
}

}  // namespace

std::uint64_t add_segment(std::vector<Span> extents, std::vector<std::string> names,
                          const Figures& figures, Needs needs) {
  SegmentInfo info;
  info.names = std::move(names);
  info.objects = figures.objects;
  info.bytes = figures.bytes;
  info.seconds = figures.seconds;
  info.time =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return registry().add(std::move(extents), std::move(info), std::move(needs));
}

Place place_of(const void* address) { return registry().place(address); }

std::vector<std::uint32_t> definitions_of(const std::vector<std::uint64_t>& segments) {
  return registry().definitions(segments);
}

std::vector<std::uint64_t> segments_below(const std::vector<std::uint64_t>& segments) {
  return registry().below(segments);
}

bool in_segment(const void* address) { return registry().find(address) != 0; }

bool contains(const void* address) { return in_heap(address); }

bool is_frozen(PyObject* object) {
  return in_heap(object) || (is_static(object) && is_shareable_static(object)) || twin_of(object);
}

bool is_adoptable(const void* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % alignof(PyObject)) return false;
  return in_heap(address) ? in_segment(address) : is_static(address);
}

std::optional<Description> describe(const void* address) {
  if (!in_lasting(address)) return std::nullopt;
  return registry().with(registry().find(address), [](Registry::Segment& segment) {
    const SegmentInfo& info = segment.info;
    return std::optional(Description{info.id, info.names, info.cell});
  });
}

std::vector<SegmentInfo> list_segments() {
  std::vector<SegmentInfo> all;
  registry().each([&](Registry::Segment& segment) { all.push_back(segment.info); });
  return all;
}

bool set_cell(std::uint64_t id, std::string cell) {
  return registry().with(id, [&](Registry::Segment& segment) {
    segment.info.cell = std::move(cell);
    return true;
  });
}

std::uint64_t count_segments() { return registry().newest(); }

std::vector<std::uint64_t> segments_of(const std::vector<const void*>& addresses) {
  return registry().find(addresses);
}

void begin_retirement(const std::vector<std::uint64_t>& segments) {
  for (const std::uint64_t id : segments) {
    registry().with(id, [](Registry::Segment& segment) { return segment.info.retired = true; });
  }
}

std::vector<std::uint64_t> newly_retired(const std::vector<std::uint64_t>& segments) {
  std::vector<std::uint64_t> found;
  for (const std::uint64_t id : segments) {
    const bool now = registry().with(id, [](Registry::Segment& segment) {
      return segment.info.retired && !std::exchange(segment.handed_over, true);
    });
    if (now) found.push_back(id);
  }
  return found;
}

void set_backing(std::uint64_t id, Backing backing) {
  registry().with(id, [&](Registry::Segment& segment) {
    segment.info.backing = backing;
    return true;
  });
}

bool begin_move(std::uint64_t id, std::size_t least) {
  return registry().with(id, [&](Registry::Segment& segment) {
    SegmentInfo& info = segment.info;
    if (!info.retired || info.backing != Backing::memory || info.bytes < least) return false;
    info.backing = Backing::moving;
    return true;
  });
}

std::vector<Span> spans_of(std::uint64_t id) {
  return registry().with(id, [](Registry::Segment& segment) { return segment.spans; });
}

std::vector<Extent> extents_of(std::uint64_t id) {
  std::vector<Extent> extents;
  for (const Span& span : spans_of(id)) extents.push_back(extent_of(span));
  return extents;
}

std::vector<Span> retired_spans() {
  return registry().spans_where([](const auto& segment) { return segment.info.retired; });
}

std::vector<Span> unreached_spans() {
  return registry().spans_where([](const auto& segment) { return segment.unreached; });
}

void set_unreached(std::uint64_t id) {
  registry().with(id, [](Registry::Segment& segment) { return segment.unreached = true; });
}

bool is_in_use(const void* address) {
  return registry().with(registry().find(address),
                         [](Registry::Segment& segment) { return !segment.info.retired; });
}

std::pair<std::size_t, std::size_t> count_retired() {
  std::pair<std::size_t, std::size_t> found;
  registry().each([&](Registry::Segment& segment) {
    if (!segment.info.retired) return;
    ++found.first;
    found.second += segment.info.bytes;
  });
  return found;
}

void set_refers(std::uint64_t id, std::vector<std::uint64_t> others) {
  registry().with(id, [&](Registry::Segment& segment) {
    segment.refers = std::move(others);
    segment.refers_known = true;
    return true;
  });
}

void set_holder(std::uint64_t id, std::uintptr_t holder) {
  registry().with(id, [&](Registry::Segment& segment) {
    segment.info.holder = holder;
    return true;
  });
}

std::vector<Span> take_out(std::uint64_t id) { return registry().take_out(id); }
std::uint64_t forgotten() { return registry().forgotten(); }
std::vector<Span> forgotten_since(std::uint64_t count) { return registry().forgotten_since(count); }

std::size_t view_size() { return registry().segments().size(); }

SegmentView view_segment(std::size_t index) {
  const Registry::Segment& segment = registry().segments()[index];
  return {segment.info.id, segment.info.retired, segment.refers_known, &segment.spans,
          &segment.refers};
}

std::size_t index_of_segment(std::uint64_t id) { return registry().index_of(id); }

void hold_segments() { registry().lock(); }
void release_segments() { registry().unlock(); }

}  // namespace firn::heap
