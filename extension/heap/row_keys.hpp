// Key tables that rows share. A row is a dict with a few string keys; rows with the same keys in
// the same order get one table, which is found key by key: a tree of what has followed what.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "heap/string_bytes.hpp"

namespace firn::heap {

// One thread.
class RowKeys {
 public:
  // The rows that begin with certain keys.
  struct Node {
    Node* parent = nullptr;             // those without the last of the keys
    PyObject* key = nullptr;            // a copy of the last one
    PyObject* source = nullptr;         // an original of it, or nullptr
    Node* latest = nullptr;             // what one of them went on with
    PyDictKeysObject* table = nullptr;  // of the rows that end here, once there is one
  };

  Node* root() { return &root_; }

  // The rows that go on with this key, or nullptr. Keys are told apart by address first: rows that
  // a parser made have keys of their own, most others have not.
  Node* find(Node* node, PyObject* key) const {
    Node* next = node->latest;
    if (next && (next->source == key || has_key(*next, key))) {
      next->source = key;
      return next;
    }
    return find_among(node, key);
  }

  // The key must be known not to be found.
  Node* add(Node* node, PyObject* key, PyObject* copy);

  // What is known by the addresses of originals is wrong.
  void forget_sources() {
    for (Node& node : nodes_) node.source = nullptr;
  }

 private:
  static Py_hash_t hash_of(PyObject* key) { return reinterpret_cast<PyASCIIObject*>(key)->hash; }
  static bool has_key(const Node& node, PyObject* key) {
    if (hash_of(node.key) != hash_of(key)) return false;  // it is known: these are keys
    const Py_ssize_t length = PyUnicode_GET_LENGTH(key);
    if (PyUnicode_GET_LENGTH(node.key) != length) return false;
    return !length || StringBytes(node.key) == StringBytes(key);
  }
  static std::size_t slot_of(const Node* node, Py_hash_t hash) {
    const auto mixed = static_cast<std::uint64_t>(hash) ^ reinterpret_cast<std::uintptr_t>(node);
    return mixed * 0x9E3779B97F4A7C15ull >> 24;
  }
  Node* find_among(Node* node, PyObject* key) const;
  void place(Node* node);

  Node root_;
  std::deque<Node> nodes_;
  std::vector<Node*> table_;  // by the node before and the key's hash
};

}  // namespace firn::heap
