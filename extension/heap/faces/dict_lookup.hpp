// Reads of the inner dict of a FrozenDict. Its table never changes, so that nothing has to be
// counted, locked or checked again after a comparison.
#pragma once

#include <cstring>

#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::faces {

inline Py_ssize_t table_index(const PyDictKeysObject* keys, std::size_t i) {
  const int log2_size = keys->dk_log2_size;
  if (log2_size < 8) return reinterpret_cast<const std::int8_t*>(keys->dk_indices)[i];
  if (log2_size < 16) return reinterpret_cast<const std::int16_t*>(keys->dk_indices)[i];
  if (log2_size < 32) return reinterpret_cast<const std::int32_t*>(keys->dk_indices)[i];
  return reinterpret_cast<const std::int64_t*>(keys->dk_indices)[i];
}

inline bool same_text(PyObject* a, PyObject* b) {
  const std::size_t size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(a));
  if (static_cast<std::size_t>(PyUnicode_GET_LENGTH(b)) != size) return false;
  const auto kind = PyUnicode_KIND(a);
  return PyUnicode_KIND(b) == kind &&
         std::memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b), size * kind) == 0;
}

// Where a string stands in a table of strings, or DKIX_EMPTY.
inline Py_ssize_t find_text(PyDictKeysObject* keys, PyObject* key, Py_hash_t hash) {
  const std::size_t mask = (std::size_t{1} << keys->dk_log2_size) - 1;
  const PyDictUnicodeEntry* entries = DK_UNICODE_ENTRIES(keys);
  std::size_t perturb = static_cast<std::size_t>(hash);
  std::size_t i = static_cast<std::size_t>(hash) & mask;
  for (;;) {
    const Py_ssize_t at = table_index(keys, i);
    if (at >= 0) {
      PyObject* candidate = entries[at].me_key;
      if (candidate == key || (reinterpret_cast<PyASCIIObject*>(candidate)->hash == hash &&
                               same_text(candidate, key))) {
        return at;
      }
    } else if (at == DKIX_EMPTY) {
      return DKIX_EMPTY;
    }
    perturb >>= 5;  // the probe sequence of dictobject.c
    i = (i * 5 + perturb + 1) & mask;
  }
}

// The value (borrowed; frozen values are immortal), or nullptr: with an exception set, or without
// one when the key is missing.
inline PyObject* find_value(PyObject* mapping, PyObject* key) {
  auto* dict = reinterpret_cast<PyDictObject*>(mapping);
  PyDictKeysObject* keys = dict->ma_keys;
  if (PyUnicode_CheckExact(key) && DK_IS_UNICODE(keys)) [[likely]] {
    Py_hash_t hash = reinterpret_cast<PyASCIIObject*>(key)->hash;
    if (hash == -1) hash = PyObject_Hash(key);
    const Py_ssize_t at = find_text(keys, key, hash);
    if (at < 0) return nullptr;
    return dict->ma_values ? dict->ma_values->values[at] : DK_UNICODE_ENTRIES(keys)[at].me_value;
  }
  PyObject* value = nullptr;
  PyDict_GetItemRef(mapping, key, &value);
  return value;
}

// The value in a frozen mapping, as find_value(); it may be a twin when the mapping holds_twins().
inline PyObject* find_in(PyObject* face, PyObject* key) {
  if (!is_keyed_by_twins(face)) [[likely]]
    return find_value(mapping_of(face), key);
  const Ref mapping = own_mapping(face);
  return mapping ? find_value(mapping.get(), key) : nullptr;
}

// Bytes of the dict and its own part of the table: keys that rows share are nobody's.
inline std::size_t size_of_dict(PyObject* mapping) {
  const auto* dict = reinterpret_cast<const PyDictObject*>(mapping);
  const PyDictKeysObject* keys = dict->ma_keys;
  const std::size_t entries = static_cast<std::size_t>(keys->dk_nentries);
  if (dict->ma_values) return sizeof(PyDictObject) + (entries + 1) * sizeof(PyObject*) + entries;
  const std::size_t entry =
      DK_IS_UNICODE(keys) ? sizeof(PyDictUnicodeEntry) : sizeof(PyDictKeyEntry);
  return sizeof(PyDictObject) + sizeof(PyDictKeysObject) +
         (std::size_t{1} << keys->dk_log2_index_bytes) + entries * entry;
}

}  // namespace firn::heap::faces
