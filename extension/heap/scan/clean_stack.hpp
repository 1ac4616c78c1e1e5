// Threads of the heap leave no pointers behind.
#pragma once

namespace firn::heap {

// Clears the stack below the caller, where what the thread did until now has left addresses. The C
// library keeps stacks of threads that have ended, and a scan would take what stands there for
// pointers into segments. The last thing that such a thread does.
void clean_stack();

// Does the work in frames that clean_stack() reaches.
template <typename Work>
__attribute__((noinline)) void call_apart(Work& work) {
  work();
  __asm__ volatile("");  // no tail call
}
template <typename Work>
void run_cleanly(Work work) {
  call_apart(work);
  clean_stack();
}

}  // namespace firn::heap
