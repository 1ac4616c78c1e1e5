#include "heap/twins/resolved.hpp"

#include <atomic>
#include <new>

#include "heap/buffers/frozen.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {

void PointerMap::set(const void* key, void* value) {
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

void* PointerMap::take(const void* key) {
  if (slots_.empty()) return nullptr;
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash(key) & mask;
  while (slots_[i].key != key) {
    if (!slots_[i].key) return nullptr;
    i = (i + 1) & mask;
  }
  void* const taken = slots_[i].value;
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

namespace {

constexpr const char* kCapsule = "firn.heap.resolved";

// As of faces/interpreter_objects.cpp: a later interpreter can stand at the same address.
std::atomic<std::uint64_t> gone{0};

struct Remembered {
  PyInterpreterState* interpreter = nullptr;
  std::uint64_t gone = 0;
  Resolved* table = nullptr;
};
thread_local Remembered last_used;

Resolved* find_table() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, kCapsule) : nullptr;
  return capsule ? static_cast<Resolved*>(PyCapsule_GetPointer(capsule, kCapsule)) : nullptr;
}

// What the objects' destructors resolve meanwhile finds no table any more.
void destroy_table(PyObject* capsule) {
  auto* table = static_cast<Resolved*>(PyCapsule_GetPointer(capsule, kCapsule));
  gone.fetch_add(1, std::memory_order_release);
  table->objects.for_each(
      [](const void*, void* object) { Py_DECREF(static_cast<PyObject*>(object)); });
  delete table;
}

bool is_shell(PyObject* twin) {
  return reinterpret_cast<FrozenFace*>(twin)->kind == FaceKind::shell;
}

void forget_twin_of(Resolved& table, PyObject* object, PyObject* twin) {
  if (table.twins.find(object) != twin) return;
  table.twins.take(object);
  table.shells -= is_shell(twin);
}

Materialise materialisers[static_cast<int>(FaceKind::buffer) + 1] = {};

}  // namespace

Resolved* resolved() {
  PyInterpreterState* const interpreter = PyInterpreterState_Get();
  const std::uint64_t now = gone.load(std::memory_order_acquire);
  if (last_used.interpreter != interpreter || last_used.gone != now) [[unlikely]] {
    last_used = {interpreter, now, find_table()};
  }
  if (!last_used.table) [[unlikely]] {
    PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
  }
  return last_used.table;
}

int make_resolved() {
  if (find_table()) return 0;
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict) return -1;
  auto* table = new Resolved;
  PyObject* capsule = PyCapsule_New(table, kCapsule, destroy_table);
  if (!capsule) {
    delete table;
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
  Resolved* const table = resolved();
  if (!table) return nullptr;
  if (auto* known = static_cast<PyObject*>(table->objects.find(twin));
      known && buffers::keeps_form(twin, known)) [[likely]] {
    return Py_NewRef(known);
  }
  const Materialise materialise =
      materialisers[static_cast<int>(reinterpret_cast<FrozenFace*>(twin)->kind)];
  if (!materialise) {
    PyErr_SetString(PyExc_SystemError, "this frozen value cannot be read here");
    return nullptr;
  }
  PyObject* made = materialise(twin);
  if (!made || table->objects.find(twin) == made) return made;
  if (remember(twin, made) < 0) Py_CLEAR(made);
  return made;
}

int remember(PyObject* twin, PyObject* object) {
  Resolved* const table = resolved();
  if (!table) return -1;
  PyObject* before = nullptr;
  try {
    if (reinterpret_cast<FrozenFace*>(twin)->flags & kUnchanging) {
      table->twins.set(object, twin);
      table->shells += is_shell(twin);
    }
    before = static_cast<PyObject*>(table->objects.find(twin));
    table->objects.set(twin, Py_NewRef(object));
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return -1;
  }
  if (before && before != object) forget_twin_of(*table, before, twin);
  Py_XDECREF(before);
  return 0;
}

void unremember(PyObject* twin) {
  Resolved* const table = resolved();
  if (!table) {
    PyErr_Clear();
    return;
  }
  auto* object = static_cast<PyObject*>(table->objects.take(twin));
  if (object) forget_twin_of(*table, object, twin);
  Py_XDECREF(object);
}

const PointerMap* objects_of_shells() {
  Resolved* const table = resolved();
  if (!table) PyErr_Clear();
  return table && table->shells ? &table->twins : nullptr;
}

PyObject* twin_of(PyObject* object) {
  Resolved* const table = resolved();
  if (!table) {
    PyErr_Clear();
    return nullptr;
  }
  auto* const twin = static_cast<PyObject*>(table->twins.find(object));
  return twin && buffers::keeps_form(twin, object) ? twin : nullptr;
}

std::size_t count_resolved() {
  Resolved* const table = resolved();
  if (!table) PyErr_Clear();
  return table ? table->objects.size() : 0;
}

void forget(const char* first, const char* last) {
  Resolved* const table = resolved();
  if (!table) {
    PyErr_Clear();
    return;
  }
  std::vector<PyObject*> twins;
  table->objects.for_each([&](const void* key, void*) {
    const char* at = static_cast<const char*>(key);
    if (at >= first && at < last) {
      twins.push_back(static_cast<PyObject*>(const_cast<void*>(key)));
    }
  });
  std::vector<PyObject*> dropped;
  for (PyObject* twin : twins) {
    auto* object = static_cast<PyObject*>(table->objects.take(twin));
    forget_twin_of(*table, object, twin);
    dropped.push_back(object);
  }
  for (PyObject* object : dropped) Py_DECREF(object);
}

}  // namespace firn::heap
