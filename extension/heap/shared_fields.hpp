// Shared fields (PEP 795): places that all interpreters read and write, for frozen values only.
//
// A field's slot lies in ordinary memory of its own, never in a segment, and stays for as long as
// the process does: frozen data may refer to it by number. A value is either a pointer to something
// frozen, which the scan of the process's memory finds in the slot as it finds any other, or the
// bytes that stand for a small value (a counter's numbers would fill the heap otherwise).
#pragma once

#include <Python.h>

#include <cstdint>
#include <string>

namespace firn::heap {

struct SharedValue {
  PyObject* frozen = nullptr;  // or else:
  std::string bytes;
};

// The value of a slot, and how often it had been stored to: what store_if() compares.
struct SharedState {
  SharedValue value;
  std::uint64_t stamp = 0;
};

// All of these: any thread. No Python is called, and memory is given back, with no lock held.

std::uint64_t new_shared_field(SharedValue value);
bool has_shared_field(std::uint64_t field);
SharedState load(std::uint64_t field);
SharedValue exchange(std::uint64_t field, SharedValue value);
// Stores if nobody has since the state was loaded; `value` is then what was there before.
bool store_if(std::uint64_t field, std::uint64_t stamp, SharedValue& value);

// What Python code sees of a frozen value: the value itself, or the calling interpreter's own
// object (new reference). nullptr with an exception set.
PyObject* own_object(PyObject* frozen);

// Numbers that no two callers of the process get: the keys of interpreter-local values.
std::uint64_t new_local_key();

// Around fork(): no other thread is in the middle of a change.
void hold_shared_fields();
void release_shared_fields();

}  // namespace firn::heap
