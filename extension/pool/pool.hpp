#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pool/scheduler.hpp"

namespace firn::pool {

/// A submission's owner, in the notebook's interpreter. Any of its threads, GIL held; it is
/// released while they wait.
class JobHandle {
 public:
  JobHandle(std::shared_ptr<Scheduler> scheduler, std::shared_ptr<Job> job);
  ~JobHandle();
  JobHandle(const JobHandle&) = delete;
  JobHandle& operator=(const JobHandle&) = delete;

  std::optional<Event> next(std::optional<double> timeout);
  bool done() const;
  std::vector<LostWork> lost() const;
  void truncate(std::size_t stop);
  std::vector<int> cancel(double grace);
  void close() { cancel(2.0); }

 private:
  std::shared_ptr<Scheduler> scheduler_;
  std::shared_ptr<Job> job_;
  unsigned forks_;
};

/// The workers' owner, in the notebook's interpreter. As JobHandle.
class Pool {
 public:
  Pool(std::size_t workers, std::string runtime);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::size_t size() const;
  void warm();
  void resize(std::size_t workers);
  void tidy(double seconds);
  void close();
  std::vector<Scheduler::Info> workers() const;
  std::unique_ptr<JobHandle> submit(pybind11::handle setup, std::size_t count, std::size_t chunk,
                                    std::size_t workers, bool pinned);

 private:
  void start(std::size_t workers);

  std::string runtime_;
  std::shared_ptr<Scheduler> scheduler_;
  bool exit_handled_ = false;
  unsigned forks_;
};

}  // namespace firn::pool
