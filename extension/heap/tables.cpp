#include "heap/cpython_layout.hpp"

#include "heap/tables.hpp"

#include <cstring>
#include <vector>

#include "heap/faces/faces.hpp"
#include "heap/freezer.hpp"
#include "heap/static_objects.hpp"
#include "heap/types.hpp"

namespace firn::heap {
namespace {

constexpr std::size_t kPerturbShift = 5;

template <typename Index>
struct Indices {
  Index* at;
  bool is_free(std::size_t i) const { return at[i] == DKIX_EMPTY; }
  void set(std::size_t i, std::size_t entry) { at[i] = static_cast<Index>(entry); }
};

template <typename Index>
void fill_indices(PyDictKeysObject* keys) {
  Indices<Index> indices{reinterpret_cast<Index*>(keys->dk_indices)};
  const auto mask = static_cast<std::size_t>(DK_SIZE(keys)) - 1;
  const auto count = static_cast<std::size_t>(keys->dk_nentries);
  for (std::size_t entry = 0; entry < count; ++entry) {
    const Py_hash_t hash =
        DK_IS_UNICODE(keys)
            ? reinterpret_cast<PyASCIIObject*>(DK_UNICODE_ENTRIES(keys)[entry].me_key)->hash
            : DK_ENTRIES(keys)[entry].me_hash;
    auto perturb = static_cast<std::size_t>(hash);
    std::size_t i = perturb & mask;
    while (!indices.is_free(i)) {
      perturb >>= kPerturbShift;
      i = (i * 5 + perturb + 1) & mask;
    }
    indices.set(i, entry);
  }
}

// The entries of an ordered dict in its own order, which need not be the table's.
bool in_own_order(PyObject* source) {
  const auto* ordered = reinterpret_cast<OrderedDictLayout*>(source);
  PyDictKeysObject* keys = ordered->dict.ma_keys;
  Py_ssize_t i = 0;
  for (const OrderedDictNode* node = ordered->first; node; node = node->next, ++i) {
    if (i >= keys->dk_nentries) return false;
    PyObject* key =
        DK_IS_UNICODE(keys) ? DK_UNICODE_ENTRIES(keys)[i].me_key : DK_ENTRIES(keys)[i].me_key;
    if (key != node->key) return false;
  }
  return i == keys->dk_nentries;
}

PyDictKeyEntry entry_at(PyDictObject* dict, std::size_t i) {
  PyDictKeysObject* keys = dict->ma_keys;
  if (!DK_IS_UNICODE(keys)) return DK_ENTRIES(keys)[i];
  const PyDictUnicodeEntry& entry = DK_UNICODE_ENTRIES(keys)[i];
  PyObject* value = dict->ma_values ? dict->ma_values->values[i] : entry.me_value;
  return {entry.me_key ? reinterpret_cast<PyASCIIObject*>(entry.me_key)->hash : 0, entry.me_key,
          value};
}

// The source's entries in its order, without the deleted ones.
std::vector<PyDictKeyEntry> entries_of(PyObject* source) {
  PyDictObject* dict = dict_of(source);
  const auto count = static_cast<std::size_t>(dict->ma_keys->dk_nentries);
  std::vector<PyDictKeyEntry> entries;
  entries.reserve(static_cast<std::size_t>(dict->ma_used));
  if (dict->ma_values) {
    const std::uint8_t* order = get_insertion_order_array(dict->ma_values);
    for (std::size_t i = 0; i < dict->ma_values->size; ++i) {
      const PyDictKeyEntry entry = entry_at(dict, order[i]);
      if (entry.me_value) entries.push_back(entry);
    }
  } else if (Py_TYPE(source) == &PyODict_Type) {
    PointerTable where;
    for (std::size_t i = 0; i < count; ++i) {
      const PyDictKeyEntry entry = entry_at(dict, i);
      if (entry.me_value) where.insert(entry.me_key, reinterpret_cast<void*>(i + 1));
    }
    const auto* ordered = reinterpret_cast<OrderedDictLayout*>(source);
    for (const OrderedDictNode* node = ordered->first; node; node = node->next) {
      const auto found = reinterpret_cast<std::uintptr_t>(where.find(node->key));
      if (!found)
        throw Unfreezable{source, nullptr};  // C code has changed the dict behind its back
      entries.push_back(entry_at(dict, found - 1));
    }
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      const PyDictKeyEntry entry = entry_at(dict, i);
      if (entry.me_value) entries.push_back(entry);
    }
  }
  return entries;
}

}  // namespace

TableSize TableSize::for_entries(std::size_t count) {
  std::uint8_t log2 = 3;
  while (usable_entries(std::size_t{1} << log2) < count) ++log2;
  const int width = log2 < 8 ? 0 : log2 < 16 ? 1 : log2 < 32 ? 2 : 3;
  return {log2, static_cast<std::uint8_t>(log2 + width)};
}

void set_keys_header(PyDictKeysObject* keys, TableSize size, DictKeysKind kind,
                     std::size_t entries) {
  std::memset(static_cast<void*>(keys), 0, sizeof(PyDictKeysObject));
  // Of a shared table negative: nobody counts it (hazard 6). A copy of any other takes the count
  // over with the rest, and with such a one would never be freed.
  keys->dk_refcnt = kind == DICT_KEYS_SPLIT ? kImmortalKeys : 1;
  keys->dk_log2_size = size.log2_size;
  keys->dk_log2_index_bytes = size.log2_index_bytes;
  keys->dk_kind = static_cast<std::uint8_t>(kind);
  keys->dk_nentries = static_cast<Py_ssize_t>(entries);
}

void build_indices(PyDictKeysObject* keys) {
  std::memset(keys->dk_indices, 0xff, std::size_t{1} << keys->dk_log2_index_bytes);
  if (keys->dk_log2_size < 8) {
    fill_indices<std::int8_t>(keys);
  } else if (keys->dk_log2_size < 16) {
    fill_indices<std::int16_t>(keys);
  } else if (keys->dk_log2_size < 32) {
    fill_indices<std::int32_t>(keys);
  } else {
    fill_indices<std::int64_t>(keys);
  }
}

PyDictObject* dict_of(PyObject* object) {
  // Of a subclass with a __call__ or __next__ it is a record of another type.
  if (faces::is_face(object)) object = faces::mapping_of(object);
  return reinterpret_cast<PyDictObject*>(object);
}

PyObject* key_at(PyDictObject* dict, std::size_t index) {
  PyDictKeysObject* keys = dict->ma_keys;
  return DK_IS_UNICODE(keys) ? DK_UNICODE_ENTRIES(keys)[index].me_key
                             : DK_ENTRIES(keys)[index].me_key;
}

void rehash_dict(PyDictObject* dict, const NewHash& hash) {
  PyDictKeysObject* keys = dict->ma_keys;
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    PyDictKeyEntry& entry = DK_ENTRIES(keys)[i];
    if (entry.me_key) entry.me_hash = hash(entry.me_key, entry.me_hash);
  }
  build_indices(keys);
}

void rehash_set(PySetObject* set, const NewHash& new_hash) {
  constexpr std::size_t linear_probes = 9;
  const auto mask = static_cast<std::size_t>(set->mask);
  std::vector<setentry> members;
  for (std::size_t i = 0; i <= mask; ++i) {
    if (set->table[i].key && set->table[i].hash != -1) members.push_back(set->table[i]);
    set->table[i] = {nullptr, 0};
  }
  set->fill = set->used;
  for (const setentry& member : members) {
    const Py_hash_t hash = new_hash(member.key, member.hash);
    auto perturb = static_cast<std::size_t>(hash);
    std::size_t i = perturb & mask;
    setentry* entry = nullptr;
    while (true) {
      entry = &set->table[i];
      const std::size_t probes = i + linear_probes <= mask ? linear_probes : 0;
      for (std::size_t j = 0; j < probes && entry->key; ++j) ++entry;
      if (!entry->key) break;
      perturb >>= kPerturbShift;
      i = (i * 5 + 1 + perturb) & mask;
    }
    *entry = {member.key, hash};
  }
}

// ---- the copier's part ----

PyObject* Copier::copy_key(PyObject* key) {
  if (is_static(key)) return key;
  if (in_lasting(key)) {
    note_lasting(key);
    return key;
  }
  return copy(key);
}

PyDictKeysObject* Copier::shared_keys(const PyDictUnicodeEntry* entries, std::size_t count) {
  if (PyDictKeysObject* keys = row_keys_.latest(entries, count)) return keys;
  RowKeys::Row row;
  row_keys_.find(row, entries, count, [this](PyObject* key) { return copy_key(key); });
  return row_keys_.table(row, [&] {
    const TableSize size = TableSize::for_entries(count);
    auto* keys = reinterpret_cast<PyDictKeysObject*>(allocate(
        sizeof(PyDictKeysObject) + size.index_bytes() + count * sizeof(PyDictUnicodeEntry)));
    set_keys_header(keys, size, DICT_KEYS_SPLIT, count);
    for (std::size_t i = 0; i < count; ++i)
      DK_UNICODE_ENTRIES(keys)[i] = {row_keys_.copy_of(row, i), nullptr};
    build_indices(keys);
    return keys;
  });
}

void Copier::build_row(Frame& frame, PyDictObject* dict, PyDictUnicodeEntry* entries,
                       std::size_t count) {
  PyDictKeysObject* keys = shared_keys(entries, count);
  auto* values = reinterpret_cast<PyDictValues*>(
      allocate(offsetof(PyDictValues, values) + count * sizeof(PyObject*) + count));
  values->capacity = values->size = static_cast<std::uint8_t>(count);
  values->embedded = 0;
  values->valid = 1;
  auto* order = reinterpret_cast<std::uint8_t*>(&values->values[count]);
  for (std::size_t i = 0; i < count; ++i) {
    values->values[i] = entries[i].me_value;
    order[i] = static_cast<std::uint8_t>(i);
  }
  dict->ma_keys = keys;
  dict->ma_values = values;
  dict->ma_used = static_cast<Py_ssize_t>(count);
  frame.slots = values->values;
  frame.count = count;
  frame.stride = 1;
}

void Copier::build_table(std::size_t depth) {
  Frame& frame = work_.frames[depth];
  PyObject* source = frame.source;
  PyDictObject* original = dict_of(source);
  PyDictObject* dict = dict_of(frame.copy);
  PyDictKeysObject* from = original->ma_keys;
  const bool hashable = Py_TYPE(frame.copy) == builtin_frozendict_type();
  frame.role = Role::values;
  if (!original->ma_used) {
    dict->ma_keys = empty_keys;
    return;
  }
  const bool whole = !original->ma_values && original->ma_used == from->dk_nentries &&
                     (Py_TYPE(source) != &PyODict_Type || in_own_order(source));
  auto count = static_cast<std::size_t>(original->ma_used);
  bool strings = DK_IS_UNICODE(from);
  const bool row = strings && count <= SHARED_KEYS_MAX_SIZE && !hashable;

  if (whole && row) {
    build_row(frame, dict, DK_UNICODE_ENTRIES(from), count);
    prefetch_slots(frame, 0);
    return;
  }
  std::vector<PyDictKeyEntry> entries;
  if (!whole) {
    entries = entries_of(source);
    count = entries.size();
    if (row) {
      std::vector<PyDictUnicodeEntry> pairs;
      for (const PyDictKeyEntry& entry : entries) pairs.push_back({entry.me_key, entry.me_value});
      build_row(frame, dict, pairs.data(), count);
      return;
    }
  }
  const TableSize size = whole ? TableSize{from->dk_log2_size, from->dk_log2_index_bytes}
                               : TableSize::for_entries(count);
  const std::size_t entry_size = strings ? sizeof(PyDictUnicodeEntry) : sizeof(PyDictKeyEntry);
  // All usable entries, used or not: dict.copy() copies the memory of the whole table.
  const std::size_t room = usable_entries(std::size_t{1} << size.log2_size);
  auto* keys = reinterpret_cast<PyDictKeysObject*>(
      allocate(sizeof(PyDictKeysObject) + size.index_bytes() + room * entry_size));
  set_keys_header(keys, size, strings ? DICT_KEYS_UNICODE : DICT_KEYS_GENERAL, count);
  char* to = static_cast<char*>(_DK_ENTRIES(keys));
  std::memset(to + count * entry_size, 0, (room - count) * entry_size);
  if (whole) {
    std::memcpy(keys->dk_indices, from->dk_indices, size.index_bytes());
    std::memcpy(to, _DK_ENTRIES(from), count * entry_size);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      if (strings) {
        DK_UNICODE_ENTRIES(keys)[i] = {entries[i].me_key, entries[i].me_value};
      } else {
        DK_ENTRIES(keys)[i] = entries[i];
      }
    }
    build_indices(keys);
  }
  dict->ma_keys = keys;
  dict->ma_used = static_cast<Py_ssize_t>(count);
  const auto stride = static_cast<std::uint8_t>(entry_size / sizeof(PyObject*));
  frame.slots = strings ? &DK_UNICODE_ENTRIES(keys)->me_value : &DK_ENTRIES(keys)->me_value;
  frame.count = count;
  frame.stride = stride;
  frame.check |= !strings;
  PyObject** first_key = strings ? &DK_UNICODE_ENTRIES(keys)->me_key : &DK_ENTRIES(keys)->me_key;
  push(source, frame.copy, first_key, count, stride, Role::keys);
}

}  // namespace firn::heap
