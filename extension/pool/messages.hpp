#pragma once

#include <string>

/// What the pool says to users.
namespace firn::pool::messages {

inline std::string no_interpreter(const std::string& reason) {
  return "a worker's interpreter could not be created: " + reason;
}
inline std::string no_worker(const std::string& reason) {
  return "no worker could be started, so nothing ran in parallel:\n" + reason;
}
inline std::string abandoned(int rank) {
  return "worker " + std::to_string(rank) +
         " did not stop (it is in a call that cannot be interrupted) and was replaced; what it "
         "was doing may go on";
}
inline constexpr const char* closed = "the pool is closed; make a new one";
inline constexpr const char* forked =
    "this process was forked from one that has a pool of workers; they stayed there. Run this "
    "serially, or make a new pool here";
inline constexpr const char* stopped = "stopped";
inline constexpr const char* workers_count = "a pool needs at least 1 worker";
inline constexpr const char* not_a_worker = "worker_write() is for workers; this is the notebook";
inline constexpr const char* no_result = "only an event of kind 'chunk' has a result";

inline std::string pinned_count(std::size_t count, std::size_t size) {
  return "cannot pin " + std::to_string(count) + " items to " + std::to_string(size) +
         " workers; resize the pool or use fewer";
}

}  // namespace firn::pool::messages
