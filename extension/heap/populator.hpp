// A thread that gets half of the pages of large objects, while who makes one gets the others.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "heap/arena.hpp"

namespace firn::heap {

// Belongs to one freeze; any of its threads may add. Starts its thread when there is something to
// do.
class Populator {
 public:
  Populator() = default;
  Populator(const Populator&) = delete;
  Populator& operator=(const Populator&) = delete;
  ~Populator() { stop(); }

  // Gets the pages of the first half; the thread goes on with the second.
  void populate(const Extent& extent);

  // Returns when no page will be touched any more.
  void stop();

 private:
  void add(const Extent& extent);
  void work(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Span> todo_;  // offsets, for the memory that holds them is not cleared: see Span
  std::jthread thread_;
};

}  // namespace firn::heap
