// What needs Python while a graph is frozen: `__pre_freeze__`, and what twins are made of.
//
// Python code can change anything: originals that have been copied may die, and others come to lie
// at their addresses. Before the first line of it runs, everything that the memo knows is held.
#pragma once

#include "heap/cpython_layout.hpp"

#include <vector>

#include "heap/freezer.hpp"
#include "heap/memo.hpp"

namespace firn::heap {

// What Python has done for a freeze. It outlives an attempt that failed, so that the next one,
// which looks for the path to the culprit, asks for nothing again. Changed with the GIL while no
// thread copies.
class PythonPart {
 public:
  PythonPart() = default;
  PythonPart(const PythonPart&) = delete;
  PythonPart& operator=(const PythonPart&) = delete;
  ~PythonPart();

  // What reduce_for_twin() gave, or nullptr.
  PyObject* reduced(PyObject* original) const {
    return static_cast<PyObject*>(reduced_.find(original));
  }
  // Whether its __pre_freeze__ has been called.
  bool is_ready(PyObject* original) const { return ready_.find(original) != nullptr; }

  // Calls __pre_freeze__. Throws Raised.
  void make_ready(PyObject* original);
  // Throws Unfreezable, and keeps the exception as its cause; Raised for an exception that has
  // nothing to do with the value.
  void reduce(PyObject* original);

  // Holds everything that the memo knows.
  void hold(Memo& memo);
  void hold(PyObject* object);

  // Set when a freeze failed while values were deferred, so that the path is not known.
  PyObject* culprit = nullptr;
  Unfreezable what{};
  PyObject* cause = nullptr;  // owned: the exception that reduce() got, or nullptr

 private:
  PointerTable reduced_;
  PointerTable ready_;
  std::vector<PyObject*> held_;
};

class Crew;

// Fills what was deferred until nothing is. After the roots, on the thread that freezes. Throws
// Unfreezable, Raised, Abandoned, std::bad_alloc.
void run_rounds(Freezing& freezing, Copier& main, Crew& crew);

}  // namespace firn::heap
