// What was frozen to what.
//
// The notebook goes on: its variables, and whoever else holds an original, are to have the frozen
// form from now on, and what is pickled beside frozen data refers to it.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <memory>
#include <vector>

#include "heap/holders.hpp"
#include "heap/interpreter.hpp"
#include "heap/memo.hpp"

namespace firn::heap {

class PythonPart;

// Knows originals by their addresses, and does not hold them: it is asked before anything else
// happens to what was frozen. With the GIL.
class Forms {
 public:
  // memo, python: of the freeze. roots: sorted. uncounted: how many references to what it has
  // copied there are beyond those that it has met.
  Forms(std::unique_ptr<const Memo> memo, std::shared_ptr<const PythonPart> python,
        const InterpreterTypes& types, std::vector<const PyObject*> roots, std::size_t objects,
        std::ptrdiff_t uncounted)
      : memo_(std::move(memo)),
        python_(std::move(python)),
        types_(types),
        roots_(std::move(roots)),
        objects_(objects),
        uncounted_(uncounted) {}

  // The frozen form (it needs no count), or nullptr.
  PyObject* of(const PyObject* original) const {
    return static_cast<PyObject*>(memo_->find(original));
  }

  // Who holds originals below the values, which are the notebook's variables; nullptr: nobody.
  // `kept` stays what it is. Searched for thoroughly only if somebody must, for that takes its
  // time.
  std::shared_ptr<Holders> holders(const std::vector<PyObject*>& values,
                                   const std::vector<PyObject*>& kept) const;

 private:
  std::unique_ptr<const Memo> memo_;
  std::shared_ptr<const PythonPart> python_;  // holds what was made for the freeze only
  const InterpreterTypes& types_;
  std::vector<const PyObject*> roots_;
  std::size_t objects_;
  std::ptrdiff_t uncounted_;
};

// The interpreter goes on with the object that a twin was made of, where others than frozen data
// have it, too. 0, or -1 with an exception set.
int keep(PyObject* twin, PyObject* original);

}  // namespace firn::heap
