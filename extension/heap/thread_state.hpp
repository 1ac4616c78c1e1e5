// Which interpreter runs here: in two instructions where the C ABI allows it, by a call otherwise.
//
// Reading a field of a record takes some thirty instructions, and asking CPython for the thread's
// state would be a third of that: a call, and what has to be kept across it (hazard 18).
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>

namespace firn::heap {

// Where a thread keeps a pointer to its Python state, from the thread pointer on; 0 when unknown.
[[gnu::visibility("hidden")]] extern std::ptrdiff_t thread_state_offset;

// The calling thread's, if that is known without a call; else nullptr.
inline PyThreadState* glance_at_thread_state() {
  if (!thread_state_offset) [[unlikely]]
    return nullptr;
  auto* self = static_cast<char*>(__builtin_thread_pointer());
  PyThreadState* state = *reinterpret_cast<PyThreadState**>(self + thread_state_offset);
  if (!state) __builtin_unreachable();  // the caller has a GIL
  return state;
}

// The calling thread's, which has a GIL: PyThreadState_GetUnchecked().
inline PyThreadState* current_thread_state() {
  PyThreadState* state = glance_at_thread_state();
  return state ? state : PyThreadState_GetUnchecked();
}

inline PyInterpreterState* current_interpreter() { return current_thread_state()->interp; }

// Finds the offset. Once, with the GIL, which is given up and taken again.
void find_thread_state_offset();

}  // namespace firn::heap
