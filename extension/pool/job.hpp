#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pool/chunk_sizes.hpp"
#include "pool/output.hpp"
#include "pool/parcel.hpp"
#include "pool/wake.hpp"

namespace firn::pool {

enum class EventKind { chunk, output, failed };

/// What a job tells its owner. See `firn._core.Event`.
struct Event {
  EventKind kind = EventKind::chunk;
  std::size_t start = 0, stop = 0;
  int rank = 0;
  double began = 0, ended = 0, setup_seconds = 0, freeze_seconds = 0, delay_seconds = 0;
  std::optional<Parcel> parcel;  // kind chunk
  bool pickled = false;          // the parcel holds the bytes that the runtime's pack() made
  int stream = 0;                // kind output
  std::string text;              // kind output and failed
};

/// Work that brought nothing: a chunk that was stopped, or one that was whole when nobody wanted it
/// any more. Times as in Event.
struct LostWork {
  std::size_t start, stop;
  int rank;
  double began, ended, setup_seconds, freeze_seconds, delay_seconds;
  bool whole;
};

/// A run of items that one worker computes, from being handed out until its output has been read.
struct Chunk {
  std::size_t start, stop;
  int rank;
  std::uint64_t serial;  // different for every chunk of the process
  Time handed_out = Clock::now();
  bool finished = false;
  bool unwanted = false;  // nobody reads what it still writes
  Output output;
  // Once it has been told to stop:
  bool stopping = false;
  Time again_at{}, abandon_at{};
};

/// One submission. Every member is guarded by the scheduler's mutex, except `wake` and `setup`.
class Job {
 public:
  Job(std::shared_ptr<const Parcel> setup, std::size_t count, std::size_t chunk,
      std::size_t workers, bool pinned);

  /// The next chunk for a worker, or nullptr if there is none for it.
  Chunk* hand_out(int rank, std::uint64_t serial);
  /// A chunk has ended; takes its event unless nobody wants it any more. `wake` is to be rung then.
  void finish(Chunk& chunk, Event& event);
  /// The next event that is due, else nothing and, in `deadline`, when to look again at the latest.
  std::optional<Event> pop(Time now, Time& deadline);
  /// Items from `stop` on are not wanted. Returns their events, to be freed without the mutex.
  std::deque<Event> truncate(std::size_t stop);
  /// Before truncate(0): what has been written in its turn stays to be read.
  void keep_written();

  bool writes_through(const Chunk& chunk) const;
  bool exhausted() const { return pinned ? handed_ >= limit_ : next_ >= limit_; }
  bool computed() const { return running == 0 && exhausted(); }
  bool done() const { return computed() && open.empty() && ready_.empty() && written_.empty(); }

  const std::shared_ptr<const Parcel> setup;
  const std::size_t count, workers;
  const bool pinned;
  Wake wake;
  int running = 0;
  std::vector<int> abandoned;         // ranks of the workers that did not stop
  std::vector<LostWork> lost;         // in no order
  std::map<std::size_t, Chunk> open;  // by start: the first one writes through

 private:
  std::size_t limit_;  // items from here on are not wanted
  std::size_t next_ = 0;
  std::vector<bool> given_;  // pinned: which ranks have had their item
  std::size_t handed_ = 0;
  ChunkSizes sizes_;
  std::deque<Event> ready_;
  std::deque<Event> written_;  // output that outlives its chunks
};

}  // namespace firn::pool
