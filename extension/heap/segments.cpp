#include "heap/segments.hpp"

#include <chrono>
#include <map>
#include <mutex>

#include "heap/static_objects.hpp"

namespace firn::heap {
namespace {

// Any thread; the lock is never held while Python runs.
class Registry {
 public:
  std::uint64_t add(std::vector<Extent> extents, SegmentInfo info) {
    const std::lock_guard hold(mutex_);
    info.id = segments_.size() + 1;
    for (const Extent& extent : extents) extents_[extent.begin] = {extent.end, info.id};
    segments_.push_back(std::move(info));
    return segments_.size();
  }

  std::uint64_t find(const void* address) {
    const std::lock_guard hold(mutex_);
    const char* at = static_cast<const char*>(address);
    auto after = extents_.upper_bound(const_cast<char*>(at));
    if (after == extents_.begin()) return 0;
    const auto& [end, id] = std::prev(after)->second;
    return at < end ? id : 0;
  }

  std::optional<SegmentInfo> get(std::uint64_t id) {
    const std::lock_guard hold(mutex_);
    if (!id || id > segments_.size()) return std::nullopt;
    return segments_[id - 1];
  }

  bool set_cell(std::uint64_t id, std::string cell) {
    const std::lock_guard hold(mutex_);
    if (!id || id > segments_.size()) return false;
    segments_[id - 1].cell = std::move(cell);
    return true;
  }

  std::vector<SegmentInfo> all() {
    const std::lock_guard hold(mutex_);
    return segments_;
  }

 private:
  struct Place {
    char* end;
    std::uint64_t id;
  };

  std::mutex mutex_;
  std::map<char*, Place> extents_;
  std::vector<SegmentInfo> segments_;
};

Registry& registry() {
  static Registry registry;
  return registry;
}

}  // namespace

std::uint64_t add_segment(std::vector<Extent> extents, std::vector<std::string> names, const Figures& figures) {
  SegmentInfo info;
  info.names = std::move(names);
  info.objects = figures.objects;
  info.bytes = figures.bytes;
  info.seconds = figures.seconds;
  info.time = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return registry().add(std::move(extents), std::move(info));
}

bool in_segment(const void* address) { return registry().find(address) != 0; }

bool contains(const void* address) { return in_heap(address); }

bool is_frozen(PyObject* object) { return in_heap(object) || (is_static(object) && is_shareable_static(object)); }

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

bool set_cell(std::uint64_t segment, std::string cell) { return registry().set_cell(segment, std::move(cell)); }

}  // namespace firn::heap
