#define Py_BUILD_CORE_MODULE 1
#include "pool/exit.hpp"

#include <pthread.h>
#include <pybind11/pybind11.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#include "pool/fork.hpp"
#include "pool/interpreter.hpp"
#include "pool/scheduler.hpp"

namespace py = pybind11;

namespace firn::pool {
namespace {

constexpr double patience = 1.0;  // seconds until workers that do not end are left behind
// Those that are at it get more: an interpreter that ends when it has been forgotten kills the
// process.
constexpr double patience_for_ending = 60.0;

std::atomic<bool> leaving_workers{false};

struct Entry {
  std::weak_ptr<Scheduler> scheduler;
  unsigned forks;  // a pool of another process is closed there
};

// Never destroyed: exit handlers and destructors of static objects have no order among them.
std::vector<Entry>& schedulers() {
  static auto* const list = new std::vector<Entry>;
  return *list;
}

/// Runs as the last of the C library's exit handlers that were registered after the first pool,
/// with the status that the process ends with: destructors of static objects must not run below the
/// threads that are left.
void end_process(int status, void*) {
  if (!leaving_workers) return;
  std::fflush(stdout);
  std::fflush(stderr);
  _exit(status);
}

/// Takes an abandoned interpreter's GIL and keeps it, so that none of its threads runs Python code
/// while the runtime is torn down.
void* hold(void* interpreter) {
  PyEval_RestoreThread(PyThreadState_New(static_cast<PyInterpreterState*>(interpreter)));
  sleep_for_ever();
}

/// Py_FinalizeEx would wait for their GIL, for ever.
void forget(const std::vector<Scheduler::Left>& left) {
  const auto is_left = [&left](PyInterpreterState* interpreter) {
    return std::any_of(left.begin(), left.end(), [interpreter](const Scheduler::Left& worker) {
      return worker.interpreter == interpreter;
    });
  };
  auto& interpreters = _PyRuntime.interpreters;
  PyMutex_Lock(&interpreters.mutex);
  for (PyInterpreterState** link = &interpreters.head; *link;) {
    if (is_left(*link)) {
      *link = (*link)->next;
    } else {
      link = &(*link)->next;
    }
  }
  PyMutex_Unlock(&interpreters.mutex);
}

void leave(const std::vector<Scheduler::Left>& left) {
  leaving_workers = true;
  for (const Scheduler::Left& worker : left) {
    pthread_t thread;
    if (worker.ending) continue;
    if (pthread_create(&thread, nullptr, hold, worker.interpreter) == 0) pthread_detach(thread);
  }
  usleep(20'000);  // several of Python's switch intervals
  forget(left);
}

}  // namespace

void close_at_exit(const std::shared_ptr<Scheduler>& scheduler) {
  static bool registered = false;
  if (!registered) {
    registered = true;
    on_exit(end_process, nullptr);
    py::module_::import("atexit").attr("register")(py::cpp_function(shutdown));
  }
  std::erase_if(schedulers(), [](const auto& other) { return other.scheduler.expired(); });
  schedulers().push_back({scheduler, fork_count()});
}

void shutdown() {
  std::vector<std::shared_ptr<Scheduler>> open;
  for (const auto& entry : schedulers()) {
    if (entry.forks != fork_count()) continue;
    if (auto scheduler = entry.scheduler.lock()) open.push_back(std::move(scheduler));
  }
  if (open.empty()) return;
  const WithoutGil released;
  const Time deadline = Clock::now() + ticks(patience);
  for (const auto& scheduler : open) scheduler->close(deadline);
  for (const auto& scheduler : open) {
    while (!scheduler->ended() && Clock::now() < deadline) {
      scheduler->wake.wait_until(std::min(deadline, scheduler->tick(Clock::now())));
    }
    scheduler->leave_behind();  // from now on, no other worker begins to end
  }
  const Time late = Clock::now() + ticks(patience_for_ending);
  std::vector<Scheduler::Left> left;
  for (const auto& scheduler : open) {
    while (scheduler->ending() && Clock::now() < late) scheduler->wake.wait_until(late);
    for (const Scheduler::Left& worker : scheduler->leave_behind()) left.push_back(worker);
  }
  if (!left.empty()) leave(left);
}

void sleep_for_ever() {
  for (;;) pause();
}

}  // namespace firn::pool
