// Back from the heap: ordinary mutable objects, sharing and cycles kept, without recursion.
//
// A container's shell is made first and stands in its parent before its own children are made. Only
// keys and members have to be complete before they are put in, for they are hashed then.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "heap/arena.hpp"
#include "heap/interpreter.hpp"
#include "heap/memo.hpp"
#include "heap/originals.hpp"
#include "heap/records/instances.hpp"
#include "heap/static_objects.hpp"
#include "heap/types.hpp"

namespace firn::heap::thawing {

struct Failed {};  // an exception is set

inline PyObject* check(PyObject* made) {
  if (!made) throw Failed{};
  return made;
}

enum class Fill : std::uint8_t {
  slots,
  deque,
  list,
  dict,
  values,
  set,
  fields,
  members,
  entries,
  state
};

struct Step {
  PyObject* source;  // deque, members, entries: a tuple; dict: a dict; set: a set; state: a twin
  PyObject* made;    // borrowed from whatever holds it
  Fill fill;
  Py_ssize_t at = 0;
  Py_ssize_t count = 0;       // slots
  PyObject** from = nullptr;  // slots
  PyObject** to = nullptr;    // slots
  // Owned. dict, set, members, entries: a complete or soon complete key; state: the arguments of
  // firn.twins.fill().
  PyObject* pending = nullptr;
  PyObject* value = nullptr;              // dict: the original of the pending key's value
  const records::Maker* maker = nullptr;  // fields
};

// One use, on one thread, with the GIL.
class Thawer {
 public:
  Thawer(const InterpreterTypes& types, bool transfer) : types_(types), transfer_(transfer) {}
  Thawer(const Thawer&) = delete;
  Thawer& operator=(const Thawer&) = delete;
  ~Thawer();

  // A new reference, or nullptr with an exception set.
  PyObject* thaw(PyObject* root);

 private:
  // A new reference to what stands for the object in the thawed graph; a step may have been pushed
  // that completes it. Throws Failed, std::bad_alloc, as all below.
  PyObject* convert(PyObject* object, bool key = false);
  PyObject* make(PyObject* object, PyTypeObject* type);
  void find_own_extents(PyObject* root);
  bool is_in_own_segment(PyObject* object) {
    const auto* at = reinterpret_cast<const char*>(object);
    return (at >= latest_own_.begin && at < latest_own_.end) || find_in_own_segment(at);
  }
  bool find_in_own_segment(const char* at);

  // leaves.cpp
  static PyObject* make_string(PyObject* object);
  PyObject* make_rare(PyObject* object, PyTypeObject* type);
  PyObject* make_date_or_time(PyObject* object, PyTypeObject* type);

  // containers.cpp; each fill_...() returns whether the step is done; otherwise a new one is on top
  PyObject* make_list(PyObject** items, Py_ssize_t size);
  PyObject* make_tuple(PyObject** items, Py_ssize_t size);
  PyObject* make_sequence(PyObject* object);
  PyObject* make_mapping(PyObject* object);
  PyObject* copy_table(PyObject* mapping);
  bool fill_values(std::size_t depth);
  bool fill_list(std::size_t depth);
  bool fill_deque(std::size_t depth);
  bool fill_dict(std::size_t depth);
  bool fill_set(std::size_t depth);

  // records.cpp
  PyObject* make_record(PyObject* object);
  bool fill_fields(std::size_t depth);

  // twins.cpp
  struct Making;
  PyObject* make_twin(PyObject* object);
  PyObject* make_shell(PyObject* shell);
  PyObject* make_from_parts(PyObject* twin);
  void call(Making& making);
  enum class Part { ready, deeper, none };
  Part begin_part(std::size_t depth);
  bool fill_members(std::size_t depth);
  bool fill_entries(std::size_t depth);
  bool fill_state(std::size_t depth);

  PyObject* keep(PyObject* snapshot);
  PyObject* push(Step step);
  PyObject* push_slots(PyObject* made, PyObject** from, PyObject** to, Py_ssize_t count,
                       Py_ssize_t done = 0);
  bool fill_slots(std::size_t depth);
  // Until no more steps are left than there were.
  void run(std::size_t left = 0);

  const InterpreterTypes& types_;
  const bool transfer_;
  const bool has_originals_ = transfer_ && has_originals();
  std::vector<Extent> own_extents_;  // of the root's segment, by address
  Extent latest_own_;                // the one of them that the latest object was in
  std::vector<Making*> being_made_;  // twins, each in the arguments of the one before
  PyObject* const append_ = PyUnicode_InternFromString("append");
  PointerTable memo_;
  std::vector<Step> steps_;
  std::vector<PyObject*> snapshots_;
};

inline PyObject* Thawer::push(Step step) {
  try {
    steps_.push_back(step);
  } catch (const std::bad_alloc&) {
    Py_DECREF(step.made);
    throw;
  }
  return step.made;
}

inline PyObject* Thawer::push_slots(PyObject* made, PyObject** from, PyObject** to,
                                    Py_ssize_t count, Py_ssize_t done) {
  Step step{nullptr, made, Fill::slots};
  step.at = done;
  step.from = from;
  step.to = to;
  step.count = count;
  return push(step);
}

}  // namespace firn::heap::thawing
