// Work that one thread of a freeze leaves for another.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "heap/freezer.hpp"

namespace firn::heap {

// Belongs to the threads that copy at the same time.
class Handover {
 public:
  explicit Handover(std::size_t threads) : threads_(threads) {}
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  // Whether somebody has nothing to do, or all are to stop. Asked often.
  bool is_wanted() const { return wanted_.load(std::memory_order_relaxed); }

  // Throws std::bad_alloc.
  void offer(const Frame& frame);

  // Waits for work. False when there will be none: all threads wait, or one has failed.
  bool take(Frame& frame);

  // There are fewer threads than were expected.
  void leave();

  // No thread gets anything any more.
  void stop();

 private:
  void settle();  // with the lock held

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Frame> offered_;
  std::size_t threads_;
  std::size_t idle_ = 0;
  bool over_ = false;
  std::atomic<bool> wanted_{false};
};

}  // namespace firn::heap
