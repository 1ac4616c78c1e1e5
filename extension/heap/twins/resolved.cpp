#include "heap/twins/resolved.hpp"

#include <atomic>
#include <new>

#include "heap/buffers/frozen.hpp"
#include "heap/segments.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {

void WordMap::set(std::uintptr_t key, std::uintptr_t value) {
  if ((size_ + 1) * 2 > slots_.size()) {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    size_ = 0;
    for (const Slot& slot : old) {
      if (slot.key) set(slot.key, slot.value);
    }
  }
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash(key) & mask;
  while (slots_[i].key && slots_[i].key != key) i = (i + 1) & mask;
  if (!slots_[i].key) ++size_;
  slots_[i] = {key, value};
}

std::uintptr_t WordMap::take(std::uintptr_t key) {
  if (slots_.empty()) return 0;
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash(key) & mask;
  while (slots_[i].key != key) {
    if (!slots_[i].key) return 0;
    i = (i + 1) & mask;
  }
  const std::uintptr_t taken = slots_[i].value;
  --size_;
  // What comes behind moves up when the gap lies between where it belongs and where it stands.
  for (std::size_t next = (i + 1) & mask; slots_[next].key; next = (next + 1) & mask) {
    const std::size_t home = hash(slots_[next].key) & mask;
    if (((next - home) & mask) < ((next - i) & mask)) continue;
    slots_[i] = slots_[next];
    i = next;
  }
  slots_[i] = {};
  return taken;
}

PyObject* Resolutions::set(const void* twin, PyObject* object, Nature nature) {
  const std::uintptr_t key = key_of(twin), word = reinterpret_cast<std::uintptr_t>(object);
  PyObject* const before = object_in(objects_.find(key));
  objects_.set(key, word | (nature == Nature::given ? kMayChange : 0));
  if (before && before != object) forget_twin_of(before, key);
  if (nature != Nature::made) {
    // Last, and never without the other: these know only objects that the table keeps alive.
    try {
      (nature == Nature::constant ? twins_ : origins_).set(word, key);
    } catch (const std::bad_alloc&) {  // then it freezes to a twin of its own
    }
  }
  return before;
}

PyObject* Resolutions::take_at(std::size_t offset) {
  const std::uintptr_t key = offset + 1;
  PyObject* const object = object_in(objects_.take(key));
  if (object) forget_twin_of(object, key);
  return object;
}

void Resolutions::forget_twin_of(const PyObject* object, std::uintptr_t key) {
  const auto word = reinterpret_cast<std::uintptr_t>(object);
  for (WordMap* map : {&twins_, &origins_}) {
    if (map->find(word) == key) map->take(word);
  }
}

namespace {

constexpr const char* kCapsule = "firn.heap.resolved";

// As of faces/interpreter_objects.cpp: a later interpreter can stand at the same address.
std::atomic<std::uint64_t> gone{0};

struct Remembered {
  PyInterpreterState* interpreter = nullptr;
  std::uint64_t gone = 0;
  Resolved* own = nullptr;
};
thread_local Remembered last_used;

Resolved* find_own() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, kCapsule) : nullptr;
  return capsule ? static_cast<Resolved*>(PyCapsule_GetPointer(capsule, kCapsule)) : nullptr;
}

// What the objects' destructors resolve meanwhile finds no table any more.
void destroy_table(PyObject* capsule) {
  auto* own = static_cast<Resolved*>(PyCapsule_GetPointer(capsule, kCapsule));
  gone.fetch_add(1, std::memory_order_release);
  own->table.for_each([](PyObject* object) { Py_DECREF(object); });
  for (PyObject* object : own->leaving) Py_DECREF(object);
  delete own;
}

// Other objects may stand where these stood: whoever asks next must not get what belonged to them.
// Nobody's code runs: this may be the middle of a freeze.
void take_forgotten(Resolved& own) {
  const std::uint64_t now = forgotten();
  const std::vector<Span> spans = joined(forgotten_since(own.forgotten));
  std::vector<std::size_t> offsets;
  own.table.for_each_in(spans, [&](std::size_t at, bool) { offsets.push_back(at); });
  own.leaving.reserve(own.leaving.size() + offsets.size());
  for (const std::size_t at : offsets) own.leaving.push_back(own.table.take_at(at));
  own.forgotten = now;
}

// The twin at an object's place, if it stands there still, in a segment that has not retired: the
// scan that gives a retired one back may have begun, and a pointer that is made from a place now is
// one that it did not see. In this order: who has got the pointer before the segment retires has it
// where the scan looks, and what was forgotten meanwhile may be something else's place by now.
PyObject* usable(const Resolved& own, PyObject* twin) {
  __asm__ volatile("" : "+r"(twin));  // an address from here on, and not made from the place again
  return twin && is_in_use(twin) && own.forgotten == forgotten() ? twin : nullptr;
}

Materialise materialisers[static_cast<int>(FaceKind::buffer) + 1] = {};

}  // namespace

Resolved* resolved() {
  PyInterpreterState* const interpreter = PyInterpreterState_Get();
  const std::uint64_t now = gone.load(std::memory_order_acquire);
  if (last_used.interpreter != interpreter || last_used.gone != now) [[unlikely]] {
    last_used = {interpreter, now, find_own()};
  }
  Resolved* const own = last_used.own;
  if (!own) [[unlikely]] {
    PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
  } else if (own->forgotten != forgotten()) [[unlikely]] {
    try {
      take_forgotten(*own);
    } catch (const std::bad_alloc&) {
      PyErr_NoMemory();
      return nullptr;
    }
  }
  return own;
}

void let_leaving_go(Resolved& own) {
  if (own.leaving.empty()) return;
  std::vector<PyObject*> objects;
  objects.swap(own.leaving);
  PyObject* raised = PyErr_GetRaisedException();
  for (PyObject* object : objects) Py_DECREF(object);
  PyErr_SetRaisedException(raised);
}

int make_resolved() {
  if (find_own()) return 0;
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict) return -1;
  auto* own = new Resolved;
  own->forgotten = forgotten();
  PyObject* capsule = PyCapsule_New(own, kCapsule, destroy_table);
  if (!capsule) {
    delete own;
    return -1;
  }
  const int status = PyDict_SetItemString(dict, kCapsule, capsule);
  Py_DECREF(capsule);
  gone.fetch_add(1, std::memory_order_release);  // forget that this interpreter had none
  return status;
}

void set_materialise(FaceKind kind, Materialise function) {
  materialisers[static_cast<int>(kind)] = function;
}

PyObject* resolve(PyObject* twin) {
  Resolved* const own = resolved();
  if (!own) return nullptr;
  if (PyObject* known = own->table.object_of(twin); known && buffers::keeps_form(twin, known))
      [[likely]] {
    return Py_NewRef(known);
  }
  const Materialise materialise =
      materialisers[static_cast<int>(reinterpret_cast<FrozenFace*>(twin)->kind)];
  if (!materialise) {
    PyErr_SetString(PyExc_SystemError, "this frozen value cannot be read here");
    return nullptr;
  }
  let_leaving_go(*own);
  PyObject* made = materialise(twin);
  if (!made || own->table.object_of(twin) == made) return made;
  if (remember(twin, made) < 0) Py_CLEAR(made);
  return made;
}

int remember(PyObject* twin, PyObject* object) {
  Resolved* const own = resolved();
  if (!own) return -1;
  using Nature = Resolutions::Nature;
  const auto* face = reinterpret_cast<const FrozenFace*>(twin);
  const Nature nature = !is_twin(twin)                 ? Nature::made
                        : face->flags & kUnchanging    ? Nature::constant
                        : face->kind == FaceKind::twin ? Nature::given
                                                       : Nature::made;
  try {
    PyObject* before = own->table.set(twin, object, nature);
    if (nature == Nature::constant && face->kind == FaceKind::shell) own->table.note_shell();
    Py_INCREF(object);
    Py_XDECREF(before);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return -1;
  }
  return 0;
}

void forget_what_can_be_made_again() {
  Resolved* const own = resolved();
  if (!own) {
    PyErr_Clear();
    return;
  }
  std::vector<std::size_t> offsets;
  own->table.for_each_in({Span{0, kReservedBytes}}, [&](std::size_t at, bool may_change) {
    if (!may_change) offsets.push_back(at);
  });
  offsets.insert(offsets.end(), own->made.begin(), own->made.end());
  own->made.clear();
  own->leaving.reserve(own->leaving.size() + offsets.size());
  for (const std::size_t at : offsets) {
    if (PyObject* object = own->table.take_at(at)) own->leaving.push_back(object);
  }
  let_leaving_go(*own);
}

void unremember(PyObject* twin) {
  if (Resolved* const own = resolved()) {
    Py_XDECREF(own->table.take(twin));
  } else {
    PyErr_Clear();
  }
}

PyObject* OwnShells::find(const void* object) const {
  return usable(*own_, own_->table.twin_of(object));
}

std::unique_ptr<const OwnShells> own_shells() {
  const Resolved* const own = resolved();
  if (!own) PyErr_Clear();
  return own && own->table.has_shells() ? std::make_unique<const OwnShells>(own) : nullptr;
}

PyObject* twin_of(PyObject* object) {
  const Resolved* const own = resolved();
  if (!own) {
    PyErr_Clear();
    return nullptr;
  }
  PyObject* const twin = usable(*own, own->table.twin_of(object));
  return twin && buffers::keeps_form(twin, object) ? twin : nullptr;
}

PyObject* origin_of(PyObject* object) {
  const Resolved* const own = resolved();
  if (!own) {
    PyErr_Clear();
    return nullptr;
  }
  return usable(*own, own->table.origin_of(object));
}

std::size_t count_resolved() {
  Resolved* const own = resolved();
  if (!own) PyErr_Clear();
  return own ? own->table.size() : 0;
}

}  // namespace firn::heap
