#include "heap/cpython_layout.hpp"

#include "heap/shared_fields.hpp"

#include <atomic>
#include <deque>
#include <mutex>
#include <utility>

#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

// One lock for all: it is held for as long as a few bytes take to copy.
struct Fields {
  std::mutex mutex;
  std::deque<SharedState> slots;  // only ever added to
  SharedState& at(std::uint64_t field) { return slots[field - 1]; }
};

Fields& fields() {
  static auto& made = *new Fields;  // worker threads may outlive the destructors of statics
  return made;
}

}  // namespace

std::uint64_t new_shared_field(SharedValue value) {
  const std::lock_guard guard(fields().mutex);
  fields().slots.push_back({std::move(value), 0});
  return fields().slots.size();
}

bool has_shared_field(std::uint64_t field) {
  const std::lock_guard guard(fields().mutex);
  return field - 1 < fields().slots.size();
}

SharedState load(std::uint64_t field) {
  const std::lock_guard guard(fields().mutex);
  return fields().at(field);
}

SharedValue exchange(std::uint64_t field, SharedValue value) {
  const std::lock_guard guard(fields().mutex);
  SharedState& state = fields().at(field);
  std::swap(state.value, value);
  ++state.stamp;
  return value;
}

bool store_if(std::uint64_t field, std::uint64_t stamp, SharedValue& value) {
  const std::lock_guard guard(fields().mutex);
  SharedState& state = fields().at(field);
  if (state.stamp != stamp) return false;
  std::swap(state.value, value);
  ++state.stamp;
  return true;
}

PyObject* own_object(PyObject* frozen) { return read(frozen); }

std::uint64_t new_local_key() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

void hold_shared_fields() { fields().mutex.lock(); }
void release_shared_fields() { fields().mutex.unlock(); }

}  // namespace firn::heap
