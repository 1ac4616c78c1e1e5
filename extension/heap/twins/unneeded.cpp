// What an interpreter keeps for retired segments and nobody else holds.
//
// A shell, a namespace, a value of a cached_property point into the segment of the value that they
// were made of: as long as the interpreter keeps them, a scan finds pointers there. So they are let
// go when the segment retires. An object that somebody else holds stays, for a twin that is touched
// again must not become another object under his eyes.
//
// In the notebook, what may have been changed stays as well, though nobody holds it: the data may
// be reached without a variable, and must read as it was. The scan is told where such objects are,
// and finds the segments to which nothing else leads (KeptMemory); then they go, too, and the next
// scan gives the segment back. What workers change is theirs alone, and no worker lasts for ever.
#include "heap/cpython_layout.hpp"

#include "heap/twins/unneeded.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/interpreter.hpp"
#include "heap/records/state.hpp"
#include "heap/segments.hpp"
#include "heap/twins/object_memory.hpp"
#include "heap/twins/only_kept.hpp"
#include "heap/twins/resolved.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

using faces::Ref;

// Passes that take what the one before left alone, before the whole graph is looked at.
constexpr int kPasses = 20;

bool in_worker() { return PyInterpreterState_Get() != PyInterpreterState_Main(); }

// Calls visit(offset, key, values) for what cached_property computed for each record; the dict must
// not change meanwhile.
template <typename Visit>
void each_computed(const Visit& visit) {
  const records::State* state = records::state();
  if (!state) return PyErr_Clear();
  PyObject *key, *values;
  for (Py_ssize_t i = 0; PyDict_Next(state->computed, &i, &key, &values);) {
    visit(PyLong_AsSize_t(key), key, values);
  }
}

// Of records of these segments, or of segments that are gone.
void drop_computed(const std::vector<Span>& segments) {
  std::vector<Ref> keys;
  std::vector<PyObject*> objects;
  each_computed([&](std::size_t at, PyObject* key, PyObject* values) {
    if (!lies_in(segments, at) && in_segment(heap_base + at)) return;
    keys.push_back(faces::borrowed(key));
    objects.push_back(values);
  });
  if (objects.empty()) return;
  const OnlyKept unneeded(objects);
  PyObject* const computed = records::state()->computed;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // Code that ran for one may have put other values in the place of the next.
    if (PyDict_GetItemWithError(computed, keys[i].get()) != objects[i]) continue;
    if (unneeded.contains(objects[i]) && PyDict_DelItem(computed, keys[i].get()) < 0) PyErr_Clear();
  }
}

// By offsets, where nothing may be read: another thread's scan may be giving the segment back.
void drop_resolved(Resolved& own, std::vector<std::size_t> offsets) {
  // Code that runs meanwhile may be in the middle of something, or a scan have given memory back,
  // where something else stands by now: the rest is for the next time.
  const std::uint64_t known = own.forgotten;
  const auto undisturbed = [&] { return !own.making && forgotten() == known; };
  std::size_t before = 0;
  for (int pass = 0; pass < kPasses && offsets.size() != before; ++pass) {
    before = offsets.size();
    std::erase_if(offsets, [&](std::size_t at) {
      PyObject* object = own.table.object_at(at);
      if (object && (Py_REFCNT(object) > 1 || is_watched(object))) return false;
      if (!undisturbed()) return false;
      Py_XDECREF(own.table.take_at(at));
      return true;
    });
  }
  std::vector<PyObject*> objects;
  for (const std::size_t at : offsets) objects.push_back(own.table.object_at(at));
  std::erase(objects, nullptr);
  if (objects.empty() || objects.size() != offsets.size() || !undisturbed()) return;
  OnlyKept unneeded(objects);
  std::vector<PyObject*> dropped;
  dropped.reserve(offsets.size());
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (unneeded.contains(objects[i])) dropped.push_back(own.table.take_at(offsets[i]));
  }
  const bool cyclic = unneeded.has_cycles();
  for (PyObject* object : dropped) Py_DECREF(object);
  if (cyclic) PyGC_Collect();
}

void drop(Resolved& own) {
  let_leaving_go(own);
  // Somebody is making something, and holds what is not complete by the table's references.
  if (own.making) return;
  const std::vector<Span> retired = retired_spans();
  const std::vector<Span> gone = in_worker() ? retired : unreached_spans();
  drop_computed(gone);
  std::vector<std::size_t> offsets;
  own.table.for_each_in(retired, [&](std::size_t at, bool may_change) {
    if (!may_change || lies_in(gone, at)) offsets.push_back(at);
  });
  drop_resolved(own, std::move(offsets));
}

struct Entry {
  std::uint64_t segment;
  std::size_t at;
  PyObject* object;
};

std::vector<Entry> entries_of(const Resolved& own, const std::vector<Span>& retired) {
  std::vector<Entry> entries;
  const auto add = [&](std::size_t at, PyObject* object) {
    entries.push_back({place_of(heap_base + at).segment, at, object});
  };
  own.table.for_each_in(retired, [&](std::size_t at, bool) { add(at, own.table.object_at(at)); });
  each_computed([&](std::size_t at, PyObject*, PyObject* values) {
    if (lies_in(retired, at)) add(at, values);
  });
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.segment < b.segment; });
  return entries;
}

std::vector<KeptMemory> find_memory(const Resolved& own) {
  std::vector<KeptMemory> found;
  const InterpreterTypes* types = interpreter_types();
  if (!types) return found;
  const std::vector<Entry> entries = entries_of(own, retired_spans());
  std::vector<PyObject*> objects;
  for (const Entry& entry : entries) objects.push_back(entry.object);
  OnlyKept kept(objects);
  for (const Entry& entry : entries) {
    for (PyObject* object : kept.below(entry.object, entry.segment)) {
      each_memory_of(object, types->deque, [&](std::uintptr_t begin, std::uintptr_t end) {
        found.push_back({begin, end, entry.at});
      });
    }
  }
  return found;
}

}  // namespace

void drop_unneeded() {
  Resolved* const own = resolved();
  if (!own) return PyErr_Clear();
  PyObject* raised = PyErr_GetRaisedException();
  try {
    drop(*own);
  } catch (const std::bad_alloc&) {  // then it stays
  }
  PyErr_SetRaisedException(raised);
}

std::vector<KeptMemory> memory_of_kept() {
  const Resolved* const own = resolved();
  if (!own) PyErr_Clear();
  if (!own || own->making || in_worker()) return {};
  try {
    return find_memory(*own);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

}  // namespace firn::heap
