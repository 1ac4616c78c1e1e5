#include "heap/scan/guarded.hpp"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include <initializer_list>

namespace firn::heap {
namespace {

sigjmp_buf way_out;
volatile sig_atomic_t guarding = 0;
volatile std::uintptr_t faulted = 0;

void fall_back(int, siginfo_t* info, void*) {
  if (!guarding) _exit(3);
  faulted = reinterpret_cast<std::uintptr_t>(info->si_addr);
  siglongjmp(way_out, 1);
}

}  // namespace

void guard_reads() {
  struct sigaction action = {};
  action.sa_sigaction = fall_back;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigset_t both;
  sigemptyset(&both);
  for (int number : {SIGSEGV, SIGBUS}) {
    sigaction(number, &action, nullptr);
    sigaddset(&both, number);
  }
  sigprocmask(SIG_UNBLOCK, &both, nullptr);
}

bool guarded_call(void (*run)(void*), void* argument, std::uintptr_t* fault) {
  if (sigsetjmp(way_out, 0)) {
    guarding = 0;
    if (fault) *fault = faulted;
    return false;
  }
  guarding = 1;
  run(argument);
  guarding = 0;
  return true;
}

}  // namespace firn::heap
