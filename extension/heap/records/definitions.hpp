// What every interpreter has its own of: classes and functions (hazard 8). Records and frozen
// functions name them by numbers that mean the same in all interpreters of the process; 0 is none.
#pragma once

#include <Python.h>

#include <cstdint>
#include <string>

namespace firn::heap {

// The number of a class or function, an old one or a new one. The interpreter keeps a strong
// reference to it for ever. With the GIL; runs no code of the class. 0 with MemoryError set.
// An importable definition (sys.modules[module].qualname is that very object, and the module is not
// __main__) has the same number in every interpreter.
std::uint32_t number_of(PyObject* definition);

// The number that other interpreters can do something with: the one it has in this interpreter
// already (define() was called, or it came from a record), or that of an importable definition. 0,
// without an exception, when there is none: what stands in a worker's namespace only. With the GIL.
std::uint32_t shared_number_of(PyObject* definition);

// The calling interpreter's own object with this number, borrowed: it stays. With the GIL. What is
// unknown here is asked of firn.definitions.find(number, module, qualname), which may run Python
// code. nullptr with an exception set, which names the class and the way out.
PyObject* replica(std::uint32_t number);

// The same, but nullptr without an exception where the interpreter does not have it yet.
PyObject* known_replica(std::uint32_t number);

// Says what a number is in the calling interpreter. From now on instances of `object` frozen here
// get that number. A later call replaces an earlier one. 0, or -1 with an exception set.
int define(std::uint32_t number, PyObject* object);

// Forgets what a number is in the calling interpreter, and what that has made of instances: another
// one is about to be loaded, which may itself hold such objects.
void undefine(std::uint32_t number);

// How the definition was called where its number was made; empty for an unknown number. Any thread.
struct DefinitionName {
  std::string module;
  std::string qualname;
};
DefinitionName name_of_definition(std::uint32_t number);

// Prepares the calling interpreter. 0, or -1 with an exception set.
int init_definitions();

// Around fork(): no other thread is in the middle of a change.
void hold_definitions();
void release_definitions();

}  // namespace firn::heap
