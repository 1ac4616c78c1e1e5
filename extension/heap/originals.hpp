// The way back from copies to what they were made from.
//
// What the notebook goes on changing is frozen for the workers all the same: they read a copy. A
// result that holds a part of this copy is to hold the notebook's own object, as the serial cell's
// does, or a change of one would not be seen in the other.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace firn::heap {

// Of the main interpreter, with its GIL. It holds the originals. While it lives, whatever that
// interpreter gets of the copies (thaw_transfer(), adopt()) is the original instead.
class Originals {
 public:
  using Pairs = std::vector<std::pair<PyObject*, PyObject*>>;  // a copy, its original

  explicit Originals(Pairs pairs);  // throws std::bad_alloc
  Originals(const Originals&) = delete;
  Originals& operator=(const Originals&) = delete;
  ~Originals();

  std::size_t size() const { return pairs_.size(); }
  PyObject* of(PyObject* copy);  // borrowed, or nullptr

 private:
  Pairs pairs_;
  bool sorted_ = false;  // by copy: when the first is asked for, for most are never
};

// Whether the calling interpreter has any.
bool has_originals();

// What a lasting frozen value is the copy of (borrowed), or nullptr.
PyObject* original_of(PyObject* copy);

}  // namespace firn::heap
