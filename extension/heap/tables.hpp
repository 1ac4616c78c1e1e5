// Building the hash tables of dicts and sets.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>

namespace firn::heap {

inline constexpr std::size_t usable_entries(std::size_t table_size) {
  return (table_size << 1) / 3;
}

struct TableSize {
  std::uint8_t log2_size;
  std::uint8_t log2_index_bytes;
  static TableSize for_entries(std::size_t count);
  std::size_t index_bytes() const { return std::size_t{1} << log2_index_bytes; }
};

// Writes the header of a key table; nobody ever counts its references or adds to it.
void set_keys_header(PyDictKeysObject* keys, TableSize size, DictKeysKind kind,
                     std::size_t entries);

// Makes the indices from the hashes of the entries' keys.
void build_indices(PyDictKeysObject* keys);

// The dict inside a dict or a frozen mapping.
PyDictObject* dict_of(PyObject* object);

// The key of a value slot of this dict.
PyObject* key_at(PyDictObject* dict, std::size_t index);

// Rebuilds a table after the hashes of keys have changed: a key's is hash(key, what it was).
using NewHash = std::function<Py_hash_t(PyObject*, Py_hash_t)>;
void rehash_dict(PyDictObject* dict, const NewHash& hash);
void rehash_set(PySetObject* set, const NewHash& hash);

}  // namespace firn::heap
