#include "nudges.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace firn::kernel {
namespace {

constexpr std::array<long, 3> kAfter{10'000'000, 60'000'000, 400'000'000};  // ns

struct Nudges {
  pid_t process = 0;  // a forked child has no timers
  std::array<timer_t, kAfter.size()> timers{};
  void (*pythons)(int) = nullptr;
};
Nudges nudges;  // the handler reads it

void do_nothing(int) {}

void set_timers(const std::array<long, kAfter.size()>& after) {
  for (std::size_t i = 0; i < after.size(); ++i) {
    const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = after[i]}};
    ::timer_settime(nudges.timers[i], 0, &once, nullptr);
  }
}

// Only async-signal-safe calls (POSIX, "Signal Concepts"); timer_settime() is one.
void on_interrupt(int number) {
  const int error = errno;
  // First: in another thread than the main one, Python could have found the note before.
  if (::getpid() == nudges.process) set_timers(kAfter);
  nudges.pythons(number);
  errno = error;
}

// Timers that signal the calling thread; false if the system has none left.
bool make_timers() {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGURG;
  event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
  for (timer_t& timer : nudges.timers) {
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return false;
  }
  nudges.process = ::getpid();
  return true;
}

}  // namespace

void nudge_after_interrupts() {
  struct sigaction now{};
  ::sigaction(SIGINT, nullptr, &now);
  if (now.sa_handler == on_interrupt || now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN ||
      (now.sa_flags & SA_SIGINFO) != 0) {
    return;
  }
  if (nudges.process != ::getpid()) {
    if (nudges.process != 0 || !make_timers()) return;
    struct sigaction urgent{};
    urgent.sa_handler = do_nothing;  // without SA_RESTART: it shall break calls off
    ::sigaction(SIGURG, &urgent, nullptr);
  }
  nudges.pythons = now.sa_handler;
  now.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &now, nullptr);
}

void no_more_nudges() {
  if (::getpid() == nudges.process) set_timers({});
}

}  // namespace firn::kernel
