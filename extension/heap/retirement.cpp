#include "heap/retirement.hpp"

#include "heap/segments.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>

#include "heap/signals.hpp"
#include "heap/spool_file.hpp"

namespace firn::heap {
namespace {

constexpr std::size_t kWorthAFile = std::size_t{64} << 10;  // bytes
// What is twice in memory while it moves, and what the end of the process may have to wait for.
constexpr std::size_t kPiece = std::size_t{16} << 20;
// Each is a mapping of the process, of which Linux allows 65,530; others need some.
constexpr std::size_t kMostRuns = 16384;

struct Retiree {
  std::uint64_t segment;
  std::vector<Extent> left;  // what has not moved yet, ascending
};

std::vector<Extent> joined(std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  std::vector<Extent> runs;
  for (const Extent& extent : extents) {
    if (!runs.empty() && runs.back().end == extent.begin) {
      runs.back().end = extent.end;
    } else {
      runs.push_back(extent);
    }
  }
  return runs;
}

// FIRN_SPOOL, else where temporary files go that may be large. With the GIL, for Python may change
// the environment.
std::string spool_folder() {
  for (const char* name : {"FIRN_SPOOL", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return "/var/tmp";
}

// Any thread; the lock is never held while pages move, and no other lock is taken under it.
class Retirer {
 public:
  void add(std::vector<Retiree> retirees, std::string folder) {
    const std::lock_guard hold(mutex_);
    folder_ = std::move(folder);
    // What did not fit gets another chance whenever there is something new.
    for (std::vector<Retiree>* some : {&kept_, &retirees}) {
      std::move(some->begin(), some->end(), std::back_inserter(queue_));
      some->clear();
    }
    if (running_ || queue_.empty()) return;
    const SignalsBlocked blocked;
    try {
      std::thread([this] { work(); }).detach();
      running_ = true;
    } catch (const std::system_error&) {  // no thread to be had: later perhaps
    }
  }

  SpoolProblem problem() {
    const std::lock_guard hold(mutex_);
    return problem_;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  void forget_thread() { running_ = false; }

 private:
  void work() {
    std::unique_lock hold(mutex_);
    while (!queue_.empty()) {
      // It stays in the queue, and what is left of it is exact or too much: a fork's child goes on
      // from there.
      Retiree& retiree = queue_.front();
      const std::string folder = folder_;
      SpoolProblem problem;
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
    }
    running_ = false;
  }

  // With the lock held at its start and at its end, but not when it throws.
  void move(Retiree& retiree, const std::string& folder, std::unique_lock<std::mutex>& hold) {
    if (runs_ + retiree.left.size() > kMostRuns)
      throw Unspoolable{"the process has too many mappings already"};
    std::size_t bytes = 0;
    for (const Extent& extent : retiree.left) bytes += extent.size();
    hold.unlock();
    SpoolFile file(folder, bytes);
    hold.lock();
    while (!retiree.left.empty()) {
      Extent& first = retiree.left.front();
      const Extent piece{first.begin, first.begin + std::min(kPiece, first.size())};
      hold.unlock();
      file.take_over(piece);
      hold.lock();
      first.begin = piece.end;
      if (first.size()) continue;
      retiree.left.erase(retiree.left.begin());
      ++runs_;
    }
  }

  std::mutex mutex_;
  std::deque<Retiree> queue_;
  std::vector<Retiree> kept_;
  std::string folder_;
  SpoolProblem problem_;
  std::size_t runs_ = 0;
  bool running_ = false;
};

// Never destroyed: the process ends without waiting for the thread.
Retirer& retirer() {
  static Retirer& retirer = *new Retirer;
  return retirer;
}

}  // namespace

void retire(const std::vector<std::uint64_t>& segments) {
  std::vector<Retiree> retirees;
  for (const std::uint64_t segment : begin_retirement(segments, kWorthAFile)) {
    retirees.push_back({segment, joined(extents_of(segment))});
  }
  retirer().add(std::move(retirees), spool_folder());
}

SpoolProblem spool_problem() { return retirer().problem(); }

void hold_retirement() { retirer().lock(); }
void release_retirement() { retirer().unlock(); }

void resume_retirement_in_child() {
  retirer().forget_thread();
  retirer().unlock();
}

}  // namespace firn::heap
