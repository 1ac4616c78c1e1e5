// The objects that one interpreter has made of twins.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "heap/arena.hpp"

namespace firn::heap {

// From words to words other than 0, open addressing; entries can go. One thread at a time (the
// interpreter's GIL).
class WordMap {
 public:
  // 0 when there is none.
  std::uintptr_t find(std::uintptr_t key) const {
    if (slots_.empty()) return 0;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash(key) & mask;; i = (i + 1) & mask) {
      if (slots_[i].key == key) return slots_[i].value;
      if (!slots_[i].key) return 0;
    }
  }

  // Adds the key, or gives it another value. Throws std::bad_alloc.
  void set(std::uintptr_t key, std::uintptr_t value);

  // Its value, or 0 when it was not there.
  std::uintptr_t take(std::uintptr_t key);

  std::size_t size() const { return size_; }

  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.key) visit(slot.key, slot.value);
    }
  }

 private:
  struct Slot {
    std::uintptr_t key = 0;
    std::uintptr_t value = 0;
  };

  static std::size_t hash(std::uintptr_t key) { return (key >> 3) * 0x9E3779B97F4A7C15ull >> 20; }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

// What an interpreter keeps for twins, and for the other way round. Twins stand in it as offsets in
// the heap: an address would keep the twin's segment for ever (see Span).
class Resolutions {
 public:
  // Borrowed, or nullptr.
  PyObject* object_of(const void* twin) const { return object_at(heap_offset(twin)); }
  PyObject* object_at(std::size_t offset) const { return object_in(objects_.find(offset + 1)); }
  PyObject* twin_of(const void* object) const { return twin_in(twins_, object); }
  // Of an object that may have changed since it was made.
  PyObject* origin_of(const void* object) const { return twin_in(origins_, object); }

  // What whoever has it can do with an object.
  enum class Nature {
    given,     // change it
    made,      // nothing that would be missed when another one is made of the twin
    constant,  // the same, and give it back: twin_of() shall know it
  };
  // The reference to the object becomes the table's; returns the one that was there before. Throws
  // std::bad_alloc, and has taken nothing then.
  PyObject* set(const void* twin, PyObject* object, Nature nature);

  // The object, which the table knows no more; its reference is the caller's. nullptr when there is
  // none.
  PyObject* take(const void* twin) { return take_at(heap_offset(twin)); }
  PyObject* take_at(std::size_t offset);

  std::size_t size() const { return objects_.size(); }
  void note_shell() { shells_ = true; }
  bool has_shells() const { return shells_; }

  // Calls visit(offset, may_change) for each that lies in one of the spans, which ascend.
  template <typename Visit>
  void for_each_in(const std::vector<Span>& spans, Visit&& visit) const {
    objects_.for_each([&](std::uintptr_t key, std::uintptr_t word) {
      if (lies_in(spans, key - 1)) visit(key - 1, (word & kMayChange) != 0);
    });
  }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    objects_.for_each([&](std::uintptr_t, std::uintptr_t word) { visit(object_in(word)); });
  }

 private:
  // Of an object's word; objects stand at even addresses.
  static constexpr std::uintptr_t kMayChange = 1;

  static PyObject* twin_in(const WordMap& map, const void* object) {
    const std::uintptr_t key = map.find(reinterpret_cast<std::uintptr_t>(object));
    return key ? reinterpret_cast<PyObject*>(heap_base + (key - 1)) : nullptr;
  }
  static std::uintptr_t key_of(const void* twin) { return heap_offset(twin) + 1; }
  void forget_twin_of(const PyObject* object, std::uintptr_t key);
  static PyObject* object_in(std::uintptr_t word) {
    return reinterpret_cast<PyObject*>(word & ~kMayChange);
  }

  WordMap objects_;      // key of a twin -> word of its object, a strong reference
  WordMap twins_;        // unchanging object -> key of its twin
  WordMap origins_;      // given object -> key of its twin
  bool shells_ = false;  // whether some of these may be shells'
};

// A twin whose object exists and is not filled yet.
struct Unfilled {
  PyObject* twin = nullptr;
  PyObject* object = nullptr;  // borrowed: the table keeps it
};

// A stack whose memory holds nothing of what it held before: the scan would find it there.
template <typename T>
struct CleanStack : std::vector<T> {
  void pop_back() {
    this->back() = T{};
    __asm__ volatile("" : : "r"(this->data()) : "memory");  // it is meant
    std::vector<T>::pop_back();
  }
};

struct Resolved {
  Resolutions table;
  std::uint64_t forgotten = 0;  // heap::forgotten() that the table is right for
  CleanStack<Unfilled> unfilled;
  CleanStack<PyObject*> being_made;  // twins whose arguments are being made
  std::vector<PyObject*> leaving;    // owned: what stood in memory that was given back
  std::size_t making = 0;            // how many calls are under way that make objects
  // Places of twins whose objects were made here and may have been changed since; the first ones.
  static constexpr std::size_t kNoted = 200;
  std::vector<std::size_t> made;
  // The same of twins that were made of this interpreter's own objects: the latest ones.
  std::vector<std::size_t> kept;
};

// Those of the calling interpreter, without what memory that was given back held; nullptr with an
// exception set once it has given them up at its end, or when memory is short.
Resolved* resolved();

// Drops what is leaving. May run code of the objects' classes.
void let_leaving_go(Resolved& own);

// Makes the table; 0, or -1 with an exception set. init_interpreter() calls it.
int make_resolved();

// The twins of the calling interpreter's own tuples, frozensets and their like, for threads that
// copy while its GIL is held.
class OwnShells {
 public:
  explicit OwnShells(const Resolved* own) : own_(own) {}
  // As twin_of().
  PyObject* find(const void* object) const;

 private:
  const Resolved* own_;
};

// nullptr when there are none.
std::unique_ptr<const OwnShells> own_shells();

// Lets go of all that the calling interpreter has made and can make again: it may hold a definition
// that another one has replaced.
void forget_what_can_be_made_again();

// Takes the twin's object away again: it could not be completed.
void unremember(PyObject* twin);

}  // namespace firn::heap
