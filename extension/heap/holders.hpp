// Who else holds originals of what was frozen: a list of some of the rows, an index by name.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <unordered_set>
#include <utility>
#include <vector>

#include "heap/interpreter.hpp"
#include "heap/memo.hpp"

namespace firn::heap {

// Holds what it knows, so that no address in it is another object's later. With the GIL.
class Holders {
 public:
  Holders() = default;
  Holders(const Holders&) = delete;
  Holders& operator=(const Holders&) = delete;
  ~Holders();

  // Containers, instances, functions, classes ... that hold an original or something among these
  // that cannot be changed (a tuple, a bound method); and the number of the value that each was
  // reached from.
  const std::vector<std::pair<PyObject*, std::size_t>>& found() const { return found_; }

  // What stands in the place of an object from now on (borrowed), or nullptr.
  PyObject* form_of(const PyObject* original) const {
    return static_cast<PyObject*>(forms_.find(original));
  }
  // What stays what it is; before the search.
  void keep(PyObject* original) { kept_originals_.insert(original); }
  bool keeps(PyObject* original) const { return kept_originals_.contains(original); }
  // Of what cannot be changed, and has to be made anew.
  void put(PyObject* original, PyObject* form);

  // Of tuples and frozensets that every interpreter makes its own of, finds that one: once, when
  // the freeze is complete. Runs Python code.
  void resolve_forms();

  // That it holds an original, and from which value it was reached.
  void note(PyObject* holder, std::size_t value);

  // Puts the frozen forms in the place of the originals in a list, dict or set, in its order. False
  // when the classes of keys do not let it: then it is as it was.
  bool swap(PyObject* container) const;

  // Makes a dict or set anew whose keys' hashes have changed with what the keys hold.
  bool rehash(PyObject* container) const;

  // Objects that frozen data has twins of, and others have, too: these and the interpreter go on
  // with them.
  void note_twin(PyObject* twin, PyObject* original) { twins_.emplace_back(twin, original); }
  const std::vector<std::pair<PyObject*, PyObject*>>& twins() const { return twins_; }

 private:
  bool swap_cache(PyObject* cache) const;
  bool swap_set(PyObject* container) const;
  bool swap_dict(PyObject* container) const;

  std::vector<std::pair<PyObject*, std::size_t>> found_;
  PointerTable forms_;
  std::vector<std::pair<PyObject*, PyObject*>> kept_;   // the content of `forms_`
  std::unordered_set<PyObject*> kept_originals_;        // only while it is searched
  std::vector<std::pair<PyObject*, PyObject*>> twins_;  // likewise
};

// Whether a frozen form can stand wherever its original does: of containers and instances, which
// tell each other apart by identity or can change.
bool takes_its_place(PyObject* original, PyObject* frozen);

// Searches the values, and what containers, instances, functions and classes of the notebook's hold
// below them, until it has looked at `most` references; unless `thoroughly`, only at a few below
// each value. In instances of other classes, which others than the notebook work with, only
// originals that are instances count: those are told apart by identity. Runs no Python code.
void find_holders(const Memo& memo, const InterpreterTypes& types,
                  const std::vector<PyObject*>& values, bool thoroughly, std::size_t most,
                  Holders& holders);

}  // namespace firn::heap
