#include "pool/worker.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/first_exception.hpp"
#include "heap/heap.hpp"
#include "heap/reuse.hpp"
#include "heap/scan/clean_stack.hpp"
#include "heap/unused_pools.hpp"
#include "pool/exit.hpp"
#include "pool/messages.hpp"
#include "pool/pending_call.hpp"
#include "pool/scheduler.hpp"

namespace py = pybind11;

namespace firn::pool {
namespace {

constexpr const char* state_key = "firn.worker";  // in the interpreter's dict
constexpr int most_insistence = 1000;

thread_local Worker* this_thread = nullptr;

/// As much as the main thread may use, for code that recurses there must not crash here; Python
/// asks the thread for its real bounds.
std::size_t stack_bytes() {
  constexpr rlim_t least = 16 << 20, most = 256 << 20;
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return least;
  return std::clamp(limit.rlim_cur, least, most);
}

}  // namespace

void Worker::launch(const StartInfo& info) {
  struct Arguments {
    std::shared_ptr<Scheduler> scheduler;  // destroyed last: the worker refers to it
    std::shared_ptr<Worker> worker;
    StartInfo info;
  };
  auto arguments =
      std::make_unique<Arguments>(scheduler.shared_from_this(), shared_from_this(), info);
  const auto thread_main = [](void* argument) -> void* {
    const std::unique_ptr<Arguments> arguments(static_cast<Arguments*>(argument));
    arguments->worker->live(arguments->info);
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack_bytes());
  // Ctrl-C belongs to the notebook's thread, whose system call it must end. The mask is inherited,
  // so it is set around the creation.
  sigset_t interrupt, before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, thread_main, arguments.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) throw std::system_error(error, std::generic_category(), "a worker's thread");
  arguments.release();
}

Worker* Worker::current() {
  if (this_thread) return this_thread;
  PyObject* state = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = state ? PyDict_GetItemString(state, state_key) : nullptr;
  return capsule ? static_cast<Worker*>(PyCapsule_GetPointer(capsule, state_key)) : nullptr;
}

void Worker::live(const StartInfo& info) {
  pthread_setname_np(pthread_self(), ("firn-" + std::to_string(rank)).c_str());
  this_thread = this;
  prepare_for_exceptions();
  try {
    thread_ = create_interpreter();
  } catch (const std::exception& error) {
    scheduler.failed(*this, error.what());
    scheduler.ended(*this);
    return;
  }
  try {
    scheduler.created(*this, thread_->interp);
    const Runtime runtime = Runtime::load(info);
    stopped_ = runtime.stopped.ptr();
    py::dict(py::reinterpret_borrow<py::object>(
        PyInterpreterState_GetDict(thread_->interp)))[state_key] = py::capsule(this, state_key);
    serve(runtime);
    join_threads();
  } catch (const std::exception& error) {
    scheduler.failed(*this, error.what());
  }
  if (!scheduler.leaving(*this)) sleep_for_ever();
  end_interpreter(thread_);
  scheduler.ended(*this);
}

void Worker::serve(const Runtime& runtime) {
  Begun begun;
  const CpuDelay delay;
  bool more = true;
  while (more) {
    // While it waits, its stack holds nothing of what it has done: a scan would find frozen data.
    heap::run_cleanly([&] { more = serve_once(runtime, begun, delay); });
  }
}

bool Worker::serve_once(const Runtime& runtime, Begun& begun, const CpuDelay& delay) {
  Task task;
  {
    const WithoutGil released;
    task = scheduler.take(*this, begun.job.get());
  }
  if (task.kind == Task::Kind::leave) return false;
  if (task.kind == Task::Kind::tidy) {
    heap::drop_unneeded();
    return true;
  }
  if (task.kind == Task::Kind::rest) {
    heap::give_back_unused_pools();
    return true;
  }
  if (begun.job != task.job) {
    begun = Begun{};  // frees what the last job's begin() gave
    heap::free_reused();
  }
  if (task.kind == Task::Kind::release) return true;
  begun.job = task.job;
  Event event = compute(runtime, begun, delay, task);
  scheduler.finish(*this, event);
  return true;
}

Event Worker::compute(const Runtime& runtime, Begun& begun, const CpuDelay& delay,
                      const Task& task) {
  Event event{EventKind::failed, task.start, task.stop, rank};
  event.began = event.ended = seconds_of(Clock::now());
  try {
    computing_ = task.serial;
    // It may have been asked to stop before the line above; then the pending call did nothing.
    if (unwanted_.load() == task.serial) {
      event.text = messages::stopped;
    } else {
      compute_into(event, runtime, begun, delay, task);
    }
    computing_ = 0;
  } catch (py::error_already_set& error) {
    computing_ = 0;
    event.ended = seconds_of(Clock::now());
    event.text = error.matches(runtime.stopped) ? messages::stopped : describe(error);
  } catch (const std::exception& error) {
    computing_ = 0;
    event.text = error.what();
  }
  // Another thread of this interpreter may have run the pending call and left a Stopped for us;
  // with computing_ 0 and the GIL held no new one can come.
  PyThreadState_SetAsyncExc(thread_->thread_id, nullptr);
  return event;
}

void Worker::compute_into(Event& event, const Runtime& runtime, Begun& begun, const CpuDelay& delay,
                          const Task& task) {
  const Time asked = Clock::now();
  if (!begun.run) begun.run = runtime.begin(begun.job->setup->open());
  const double delayed = delay.seconds();
  const Time began = Clock::now();
  event.began = seconds_of(began);
  event.setup_seconds = Seconds(began - asked).count();
  const py::object result = begun.run(task.start, task.stop);
  const Time ended = Clock::now();
  event.ended = seconds_of(ended);
  event.delay_seconds = std::min(delay.seconds() - delayed, event.ended - event.began);
  event.parcel = Parcel::pack(result);
  if (!event.parcel) {
    py::error_already_set error;
    if (error.matches(runtime.stopped)) throw error;
    event.parcel = Parcel::pack(runtime.pack(result));
    if (!event.parcel) throw py::error_already_set();
    event.pickled = true;
  }
  heap::reuse_items(result.ptr());
  event.freeze_seconds = Seconds(Clock::now() - ended).count();
  event.kind = EventKind::chunk;
}

void Worker::interrupt(std::uint64_t serial) {
  unwanted_.store(serial);
  // When its queue is full or it is still starting, the next tick asks again.
  if (interpreter) add_pending_call(interpreter, deliver, this);
}

void Worker::insist() {
  insistent_.store(true);
  if (interpreter) add_pending_call(interpreter, deliver, this);
}

int Worker::deliver(void* self) {
  Worker& worker = *static_cast<Worker*>(self);
  if (worker.computing_ == 0) return 0;
  if (worker.insistent_.load()) return worker.insist_again();
  if (worker.unwanted_.load() != worker.computing_) return 0;
  if (PyThreadState_Get() != worker.thread_) {
    PyThreadState_SetAsyncExc(worker.thread_->thread_id, worker.stopped_);
    return 0;
  }
  PyErr_SetNone(worker.stopped_);
  return -1;
}

int Worker::insist_again() {
  if (PyThreadState_Get() != thread_) {
    PyThreadState_SetAsyncExc(thread_->thread_id, stopped_);
    return 0;
  }
  if (++insisted_ > most_insistence) {
    const WithoutGil released;
    sleep_for_ever();
  }
  add_pending_call(PyInterpreterState_Get(), deliver, this);
  PyErr_SetNone(stopped_);
  return -1;
}

}  // namespace firn::pool
