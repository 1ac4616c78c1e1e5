#include "pool/scheduler.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "pool/messages.hpp"

namespace firn::pool {
namespace {

constexpr auto insistence = std::chrono::milliseconds(500);  // for code that swallowed a Stopped
constexpr auto rest_after = std::chrono::seconds(5);         // idle, as the kernel's own memory
constexpr std::size_t unread_bytes = 4 << 20;                // of the chunk that writes through
constexpr std::size_t waiting_bytes = 32 << 20;              // of a chunk that waits for its turn

const char* name_of(const Worker& worker) {
  if (worker.abandoned) return "abandoned";
  switch (worker.state) {
    case Worker::State::starting:
      return "starting";
    case Worker::State::idle:
      return "idle";
    default:
      return "busy";
  }
}

}  // namespace

void Scheduler::launch(int rank) {
  const auto index = static_cast<std::size_t>(rank);
  if (launched_.size() <= index) launched_.resize(index + 1);
  auto worker = std::make_shared<Worker>(*this, rank, launched_[index]);
  worker->launch(info_);
  workers_.push_back(std::move(worker));
  ++launched_[index];
}

void Scheduler::start(const StartInfo& info, std::size_t size) {
  Lock lock(mutex_);
  info_ = info;
  size_ = size;
  error_.clear();
  std::vector<bool> present(size);
  for (const auto& worker : workers_) {
    if (worker->abandoned || worker->leaving || worker->state == Worker::State::ended) continue;
    const auto rank = static_cast<std::size_t>(worker->rank);
    worker->quit = rank >= size;
    if (rank < size) present[rank] = true;
  }
  for (std::size_t rank = 0; rank < size; ++rank) {
    if (!present[rank]) launch(static_cast<int>(rank));
  }
  work_.notify_all();
}

bool Scheduler::complete() const {
  Lock lock(mutex_);
  return size_ == static_cast<std::size_t>(
                      std::count_if(workers_.begin(), workers_.end(), [this](const auto& worker) {
                        return !worker->abandoned && !worker->quit && !worker->leaving &&
                               worker->state != Worker::State::ended;
                      }));
}

std::size_t Scheduler::size() const {
  Lock lock(mutex_);
  return size_;
}

void Scheduler::submit(std::shared_ptr<Job> job) {
  {
    Lock lock(mutex_);
    if (closed_) throw std::runtime_error(messages::closed);
    if (job->exhausted()) return;
    jobs_.push_back(std::move(job));
  }
  work_.notify_all();  // who wakes finds the mutex free
}

std::optional<Event> Scheduler::pop(Job& job, Time now, Time& deadline, bool& done) {
  Lock lock(mutex_);
  const std::size_t unread = job.open.size();
  std::optional<Event> event = job.pop(now, deadline);
  if ((event && event->kind == EventKind::output) || job.open.size() != unread) room_.notify_all();
  done = !event && job.done();
  if (!event && !done && closed_) throw std::runtime_error(messages::closed);
  if (!event && !done && !error_.empty()) throw std::runtime_error(messages::no_worker(error_));
  return event;
}

bool Scheduler::done(const Job& job) const {
  Lock lock(mutex_);
  return job.done();
}

bool Scheduler::computed(const Job& job) const {
  Lock lock(mutex_);
  return job.computed();
}

std::vector<int> Scheduler::abandoned(const Job& job) const {
  Lock lock(mutex_);
  return job.abandoned;
}

std::vector<LostWork> Scheduler::lost(const Job& job) const {
  Lock lock(mutex_);
  return job.lost;
}

std::deque<Event> Scheduler::truncate(Job& job, std::size_t stop, Time abandon_at) {
  const Lock lock(mutex_);
  return truncate(lock, job, stop, abandon_at);
}

std::deque<Event> Scheduler::cancel(Job& job, Time abandon_at) {
  const Lock lock(mutex_);
  job.keep_written();
  return truncate(lock, job, 0, abandon_at);
}

std::deque<Event> Scheduler::truncate(const Lock&, Job& job, std::size_t stop, Time abandon_at) {
  std::deque<Event> unwanted = job.truncate(stop);
  if (job.exhausted()) jobs_.remove_if([&job](const auto& other) { return other.get() == &job; });
  const Time now = Clock::now();
  for (const auto& worker : workers_) {
    if (worker->chunk && worker->job.get() == &job && worker->chunk->unwanted) {
      this->stop(*worker, now, abandon_at);
    }
  }
  room_.notify_all();
  work_.notify_all();
  return unwanted;
}

void Scheduler::stop(Worker& worker, Time now, Time abandon_at) {
  Chunk& chunk = *worker.chunk;
  chunk.abandon_at = chunk.stopping ? std::min(chunk.abandon_at, abandon_at) : abandon_at;
  if (chunk.stopping) return;
  chunk.stopping = true;
  chunk.again_at = now + insistence;
  worker.interrupt(chunk.serial);
}

Time Scheduler::tick(Time now) {
  Lock lock(mutex_);
  Time next = Time::max();
  for (std::size_t i = 0; i < workers_.size(); ++i) {  // abandon() appends
    Worker& worker = *workers_[i];
    if (!worker.chunk || !worker.chunk->stopping) continue;
    if (worker.chunk->abandon_at <= now) {
      abandon(worker);
      continue;
    }
    if (worker.chunk->again_at <= now) {
      worker.interrupt(worker.chunk->serial);
      worker.chunk->again_at = now + insistence;
    }
    next = std::min({next, worker.chunk->again_at, worker.chunk->abandon_at});
  }
  return next;
}

void Scheduler::abandon(Job& job) {
  Lock lock(mutex_);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i]->chunk && workers_[i]->job.get() == &job) abandon(*workers_[i]);
  }
}

void Scheduler::abandon(Worker& worker) {
  Event event{EventKind::failed, worker.chunk->start, worker.chunk->stop, worker.rank};
  event.text = messages::abandoned(worker.rank);
  event.began = seconds_of(worker.chunk->handed_out);
  event.ended = seconds_of(Clock::now());
  worker.job->abandoned.push_back(worker.rank);
  worker.job->finish(*worker.chunk, event);
  worker.job->wake.ring();
  worker.abandoned = true;
  if (detach(worker)) work_.notify_all();
  worker.insist();
  if (!closed_ && !worker.quit) launch(worker.rank);
  room_.notify_all();
}

/// The worker has no chunk any more. Whether that was the job's last: then those that keep what
/// begin() gave are to let it go.
bool Scheduler::detach(Worker& worker) {
  const bool computed = worker.job->computed();
  worker.job.reset();
  worker.chunk = nullptr;
  return computed;
}

void Scheduler::tidy(Time deadline) {
  Lock lock(mutex_);
  ++tidied_;
  work_.notify_all();
  calm_.wait_until(lock, deadline, [this] {
    return std::all_of(workers_.begin(), workers_.end(), [this](const auto& worker) {
      const bool asked = worker->state == Worker::State::idle || worker->tidying;
      return !asked || (worker->tidied == tidied_ && !worker->tidying);
    });
  });
}

void Scheduler::close(Time abandon_at) {
  Lock lock(mutex_);
  closed_ = true;
  for (const auto& job : jobs_) job->wake.ring();
  jobs_.clear();
  const Time now = Clock::now();
  for (const auto& worker : workers_) {
    worker->quit = true;
    if (worker->chunk) stop(*worker, now, abandon_at);
  }
  work_.notify_all();
  room_.notify_all();
}

bool Scheduler::closed() const {
  Lock lock(mutex_);
  return closed_;
}

bool Scheduler::ended() const {
  Lock lock(mutex_);
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->abandoned; });
}

std::vector<Scheduler::Left> Scheduler::leave_behind() {
  Lock lock(mutex_);
  std::vector<Left> left;
  for (const auto& worker : workers_) {
    if (!worker->interpreter) continue;
    const bool ending = worker->state == Worker::State::ended;
    worker->left_behind = !ending;
    left.push_back({worker->interpreter, ending});
  }
  return left;
}

bool Scheduler::ending() const {
  Lock lock(mutex_);
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->state == Worker::State::ended; });
}

std::vector<Scheduler::Info> Scheduler::infos() const {
  Lock lock(mutex_);
  std::vector<Info> infos;
  for (const auto& worker : workers_) {
    if (worker->leaving) continue;
    infos.push_back({worker->rank, worker->generation, name_of(*worker)});
  }
  std::stable_sort(infos.begin(), infos.end(),
                   [](const Info& a, const Info& b) { return a.rank < b.rank; });
  return infos;
}

Task Scheduler::take(Worker& worker, const Job* held) {
  Lock lock(mutex_);
  if (std::exchange(worker.tidying, false)) calm_.notify_all();
  for (;;) {
    if (worker.abandoned) return {Task::Kind::leave, nullptr};
    if (held && held->computed()) return {Task::Kind::release, nullptr};
    for (auto entry = jobs_.begin(); entry != jobs_.end(); ++entry) {
      if (worker.quit && !(*entry)->pinned)
        continue;  // only it can do an item that is pinned to it
      Chunk* chunk = (*entry)->hand_out(worker.rank, serial_ + 1);
      if (!chunk) continue;
      ++serial_;
      worker.job = *entry;
      worker.chunk = chunk;
      worker.state = Worker::State::busy;
      worker.rested = false;
      if ((*entry)->exhausted()) jobs_.erase(entry);
      return {Task::Kind::compute, worker.job, chunk->start, chunk->stop, chunk->serial};
    }
    if (worker.quit) {
      worker.leaving = true;
      return {Task::Kind::leave, nullptr};
    }
    if (std::exchange(worker.tidied, tidied_) != tidied_) {
      worker.tidying = true;
      return {Task::Kind::tidy, nullptr};
    }
    worker.state = Worker::State::idle;
    if (worker.rested) {
      work_.wait(lock);
    } else if (work_.wait_for(lock, rest_after) == std::cv_status::timeout && jobs_.empty()) {
      worker.rested = worker.tidying = true;
      return {Task::Kind::rest, nullptr};
    }
  }
}

void Scheduler::finish(Worker& worker, Event& event) {
  std::shared_ptr<Job> job;
  bool computed;
  {
    Lock lock(mutex_);
    if (worker.abandoned) return;
    job = worker.job;
    job->finish(*worker.chunk, event);
    computed = detach(worker);
  }
  // Who wakes finds the mutex free.
  job->wake.ring();
  if (computed) work_.notify_all();
}

bool Scheduler::write(Worker& worker, int stream, std::string_view text) {
  Lock lock(mutex_);
  if (worker.abandoned) return true;
  if (!worker.chunk) return false;
  const std::shared_ptr<Job> job = worker.job;
  const std::uint64_t serial = worker.chunk->serial;
  Output& output = worker.chunk->output;
  if (worker.chunk->unwanted) return true;
  const bool prompt = output.due() == Time::min();
  const bool first = output.empty();
  output.append(stream, text, Clock::now());
  if (job->writes_through(*worker.chunk) && (first || (!prompt && output.due() == Time::min()))) {
    job->wake.ring();
  }
  // A chunk that is not the first waits for others, and those never for it: chunks are handed out
  // in order, so the first unfinished one is always being computed.
  room_.wait(lock, [&] {
    if (!worker.chunk || worker.chunk->serial != serial || worker.chunk->unwanted) return true;
    return output.bytes() < (job->writes_through(*worker.chunk) ? unread_bytes : waiting_bytes);
  });
  return true;
}

void Scheduler::created(Worker& worker, PyInterpreterState* interpreter) {
  Lock lock(mutex_);
  worker.interpreter = interpreter;
}

void Scheduler::failed(Worker& worker, std::string error) {
  Lock lock(mutex_);
  if (!worker.quit && !worker.abandoned) error_ = std::move(error);
  for (const auto& job : jobs_) job->wake.ring();
}

bool Scheduler::leaving(Worker& worker) {
  Lock lock(mutex_);
  if (worker.left_behind) return false;
  worker.state = Worker::State::ended;
  return true;
}

void Scheduler::ended(Worker& worker) {
  Lock lock(mutex_);
  std::erase_if(workers_, [&worker](const auto& other) { return other.get() == &worker; });
  wake.ring();
}

}  // namespace firn::pool
