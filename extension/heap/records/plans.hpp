// How the instances of a class are frozen: found once a freeze, without running code of the class.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "heap/interpreter.hpp"
#include "heap/memo.hpp"
#include "heap/records/layouts.hpp"
#include "heap/types.hpp"

namespace firn::heap {

enum class Way : std::uint8_t {
  record,
  builtin,  // deque, defaultdict, Counter: the copier knows them
  twin,     // needs Python; buffers, classes and functions too
  refused,  // a class that others could not find
};

// Read by all threads of a freeze, made by the one with the GIL while no other copies.
struct Plan {
  struct Slot {
    PyObject* name;  // owned
    Py_ssize_t offset;
  };

  PyTypeObject* type;  // owned
  Way way;
  FaceKind kind;
  HashBy hash;
  bool callable;
  PyTypeObject* record_type;
  bool has_dict;
  bool opted_out;   // the class says no
  bool pre_freeze;  // has a __pre_freeze__
  std::uint32_t definition;
  std::uint32_t index;     // among the plans of this freeze
  Py_ssize_t dict_offset;  // of a __dict__ that is neither managed nor inline, or 0
  const char* reason;      // why it is refused, or nullptr
  PyObject* dict_name;     // "__dict__"; owned
  std::vector<Slot> slots;

  // The instance's __dict__ when there is one, or its inline values; neither when it has no
  // attributes.
  struct Attributes {
    PyDictObject* dict;
    PyDictValues* values;  // named by the class's cached keys
  };
  Attributes attributes_of(PyObject* instance) const;
};

// Whether an instance that was deferred, in spite of its plan, takes Python to copy.
inline bool needs_python(const Plan& plan) {
  return plan.way == Way::twin || plan.way == Way::builtin;
}

class Plans {
 public:
  // `make_numbers`: classes that others could not find get a number too, for this is the notebook.
  Plans(const InterpreterTypes& types, bool make_numbers);
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;
  ~Plans();

  // Any thread of the freeze; nullptr when there is none yet.
  const Plan* find(PyTypeObject* type) const {
    return static_cast<const Plan*>(by_type_.find(type));
  }

  // With the GIL, while no other thread copies. Throws std::bad_alloc.
  const Plan* make(PyTypeObject* type);

  std::size_t size() const { return plans_.size(); }

 private:
  void decide(Plan& plan);

  const InterpreterTypes& types_;
  const bool make_numbers_;
  PointerTable by_type_;
  std::deque<Plan> plans_;
};

}  // namespace firn::heap
