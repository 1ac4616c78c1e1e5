// Reads of memory that may not be there, in the scanning process.
#pragma once

#include <cstdint>

namespace firn::heap {

// From here on the process survives SIGSEGV and SIGBUS in guarded(); elsewhere they end it with
// status 3.
void guard_reads();

// False when the memory at `fault` could not be read. What runs must own nothing.
bool guarded_call(void (*run)(void*), void* argument, std::uintptr_t* fault);

template <typename Run>
bool guarded(const Run& run, std::uintptr_t* fault = nullptr) {
  return guarded_call([](void* argument) { (*static_cast<const Run*>(argument))(); },
                      const_cast<Run*>(&run), fault);
}

}  // namespace firn::heap
