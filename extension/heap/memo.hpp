// What has been copied already: from each original that has more than one reference to its copy.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace firn::heap {

// Memory of large tables comes in huge pages where there are such: every look-up is at another
// place.
template <typename T>
struct HugePages {
  using value_type = T;
  static constexpr std::size_t huge = std::size_t{2} << 20;

  HugePages() = default;
  template <typename U>
  HugePages(const HugePages<U>&) {}  // NOLINT(google-explicit-constructor): as allocators are

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes < huge) return static_cast<T*>(::operator new(bytes));
    void* at = std::aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
    if (!at) throw std::bad_alloc();
    madvise(at, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(at);
  }
  void deallocate(T* at, std::size_t count) {
    if (count * sizeof(T) < huge) {
      ::operator delete(at);
    } else {
      std::free(at);
    }
  }
  bool operator==(const HugePages&) const { return true; }
};

// Open addressing from pointers to pointers; grows, never shrinks while it is filled. One thread.
class PointerTable {
 public:
  void* find(const void* key) const {
    if (!mask_) return nullptr;
    for (std::size_t i = hash(key) & mask_;; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return slots_[i].value;
      if (!slots_[i].key) return nullptr;
    }
  }

  // Asks for the memory that find() will look at. Also while another thread inserts: then it may
  // ask for the wrong one.
  void prefetch(const void* key) const {
    const Slot* at = hint_.load(std::memory_order_relaxed);
    if (at) __builtin_prefetch(at + (hash(key) & hint_mask_.load(std::memory_order_relaxed)));
  }

  // Also while another thread inserts.
  bool has_room_for(std::size_t count) const {
    return hint_mask_.load(std::memory_order_relaxed) >= count * 2;
  }

  // The key must not be in the table.
  void insert(const void* key, void* value) {
    if ((size_ + 1) * 2 > mask_) grow();
    place(key, value);
    ++size_;
    if (logged_) log_.push_back(key);
  }

  // Calls visit(key) for each key that was not visited before.
  template <typename Visit>
  void visit_new(Visit&& visit) {
    if (logged_) {
      for (const void* key : log_) visit(key);
    } else {
      for (const Slot& slot : slots_) {
        if (slot.key) visit(slot.key);
      }
    }
    log_.clear();
    logged_ = true;
  }

  std::size_t size() const { return size_; }

  // Empties the table for another use; a large one gives its memory back.
  void clear() {
    if (!size_) return;
    if (mask_ >= 4096) {
      slots_ = {};
      mask_ = 0;
      hint_.store(nullptr, std::memory_order_relaxed);
    } else {
      slots_.assign(mask_ + 1, Slot{});
    }
    size_ = 0;
  }

 private:
  struct Slot {
    const void* key = nullptr;
    void* value = nullptr;
  };

  using Slots = std::vector<Slot, HugePages<Slot>>;

  static std::size_t hash(const void* key) {
    return (reinterpret_cast<std::uintptr_t>(key) >> 3) * 0x9E3779B97F4A7C15ull >> 24;
  }

  void place(const void* key, void* value) {
    std::size_t i = hash(key) & mask_;
    while (slots_[i].key) i = (i + 1) & mask_;
    slots_[i] = {key, value};
  }

  void grow() {
    const std::size_t capacity = mask_ ? (mask_ + 1) * 4 : 64;
    Slots old(capacity);
    old.swap(slots_);
    mask_ = capacity - 1;
    hint_.store(slots_.data(), std::memory_order_relaxed);
    hint_mask_.store(mask_, std::memory_order_relaxed);
    for (const Slot& slot : old) {
      if (slot.key) place(slot.key, slot.value);
    }
  }

  Slots slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
  std::atomic<const Slot*> hint_{nullptr};
  std::atomic<std::size_t> hint_mask_{0};
  std::vector<const void*> log_;  // keys since visit_new()
  bool logged_ = false;
};

// One table while one thread copies. Once several do, that table is only read and new entries go to
// shards, each with its own lock; a copy is made under the lock of its shard, so that no thread
// ever sees an original without its copy's address. `make` must not come back to the memo; when it
// gives nullptr, nothing is remembered.
class Memo {
 public:
  template <typename Make>
  void* find_or_make(const void* key, Make&& make) {
    if (void* found = first_.find(key)) return found;
    if (!shards_) {
      void* made = make();
      if (made) first_.insert(key, made);
      return made;
    }
    Shard& shard = (*shards_)[shard_of(key)];
    const std::lock_guard hold(shard.mutex);
    if (void* found = shard.table.find(key)) return found;
    void* made = make();
    if (made) shard.table.insert(key, made);
    return made;
  }

  void* find(const void* key) const {
    if (void* found = first_.find(key)) return found;
    if (!shards_) return nullptr;
    Shard& shard = (*shards_)[shard_of(key)];
    const std::lock_guard hold(shard.mutex);
    return shard.table.find(key);
  }

  // Whether what find_or_make() will look at may be far away. Shards are as large as each other.
  bool is_large() const {
    constexpr std::size_t slots = 4096;
    if (first_.has_room_for(slots)) return true;
    return shards_ && shards_->front().table.has_room_for(slots / kShards);
  }

  // Asks for it.
  void prefetch(const void* key) const {
    first_.prefetch(key);
    if (shards_) (*shards_)[shard_of(key)].table.prefetch(key);
  }

  // From here on several threads may use the memo.
  void share() {
    if (!shards_) shards_ = std::make_unique<std::array<Shard, kShards>>();
  }

  // Calls visit(key) for each key that was not visited before, while one thread uses the memo.
  template <typename Visit>
  void visit_new(Visit&& visit) {
    first_.visit_new(visit);
    if (!shards_) return;
    for (Shard& shard : *shards_) shard.table.visit_new(visit);
  }

  void clear() {
    first_.clear();
    shards_.reset();
  }

 private:
  static constexpr std::size_t kShards = 256;

  struct alignas(64) Shard {
    std::mutex mutex;
    PointerTable table;
  };

  static std::size_t shard_of(const void* key) {
    return (reinterpret_cast<std::uintptr_t>(key) >> 3) * 0xC2B2AE3D27D4EB4Full >> 56;
  }

  PointerTable first_;
  std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace firn::heap
