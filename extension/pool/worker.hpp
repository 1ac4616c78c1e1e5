#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "pool/cpu_delay.hpp"
#include "pool/interpreter.hpp"
#include "pool/job.hpp"

namespace firn::pool {

class Scheduler;
struct Task;

/// A thread with an interpreter of its own. The thread keeps the worker and the scheduler alive, so
/// that one that was abandoned may come back at any time.
class Worker : public std::enable_shared_from_this<Worker> {
 public:
  enum class State { starting, idle, busy, ended };

  Worker(Scheduler& scheduler, int rank, int generation)
      : scheduler(scheduler), rank(rank), generation(generation) {}

  void launch(const StartInfo& info);  // throws std::system_error
  /// The worker whose interpreter the calling thread runs in, or nullptr in the notebook's. GIL
  /// held.
  static Worker* current();
  /// Asks for `Stopped` in the worker's Python code, if it still computes that chunk when it gets
  /// there. Scheduler's mutex held, and *not* the GIL: CPython's own lock might drop and retake it.
  void interrupt(std::uint64_t serial);
  /// The worker was abandoned: `Stopped` is raised over and over, until the chunk ends or, if its
  /// code swallows everything, the thread is put to sleep for ever. As interrupt().
  void insist();

  Scheduler& scheduler;
  const int rank, generation;

  // Guarded by the scheduler's mutex.
  State state = State::starting;
  std::uint64_t tidied = 0;  // the scheduler's count when it did so last
  bool tidying = false;      // or resting, which takes no longer
  bool rested = true;        // since it computed last
  bool quit = false;         // leave when idle
  bool leaving = false;      // it does: too late to stay
  bool abandoned = false;    // has been replaced; what it still does is nobody's
  bool left_behind = false;  // the process ends without it
  std::shared_ptr<Job> job;
  Chunk* chunk = nullptr;                     // of `job`
  PyInterpreterState* interpreter = nullptr;  // while it may be interrupted

 private:
  struct Begun {  // what begin() of the runtime gave
    std::shared_ptr<Job> job;
    pybind11::object run;
  };

  void live(const StartInfo& info);
  void serve(const Runtime& runtime);
  // False: it has to leave.
  bool serve_once(const Runtime& runtime, Begun& begun, const CpuDelay& delay);
  Event compute(const Runtime& runtime, Begun& begun, const CpuDelay& delay, const Task& task);
  void compute_into(Event& event, const Runtime& runtime, Begun& begun, const CpuDelay& delay,
                    const Task& task);
  static int deliver(void* worker);  // a pending call of the worker's interpreter, GIL held
  int insist_again();

  // Of the worker's interpreter, guarded by its GIL.
  PyThreadState* thread_ = nullptr;
  std::uint64_t computing_ = 0;  // the serial of the chunk that may be interrupted now
  PyObject* stopped_ = nullptr;
  int insisted_ = 0;

  std::atomic<std::uint64_t> unwanted_{0};  // the serial of the chunk that is to stop
  std::atomic<bool> insistent_{false};
};

}  // namespace firn::pool
