#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pool/job.hpp"
#include "pool/worker.hpp"

namespace firn::pool {

/// What a worker does next.
struct Task {
  // release: let go of the job it began; tidy: of what is kept for retired data; rest: of memory
  // that has not been needed for a while
  enum class Kind { compute, release, tidy, rest, leave } kind;
  std::shared_ptr<Job> job;
  std::size_t start = 0, stop = 0;
  std::uint64_t serial = 0;
};

/// The state that the notebook's threads and the workers share, all of it behind one mutex. No
/// Python code runs and no GIL is taken while the mutex is held; threads may hold their own GIL
/// when they take it, except where a function says otherwise. Kept alive by the pool and by each
/// worker's thread.
class Scheduler : public std::enable_shared_from_this<Scheduler> {
 public:
  explicit Scheduler(std::size_t size) : size_(size) {}

  // For the notebook's threads.

  /// Starts the workers that are missing, or ends those that are too many.
  void start(const StartInfo& info, std::size_t size);
  /// Whether every worker is there or on its way.
  bool complete() const;
  std::size_t size() const;
  void submit(std::shared_ptr<Job> job);
  /// `deadline` as for Job::pop. Throws std::runtime_error if no worker
  /// could be started or the pool was closed before the job was done.
  std::optional<Event> pop(Job& job, Time now, Time& deadline, bool& done);
  bool done(const Job& job) const;
  std::deque<Event> truncate(Job& job, std::size_t stop, Time abandon_at);
  /// As truncate(0), but what has been written in its turn can still be popped.
  std::deque<Event> cancel(Job& job, Time abandon_at);
  bool computed(const Job& job) const;
  std::vector<int> abandoned(const Job& job) const;
  std::vector<LostWork> lost(const Job& job) const;
  /// Interrupts and abandons what is due for it; returns when to call it again. Without the GIL.
  Time tick(Time now);
  /// Abandons the workers that still compute for this job. Without the GIL.
  void abandon(Job& job);
  /// Every worker that has nothing to do tidies up; waits for them, but no longer than that.
  /// Without the GIL.
  void tidy(Time deadline);
  /// Ends everything; returns at once. Without the GIL.
  void close(Time abandon_at);
  bool closed() const;
  /// Whether every worker has ended or been abandoned.
  bool ended() const;
  /// The process ends without the workers that are left: none of them ends its interpreter from now
  /// on, except for those that are at it.
  struct Left {
    PyInterpreterState* interpreter;
    bool ending;
  };
  std::vector<Left> leave_behind();
  /// Whether a worker is ending its interpreter.
  bool ending() const;
  struct Info {
    int rank, generation;
    const char* state;
  };
  std::vector<Info> infos() const;

  Wake wake;  // rings when a worker has ended

  // For the workers' threads.

  /// The next task; waits for one, so call it without the GIL.
  Task take(Worker& worker, const Job* held);
  void finish(Worker& worker, Event& event);
  /// Waits while too much is unread, so call it without the GIL. False if no chunk is being
  /// computed.
  bool write(Worker& worker, int stream, std::string_view text);
  void created(Worker& worker, PyInterpreterState* interpreter);
  void failed(Worker& worker, std::string error);
  /// Before it ends its interpreter; false if it must not.
  bool leaving(Worker& worker);
  void ended(Worker& worker);

 private:
  using Lock = std::unique_lock<std::mutex>;

  void launch(int rank);
  void stop(Worker& worker, Time now, Time abandon_at);
  void abandon(Worker& worker);
  std::deque<Event> truncate(const Lock&, Job& job, std::size_t stop, Time abandon_at);
  bool detach(Worker& worker);

  mutable std::mutex mutex_;
  std::condition_variable work_;  // workers wait here for a task
  std::condition_variable room_;  // and here for their output to be read
  std::condition_variable calm_;  // a thread of the notebook waits here for workers to be idle

  StartInfo info_;
  std::size_t size_;
  bool closed_ = false;
  std::string error_;  // why a worker could not start
  std::uint64_t serial_ = 0;
  std::uint64_t tidied_ = 0;                      // how often workers were asked to tidy up
  std::vector<int> launched_;                     // how many workers each rank has had
  std::vector<std::shared_ptr<Worker>> workers_;  // every one whose thread has not ended
  std::list<std::shared_ptr<Job>> jobs_;          // those with items to hand out, the oldest first
};

}  // namespace firn::pool
