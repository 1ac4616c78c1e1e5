#include "heap/row_keys.hpp"

#include <algorithm>

namespace firn::heap {

RowKeys::Key* RowKeys::add(PyObject* string, PyObject* copy) {
  if ((keys_.size() + 1) * 2 > places_.size()) {
    places_.assign(std::max<std::size_t>(64, places_.size() * 4), nullptr);
    mask_ = places_.size() - 1;
    for (Key& key : keys_) place(&key);
  }
  Key key{};
  key.source = string;
  key.hash = hash_of(string);
  key.length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(string));
  key.copy = copy;
  key.id = static_cast<std::uint32_t>(keys_.size());
  key.form = static_cast<std::uint8_t>(form_of(string));
  if (key.length) {
    const StringBytes bytes(string);
    key.size = bytes.size;
    key.first = bytes.first;
    key.last = bytes.last;
    key.ahead = static_cast<std::uint8_t>(bytes.data - reinterpret_cast<const char*>(string));
    key.lacking = static_cast<std::uint8_t>(bytes.size < 8 ? 8 * (8 - bytes.size) : 0);
  }
  Key* added = &keys_.emplace_back(key);
  place(added);
  return added;
}

void RowKeys::place(Key* key) {
  std::size_t i = static_cast<std::size_t>(key->hash) & mask_;
  while (places_[i]) i = (i + 1) & mask_;
  places_[i] = key;
}

// The table with these keys, or where it is to be.
RowKeys::Table& RowKeys::place_of(std::uint64_t mixed, const std::uint32_t* ids,
                                  std::size_t count) {
  const std::size_t mask = tables_.size() - 1;
  for (std::size_t i = mixed * 0x9E3779B97F4A7C15ull >> 24 & mask;; i = (i + 1) & mask) {
    Table& table = tables_[i];
    if (!table.count) return table;
    if (table.mixed == mixed && table.count == count &&
        std::equal(ids, ids + count, ids_.data() + table.first)) {
      return table;
    }
  }
}

RowKeys::Table& RowKeys::find_table(const Row& row) {
  if ((table_count_ + 1) * 2 > tables_.size()) {
    std::vector<Table> old(tables_.empty() ? 64 : tables_.size() * 4);
    old.swap(tables_);
    for (const Table& table : old) {
      if (table.count) place_of(table.mixed, ids_.data() + table.first, table.count) = table;
    }
  }
  Table& table = place_of(row.mixed, row.ids.data(), row.count);
  if (!table.count) {
    const auto first = static_cast<std::uint32_t>(ids_.size());
    ids_.insert(ids_.end(), row.ids.begin(), row.ids.begin() + row.count);
    table = {row.mixed, static_cast<std::uint32_t>(row.count), first, nullptr};
    ++table_count_;
  }
  return table;
}

}  // namespace firn::heap
