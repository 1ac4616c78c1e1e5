// Where the memory of a frozen value goes: its objects and bytes by path and type.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace firn::heap {

// How one gets from a part to the part below it.
enum class Step : std::uint8_t {
  root,
  items,    // any element of a sequence, any value of a mapping with many keys
  members,  // any member of a set
  keys,     // any key of a mapping
  key,      // the value of one key
  field,    // an attribute of an instance
  below,    // anything that lies deeper
};

struct Part {
  std::uint32_t parent = 0;  // its index; the root is its own
  Step step = Step::root;
  bool recursive = false;  // stands for instances of this class at any depth
  std::string name;        // key: the key; field: the attribute
  std::string type;
  std::size_t objects = 0;
  std::size_t bytes = 0;
};

// Walks a frozen value. Each object counts once, at the path where it is met first. Of long
// containers only every `every`-th item is looked at, and stands for the others. Calls no Python.
// Throws std::bad_alloc.
std::vector<Part> dissect(PyObject* root, std::size_t every);

struct Weight {
  std::size_t objects = 0;
  std::size_t bytes = 0;
};

// What frozen values are and lead to, each object once. Looks at so many objects and no further.
// Calls no Python. Throws std::bad_alloc.
Weight weigh(const std::vector<PyObject*>& roots, std::size_t limit);

// The classes and functions, by their numbers (records/definitions.hpp), that frozen values lead
// to, ascending: definitions_of() asks no more than which segments they are in. Walks all of it;
// calls no Python. Throws std::bad_alloc.
std::vector<std::uint32_t> definitions_below(const std::vector<PyObject*>& roots);

// Which of the frozen values at these addresses the roots are, or lead to. Walks all of these, too.
std::vector<std::uintptr_t> reached(const std::vector<std::uintptr_t>& roots,
                                    const std::vector<std::uintptr_t>& objects);

}  // namespace firn::heap
