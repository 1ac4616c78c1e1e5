#define Py_BUILD_CORE_MODULE 1
#include "pool/fork.hpp"

#include <Python.h>
#include <pthread.h>

#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

namespace firn::pool {
namespace {

unsigned forks = 0;  // written in the child's only thread

// Runs in the child before PyOS_AfterFork_Child, which would clear the other interpreters without a
// thread state of theirs and crash. Their threads and their memory's owners are gone; the pages
// stay behind, copy on write.
void in_child() {
  ++forks;
  auto& interpreters = _PyRuntime.interpreters;
  interpreters.head = interpreters.main;
  interpreters.main->next = nullptr;
}

}  // namespace

void survive_forks() {
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, in_child);
}

unsigned fork_count() { return forks; }

}  // namespace firn::pool
