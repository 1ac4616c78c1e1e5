// What each interpreter has for itself, found by asking which interpreter runs.
//
// A capsule in the interpreter's dict destroys the object when CPython clears that, at the
// interpreter's end. The memory is used again for later interpreters and never given back: so each
// thread may remember which object it used last, and look whose it is now.
#pragma once

#include "heap/cpython_layout.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>

#include "heap/thread_state.hpp"

namespace firn::heap {

// Of static storage, one for a T; used with the GIL of the interpreter that it is about. T's
// destructor runs with that GIL too, at the interpreter's end, when nobody finds the object any
// more. of() may be called from anywhere.
template <typename T>
class InterpreterLocal {
  // The owner changes only with its GIL, so that who finds itself there finds its own object.
  struct Head {
    std::atomic<const PyInterpreterState*> owner{nullptr};
    std::atomic<bool> taken{false};
    Head* next = nullptr;
  };
  struct Room {
    Head head;
    alignas(T) std::byte bytes[sizeof(T)];
  };
  struct Destroy {
    void operator()(T* object) const {
      object->~T();
      head_of(object)->taken.store(false, std::memory_order_release);
    }
  };

 public:
  using Made = std::unique_ptr<T, Destroy>;

  // `name` is the capsule's.
  constexpr explicit InterpreterLocal(const char* name) : name_(name) {}
  InterpreterLocal(const InterpreterLocal&) = delete;
  InterpreterLocal& operator=(const InterpreterLocal&) = delete;

  // The calling interpreter's if a few instructions find it, as they mostly do; nullptr says
  // nothing.
  T* glance() const {
    Head* last = last_;
    const PyThreadState* thread = glance_at_thread_state();
    if (!thread || last->owner.load(std::memory_order_relaxed) != thread->interp) [[unlikely]]
      return nullptr;
    return object_of(last);
  }

  // The calling interpreter's; nullptr, without an exception, when it has none (yet, or any more).
  T* find() const {
    T* found = glance();
    return found ? found : search();
  }

  // Of any interpreter.
  T* of(const PyInterpreterState* interpreter) const {
    Head* room = room_with(interpreter);
    return room ? object_of(room) : nullptr;
  }

  // An object that is nobody's yet; nullptr with an exception set.
  Made make() {
    Head* room = take_room();
    if (!room) {
      PyErr_NoMemory();
      return nullptr;
    }
    return Made(new (reinterpret_cast<Room*>(room)->bytes) T);
  }

  // Gives it to the calling interpreter, which has none. Borrowed; nullptr with an exception set.
  T* put(Made made) {
    PyObject* dict = PyInterpreterState_GetDict(current_interpreter());
    if (!dict) {
      PyErr_NoMemory();
      return nullptr;
    }
    PyObject* capsule = PyCapsule_New(made.get(), name_, destroy);
    if (!capsule) return nullptr;
    T* object = made.release();  // the capsule's from here on
    const int status = PyDict_SetItemString(dict, name_, capsule);
    if (status == 0) head_of(object)->owner.store(current_interpreter());
    Py_DECREF(capsule);
    return status == 0 ? object : nullptr;
  }

 private:
  static T* object_of(Head* head) {
    return std::launder(reinterpret_cast<T*>(reinterpret_cast<Room*>(head)->bytes));
  }
  static Head* head_of(T* object) {
    return reinterpret_cast<Head*>(reinterpret_cast<std::byte*>(object) - offsetof(Room, bytes));
  }

  Head* room_with(const PyInterpreterState* interpreter) const {
    Head* room = rooms_.load(std::memory_order_acquire);
    while (room && room->owner.load(std::memory_order_acquire) != interpreter) room = room->next;
    return room;
  }

  [[gnu::noinline]] T* search() const {
    Head* room = room_with(current_interpreter());
    if (!room) return nullptr;
    last_ = room;
    return object_of(room);
  }

  // One that an interpreter left, or a new one.
  Head* take_room() {
    for (Head* room = rooms_.load(std::memory_order_acquire); room; room = room->next) {
      if (!room->taken.exchange(true)) return room;
    }
    Room* made = new (std::nothrow) Room;
    if (!made) return nullptr;
    Head* head = &made->head;
    head->taken.store(true);
    head->next = rooms_.load();
    while (!rooms_.compare_exchange_weak(head->next, head)) continue;
    return head;
  }

  static void destroy(PyObject* capsule) {
    const Made object(static_cast<T*>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))));
    head_of(object.get())->owner.store(nullptr);
  }

  const char* const name_;
  std::atomic<Head*> rooms_{nullptr};

  static inline constinit Head nobody_{};
  // Read in one instruction: the model costs some bytes of what glibc sets aside for libraries.
  [[gnu::tls_model("initial-exec")]] static inline constinit thread_local Head* last_ = &nobody_;
};

}  // namespace firn::heap
