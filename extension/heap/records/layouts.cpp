#include "heap/cpython_layout.hpp"

#include "heap/records/layouts.hpp"

#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>

#include "heap/records/permanent.hpp"
#include "heap/shapes.hpp"
#include "heap/strings.hpp"

namespace firn::heap {

std::atomic<const Layout*> layouts::chunks[layouts::kChunks];

namespace {

// Any thread; no Python runs under the lock, and of other locks only the arenas' are taken.
class Table {
 public:
  const Layout* find_or_make(const LayoutKey& key) {
    const std::size_t hash = hash_of(key);
    const std::lock_guard hold(mutex_);
    const auto [first, last] = by_content_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      const Layout* layout = layout_at(at->second);
      if (equals(*layout, key)) return layout;
    }
    return make(key, hash);
  }

  std::size_t count(std::uint32_t definition) {
    const std::lock_guard hold(mutex_);
    const auto found = counts_.find(definition);
    return found == counts_.end() ? 0 : found->second;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  static std::size_t hash_of(const LayoutKey& key) {
    std::size_t h = key.definition * 8191u + static_cast<unsigned>(key.kind) * 131u + key.slots;
    h = h * 2 + key.has_dict;
    for (PyObject* name : key.names) {
      h = (h ^ static_cast<std::size_t>(hash_of_string(name))) * 0x9E3779B97F4A7C15ull;
      h ^= h >> 32;
    }
    return h;
  }

  static bool equals(const Layout& layout, const LayoutKey& key) {
    if (layout.definition != key.definition || layout.kind != key.kind || layout.hash != key.hash ||
        layout.callable != key.callable || layout.has_dict != key.has_dict ||
        layout.whole_dict != key.whole_dict || layout.slots != key.slots ||
        layout.count != key.names.size()) {
      return false;
    }
    for (std::size_t i = 0; i < key.names.size(); ++i) {
      if (!Strings::same(layout.name(i), key.names[i], hash_of_string(key.names[i]))) return false;
    }
    return true;
  }

  const Layout* make(const LayoutKey& key, std::size_t hash) {
    const std::size_t chunk = next_ / layouts::kChunk;
    if (chunk == layouts::kChunks) throw std::bad_alloc();
    auto* room = const_cast<Layout*>(layouts::chunks[chunk].load(std::memory_order_relaxed));
    if (!room) room = new Layout[layouts::kChunk]();
    layouts::chunks[chunk].store(room, std::memory_order_release);
    const struct Open {
      explicit Open(Permanent& memory) : memory_(memory) { memory_.open(); }
      ~Open() { memory_.close(); }
      Permanent& memory_;
    } open(memory_);
    Layout& layout = room[next_ % layouts::kChunk];
    layout = {next_,
              key.definition,
              key.kind,
              key.hash,
              key.callable,
              key.has_dict,
              key.whole_dict,
              key.slots,
              static_cast<std::uint32_t>(key.names.size()),
              make_names(key.names)};
    by_content_.emplace(hash, next_);
    ++counts_[key.definition];
    ++next_;  // its number reaches other threads with the records that bear it
    return &layout;
  }

  PyObject* make_names(const std::vector<PyObject*>& names) {
    std::vector<PyObject*> copies;
    copies.reserve(names.size());
    for (PyObject* name : names) copies.push_back(make_name(name));
    const std::size_t size = offsetof(PyTupleObject, ob_item) + names.size() * sizeof(PyObject*);
    char* at = memory_.allocate(sizeof(PyGC_Head) + size);
    std::memset(at, 0, sizeof(PyGC_Head));  // collectors look at it (hazard 5)
    auto* tuple = reinterpret_cast<PyTupleObject*>(at + sizeof(PyGC_Head));
    set_header(reinterpret_cast<PyObject*>(tuple), &PyTuple_Type, true);
    reinterpret_cast<PyVarObject*>(tuple)->ob_size = static_cast<Py_ssize_t>(names.size());
    tuple->ob_hash = -1;
    if (!copies.empty())
      std::memcpy(tuple->ob_item, copies.data(), copies.size() * sizeof(PyObject*));
    PyTuple_Type.tp_hash(reinterpret_cast<PyObject*>(tuple));  // is cached in it (hazard 4)
    return reinterpret_cast<PyObject*>(tuple);
  }

  PyObject* make_name(PyObject* name) {
    if (PyObject* known = names_.find(name, hash_of_string(name))) return known;
    PyObject* copy = copy_string(memory_, name, true);
    names_.insert(copy);
    return copy;
  }

  std::mutex mutex_;
  Permanent memory_;
  Strings names_;
  std::unordered_multimap<std::size_t, std::uint32_t> by_content_;
  std::unordered_map<std::uint32_t, std::size_t> counts_;
  std::uint32_t next_ = 1;  // 0 stands in what is no record
};

// Never destroyed: threads may read it while the process ends.
Table& table() {
  static Table& table = *new Table;
  return table;
}

}  // namespace

const Layout* find_or_make_layout(const LayoutKey& key) { return table().find_or_make(key); }

std::size_t count_layouts(std::uint32_t definition) { return table().count(definition); }

void hold_layouts() { table().lock(); }
void release_layouts() { table().unlock(); }

}  // namespace firn::heap
