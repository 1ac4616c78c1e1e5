#include "pool/job.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace firn::pool {

Job::Job(std::shared_ptr<const Parcel> setup, std::size_t count, std::size_t chunk,
         std::size_t workers, bool pinned)
    : setup(std::move(setup)),
      count(count),
      workers(workers),
      pinned(pinned),
      limit_(count),
      given_(pinned ? count : 0),
      sizes_(pinned ? 1 : chunk, workers) {}

namespace {

Event take_output(Chunk& chunk) {
  Output::Piece piece = chunk.output.take();
  Event event{EventKind::output, chunk.start, chunk.stop, chunk.rank};
  event.stream = piece.stream;
  event.text = std::move(piece.text);
  return event;
}

LostWork lost_work(const Event& event) {
  return {event.start,          event.stop,          event.rank,
          event.began,          event.ended,         event.setup_seconds,
          event.freeze_seconds, event.delay_seconds, event.kind == EventKind::chunk};
}

}  // namespace

Chunk* Job::hand_out(int rank, std::uint64_t serial) {
  const auto worker = static_cast<std::size_t>(rank);
  std::size_t start, stop;
  if (pinned) {
    if (worker >= limit_ || given_[worker]) return nullptr;
    given_[worker] = true;
    ++handed_;
    start = worker;
    stop = worker + 1;
  } else {
    if (worker >= workers || next_ >= limit_) return nullptr;
    start = next_;
    stop = next_ = start + sizes_.next(limit_ - start);
  }
  ++running;
  return &open.emplace(start, Chunk{start, stop, rank, serial}).first->second;
}

void Job::finish(Chunk& chunk, Event& event) {
  --running;
  chunk.finished = true;
  if (event.kind == EventKind::chunk) {
    // Waiting for a CPU is no reason for shorter chunks: there would be all the more to do.
    sizes_.record(chunk.stop - chunk.start, event.ended - event.began - event.delay_seconds,
                  event.freeze_seconds, event.parcel->bytes());
  }
  if (chunk.unwanted) {
    lost.push_back(lost_work(event));
    open.erase(chunk.start);
  } else {
    ready_.push_back(std::move(event));
  }
}

bool Job::writes_through(const Chunk& chunk) const {
  return pinned || &open.begin()->second == &chunk;
}

std::optional<Event> Job::pop(Time now, Time& deadline) {
  if (!written_.empty()) {
    Event event = std::move(written_.front());
    written_.pop_front();
    return event;
  }
  for (auto entry = open.begin(); entry != open.end();) {
    Chunk& chunk = entry->second;
    if (!chunk.output.empty()) {
      if (chunk.finished || chunk.output.due() <= now) {
        // The event of an earlier chunk comes first: it may say that this output is not wanted.
        const auto earlier = std::find_if(ready_.begin(), ready_.end(), [&](const Event& event) {
          return !pinned && event.start < chunk.start;
        });
        if (earlier != ready_.end()) {
          Event event = std::move(*earlier);
          ready_.erase(earlier);
          return event;
        }
        return take_output(chunk);
      }
      deadline = std::min(deadline, chunk.output.due());
    }
    if (chunk.finished) {
      entry = open.erase(entry);
    } else if (pinned) {
      ++entry;
    } else {
      break;
    }
  }
  if (ready_.empty()) return std::nullopt;
  Event event = std::move(ready_.front());
  ready_.pop_front();
  return event;
}

void Job::keep_written() {
  for (auto& [start, chunk] : open) {
    // An unread result of an earlier chunk may say that this output is not wanted.
    const bool doubtful =
        !pinned && std::any_of(ready_.begin(), ready_.end(),
                               [&chunk](const Event& event) { return event.start < chunk.start; });
    if (doubtful || chunk.unwanted) return;
    while (!chunk.output.empty()) written_.push_back(take_output(chunk));
    if (!pinned && !chunk.finished) return;  // the others wait for their turn
  }
}

std::deque<Event> Job::truncate(std::size_t stop) {
  std::deque<Event> unwanted;
  if (stop >= limit_) return unwanted;
  limit_ = stop;
  if (pinned) {
    const auto end = given_.begin() + static_cast<std::ptrdiff_t>(stop);
    handed_ = static_cast<std::size_t>(std::count(given_.begin(), end, true));
  }
  const auto kept = std::stable_partition(
      ready_.begin(), ready_.end(), [stop](const Event& event) { return event.start < stop; });
  std::transform(kept, ready_.end(), std::back_inserter(lost), lost_work);
  std::move(kept, ready_.end(), std::back_inserter(unwanted));
  ready_.erase(kept, ready_.end());
  for (auto entry = open.lower_bound(stop); entry != open.end();) {
    entry->second.unwanted = true;
    entry->second.output.clear();
    entry = entry->second.finished ? open.erase(entry) : std::next(entry);
  }
  wake.ring();
  return unwanted;
}

}  // namespace firn::pool
