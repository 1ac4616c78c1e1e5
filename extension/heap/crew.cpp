#include "heap/crew.hpp"

#include <algorithm>
#include <exception>
#include <latch>
#include <thread>

#include "common/first_exception.hpp"
#include "common/signals.hpp"
#include "heap/handover.hpp"
#include "heap/scan/clean_stack.hpp"

namespace firn::heap {
namespace {

constexpr std::size_t kBlock = 256;

}  // namespace

template <typename Part>
void Crew::share(Copier& main, std::size_t begin, std::size_t end, const Part& part, bool own) {
  freezing_.memo.share();
  while (helpers_.size() + 1 < threads_) {
    helpers_.push_back(std::make_unique<Copier>(freezing_));
    helpers_.back()->region().expect_much();
    helpers_.back()->set_alone(false);
  }
  std::atomic<std::size_t> next{begin};
  Handover handover(helpers_.size() + 1);
  std::latch ready(static_cast<std::ptrdiff_t>(helpers_.size()));
  const auto work = [&](Copier& copier) {
    copier.set_handover(&handover);
    try {
      if (own && &copier == &main) copier.run();
      for (std::size_t first; (first = next.fetch_add(kBlock)) < end && !freezing_.failed;) {
        copier.check_interrupt();
        part(copier, first, std::min(first + kBlock, end));
      }
      for (Frame frame; handover.take(frame);) copier.copy_apart(frame);
    } catch (...) {
      freezing_.failed = true;  // what it was is found out again, by one thread, for the message
      handover.stop();
    }
    copier.set_handover(nullptr);
  };
  main.set_alone(false);
  Crew* const crew = main.set_crew(nullptr);
  {
    std::vector<std::jthread> threads;
    threads.reserve(helpers_.size());
    // Before they are joined: without memory for all of them, the others would wait for ever.
    const std::unique_ptr<Handover, void (*)(Handover*)> stop(&handover,
                                                              [](Handover* all) { all->stop(); });
    {
      const SignalsBlocked blocked;
      for (const auto& helper : helpers_) {
        try {
          threads.emplace_back([&work, &ready, copier = helper.get()] {
            prepare_for_exceptions();
            ready.arrive_and_wait();
            run_cleanly([&work, copier] { work(*copier); });
          });
        } catch (const std::exception&) {
          handover.leave();  // no more threads or memory to be had: fewer do it
          ready.count_down();
        }
      }
    }
    ready.wait();  // before memory is taken that a thread lacks for its first exception
    work(main);
  }
  main.set_crew(crew);
  main.set_alone(true);
  if (freezing_.failed) throw Abandoned{};
  for (const auto& helper : helpers_) {
    std::vector<Deferred>& more = helper->deferred();
    main.deferred().insert(main.deferred().end(), more.begin(), more.end());
    more.clear();
  }
}

// The classes that the helpers will meet, as far as some of the slots tell.
void Crew::plan_ahead(const Frame& frame) {
  constexpr std::size_t most = 256;
  const std::size_t step = std::max<std::size_t>(1, (frame.count - frame.index) / most);
  for (std::size_t i = frame.index; i < frame.count; i += step) {
    PyObject* child = frame.slots[i * frame.stride];
    if (!child || !(Py_TYPE(child)->tp_flags & Py_TPFLAGS_HEAPTYPE)) continue;
    freezing_.plans.make(Py_TYPE(child));
  }
}

// What the helpers deferred because they did not know its class, as often as they do so.
void Crew::fill_planned(Copier& main) {
  while (true) {
    std::vector<Deferred> now;
    std::vector<Deferred> later;
    for (const Deferred& value : main.deferred()) {
      const Plan* known = freezing_.plans.find(Py_TYPE(value.original));
      if (!known) known = freezing_.plans.make(Py_TYPE(value.original));
      const bool waits = needs_python(*known) || known->pre_freeze;
      (waits ? later : now).push_back(value);
    }
    main.deferred().swap(later);
    if (now.empty()) return;
    share(main, 0, now.size(), [&](Copier& copier, std::size_t first, std::size_t last) {
      copier.fill_part(now, first, last);
    });
  }
}

void Crew::gather_originals(Copier& main) {
  const auto take = [this](Copier& copier) {
    for (const auto& pair : copier.take_originals()) freezing_.originals.push_back(pair);
  };
  take(main);
  for (const auto& helper : helpers_) take(*helper);
}

void Crew::help(Copier& main) {
  share(main, 0, 0, [](Copier&, std::size_t, std::size_t) {}, true);
  fill_planned(main);
}

void Crew::fill(Copier& main, const Frame frame) {
  plan_ahead(frame);
  share(main, frame.index, frame.count, [&](Copier& copier, std::size_t first, std::size_t last) {
    copier.copy_part(frame, first, last);
  });
  fill_planned(main);
}

void Crew::fill(Copier& main, const std::vector<Deferred>& values) {
  std::vector<Deferred> many;
  for (const Deferred& value : values) {
    const bool twin = needs_python(*freezing_.plans.make(Py_TYPE(value.original)));
    if (threads_ > 1 && !twin && values.size() >= kWorthSharing) {
      many.push_back(value);
    } else {
      main.fill(value.slot, value.original, value.container, value.role);
      main.run();
    }
  }
  if (many.empty()) return;
  share(main, 0, many.size(), [&](Copier& copier, std::size_t first, std::size_t last) {
    copier.fill_part(many, first, last);
  });
  fill_planned(main);
}

void Copier::fill_part(const std::vector<Deferred>& values, std::size_t first, std::size_t last) {
  Work outer = std::exchange(work_, {});
  for (std::size_t i = first; i < last; ++i) {
    const Deferred& value = values[i];
    fill(value.slot, value.original, value.container, value.role);
    run();
  }
  work_ = std::move(outer);
}

void Copier::copy_part(const Frame& frame, std::size_t first, std::size_t last) {
  Frame part = frame;
  part.slots += first * frame.stride;
  part.index = 0;
  part.count = last - first;
  part.check = false;
  copy_apart(part);
}

void Copier::copy_apart(const Frame& frame) {
  Work outer = std::exchange(work_, {});
  work_.frames.push_back(frame);
  run();
  work_ = std::move(outer);
}

void Copier::share_out(const Frame& frame) { crew_->fill(*this, frame); }

}  // namespace firn::heap
