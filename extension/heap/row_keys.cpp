#include "heap/row_keys.hpp"

namespace firn::heap {

RowKeys::Node* RowKeys::find_among(Node* node, PyObject* key) const {
  if (table_.empty()) return nullptr;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = slot_of(node, hash_of(key)) & mask; table_[i]; i = (i + 1) & mask) {
    Node* found = table_[i];
    if (found->parent != node || !has_key(*found, key)) continue;
    found->source = key;
    node->latest = found;
    return found;
  }
  return nullptr;
}

RowKeys::Node* RowKeys::add(Node* node, PyObject* key, PyObject* copy) {
  if ((nodes_.size() + 1) * 2 > table_.size()) {
    std::vector<Node*> old(table_.empty() ? 64 : table_.size() * 4);
    old.swap(table_);
    for (Node* known : old) {
      if (known) place(known);
    }
  }
  Node* added = &nodes_.emplace_back(Node{node, copy, key});
  place(added);
  node->latest = added;
  return added;
}

void RowKeys::place(Node* node) {
  const std::size_t mask = table_.size() - 1;
  std::size_t i = slot_of(node->parent, hash_of(node->key)) & mask;
  while (table_[i]) i = (i + 1) & mask;
  table_[i] = node;
}

}  // namespace firn::heap
