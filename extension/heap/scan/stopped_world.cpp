#include "heap/scan/stopped_world.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace firn::heap {
namespace {

constexpr std::size_t kMostThreads = 4096;
constexpr double kPatience = 0.1;  // seconds that all threads may take to stop, and to go on

struct Slot {
  std::atomic<std::uint32_t> turn;  // the turn it belongs to
  StoppedThread thread;
};

// What the handlers share. A turn is odd while the threads have to stand still.
std::atomic<std::uint32_t> turn{0};
std::atomic<std::uint32_t> taken{0};
Slot slots[kMostThreads];
int signal_number = 0;

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void wait_while(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  while (word.load(std::memory_order_acquire) == value) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
  }
}

std::uintptr_t stack_pointer(const void* context) {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(machine.gregs[REG_RSP]) - 128;  // leaf functions' red zone
#elif defined(__aarch64__)
  return static_cast<std::uintptr_t>(machine.sp);
#else
#error "firn knows the stack pointer of x86-64 and of AArch64"
#endif
}

// The kernel has written all registers into the signal's frame, which is memory.
void stand_still(int, siginfo_t* info, void* context) {
  const int error = errno;
  const std::uint32_t mine = turn.load(std::memory_order_acquire);
  if (mine % 2 && info->si_code == SI_TKILL) {
    const std::uint32_t index = taken.fetch_add(1);
    if (index < kMostThreads) {
      Slot& slot = slots[index];
      slot.thread.thread = static_cast<pid_t>(syscall(SYS_gettid));
      slot.thread.handler = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - 1024;
      slot.thread.interrupted = stack_pointer(context);
      slot.turn.store(mine, std::memory_order_release);
      wait_while(turn, mine);
    }
  }
  errno = error;
}

bool is_ours(int number) {
  struct sigaction action;
  return !sigaction(number, nullptr, &action) && (action.sa_flags & SA_SIGINFO) &&
         action.sa_sigaction == stand_still;
}

// The highest real-time signal that nobody uses.
bool take_signal() {
  if (signal_number && is_ours(signal_number)) return true;
  for (int number = SIGRTMAX - 1; number > SIGRTMIN; --number) {
    struct sigaction action;
    if (sigaction(number, nullptr, &action) || (action.sa_flags & SA_SIGINFO) ||
        action.sa_handler != SIG_DFL) {
      continue;
    }
    action = {};
    action.sa_sigaction = stand_still;
    // On the alternate stack where there is one: threads of other runtimes have small ones.
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    for (int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
      sigdelset(&action.sa_mask, fatal);
    }
    if (sigaction(number, &action, nullptr)) return false;
    signal_number = number;
    return true;
  }
  return false;
}

// Whether the thread blocks the signal; false when it is gone.
bool blocks_signal(pid_t thread) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[4096];
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return false;
  text[size] = 0;
  const char* line = std::strstr(text, "SigBlk:");
  return line && std::strtoull(line + 7, nullptr, 16) >> (signal_number - 1) & 1;
}

// Who stood still a moment ago may not have run since, and blocks all signals until then.
void let_go_on() {
  const double deadline = now() + kPatience;
  const std::size_t stood = std::min<std::size_t>(taken.load(), kMostThreads);
  for (std::size_t i = 0; i < stood; ++i) {
    while (blocks_signal(slots[i].thread.thread) && now() < deadline) {
      const timespec moment{0, 50'000};
      nanosleep(&moment, nullptr);
    }
  }
}

}  // namespace

StoppedWorld::StoppedWorld() = default;

StoppedWorld::~StoppedWorld() {
  resume();
  if (tasks_ >= 0) close(tasks_);
}

std::size_t StoppedWorld::size() const {
  return std::min<std::size_t>(taken.load(std::memory_order_acquire), kMostThreads);
}

const StoppedThread& StoppedWorld::operator[](std::size_t i) const { return slots[i].thread; }

bool StoppedWorld::prepare() {
  if (!take_signal()) {
    problem_ = "every real-time signal is taken";
    return false;
  }
  let_go_on();
  tasks_ = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tasks_ < 0) problem_ = "/proc/self/task cannot be read";
  asked_.reserve(kMostThreads);
  running_.reserve(kMostThreads);
  return tasks_ >= 0;
}

bool StoppedWorld::signal_new_threads(bool& found) {
  const pid_t self = static_cast<pid_t>(syscall(SYS_gettid)), process = getpid();
  alignas(dirent64) char entries[8192];
  if (lseek(tasks_, 0, SEEK_SET) < 0) return false;
  long size;
  while ((size = syscall(SYS_getdents64, tasks_, entries, sizeof entries)) > 0) {
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      const pid_t thread = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
      const auto known = [thread](const PageVector<pid_t>& list) {
        return std::find(list.begin(), list.end(), thread) != list.end();
      };
      if (thread <= 0 || thread == self || known(asked_) || known(running_)) continue;
      if (asked_.size() + running_.size() == kMostThreads) return false;
      found = true;
      if (blocks_signal(thread)) {
        running_.push_back(thread);
      } else if (!syscall(SYS_tgkill, process, thread, signal_number)) {
        asked_.push_back(thread);
      } else if (errno != ESRCH) {
        return false;
      }
    }
  }
  return size == 0;
}

bool StoppedWorld::all_stand(double deadline) {
  const std::uint32_t mine = turn.load();
  const pid_t process = getpid();
  for (pid_t thread : asked_) {
    while (true) {
      bool stands = false;
      for (std::size_t i = 0; i < size() && !stands; ++i) {
        stands = slots[i].turn.load(std::memory_order_acquire) == mine &&
                 slots[i].thread.thread == thread;
      }
      if (stands || (syscall(SYS_tgkill, process, thread, 0) && errno == ESRCH)) break;
      if (now() > deadline) return false;
      const timespec moment{0, 20'000};
      nanosleep(&moment, nullptr);
    }
  }
  return true;
}

bool StoppedWorld::stop() {
  taken = 0;
  asked_.clear();
  running_.clear();
  turn.fetch_add(1);
  stopped_ = true;
  const double deadline = now() + kPatience;
  // A thread that was running may have started others: until there is no new one.
  for (bool found = true; found;) {
    found = false;
    if (!signal_new_threads(found)) {
      problem_ = "the threads cannot be listed or signalled";
      return false;
    }
    if (!all_stand(deadline)) {
      problem_ = "a thread did not stop in time";
      return false;
    }
  }
  return true;
}

void StoppedWorld::resume() {
  if (!stopped_) return;
  stopped_ = false;
  turn.fetch_add(1);
  syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace firn::heap
