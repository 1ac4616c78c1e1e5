#include "heap/segments.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <set>

#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

// Any thread; the lock is never held while Python runs, and no other lock is taken under it.
class Registry {
 public:
  std::uint64_t add(std::vector<Extent> extents, SegmentInfo info, Needs needs) {
    const std::lock_guard hold(mutex_);
    info.id = segments_.size() + 1;
    for (const Extent& extent : extents) places_[extent.begin] = {extent.end, info.id};
    segments_.push_back({std::move(info), std::move(extents), std::move(needs)});
    return segments_.size();
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
    const std::lock_guard hold(mutex_);
    const char* const wanted = static_cast<const char*>(address);
    auto after = places_.upper_bound(const_cast<char*>(wanted));
    if (after == places_.begin()) return {};
    const auto& [begin, stretch] = *std::prev(after);
    return wanted < stretch.end ? Place{stretch.id, {begin, stretch.end}} : Place{};
  }

  // Also of the segments that these lead to.
  std::vector<std::uint32_t> definitions(const std::vector<std::uint64_t>& ids) {
    std::set<std::uint32_t> found;
    std::set<std::uint64_t> seen;
    std::vector<std::uint64_t> todo = ids;
    const std::lock_guard hold(mutex_);
    while (!todo.empty()) {
      const std::uint64_t id = todo.back();
      todo.pop_back();
      const Segment* segment = at(id);
      if (!segment || !seen.insert(id).second) continue;
      found.insert(segment->needs.definitions.begin(), segment->needs.definitions.end());
      todo.insert(todo.end(), segment->needs.segments.begin(), segment->needs.segments.end());
    }
    return {found.begin(), found.end()};
  }

  std::uint64_t count() {
    const std::lock_guard hold(mutex_);
    return segments_.size();
  }

  std::optional<SegmentInfo> get(std::uint64_t id) {
    const std::lock_guard hold(mutex_);
    Segment* const segment = at(id);
    return segment ? std::optional(segment->info) : std::nullopt;
  }

  std::vector<Extent> extents(std::uint64_t id) {
    const std::lock_guard hold(mutex_);
    Segment* const segment = at(id);
    return segment ? segment->extents : std::vector<Extent>();
  }

  bool set_cell(std::uint64_t id, std::string cell) {
    const std::lock_guard hold(mutex_);
    Segment* const segment = at(id);
    if (segment) segment->info.cell = std::move(cell);
    return segment;
  }

  bool begin_retirement(std::uint64_t id, std::size_t least) {
    const std::lock_guard hold(mutex_);
    Segment* const segment = at(id);
    if (!segment || segment->info.backing != Backing::memory || segment->info.bytes < least)
      return false;
    segment->info.backing = Backing::moving;
    return true;
  }

  void set_backing(std::uint64_t id, Backing backing) {
    const std::lock_guard hold(mutex_);
    if (Segment* const segment = at(id)) segment->info.backing = backing;
  }

  std::vector<SegmentInfo> all() {
    const std::lock_guard hold(mutex_);
    std::vector<SegmentInfo> all;
    for (const Segment& segment : segments_) all.push_back(segment.info);
    return all;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  struct Stretch {
    char* end;
    std::uint64_t id;
  };
  struct Segment {
    SegmentInfo info;
    std::vector<Extent> extents;
    Needs needs;
  };

  Segment* at(std::uint64_t id) {
    return id && id <= segments_.size() ? &segments_[id - 1] : nullptr;
  }

  std::uint64_t locate(const void* address) {
    const char* const wanted = static_cast<const char*>(address);
    auto after = places_.upper_bound(const_cast<char*>(wanted));
    if (after == places_.begin()) return 0;
    const auto& [end, id] = std::prev(after)->second;
    return wanted < end ? id : 0;
  }

  std::mutex mutex_;
  std::map<char*, Stretch> places_;
  std::vector<Segment> segments_;
};

Registry& registry();

// Never destroyed: a thread may be retiring segments while the process ends. A child process must
// not find the lock taken by a thread that it does not have.
Registry& registry() {
  static Registry& registry = *new Registry;
  return registry;
}

}  // namespace

std::uint64_t add_segment(std::vector<Extent> extents, std::vector<std::string> names,
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
  const auto info = registry().get(registry().find(address));
  if (!info) return std::nullopt;
  return Description{info->id, info->names, info->cell};
}

std::vector<SegmentInfo> list_segments() { return registry().all(); }

bool set_cell(std::uint64_t segment, std::string cell) {
  return registry().set_cell(segment, std::move(cell));
}

std::uint64_t count_segments() { return registry().count(); }

std::vector<std::uint64_t> segments_of(const std::vector<const void*>& addresses) {
  return registry().find(addresses);
}

std::vector<std::uint64_t> begin_retirement(const std::vector<std::uint64_t>& segments,
                                            std::size_t least) {
  std::vector<std::uint64_t> begun;
  for (const std::uint64_t id : segments) {
    if (registry().begin_retirement(id, least)) begun.push_back(id);
  }
  return begun;
}

void set_backing(std::uint64_t segment, Backing backing) {
  registry().set_backing(segment, backing);
}

std::vector<Extent> extents_of(std::uint64_t segment) { return registry().extents(segment); }

void hold_segments() { registry().lock(); }
void release_segments() { registry().unlock(); }

}  // namespace firn::heap
