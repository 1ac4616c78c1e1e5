#include "heap/records/rounds.hpp"

#include <new>
#include <utility>

#include "heap/buffers/frozen.hpp"
#include "heap/crew.hpp"
#include "heap/twins/make_twin.hpp"

namespace firn::heap {

PythonPart::~PythonPart() {
  Py_XDECREF(cause);
  for (PyObject* object : held_) Py_DECREF(object);
}

void PythonPart::hold(PyObject* object) {
  held_.push_back(object);
  Py_INCREF(object);
}

void PythonPart::hold(Memo& memo) {
  memo.visit_new([this](const void* key) { hold(static_cast<PyObject*>(const_cast<void*>(key))); });
}

void PythonPart::make_ready(PyObject* original) {
  if (is_ready(original)) return;
  hold(original);
  ready_.insert(original, original);
  PyObject* name = PyUnicode_InternFromString("__pre_freeze__");
  PyObject* hook = name ? PyObject_GetAttr(original, name) : nullptr;
  Py_XDECREF(name);
  PyObject* result = hook ? PyObject_CallNoArgs(hook) : nullptr;
  Py_XDECREF(hook);
  if (!result) throw Raised{};
  Py_DECREF(result);
}

void PythonPart::reduce(PyObject* original) {
  if (reduced(original)) return;
  hold(original);
  if (PyObject* made = reduce_for_twin(original)) {
    held_.push_back(made);
    reduced_.insert(original, made);
    return;
  }
  const bool about_the_value =
      PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_MemoryError);
  if (!about_the_value) throw Raised{};
  Py_XSETREF(cause, PyErr_GetRaisedException());
  throw Unfreezable{original, nullptr};
}

void run_rounds(Freezing& freezing, Copier& main, Crew& crew) {
  // Each round is a level of values that need Python inside such values. A `__reduce_ex__` that
  // returns ever new instances has no last one.
  constexpr std::size_t most_rounds = 100'000;
  std::size_t rounds = 0;
  while (!main.deferred().empty()) {
    std::vector<Deferred> todo;
    todo.swap(main.deferred());
    bool python = false;
    for (const Deferred& value : todo) {
      const Plan* plan = freezing.plans.make(Py_TYPE(value.original));
      python |= plan->pre_freeze || needs_python(*plan);
    }
    if (python && !freezing.looking) {
      if (++rounds > most_rounds) {
        PyErr_SetString(PyExc_RecursionError,
                        "values that are reduced for pickling lie 100,000 deep in each other: does "
                        "a __reduce_ex__ return new instances without end?");
        Py_XSETREF(freezing.python.cause, PyErr_GetRaisedException());
        throw Unfreezable{todo.front().original, nullptr};
      }
      freezing.python.hold(freezing.memo);
      const std::size_t held = freezing.originals.size();
      crew.gather_originals(main);
      for (std::size_t i = held; i < freezing.originals.size(); ++i)
        freezing.python.hold(freezing.originals[i].second);
      for (const Deferred& value : todo) freezing.python.hold(value.original);
      for (const Deferred& value : todo) {
        if (freezing.plans.make(Py_TYPE(value.original))->pre_freeze)
          freezing.python.make_ready(value.original);
      }
      for (const Deferred& value : todo) {
        if (needs_python(*freezing.plans.make(Py_TYPE(value.original))))
          freezing.python.reduce(value.original);
      }
      freezing.has_twins = true;
      buffers::copy_blocks(freezing, main, todo);
      main.forget_sources();
      for (const auto& helper : crew.helpers()) helper->forget_sources();
    }
    freezing.has_twins |= freezing.looking;
    crew.fill(main, todo);
    if (freezing.looking)
      main.deferred().clear();  // what was not asked for before is not the culprit
  }
}

}  // namespace firn::heap
