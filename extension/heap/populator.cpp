#include "heap/populator.hpp"

#include <algorithm>
#include <system_error>

#include "common/signals.hpp"
#include "heap/pages.hpp"
#include "heap/scan/clean_stack.hpp"

namespace firn::heap {

void Populator::populate(const Extent& extent) {
  const std::size_t half = extent.size() / 2 / kHugePage * kHugePage;
  if (half) add({extent.begin + half, extent.end});
  get_pages(extent.begin, half ? half : extent.size());
}

void Populator::add(const Extent& extent) {
  const std::lock_guard hold(mutex_);
  todo_.push_back(span_of(extent));
  if (!thread_.joinable()) {
    const SignalsBlocked blocked;
    try {
      thread_ = std::jthread(
          [this](const std::stop_token& stop) { run_cleanly([this, &stop] { work(stop); }); });
    } catch (const std::system_error&) {
      todo_.clear();  // no thread to be had: pages are touched when they are needed
    }
  }
  wake_.notify_one();
}

void Populator::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Populator::work(const std::stop_token& stop) {
  std::unique_lock hold(mutex_);
  while (wake_.wait(hold, stop, [this] { return !todo_.empty(); })) {
    Span& span = todo_.front();
    char* const at = extent_of(span).begin;
    const std::size_t size = std::min(kHugePage, span.size());
    span.first += size;
    if (!span.size()) todo_.pop_front();
    hold.unlock();
    get_pages(at, size);
    hold.lock();
    if (stop.stop_requested()) return;
  }
}

}  // namespace firn::heap
