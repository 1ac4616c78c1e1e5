// From a twin to the calling interpreter's own object.
//
// An object is made, kept, and only then filled, as pickle does, so that cycles through its state
// close. What its state leads to is filled after it, in a loop: a chain of a million namespaces
// needs no C stack. Arguments have to be complete, and may not lead back.
#include "heap/cpython_layout.hpp"

#include <algorithm>

#include "heap/faces/faces.hpp"
#include "heap/records/definitions.hpp"
#include "heap/twins/recipes.hpp"
#include "heap/twins/resolved.hpp"
#include "heap/twins/shells.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

using faces::Ref;

FrozenTwin* as_twin(PyObject* object) { return reinterpret_cast<FrozenTwin*>(object); }

// A function of firn.twins.
Ref helper(const char* name) { return Ref(PyImport_ImportModuleAttrString("firn.twins", name)); }

// What an argument's slot holds. Short texts as the interpreter's own: what is called may keep them
// for good (re's cache keeps patterns), and with them the segment.
PyObject* read_argument(PyObject* slot) {
  constexpr Py_ssize_t kMost = 4096;  // bytes and characters; what is longer is data
  if (PyUnicode_CheckExact(slot) && PyUnicode_GET_LENGTH(slot) <= kMost) {
    return PyUnicode_FromKindAndData(PyUnicode_KIND(slot), PyUnicode_DATA(slot),
                                     PyUnicode_GET_LENGTH(slot));
  }
  if (PyBytes_CheckExact(slot) && PyBytes_GET_SIZE(slot) <= kMost) {
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(slot), PyBytes_GET_SIZE(slot));
  }
  return read(slot);
}

// Calls with what the tuple's slots hold, each read, from `first` on.
PyObject* call_with(PyObject* function, const std::vector<PyObject*>& leading, PyObject* tuple,
                    Py_ssize_t first, PyObject* (*read_slot)(PyObject*)) {
  std::vector<Ref> owned;
  std::vector<PyObject*> arguments(leading);
  for (Py_ssize_t i = first; i < PyTuple_GET_SIZE(tuple); ++i) {
    owned.emplace_back(read_slot(PyTuple_GET_ITEM(tuple, i)));
    if (!owned.back()) return nullptr;
    arguments.push_back(owned.back().get());
  }
  return PyObject_Vectorcall(function, arguments.data(), arguments.size(), nullptr);
}

// The object, not filled yet.
PyObject* make(PyObject* twin) {
  PyObject* parts = as_twin(twin)->parts;
  switch (recipe_of(twin)) {
    case Recipe::call:
    case Recipe::method: {
      Ref callable(read(PyTuple_GET_ITEM(parts, 0)));
      return callable ? call_with(callable.get(), {}, parts, 1, read_argument) : nullptr;
    }
    case Recipe::pickled: {
      const Ref load = helper("load");
      return load ? call_with(load.get(), {}, parts, 0, read_argument) : nullptr;
    }
    case Recipe::member: {
      const Ref member = helper("member");
      return member ? call_with(member.get(), {}, parts, 0, read_argument) : nullptr;
    }
  }
  return nullptr;
}

// Makes and keeps an object; what its state needs is left on the list.
PyObject* make_and_keep(Resolved& own, PyObject* twin) {
  if (std::ranges::find(own.being_made, twin) != own.being_made.end()) {
    PyErr_SetString(PyExc_RuntimeError,
                    "a frozen value is made from arguments that contain the value itself");
    return nullptr;
  }
  if (Py_EnterRecursiveCall(" while a frozen value is read")) return nullptr;
  own.being_made.push_back(twin);
  Ref made(make(twin));
  own.being_made.pop_back();
  Py_LeaveRecursiveCall();
  if (!made) return nullptr;
  // Making it may have led to the same twin by way of other code: the first object stays.
  if (PyObject* known = own.table.object_of(twin)) return Py_NewRef(known);
  if (remember(twin, made.get()) < 0) return nullptr;
  if (own.made.size() < Resolved::kNoted && !(as_twin(twin)->flags & kUnchanging)) {
    own.made.push_back(heap_offset(twin));
  }
  if (as_twin(twin)->state) own.unfilled.push_back({twin, made.get()});
  return made.release();
}

PyObject* read_unfilled(PyObject* slot) {
  if (!is_twin(slot)) return Py_NewRef(slot);
  const FaceKind kind = reinterpret_cast<FrozenFace*>(slot)->kind;
  if (kind != FaceKind::twin && kind != FaceKind::shell) return resolve(slot);
  Resolved* const own = resolved();
  if (!own) return nullptr;
  if (PyObject* known = own->table.object_of(slot)) return Py_NewRef(known);
  return kind == FaceKind::shell ? make_from_shell(slot, read_unfilled) : make_and_keep(*own, slot);
}

// While it lives, what the table keeps may be held by nobody else, and is not let go of.
class Making {
 public:
  explicit Making(Resolved& own) : own_(own) { ++own_.making; }
  ~Making() { --own_.making; }
  Making(const Making&) = delete;
  Making& operator=(const Making&) = delete;

 private:
  Resolved& own_;
};

bool fill(const Unfilled& one) {
  // A shell is complete when all that is on the list is.
  if (reinterpret_cast<FrozenFace*>(one.twin)->kind == FaceKind::shell) return true;
  PyObject* state = as_twin(one.twin)->state;
  const Ref function = helper("fill");
  if (!function) return false;
  const Ref object = faces::borrowed(one.object);
  return static_cast<bool>(Ref(call_with(function.get(), {object.get()}, state, 0, read_unfilled)));
}

PyObject* materialise(PyObject* twin) {
  Resolved* const own = resolved();
  if (!own) return nullptr;
  const Making making(*own);
  const std::size_t base = own->unfilled.size();
  Ref made(make_and_keep(*own, twin));
  if (!made) return nullptr;
  std::vector<PyObject*> begun;
  while (own->unfilled.size() > base) {
    const Unfilled next = own->unfilled.back();
    own->unfilled.pop_back();
    begun.push_back(next.twin);
    if (fill(next)) continue;
    // None of them is complete, and who comes next is to hear the same.
    Ref error(PyErr_GetRaisedException());
    for (; own->unfilled.size() > base; own->unfilled.pop_back()) {
      begun.push_back(own->unfilled.back().twin);
    }
    for (PyObject* one : begun) unremember(one);
    PyErr_SetRaisedException(error.release());
    return nullptr;
  }
  return made.release();
}

}  // namespace

void init_twins() {
  set_materialise(FaceKind::twin, materialise);
  set_materialise(FaceKind::definition, [](PyObject* definition) {
    return Py_XNewRef(replica(reinterpret_cast<FrozenFace*>(definition)->layout));
  });
}

}  // namespace firn::heap
