#include "pool/pool.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "pool/exit.hpp"
#include "pool/fork.hpp"
#include "pool/messages.hpp"

namespace py = pybind11;

namespace firn::pool {
namespace {

constexpr double grace = 2.0;  // seconds that code gets to stop before its worker is abandoned
// A signal may arrive just before the wait begins, where it does not end it.
constexpr auto longest_wait = std::chrono::milliseconds(200);

void check_fork(unsigned forks) {
  if (forks != fork_count()) throw std::runtime_error(messages::forked);
}

void raise_for_signals() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace

JobHandle::JobHandle(std::shared_ptr<Scheduler> scheduler, std::shared_ptr<Job> job)
    : scheduler_(std::move(scheduler)), job_(std::move(job)), forks_(fork_count()) {}

JobHandle::~JobHandle() {
  if (forks_ != fork_count()) {
    // Its mutex may be locked for ever, by a thread of the parent; let it lie.
    new std::shared_ptr(std::move(scheduler_));
    new std::shared_ptr(std::move(job_));
    return;
  }
  std::deque<Event> unwanted;
  {
    const WithoutGil released;
    unwanted = scheduler_->truncate(*job_, 0, Clock::now() + ticks(grace));
  }
}

std::optional<Event> JobHandle::next(std::optional<double> timeout) {
  check_fork(forks_);
  const Time limit = timeout ? Clock::now() + ticks(*timeout) : Time::max();
  for (;;) {
    const Time now = Clock::now();
    Time deadline = std::min(limit, now + longest_wait);
    bool done = false;
    if (auto event = scheduler_->pop(*job_, now, deadline, done)) return event;
    if (done || now >= limit) return std::nullopt;
    {
      const WithoutGil released;
      job_->wake.wait_until(std::min(deadline, scheduler_->tick(now)));
    }
    raise_for_signals();
  }
}

bool JobHandle::done() const {
  check_fork(forks_);
  return scheduler_->done(*job_);
}

std::vector<LostWork> JobHandle::lost() const {
  check_fork(forks_);
  return scheduler_->lost(*job_);
}

void JobHandle::truncate(std::size_t stop) {
  check_fork(forks_);
  std::deque<Event> unwanted;
  {
    const WithoutGil released;
    unwanted = scheduler_->truncate(*job_, stop, Clock::now() + ticks(grace));
  }
}

std::vector<int> JobHandle::cancel(double grace) {
  check_fork(forks_);
  const Time abandon_at = Clock::now() + ticks(grace);
  std::deque<Event> unwanted;
  {
    const WithoutGil released;
    unwanted = scheduler_->cancel(*job_, abandon_at);
  }
  unwanted.clear();
  while (!scheduler_->computed(*job_)) {
    {
      const WithoutGil released;
      const Time now = Clock::now();
      job_->wake.wait_until(std::min(scheduler_->tick(now), now + longest_wait));
    }
    if (PyErr_CheckSignals() != 0) {
      py::error_already_set error;  // who presses again does not want to wait
      {
        const WithoutGil released;
        scheduler_->abandon(*job_);
      }
      throw error;
    }
  }
  return scheduler_->abandoned(*job_);
}

Pool::Pool(std::size_t workers, std::string runtime)
    : runtime_(std::move(runtime)),
      scheduler_(std::make_shared<Scheduler>(workers)),
      forks_(fork_count()) {
  if (workers == 0) throw py::value_error(messages::workers_count);
}

Pool::~Pool() {
  if (forks_ != fork_count()) {
    new std::shared_ptr(std::move(scheduler_));
    return;
  }
  const WithoutGil released;
  scheduler_->close(Clock::now() + ticks(grace));
}

std::size_t Pool::size() const { return forks_ == fork_count() ? scheduler_->size() : 0; }

void Pool::start(std::size_t workers) {
  if (!exit_handled_) {
    survive_forks();
    close_at_exit(scheduler_);
    exit_handled_ = true;
  }
  scheduler_->start(StartInfo::of_this_interpreter(runtime_), workers);
}

void Pool::warm() {
  check_fork(forks_);
  if (scheduler_->closed()) throw std::runtime_error(messages::closed);
  if (!scheduler_->complete()) start(scheduler_->size());
}

void Pool::resize(std::size_t workers) {
  check_fork(forks_);
  if (workers == 0) throw py::value_error(messages::workers_count);
  if (scheduler_->closed()) throw std::runtime_error(messages::closed);
  start(workers);
}

void Pool::tidy(double seconds) {
  if (forks_ != fork_count()) return;
  const WithoutGil released;
  scheduler_->tidy(Clock::now() + ticks(seconds));
}

void Pool::close() {
  if (forks_ != fork_count()) return;
  const Time deadline = Clock::now() + ticks(grace);
  {
    const WithoutGil released;
    scheduler_->close(deadline);
  }
  while (!scheduler_->ended() && Clock::now() < deadline + ticks(grace)) {
    {
      const WithoutGil released;
      const Time now = Clock::now();
      scheduler_->wake.wait_until(
          std::min({scheduler_->tick(now), now + longest_wait, deadline + ticks(grace)}));
    }
    raise_for_signals();
  }
}

std::vector<Scheduler::Info> Pool::workers() const {
  if (forks_ != fork_count()) return {};
  return scheduler_->infos();
}

std::unique_ptr<JobHandle> Pool::submit(py::handle setup, std::size_t count, std::size_t chunk,
                                        std::size_t workers, bool pinned) {
  warm();
  const std::size_t size = scheduler_->size();
  if (pinned && count > size) throw py::value_error(messages::pinned_count(count, size));
  auto parcel = Parcel::pack(setup);
  if (!parcel) throw py::error_already_set();
  const std::size_t most = workers == 0 ? size : std::min(workers, size);
  auto job = std::make_shared<Job>(std::make_shared<const Parcel>(std::move(*parcel)), count, chunk,
                                   most, pinned);
  scheduler_->submit(job);
  return std::make_unique<JobHandle>(scheduler_, std::move(job));
}

}  // namespace firn::pool
