// What records of one class with the same fields share: which class, and what each field is called.
//
// One table for the whole process, append-only: a layout is never changed and never goes away. Any
// thread may look; reading takes no lock.
#pragma once

#include <Python.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "heap/types.hpp"

namespace firn::heap {

// Where the hash of an instance comes from, as far as C can tell.
enum class HashBy : std::uint8_t {
  identity,  // object.__hash__: the record's address
  value,     // that of the builtin it derives from: tuple, frozenset
  none,      // __hash__ is None: unhashable
  python,    // a __hash__ of the class's own
};

struct Layout {
  std::uint32_t id;
  std::uint32_t definition;  // the number of the class (definitions.hpp)
  FaceKind kind;
  HashBy hash;
  bool callable;        // records of frozen_callable_type()
  bool has_dict;        // instances have a __dict__, be it empty
  bool whole_dict;      // the last field, named "__dict__", is a FrozenDict: the instance's whole
                        // __dict__
  std::uint32_t slots;  // The first so many fields are __slots__, those of base classes first, in
                        // the order of each class's member descriptors; the rest are the instance's
                        // __dict__ in its order.
  std::uint32_t count;  // of all fields
  // An exact tuple of the fields' names: strings, marked as interned, that all interpreters may
  // read. It and they stay for ever, and are no part of any segment. A name that is one of
  // CPython's static strings is that very one. Names of private slots are mangled. Two slots may
  // have one name (a subclass's hides its base's): the later one is the instance's attribute.
  PyObject* names;

  PyObject* name(std::size_t field) const { return PyTuple_GET_ITEM(names, field); }
};

namespace layouts {
inline constexpr std::size_t kChunk = 1024;
inline constexpr std::size_t kChunks = 16384;  // 16 million layouts
extern std::atomic<const Layout*> chunks[kChunks];
}  // namespace layouts

// Any thread; `id` comes from a record.
inline const Layout* layout_at(std::uint32_t id) {
  return layouts::chunks[id / layouts::kChunk].load(std::memory_order_acquire) +
         id % layouts::kChunk;
}

// The layout of a record.
inline const Layout* layout_of(PyObject* record) {
  return layout_at(reinterpret_cast<FrozenRecord*>(record)->layout);
}

// What tells layouts apart.
struct LayoutKey {
  std::uint32_t definition;
  FaceKind kind;
  HashBy hash;
  bool callable;
  bool has_dict;
  bool whole_dict;
  std::uint32_t slots;
  std::vector<PyObject*> names;  // exact strings of any interpreter
};

// The one layout with this content, made when there is none. Any thread, also without a Python
// thread state; nothing of the key is kept. Throws std::bad_alloc.
const Layout* find_or_make_layout(const LayoutKey& key);

// How many layouts there are of a class.
std::size_t count_layouts(std::uint32_t definition);

// Around fork(): no other thread is in the middle of a change. Before the arenas' locks.
void hold_layouts();
void release_layouts();

}  // namespace firn::heap
