// Key tables that rows share. A row is a dict with a few string keys; rows with the same keys in
// the same order get one table.
#pragma once

#include "heap/cpython_layout.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "heap/string_bytes.hpp"

namespace firn::heap {

// One thread.
class RowKeys {
 public:
  using Ids = std::array<std::uint32_t, SHARED_KEYS_MAX_SIZE>;

  // The keys of a row, in order.
  struct Row {
    Ids ids;
    std::uint64_t mixed = 0;  // of their hashes
    std::size_t count = 0;
  };

  // The table of the row before, if its keys were these very objects; else nullptr.
  PyDictKeysObject* latest(const PyDictUnicodeEntry* entries, std::size_t count) const {
    if (count != latest_count_) return nullptr;
    for (std::size_t i = 0; i < count; ++i) {
      if (entries[i].me_key != latest_[i]) return nullptr;
    }
    return latest_table_;
  }

  // What a row with these keys is. `copy` makes the copy of a key that was not met before, for all
  // tables that have it. Keys are told apart by address first: rows that a parser made have keys of
  // their own, most others have not.
  template <typename Copy>
  void find(Row& row, const PyDictUnicodeEntry* entries, std::size_t count, const Copy& copy) {
    std::uint64_t mixed = 0;
    bool all_met = true;
    for (std::size_t i = 0; i < count; ++i) {
      PyObject* string = entries[i].me_key;
      const Py_hash_t hash = hash_of(string);
      Key* key = find(string, hash);
      if (!key) key = add(string, copy(string));
      if (key->source != string) {
        key->source = string;
        all_met = false;
      }
      mixed = std::rotl(mixed, 7) + static_cast<std::uint64_t>(hash);
      row.ids[i] = key->id;
    }
    row.mixed = mixed;
    row.count = count;
    latest_count_ = 0;
    if (!all_met) return;
    for (std::size_t i = 0; i < count; ++i) latest_[i] = entries[i].me_key;
    latest_count_ = count;
  }

  // The table of rows with these keys; `make` makes it.
  template <typename Make>
  PyDictKeysObject* table(const Row& row, const Make& make) {
    Table& found = find_table(row);
    if (!found.keys) found.keys = make();
    latest_table_ = found.keys;
    return found.keys;
  }

  PyObject* copy_of(const Row& row, std::size_t index) const { return keys_[row.ids[index]].copy; }

  // What is known by the addresses of originals is wrong.
  void forget_sources() {
    for (Key& key : keys_) key.source = nullptr;
    latest_count_ = 0;
  }

 private:
  // What is needed to tell a key from others, in one line of the cache: all rows ask for it.
  struct alignas(64) Key {
    PyObject* source;  // the original of it that was met last, or nullptr
    Py_hash_t hash;
    std::size_t length;   // in characters
    std::size_t size;     // in bytes
    std::uint64_t first;  // eight bytes, or all
    std::uint64_t last;   // the same from the end
    PyObject* copy;
    std::uint32_t id;      // ascending from 0
    std::uint8_t form;     // form_of() it
    std::uint8_t ahead;    // where its bytes begin
    std::uint8_t lacking;  // bits to 64
  };

  struct Table {
    std::uint64_t mixed = 0;
    std::uint32_t count = 0;  // 0: there is none here
    std::uint32_t first = 0;  // of its keys in ids_
    PyDictKeysObject* keys = nullptr;
  };

  // It is known: these are keys.
  static Py_hash_t hash_of(PyObject* key) { return reinterpret_cast<PyASCIIObject*>(key)->hash; }

  // How its characters are stored.
  static unsigned form_of(PyObject* string) {
    const auto& state = reinterpret_cast<PyASCIIObject*>(string)->state;
    return static_cast<unsigned>(state.kind) << 1 | state.ascii;
  }

  Key* find(PyObject* string, Py_hash_t hash) const {
    for (std::size_t i = static_cast<std::size_t>(hash) & mask_; places_[i]; i = (i + 1) & mask_) {
      Key* key = places_[i];
      if (key->source == string || (key->hash == hash && is_same(*key, string))) return key;
    }
    return nullptr;
  }

  // Nothing here branches on the length while that is short: as lengths vary, one branch in two
  // would be foreseen wrongly, which costs as much as 50 instructions.
  static bool is_same(const Key& key, PyObject* string) {
    const auto length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(string));
    if ((length ^ key.length) | (form_of(string) ^ key.form)) return false;
    if (!length) return true;
    const char* data = reinterpret_cast<const char*>(string) + key.ahead;
    const std::uint64_t first = load_word(data - key.lacking / 8) >> key.lacking;
    const std::uint64_t last = load_word(data + key.size - 8) >> key.lacking;
    if ((first ^ key.first) | (last ^ key.last)) return false;
    if (key.size <= 16) return true;
    const char* other = reinterpret_cast<const char*>(key.copy) + key.ahead;
    return !std::memcmp(data + 8, other + 8, key.size - 16);
  }

  Key* add(PyObject* string, PyObject* copy);
  void place(Key* key);
  Table& find_table(const Row& row);
  Table& place_of(std::uint64_t mixed, const std::uint32_t* ids, std::size_t count);

  std::deque<Key> keys_;
  std::vector<Key*> places_{nullptr};  // by hash
  std::size_t mask_ = 0;               // of places_
  std::size_t table_count_ = 0;
  std::vector<Table> tables_;       // by `mixed`
  std::vector<std::uint32_t> ids_;  // of all tables' keys
  // The latest row's, if all of them had been met before.
  std::array<const PyObject*, SHARED_KEYS_MAX_SIZE> latest_;
  std::size_t latest_count_ = 0;
  PyDictKeysObject* latest_table_ = nullptr;
};

}  // namespace firn::heap
