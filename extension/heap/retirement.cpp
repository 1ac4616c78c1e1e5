#include "heap/retirement.hpp"

#include "heap/segments.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "common/first_exception.hpp"
#include "common/signals.hpp"
#include "heap/scan/clean_stack.hpp"
#include "heap/scan/scan.hpp"
#include "heap/spool_file.hpp"
#include "heap/twins/unneeded.hpp"

namespace firn::heap {
namespace {

constexpr std::size_t kWorthAFile = std::size_t{64} << 10;  // bytes
// Less than that is left until more has retired.
constexpr std::size_t kWorthAScan = std::size_t{128} << 10;  // bytes
constexpr std::size_t kManySegments = 64;
// Looking again for what was still in use stops the process for a small part of its time only, and
// ever more seldom when it brings nothing.
constexpr double kSoonest = 0.25;     // seconds
constexpr double kPartOfTime = 0.02;  // of standing still
constexpr double kPartOfCpu = 0.2;    // of the scanning process
constexpr double kSeldom = 300;       // seconds
// Pages that were given back are kept so long for what is frozen next.
constexpr auto kWarm = std::chrono::seconds(10);
// What is twice in memory while it moves, and what the end of the process may have to wait for.
constexpr std::size_t kPiece = std::size_t{16} << 20;
// Each is a mapping of the process, of which Linux allows 65,530; others need some.
constexpr std::size_t kMostRuns = 16384;

struct Retiree {
  std::uint64_t segment;
  std::vector<Span> left;  // what has not moved yet, ascending
};

// FIRN_SPOOL, else where temporary files go that may be large. With the GIL, for Python may change
// the environment.
std::string spool_folder() {
  for (const char* name : {"FIRN_SPOOL", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return "/var/tmp";
}

using Clock = std::chrono::steady_clock;

// Any thread; the lock is never held while pages move, while a scan begins or is waited for, and no
// other lock is taken under it. Knows addresses as offsets only: see Span.
class Retirer {
 public:
  void add(const std::vector<std::uint64_t>& segments, std::string folder,
           const std::vector<KeptMemory>& kept) {
    std::unique_lock hold(mutex_);
    folder_ = std::move(folder);
    fresh_.insert(fresh_.end(), segments.begin(), segments.end());
    // What did not fit gets another chance whenever there is something new.
    if (!segments.empty()) take_in(kept_);
    if (!fresh_.empty()) {
      idle_scans_ = 0;
      begin_scan(hold, kept);
    }
    start();
  }

  void rescan(bool soon, const std::vector<KeptMemory>& kept) {
    std::unique_lock hold(mutex_);
    if (!worth_a_scan(soon)) return;
    if (soon || Clock::now() >= due_) {
      again_ = true;
      begin_scan(hold, kept);
    } else {
      later_ = true;
    }
    start();
  }

  // Whether rescan() would begin a scan at once.
  bool would_scan(bool soon) {
    const std::lock_guard hold(mutex_);
    return worth_a_scan(soon) && (soon || Clock::now() >= due_);
  }

  bool busy() {
    const std::lock_guard hold(mutex_);
    return scan_ || scanning_ || again_ || moving_ || !queue_.empty() || !fresh_.empty();
  }

  SpoolProblem problem() {
    const std::lock_guard hold(mutex_);
    return problem_;
  }

  ScanFigures figures() {
    const std::lock_guard hold(mutex_);
    return figures_;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  // In a forked child, with the lock held. The scan under way is the parent's, and the child begins
  // none: what it asked about is moved when the child retires something.
  void forget_thread() {
    running_ = scanning_ = moving_ = again_ = later_ = false;
    static_cast<void>(scan_.release());
    may_scan_ = false;
    fresh_.insert(fresh_.begin(), asked_.begin(), asked_.end());
    asked_.clear();
  }

 private:
  static bool worth_a_scan(bool soon) {
    const auto [count, bytes] = count_retired();
    return count && (soon || bytes >= kWorthAScan || count >= kManySegments);
  }

  // With the lock held.
  void start() {
    if (running_ || !(scan_ || again_ || later_ || !queue_.empty() || !fresh_.empty())) {
      wake_.notify_one();
      return;
    }
    const SignalsBlocked blocked;
    try {
      std::thread([this] {
        prepare_for_exceptions();
        run_cleanly([this] { work(); });
      }).detach();
      running_ = true;
    } catch (const std::system_error&) {  // no thread to be had: later perhaps
    }
  }

  // Begins one if there is none, at the place where the caller stands; with the lock held at its
  // start and end. What has retired since the last one is in it, or goes to files without. What is
  // kept for values: as of now, with the GIL; none that is known of otherwise.
  void begin_scan(std::unique_lock<std::mutex>& hold, const std::vector<KeptMemory>& kept) {
    if (scan_ || scanning_) return;
    again_ = false;
    if (!may_scan_ || !worth_a_scan(true)) return move_fresh();
    asked_.swap(fresh_);
    scanning_ = true;
    hold.unlock();
    auto scan = std::make_unique<Scan>(kept);
    hold.lock();
    scanning_ = false;
    scan_ = std::move(scan);
  }

  void work() {
    std::unique_lock hold(mutex_);
    while (true) {
      bool more = false;
      // Who waits next would have addresses in its frames.
      run_cleanly([&] { more = do_next(hold); });
      if (more) continue;
      if (later_) {
        if (wake_.wait_until(hold, due_) == std::cv_status::timeout && later_) {
          again_ = true;
          later_ = false;
        }
      } else if (warm_) {
        if (wake_.wait_for(hold, kWarm) == std::cv_status::timeout) {
          warm_ = false;
          cool();
        }
      } else {
        break;
      }
    }
    running_ = false;
  }

  // With the lock held at its start and end. Whether there was something to do.
  bool do_next(std::unique_lock<std::mutex>& hold) {
    if (scan_) {
      finish_scan(hold);
    } else if ((again_ || !fresh_.empty()) && !scanning_) {
      begin_scan(hold, {});
    } else if (!queue_.empty()) {
      move_next(hold);
    } else {
      return false;
    }
    return true;
  }

  // With the lock held at its start and end.
  void finish_scan(std::unique_lock<std::mutex>& hold) {
    Scan& scan = *scan_;
    hold.unlock();
    const ScanResult result = scan.finish();
    for (const auto& [segment, others] : result.refers) set_refers(segment, others);
    for (const auto& [segment, holder] : result.holders) set_holder(segment, holder);
    for (const std::uint64_t segment : result.unreached) set_unreached(segment);
    hold.lock();
    figures_.problem = result.problem;
    figures_.stopped_seconds = result.stopped_seconds;
    figures_.seconds = result.seconds;
    figures_.bytes = result.bytes;
    figures_.scans += result.problem.empty();
    for (const std::uint64_t segment : result.unreferenced) free_segment(segment);
    hold.unlock();
    for (const Span& span : used_again_) lasting_zone().give_back(extent_of(span));
    hold.lock();
    used_again_.clear();
    scan_.reset();
    fresh_.insert(fresh_.begin(), asked_.begin(), asked_.end());
    std::vector<std::uint64_t> later(fresh_.begin() + static_cast<std::ptrdiff_t>(asked_.size()),
                                     fresh_.end());
    fresh_.resize(asked_.size());
    move_fresh();
    fresh_ = std::move(later);
    asked_.clear();
    const bool idle = result.unreferenced.empty() && result.unreached.empty();
    idle_scans_ = idle ? std::min(idle_scans_ + 1, 10) : 0;
    const double pause =
        std::max({kSoonest, result.stopped_seconds / kPartOfTime, result.seconds / kPartOfCpu}) *
        (1 << idle_scans_) / 2;
    due_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                              std::chrono::duration<double>(std::min(pause, kSeldom)));
  }

  // With the lock held: nothing points there.
  void free_segment(std::uint64_t segment) {
    const auto is_it = [segment](const Retiree& retiree) { return retiree.segment == segment; };
    const bool untouched = !std::erase_if(kept_, is_it) && !filed_.contains(segment);
    std::erase_if(queue_, is_it);
    std::erase(asked_, segment);
    const std::vector<Span> spans = joined(take_out(segment));
    for (const Span& span : spans) {
      figures_.freed_bytes += span.size();
      if (untouched) {
        used_again_.push_back(span);
        warm_ = true;
      } else {
        lasting_zone().unmap(extent_of(span));
      }
    }
    figures_.freed += !spans.empty();
    if (const auto at = filed_.find(segment); at != filed_.end()) {
      runs_ -= at->second;
      filed_.erase(at);
    }
  }

  // With the lock held.
  void move_fresh() {
    std::vector<Retiree> retirees;
    for (const std::uint64_t segment : fresh_) {
      if (begin_move(segment, kWorthAFile)) {
        retirees.push_back({segment, joined(spans_of(segment))});
      }
    }
    fresh_.clear();
    take_in(retirees);
  }

  void take_in(std::vector<Retiree>& some) {
    std::move(some.begin(), some.end(), std::back_inserter(queue_));
    some.clear();
  }

  // With the lock held at its start and end.
  void move_next(std::unique_lock<std::mutex>& hold) {
    // It stays in the queue, and what is left of it is exact or too much: a fork's child goes on
    // from there.
    Retiree& retiree = queue_.front();
    const std::string folder = folder_;
    SpoolProblem problem;
    moving_ = true;
    filed_[retiree.segment] += 0;
    try {
      move(retiree, folder, hold);
    } catch (const Unspoolable& what) {
      if (!hold.owns_lock()) hold.lock();
      problem = {folder, what.reason};
    }
    const std::uint64_t segment = retiree.segment;
    if (problem.reason.empty()) {
      if (kept_.empty()) problem_ = {};
    } else {
      problem_ = problem;
      kept_.push_back(std::move(retiree));
    }
    queue_.pop_front();
    hold.unlock();
    set_backing(segment, problem.reason.empty() ? Backing::file : Backing::kept);
    hold.lock();
    moving_ = false;
  }

  // With the lock held at its start and at its end, but not when it throws.
  void move(Retiree& retiree, const std::string& folder, std::unique_lock<std::mutex>& hold) {
    if (runs_ + retiree.left.size() > kMostRuns)
      throw Unspoolable{"the process has too many mappings already"};
    std::size_t bytes = 0;
    for (const Span& span : retiree.left) bytes += span.size();
    hold.unlock();
    SpoolFile file(folder, bytes);
    hold.lock();
    while (!retiree.left.empty()) {
      Span& next = retiree.left.front();
      const Span piece{next.first, next.first + std::min(kPiece, next.size())};
      hold.unlock();
      file.take_over(extent_of(piece));
      hold.lock();
      next.first = piece.last;
      if (next.size()) continue;
      retiree.left.erase(retiree.left.begin());
      ++runs_;
      ++filed_[retiree.segment];
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::uint64_t> fresh_;  // retired, and in no scan yet
  std::vector<std::uint64_t> asked_;  // retired with the scan that is under way
  std::vector<Span> used_again_;      // to be given back without the lock: zeroing takes a while
  std::unique_ptr<Scan> scan_;        // under way
  bool scanning_ = false;             // a thread is about to set it
  bool again_ = false;                // scan once more as soon as possible
  bool later_ = false;                // ... when it is due
  Clock::time_point due_;
  int idle_scans_ = 0;  // how many in a row brought nothing
  bool may_scan_ = true;
  std::list<Retiree> queue_;
  std::vector<Retiree> kept_;
  bool moving_ = false;
  std::map<std::uint64_t, std::size_t> filed_;  // segment -> its runs in files, all or some
  std::string folder_;
  SpoolProblem problem_;
  ScanFigures figures_;
  std::size_t runs_ = 0;
  bool warm_ = false;  // pages are kept for what is frozen next
  bool running_ = false;
};

// Never destroyed: the process ends without waiting for the thread.
Retirer& retirer() {
  alignas(Retirer) static char room[sizeof(Retirer)];
  static Retirer& retirer = *new (room) Retirer;
  return retirer;
}

}  // namespace

void retire(const std::vector<std::uint64_t>& segments) {
  begin_retirement(segments);
  drop_unneeded();
  retirer().add(newly_retired(segments), spool_folder(), memory_of_kept());
}

void rescan(bool now) {
  std::vector<KeptMemory> kept;
  if (PyThreadState_GetUnchecked() && retirer().would_scan(now)) {
    drop_unneeded();
    kept = memory_of_kept();
  }
  retirer().rescan(now, kept);
}

bool wait_for_retirement(double seconds) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (retirer().busy()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void cool() { lasting_zone().cool(); }

ScanFigures scan_figures() { return retirer().figures(); }

SpoolProblem spool_problem() { return retirer().problem(); }

void hold_retirement() { retirer().lock(); }
void release_retirement() { retirer().unlock(); }

void resume_retirement_in_child() {
  retirer().forget_thread();
  retirer().unlock();
}

}  // namespace firn::heap
