// What every interpreter makes its own object of is made again, from parts and a state that have
// been thawed with the rest of the graph: so what they share with it stays shared.
#include "heap/thaw/thawer.hpp"

#include <utility>

#include "heap/faces/faces.hpp"
#include "heap/twins/recipes.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::thawing {

using faces::Ref;

// A twin whose arguments are being thawed.
struct Thawer::Making {
  explicit Making(PyObject* the_twin) : twin(the_twin) {}
  PyObject* twin;
  std::vector<Ref> parts;
  bool ready = false;  // all parts are there, though they may not be complete
  Ref made{nullptr};
};

PyObject* Thawer::make_twin(PyObject* object) {
  switch (reinterpret_cast<FrozenFace*>(object)->kind) {
    case FaceKind::shell:
      return make_shell(object);
    case FaceKind::twin: {
      // A method never changes, but its object does.
      const bool own = reinterpret_cast<FrozenTwin*>(object)->flags & kUnchanging &&
                       recipe_of(object) != Recipe::method;
      return own ? check(resolve(object)) : make_from_parts(object);
    }
    default:
      return check(resolve(object));
  }
}

PyObject* Thawer::make_from_parts(PyObject* twin) {
  for (Making* making : being_made_) {
    if (making->twin != twin) continue;
    // A cycle through its arguments: they are as complete as they can be.
    if (!making->ready) {
      PyErr_SetString(PyExc_RuntimeError,
                      "a frozen value is made from arguments that contain the value itself");
      throw Failed{};
    }
    if (!making->made) call(*making);
    return Py_NewRef(making->made.get());
  }
  if (Py_EnterRecursiveCall(" while a frozen value is thawed")) throw Failed{};
  Making making(twin);
  struct Leave {
    std::vector<Making*>& being_made;
    ~Leave() {
      being_made.pop_back();
      Py_LeaveRecursiveCall();
    }
  };
  being_made_.push_back(&making);
  const Leave leave{being_made_};
  const std::size_t left = steps_.size();
  PyObject* parts = reinterpret_cast<FrozenTwin*>(twin)->parts;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts); ++i)
    making.parts.emplace_back(convert(PyTuple_GET_ITEM(parts, i)));
  making.ready = true;
  run(left);
  if (!making.made) call(making);
  return making.made.release();
}

// Makes the object, and leaves its state to a step.
void Thawer::call(Making& making) {
  std::vector<PyObject*> arguments;
  for (const Ref& part : making.parts) arguments.push_back(part.get());
  if (recipe_of(making.twin) == Recipe::pickled) {
    const Ref load(check(PyImport_ImportModuleAttrString("firn.twins", "load_to_change")));
    making.made =
        Ref(check(PyObject_Vectorcall(load.get(), arguments.data(), arguments.size(), nullptr)));
  } else {
    making.made = Ref(check(
        PyObject_Vectorcall(arguments[0], arguments.data() + 1, arguments.size() - 1, nullptr)));
  }
  PyObject* state = reinterpret_cast<FrozenTwin*>(making.twin)->state;
  if (!state) return;
  const Py_ssize_t size = PyTuple_GET_SIZE(state);
  Ref values(check(PyTuple_New(size + 1)));
  PyTuple_SET_ITEM(values.get(), 0, Py_NewRef(making.made.get()));
  PyTuple_SET_ITEM(values.get(), 1, check(read(PyTuple_GET_ITEM(state, 0))));  // the plan
  Step step{making.twin, making.made.get(), Fill::state};
  step.at = 1;
  step.count = size;
  steps_.push_back(step);
  steps_.back().pending = values.release();
}

bool Thawer::fill_state(std::size_t depth) {
  PyObject* state = reinterpret_cast<FrozenTwin*>(steps_.back().source)->state;
  PyObject* values = steps_.back().pending;
  while (steps_.back().at < steps_.back().count) {
    const Py_ssize_t at = steps_.back().at++;
    PyTuple_SET_ITEM(values, at + 1, convert(PyTuple_GET_ITEM(state, at)));
    if (steps_.size() != depth) return false;
  }
  const Ref arguments(std::exchange(steps_.back().pending, nullptr));
  const Ref fill(check(PyImport_ImportModuleAttrString("firn.twins", "fill")));
  Py_DECREF(check(PyObject_CallObject(fill.get(), arguments.get())));
  return true;
}

// ---- shells ----

PyObject* Thawer::make_shell(PyObject* shell) {
  const auto* face = reinterpret_cast<FrozenFace*>(shell);
  auto* type = reinterpret_cast<PyTypeObject*>(face->extra);
  PyObject** items = reinterpret_cast<PyTupleObject*>(face->inner)->ob_item;
  const Py_ssize_t size = PyTuple_GET_SIZE(face->inner);
  if (type == &PyTuple_Type) {
    PyObject* made = check(PyTuple_New(size));
    return push_slots(made, items, reinterpret_cast<PyTupleObject*>(made)->ob_item, size);
  }
  if (type == &PySlice_Type) {
    PyObject* made = check(PySlice_New(nullptr, nullptr, nullptr));
    return push_slots(made, items, &reinterpret_cast<PySliceObject*>(made)->start, size);
  }
  if (type == &PyFrozenSet_Type)
    return push({face->inner, check(PyFrozenSet_New(nullptr)), Fill::members});
  return push({face->inner, check(new_builtin_frozendict()), Fill::entries});
}

// The next element of a set or key of a dict, which waits in its step until it is filled itself.
Thawer::Part Thawer::begin_part(std::size_t depth) {
  Step& step = steps_.back();
  if (step.pending) return Part::ready;
  if (step.at == PyTuple_GET_SIZE(step.source)) return Part::none;
  PyObject* made = convert(PyTuple_GET_ITEM(step.source, step.at++), true);  // moves the steps
  steps_[depth - 1].pending = made;
  return steps_.size() == depth ? Part::ready : Part::deeper;
}

bool Thawer::fill_members(std::size_t depth) {
  while (true) {
    if (const Part part = begin_part(depth); part != Part::ready) return part == Part::none;
    const Ref member(std::exchange(steps_.back().pending, nullptr));
    if (PySet_Add(steps_.back().made, member.get()) < 0) throw Failed{};
  }
}

bool Thawer::fill_entries(std::size_t depth) {
  while (true) {
    if (const Part part = begin_part(depth); part != Part::ready) return part == Part::none;
    Step& step = steps_.back();
    PyObject* dict = step.made;
    const Ref key(std::exchange(step.pending, nullptr));
    const Ref value(convert(PyTuple_GET_ITEM(step.source, step.at++)));
    if (set_item_in_new_dict(dict, key.get(), value.get()) < 0) throw Failed{};
    if (steps_.size() != depth) return false;
  }
}

}  // namespace firn::heap::thawing
