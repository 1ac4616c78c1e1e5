// A thread that may throw where memory is short.
#pragma once

#include <exception>

namespace firn {

// The first exception of a thread takes memory for what the C++ library keeps of exceptions in each
// thread; when there is none, libc ends the process. Called at the thread's start, when there still
// is. (The function that has it done is declared free of effects, so its result has to go
// somewhere.)
inline void prepare_for_exceptions() {
  [[maybe_unused]] const volatile int thrown = std::uncaught_exceptions();
}

}  // namespace firn
