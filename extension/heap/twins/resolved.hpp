// The objects that one interpreter has made of twins.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace firn::heap {

// From pointers to pointers, open addressing; entries can go. One thread at a time (the
// interpreter's GIL).
class PointerMap {
 public:
  void* find(const void* key) const {
    if (slots_.empty()) return nullptr;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash(key) & mask;; i = (i + 1) & mask) {
      if (slots_[i].key == key) return slots_[i].value;
      if (!slots_[i].key) return nullptr;
    }
  }

  // Adds the key, or gives it another value. Throws std::bad_alloc.
  void set(const void* key, void* value);

  // Its value, or nullptr when it was not there.
  void* take(const void* key);

  std::size_t size() const { return size_; }

  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.key) visit(slot.key, slot.value);
    }
  }

 private:
  struct Slot {
    const void* key = nullptr;
    void* value = nullptr;
  };

  static std::size_t hash(const void* key) {
    return (reinterpret_cast<std::uintptr_t>(key) >> 3) * 0x9E3779B97F4A7C15ull >> 20;
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

// A twin whose object exists and is not filled yet.
struct Unfilled {
  PyObject* twin;
  PyObject* object;  // borrowed: the table keeps it
};

struct Resolved {
  PointerMap objects;      // twin -> object, a strong reference
  PointerMap twins;        // unchanging object -> twin
  std::size_t shells = 0;  // how many of these are shells'
  std::vector<Unfilled> unfilled;
  std::vector<PyObject*> being_made;  // twins whose arguments are being made
};

// Those of the calling interpreter; nullptr once it has given them up at its end, with an exception
// set.
Resolved* resolved();

// Makes the table; 0, or -1 with an exception set. init_interpreter() calls it.
int make_resolved();

// The calling interpreter's Resolved::twins, or nullptr when none of them is a shell's.
const PointerMap* objects_of_shells();

// Takes the twin's object away again: it could not be completed.
void unremember(PyObject* twin);

}  // namespace firn::heap
