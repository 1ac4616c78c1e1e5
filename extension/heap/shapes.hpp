// What is found for a sequence of names.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace firn::heap {

struct Layout;

// The layouts of instances, by the addresses of their attributes' names. One thread. The names must
// stay alive as long as it does.
class LayoutShapes {
 public:
  // The address of the first key; the keys are `stride` pointers apart.
  struct Keys {
    PyObject* const* first;
    std::size_t count;
    std::size_t stride;
    PyObject* operator[](std::size_t i) const { return first[stride * i]; }
  };

  static std::uint64_t hash(const Keys& keys) {
    std::uint64_t h = keys.count;
    for (std::size_t i = 0; i < keys.count; ++i) {
      h = (h ^ reinterpret_cast<std::uintptr_t>(keys[i])) * 0x9E3779B97F4A7C15ull;
      h ^= h >> 32;
    }
    return h;
  }

  const Layout* find(const Keys& keys, std::uint64_t hash) const {
    if (table_.empty()) return nullptr;
    const std::size_t mask = table_.size() - 1;
    for (std::size_t i = hash & mask; table_[i].layout; i = (i + 1) & mask) {
      const Shape& shape = table_[i];
      if (shape.hash != hash || shape.count != keys.count) continue;
      PyObject* const* known = &sources_[shape.first_source];
      std::size_t same = 0;
      while (same < keys.count && known[same] == keys[same]) ++same;
      if (same == keys.count) return shape.layout;
    }
    return nullptr;
  }

  void insert(const Keys& keys, std::uint64_t hash, const Layout* layout) {
    if ((size_ + 1) * 2 > table_.size()) grow();
    const Shape shape{hash, layout, sources_.size(), keys.count};
    for (std::size_t i = 0; i < keys.count; ++i) sources_.push_back(keys[i]);
    place(shape);
    ++size_;
  }

 private:
  struct Shape {
    std::uint64_t hash = 0;
    const Layout* layout = nullptr;
    std::size_t first_source = 0;
    std::size_t count = 0;
  };

  void place(const Shape& shape) {
    const std::size_t mask = table_.size() - 1;
    std::size_t i = shape.hash & mask;
    while (table_[i].layout) i = (i + 1) & mask;
    table_[i] = shape;
  }

  void grow() {
    std::vector<Shape> old(table_.empty() ? 16 : table_.size() * 4);
    old.swap(table_);
    for (const Shape& shape : old) {
      if (shape.layout) place(shape);
    }
  }

  std::vector<Shape> table_;
  std::vector<PyObject*> sources_;
  std::size_t size_ = 0;
};

// Strings by content, for keys.
class Strings {
 public:
  // The known string with this content and hash, or nullptr.
  PyObject* find(PyObject* string, Py_hash_t hash) const {
    if (table_.empty()) return nullptr;
    const std::size_t mask = table_.size() - 1;
    for (std::size_t i = slot_of(hash) & mask; table_[i]; i = (i + 1) & mask) {
      if (same(table_[i], string, hash)) return table_[i];
    }
    return nullptr;
  }

  void insert(PyObject* string) {
    if ((size_ + 1) * 2 > table_.size()) {
      std::vector<PyObject*> old(table_.empty() ? 64 : table_.size() * 4);
      old.swap(table_);
      for (PyObject* known : old) {
        if (known) place(known);
      }
    }
    place(string);
    ++size_;
  }

  static bool same(PyObject* known, PyObject* string, Py_hash_t hash);

 private:
  static std::size_t slot_of(Py_hash_t hash) {
    return static_cast<std::size_t>(hash) * 0x9E3779B97F4A7C15ull >> 20;
  }
  void place(PyObject* string) {
    const std::size_t mask = table_.size() - 1;
    std::size_t i = slot_of(reinterpret_cast<PyASCIIObject*>(string)->hash) & mask;
    while (table_[i]) i = (i + 1) & mask;
    table_[i] = string;
  }

  std::vector<PyObject*> table_;
  std::size_t size_ = 0;
};

inline bool Strings::same(PyObject* known, PyObject* string, Py_hash_t hash) {
  return reinterpret_cast<PyASCIIObject*>(known)->hash == hash &&
         PyUnicode_GET_LENGTH(known) == PyUnicode_GET_LENGTH(string) &&
         PyUnicode_KIND(known) == PyUnicode_KIND(string) &&
         !memcmp(PyUnicode_DATA(known), PyUnicode_DATA(string),
                 static_cast<std::size_t>(PyUnicode_GET_LENGTH(string)) * PyUnicode_KIND(string));
}

}  // namespace firn::heap
