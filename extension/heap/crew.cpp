#include "heap/crew.hpp"

#include <algorithm>
#include <thread>

#include "heap/signals.hpp"

namespace firn::heap {
namespace {

constexpr std::size_t kBlock = 256;

}  // namespace

void Crew::fill(Copier& main, const Frame frame) {
  freezing_.memo.share();
  while (helpers_.size() + 1 < threads_) {
    helpers_.push_back(std::make_unique<Copier>(freezing_));
    helpers_.back()->region().expect_much();
  }
  std::atomic<std::size_t> next{frame.index};
  const auto work = [&](Copier& copier) {
    try {
      for (std::size_t first; (first = next.fetch_add(kBlock)) < frame.count;) {
        copier.copy_part(frame, first, std::min(first + kBlock, frame.count));
      }
    } catch (...) {
      freezing_.failed = true;  // what it was is found out again, by one thread, for the message
    }
  };
  {
    std::vector<std::jthread> threads;
    {
      const SignalsBlocked blocked;
      for (const auto& helper : helpers_) {
        try {
          threads.emplace_back([&work, copier = helper.get()] { work(*copier); });
        } catch (const std::system_error&) {
          break;  // no more threads to be had: fewer do it
        }
      }
    }
    work(main);
  }
  if (freezing_.failed) throw Abandoned{};
}

void Copier::copy_part(const Frame& frame, std::size_t first, std::size_t last) {
  Frame part = frame;
  part.slots += first * frame.stride;
  part.index = 0;
  part.count = last - first;
  part.check = false;
  Crew* const crew = std::exchange(crew_, nullptr);
  std::vector<Frame> outer;
  outer.swap(frames_);
  frames_.push_back(part);
  run();
  frames_.swap(outer);
  crew_ = crew;
}

void Copier::share_out(const Frame& frame) { crew_->fill(*this, frame); }

}  // namespace firn::heap
