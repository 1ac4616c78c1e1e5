#include "heap/scan/scan.hpp"

#include "heap/cpython_layout.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "heap/arena.hpp"
#include "heap/scan/dead_memory.hpp"
#include "heap/scan/guarded.hpp"
#include "heap/scan/memory_map.hpp"
#include "heap/scan/scan_report.hpp"
#include "heap/scan/scanner.hpp"
#include "heap/scan/stopped_world.hpp"
#include "heap/segments.hpp"

namespace firn::heap {
namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr std::size_t kStackBytes = std::size_t{1} << 20;
constexpr std::size_t kReferBytes = std::size_t{16} << 20;
constexpr double kPatience = 120;  // seconds that the scanning process gets

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The scanning process works on a stack of its own, for it wipes the ends of the others.
const ScanTask* task;

void on_own_stack() {
  const double began = now();
  const int status = look_through(*task);
  task->report.seconds = now() - began;
  _exit(status);
}

struct HeapHeld {
  HeapHeld() {
    lasting_zone().lock();
    transfer_zone().lock();
    hold_segments();
  }
  ~HeapHeld() {
    release_segments();
    transfer_zone().unlock();
    lasting_zone().unlock();
  }
};

// Signals of the process are its own business; synchronous ones stay.
struct AllSignalsBlocked {
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  sigset_t before;
};

struct OwnStack {
  OwnStack()
      : memory(static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
  ~OwnStack() {
    if (memory != MAP_FAILED) munmap(memory, kStackBytes);
  }
  char* memory;
};

// Never returns: the rest of the copy's life. A frame of its own, for below it nothing counts.
[[noreturn, gnu::noinline]] void live_as_copy(ScanReport& report, const StoppedWorld& world,
                                              Caller caller, const std::vector<KeptMemory>& kept,
                                              const PageVector<char>& maps, const OwnStack& stack) {
  // Nothing of this stack from here on is alive.
  caller.stack = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "firn-scan");
  // A copy must not keep sockets and pipes open that the process closes.
  syscall(SYS_close_range, 0u, ~0u, 0u);
  guard_reads();
  const auto begin = reinterpret_cast<std::uintptr_t>(stack.memory);
  // Not on this stack, which is wiped.
  task = new (stack.memory) ScanTask{report, world, caller, kept, maps, begin, begin + kStackBytes};
  static ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack.memory + kPage;
  context.uc_stack.ss_size = kStackBytes - kPage;
  context.uc_link = nullptr;
  makecontext(&context, on_own_stack, 0);
  setcontext(&context);
  _exit(kConfused);
}

}  // namespace

Scan::Scan(const std::vector<KeptMemory>& kept) {
  PyThreadState* const state = PyThreadState_GetUnchecked();
  start(state ? state->interp : nullptr, kept);
}

void Scan::start(void* interpreter, const std::vector<KeptMemory>& kept) {
  StoppedWorld world;
  if (!world.prepare()) {
    problem_ = world.problem();
    return;
  }
  PageVector<char> maps;
  maps.reserve(kMapsBytes);
  const OwnStack stack;
  // Small chunks that were freed are in lists that nothing tells from memory in use, until malloc
  // goes through them: it does so before it changes a parameter, also one that it does not know.
  mallopt(0, 0);
  const Caller caller{interpreter, static_cast<pid_t>(syscall(SYS_gettid)), 0, find_tcache_key()};
  const AllSignalsBlocked blocked;
  const HeapHeld held;
  const std::size_t segments = view_size();
  report_bytes_ = sizeof(ScanReport) + segments * sizeof(ScanReport::Verdict) + kReferBytes;
  void* got = mmap(nullptr, report_bytes_, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED || stack.memory == MAP_FAILED) {
    report_bytes_ = 0;
    problem_ = "there is no memory for it";
    return;
  }
  report_ = static_cast<ScanReport*>(got);
  report_->segments = segments;
  report_->refers_capacity = kReferBytes / sizeof(std::uint64_t);

  __builtin_unwind_init();  // this thread's registers
  const double began = now();
  bool copied = false;
  int error = 0;
  if (world.stop() && read_maps(maps)) {
    const long process = syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr);
    if (process == 0) live_as_copy(*report_, world, caller, kept, maps, stack);
    process_ = static_cast<pid_t>(process);
    copied = process > 0;
    error = errno;
    const timespec moment{0, 10'000'000};
    while (copied && !report_->private_from_here.load()) {
      syscall(SYS_futex, &report_->private_from_here, FUTEX_WAIT, 0, &moment, nullptr, 0);
      siginfo_t ended = {};
      if (now() > began + 1 ||
          waitid(P_PID, static_cast<id_t>(process_), &ended,
                 WEXITED | WNOHANG | WNOWAIT | __WALL) ||
          ended.si_pid) {
        break;
      }
    }
  }
  world.resume();
  stopped_seconds_ = now() - began;
  if (copied) return;
  problem_ = *world.problem() ? world.problem()
             : process_ < 0   ? std::string("the process cannot be copied: ") + std::strerror(error)
                              : "/proc/self/maps cannot be read";
}

Scan::~Scan() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, __WALL);
  }
  if (report_) munmap(report_, report_bytes_);
}

ScanResult Scan::finish() {
  ScanResult result;
  result.stopped_seconds = stopped_seconds_;
  result.problem = problem_;
  if (process_ <= 0) return result;
  const double began = now();
  int status = 0;
  pid_t ended;
  while ((ended = waitpid(process_, &status, WNOHANG | __WALL)) == 0 ||
         (ended < 0 && errno == EINTR)) {
    if (now() > began + kPatience) {
      result.problem = "the scan takes too long";
      return result;  // the destructor ends it
    }
    const timespec moment{0, 1'000'000};
    nanosleep(&moment, nullptr);
  }
  process_ = -1;
  if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != kDone) {
    result.problem = *report_->problem ? report_->problem
                     : WIFEXITED(status)
                         ? "the scan failed (" + std::to_string(WEXITSTATUS(status)) + ")"
                         : "the scan was ended (" + std::to_string(WTERMSIG(status)) + ")";
    return result;
  }
  result.seconds = report_->seconds;
  result.bytes = report_->bytes;
  const auto* verdicts = report_->verdicts();
  for (std::size_t i = 0; i < report_->segments; ++i) {
    if (!verdicts[i].retired) continue;
    if (verdicts[i].unreached) result.unreached.push_back(verdicts[i].id);
    if (verdicts[i].referenced) {
      result.holders.emplace_back(verdicts[i].id, verdicts[i].holder);
    } else {
      result.unreferenced.push_back(verdicts[i].id);
    }
  }
  const std::uint64_t* words = report_->refers_words();
  for (std::size_t at = 0; at < report_->refers; at += 2 + words[at + 1]) {
    auto& [segment, others] =
        result.refers.emplace_back(verdicts[words[at]].id, std::vector<std::uint64_t>());
    for (std::size_t i = 0; i < words[at + 1]; ++i) {
      others.push_back(verdicts[words[at + 2 + i]].id);
    }
  }
  return result;
}

}  // namespace firn::heap
