// Which objects are alive for the sake of tables alone.
#pragma once

#include <Python.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace firn::heap {

// Whether weak references to an object could tell that it is gone.
bool is_watched(PyObject* object);

// Those of some objects, to each of which a table has one reference, that can be reached in no
// other way than from the tables, and what only they lead to. By what the collector knows of
// references, and in its own way to find garbage (subtract the references from inside, and see what
// is left), begun at the tables. In doubt an object counts as reached. Runs no Python. With the
// GIL.
class OnlyKept {
 public:
  explicit OnlyKept(const std::vector<PyObject*>& objects);

  bool contains(PyObject* object) const {
    const auto at = nodes_.find(object);
    return at != nodes_.end() && !at->second.reached;
  }

  // Whether some of them are garbage for the collector when the tables let go.
  bool has_cycles();

  // All that this one leads to and that is only kept, itself included, without what a call with the
  // same mark has given before.
  std::vector<PyObject*> below(PyObject* object, std::uint64_t mark);

 private:
  struct Node {
    Py_ssize_t unexplained;  // references that come from nowhere among the nodes
    Py_ssize_t inside = 0;   // those that come from other nodes
    bool reached = false;
    std::uint64_t mark = 0;
  };
  static Node node_of(PyObject* object);

  std::unordered_map<PyObject*, Node> nodes_;  // none when there are too many
};

}  // namespace firn::heap
