#pragma once

#include <algorithm>
#include <chrono>

namespace firn::pool {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC, as time.perf_counter
using Time = Clock::time_point;
using Seconds = std::chrono::duration<double>;

/// Negative times and no numbers are 0; what is longer than a clock can count is 30 years.
inline Clock::duration ticks(double seconds) {
  const double sensible = seconds > 0 ? std::min(seconds, 1e9) : 0;
  return std::chrono::duration_cast<Clock::duration>(Seconds(sensible));
}
inline double seconds_of(Time time) { return Seconds(time.time_since_epoch()).count(); }

/// A bell that any thread rings and that one waits for. It is an eventfd, for a poll on it returns
/// at once when a signal arrives, which a condition variable does not.
class Wake {
 public:
  Wake();
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void ring();
  /// Waits until it rings, a signal arrives or the time is up. Call it without the GIL.
  void wait_until(Time deadline);

 private:
  int fd_;
};

}  // namespace firn::pool
