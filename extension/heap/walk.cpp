// The order in which a copier does its work.
//
// Copying is waiting for memory: the originals lie anywhere. So the container that was found last
// is not copied next; it goes to `later`, a stack, and from its top into the short queue `soon`,
// when the originals in its slots are asked for; by the time it gets to the queue's head they are
// there. The walk is still depth first by and large, for what waits to be as little as can be.
//
// A tuple or a set wants its hash when it is complete, hence what its children need for theirs is
// done before: with a stack of frames that wait for each other. And where the path to a value
// counts (Freezing::orderly), everything is done so.
#include "heap/crew.hpp"
#include "heap/freezer.hpp"
#include "heap/handover.hpp"
#include "heap/leaf.hpp"
#include "heap/static_objects.hpp"
#include "heap/tables.hpp"
#include "heap/twins/twins.hpp"

#include <algorithm>

namespace firn::heap {
namespace {

// Originals are asked for so many at a time, for most lie in pages that the processor has to look
// up first: it looks up several at once when they are asked for in a row, and waits for one after
// the other when there is copying in between.
constexpr std::size_t kAhead = 8;
// A frame that has brought up so many others lets them go first.
constexpr std::size_t kBrood = 8;
// A frame that cannot do so, as another one waits for it, puts off no more than this.
constexpr std::size_t kMostPutOff = 1024;
// Having copied so many objects alone, a copier asks for help with what is left.
constexpr std::size_t kEnoughAlone = 20'000;
// And so many before it leaves something again for others.
constexpr std::size_t kWorthHandingOver = 500;

// An object of some fields, and what stands in front of it.
void prefetch_object(const PyObject* object) {
  const auto* at = reinterpret_cast<const char*>(object);
  __builtin_prefetch(at - 24);
  __builtin_prefetch(at + 40);
  __builtin_prefetch(at + 104);
}

// The keys and values of a dict that is to share its keys with others.
void prefetch_row(const PyDictObject* dict) {
  PyDictKeysObject* keys = dict->ma_keys;
  if (!DK_IS_UNICODE(keys) || dict->ma_values || keys->dk_nentries > SHARED_KEYS_MAX_SIZE) return;
  const PyDictUnicodeEntry* entries = DK_UNICODE_ENTRIES(keys);
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    const auto* key = reinterpret_cast<const char*>(entries[i].me_key);
    __builtin_prefetch(key);
    __builtin_prefetch(key + 47);  // the end of a short one
  }
}

// Whether the container of `outer` gets its hash without that of what is copied by `inner`.
bool may_wait(const Frame& outer, const Frame& inner) {
  if (outer.role == Role::values) return true;
  if (!outer.check && (outer.role == Role::elements || outer.role == Role::fields)) return true;
  return !inner.check && (inner.role == Role::elements || inner.role == Role::fields ||
                          inner.role == Role::unbuilt);
}

}  // namespace

void Copier::prefetch_slots(const Frame& frame, std::size_t first) const {
  const std::size_t last = std::min(frame.count, first + kAhead);
  const bool large_memo = freezing_.memo.is_large();
  for (std::size_t i = first; i < last; ++i) {
    PyObject* const object = frame.slots[i * frame.stride];
    prefetch_object(object);
    if (large_memo) freezing_.memo.prefetch(object);
  }
}

// What the objects in its slots refer to that is needed to copy them; they themselves have come.
void Copier::prefetch_behind(const Frame& frame) {
  if (frame.role == Role::unbuilt) {
    prefetch_row(dict_of(frame.source));
    return;
  }
  const std::size_t last = std::min(frame.count, frame.index + kAhead);
  for (std::size_t i = frame.index; i < last; ++i) {
    PyObject* const object = frame.slots[i * frame.stride];
    if (!object || is_static(object)) continue;
    const PyTypeObject* type = Py_TYPE(object);
    if (type == &PyList_Type) {
      __builtin_prefetch(reinterpret_cast<PyListObject*>(object)->ob_item);
    } else if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
      __builtin_prefetch(get_insertion_order_array(_PyObject_InlineValues(object)));
    }
  }
}

// Into the queue.
void Copier::prepare(const Frame& frame) {
  if (frame.role == Role::unbuilt) {
    const auto* keys = reinterpret_cast<const char*>(dict_of(frame.source)->ma_keys);
    constexpr std::size_t line = 64;
    constexpr std::size_t most = 6;  // the header, the indices and the entries of a short one
    for (std::size_t i = 0; i < most; ++i) __builtin_prefetch(keys + i * line);
  } else {
    prefetch_slots(frame, frame.index);
  }
  work_.soon[(work_.soon_first + work_.soon_size++) % Work::kSoon] = frame;
}

// The frames from `depth` on: those that may wait do so, the first one on top. There were `before`
// when this began.
void Copier::put_off(std::size_t depth, std::size_t before) {
  std::vector<Frame>& frames = work_.frames;
  const Frame& outer = frames[depth - 1];
  std::size_t kept = depth;
  for (std::size_t i = depth; i < frames.size(); ++i) {
    const bool room = depth == 1 || work_.later.size() < before + kMostPutOff;
    if (room && may_wait(outer, frames[i])) {
      left_order_ = true;
      work_.later.push_back(frames[i]);
    } else {
      prefetch_slots(frames[i], frames[i].index);
      frames[kept++] = frames[i];
    }
  }
  frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(kept), frames.end());
}

// Until no frame is left that waits for another. `later` had so many.
void Copier::walk(std::size_t before) {
  std::vector<Frame>& frames = work_.frames;
  while (!frames.empty()) {
    const std::size_t depth = frames.size();
    if (frames.back().role == Role::unbuilt) {
      build_table(depth - 1);
      continue;
    }
    Frame* frame = &frames.back();
    if (crew_ && frame->count - frame->index >= kWorthSharing) {
      share_out(*frame);
      frame = &frames.back();
      frame->index = frame->count;
    }
    const bool members = frame->role == Role::members;
    bool waits = false;
    while (frame->index < frame->count) {
      if (frame->index % kAhead == 0) prefetch_slots(*frame, frame->index + kAhead);
      PyObject** slot = frame->slots + frame->index * frame->stride;
      ++frame->index;
      PyObject* child = *slot;
      if (!child) continue;
      if (members && reinterpret_cast<setentry*>(slot)->hash == -1) continue;  // was deleted
      if (PyObject* leaf = copy_leaf(child)) {
        *slot = leaf;
        continue;
      }
      if (PyObject* made = copy(child)) {
        *slot = made;
        if (freezing_.has_twins && is_twin(made)) [[unlikely]]
          note_twin(frames[depth - 1].copy, frames[depth - 1].role);
      } else {
        defer(slot, child, frame->copy, frame->role);
      }
      if (frames.size() == depth) continue;
      if (!freezing_.orderly) put_off(depth, before);
      if (frames.size() != depth) {
        waits = true;
        break;
      }
      frame = &frames.back();  // may have moved
      if (depth == 1 && work_.later.size() >= before + kBrood && frame->index < frame->count) {
        // Under what it has brought up, the first of which is to come first.
        work_.later.push_back(*frame);
        std::reverse(work_.later.begin() + static_cast<std::ptrdiff_t>(before), work_.later.end());
        frames.clear();
        return;
      }
    }
    if (waits) continue;
    const Frame done = frames.back();
    frames.pop_back();
    if (done.check) complete(done);
  }
  std::reverse(work_.later.begin() + static_cast<std::ptrdiff_t>(before), work_.later.end());
}

void Copier::run() {
  Work& work = work_;
  walk(work.later.size());
  while (true) {
    check_interrupt();
    if (work.soon_size <= Work::kSoon / 2) {
      while (work.soon_size < Work::kSoon && work.has_later()) {
        prepare(work.later.back());
        work.later.pop_back();
      }
    }
    if (!work.soon_size) break;
    if (work.soon_size > Work::kSoon / 2)
      prefetch_behind(work.soon[(work.soon_first + Work::kSoon / 2) % Work::kSoon]);
    --work.soon_size;
    work.frames.push_back(work.soon[work.soon_first++ % Work::kSoon]);
    walk(work.later.size());
    if (handover_ && handover_->is_wanted()) [[unlikely]]
      hand_over();
    if (crew_ && objects_ - objects_alone_ >= kEnoughAlone && work.has_later()) [[unlikely]] {
      crew_->help(*this);
      objects_alone_ = objects_;
    }
  }
  work.later.clear();
  work.first = 0;
}

// To a thread that has nothing to do: what was put off first, which is the largest part as a rule.
void Copier::hand_over() {
  if (freezing_.failed) throw Abandoned{};
  if (!work_.has_later() || objects_ - objects_kept_ < kWorthHandingOver) return;
  objects_kept_ = objects_;
  Frame& oldest = work_.later[work_.first];
  constexpr std::size_t many = 64;
  const std::size_t left = oldest.count - oldest.index;
  if (oldest.role != Role::unbuilt && !oldest.check && left >= many) {
    Frame half = oldest;
    half.index = oldest.count = oldest.index + left / 2;
    handover_->offer(half);
  } else {
    handover_->offer(oldest);
    ++work_.first;
  }
}

}  // namespace firn::heap
