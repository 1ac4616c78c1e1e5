// Lists, dicts, sets and their kin.
#include "heap/thaw/thawer.hpp"

#include <utility>

#include "heap/set_order.hpp"
#include "heap/tables.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::thawing {

namespace {

bool is_made_at_once(PyObject* object) {
  const PyTypeObject* type = Py_TYPE(object);
  return type == &PyLong_Type || type == &PyFloat_Type || type == &PyUnicode_Type ||
         type == &PyBytes_Type || is_static(object);
}

PyObject*& value_at(PyObject* mapping, Py_ssize_t i) {
  auto* dict = reinterpret_cast<PyDictObject*>(mapping);
  if (dict->ma_values) return dict->ma_values->values[i];
  return DK_UNICODE_ENTRIES(dict->ma_keys)[i].me_value;
}

// A key whose own elements lead back to its dict or set is put in before it has them all: it cannot
// be hashed yet, as pickle cannot either.
void check_complete(PyObject* key) {
  if (!PyTuple_CheckExact(key)) return;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) {
    PyObject* const item = PyTuple_GET_ITEM(key, i);
    if (!item) {
      PyErr_SetString(PyExc_TypeError,
                      "a tuple that leads back to the dict or set that it is a key of cannot be "
                      "copied: it would have to be hashed before it is complete");
      throw Failed{};
    }
    if (PyTuple_CheckExact(item)) check_complete(item);
  }
}

}  // namespace

PyObject* Thawer::make_list(PyObject** items, Py_ssize_t size) {
  PyObject* made = check(PyList_New(size));
  return push_slots(made, items, reinterpret_cast<PyListObject*>(made)->ob_item, size);
}

// The first elements are made at once, up to one that may need a step of its own.
PyObject* Thawer::make_tuple(PyObject** items, Py_ssize_t size) {
  PyObject* made = check(PyTuple_New(size));
  PyObject** slots = reinterpret_cast<PyTupleObject*>(made)->ob_item;
  Py_ssize_t done = 0;
  try {
    for (; done < size && is_made_at_once(items[done]); ++done) slots[done] = convert(items[done]);
  } catch (...) {
    Py_DECREF(made);
    throw;
  }
  if (done < size) return push_slots(made, items, slots, size, done);
  // As the collector does when it first meets a tuple like this.
  if (size) PyObject_GC_UnTrack(made);
  return made;
}

PyObject* Thawer::make_sequence(PyObject* object) {
  const auto* list = reinterpret_cast<FrozenList*>(object);
  if (list->kind == FaceKind::list) {
    return make_list(reinterpret_cast<PyTupleObject*>(list->items)->ob_item,
                     PyTuple_GET_SIZE(list->items));
  }
  PyObject* maxlen = convert(reinterpret_cast<FrozenFace*>(object)->extra);
  PyObject* arguments[] = {PyTuple_New(0), maxlen};
  PyObject* made =
      PyObject_Vectorcall(reinterpret_cast<PyObject*>(types_.deque), arguments, 2, nullptr);
  Py_DECREF(maxlen);
  return push({list->items, check(made), Fill::deque});
}

PyObject* Thawer::make_mapping(PyObject* object) {
  const auto* mapping = reinterpret_cast<FrozenDict*>(object);
  PyObject* made = nullptr;
  switch (mapping->kind) {
    case FaceKind::ordered_dict:
      made = PyODict_New();
      break;
    case FaceKind::default_dict: {
      PyObject* factory = check(read(reinterpret_cast<FrozenFace*>(object)->extra));
      made = PyObject_CallOneArg(reinterpret_cast<PyObject*>(types_.default_dict), factory);
      Py_DECREF(factory);
      break;
    }
    case FaceKind::counter: {
      // Not by calling it: its __init__ is Python code.
      PyObject* no_arguments = PyTuple_New(0);
      made = types_.counter->tp_new(types_.counter, no_arguments, nullptr);
      break;
    }
    default:
      if (!transfer_ && !(mapping->flags & kKeyedByTwins)) return copy_table(mapping->mapping);
      made = PyDict_New();
  }
  return push({mapping->mapping, check(made), Fill::dict});
}

// A dict whose keys are strings, which stay: its table is copied whole, and what is mutable among
// its values exchanged there.
PyObject* Thawer::copy_table(PyObject* mapping) {
  const PyDictKeysObject* keys = reinterpret_cast<PyDictObject*>(mapping)->ma_keys;
  if (!DK_IS_UNICODE(keys)) return push({mapping, check(PyDict_New()), Fill::dict});
  PyObject* made = check(PyDict_Copy(mapping));
  auto* copy = reinterpret_cast<PyDictObject*>(made);
  const bool same_places = copy->ma_keys->dk_nentries == keys->dk_nentries &&
                           DK_IS_UNICODE(copy->ma_keys) &&
                           !copy->ma_values == !reinterpret_cast<PyDictObject*>(mapping)->ma_values;
  if (!same_places) {
    Py_DECREF(made);
    return push({mapping, check(PyDict_New()), Fill::dict});
  }
  if (!PyObject_GC_IsTracked(made)) PyObject_GC_Track(made);
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    PyObject* value = value_at(mapping, i);
    if (!value || is_static(value) || (is_leaf(Py_TYPE(value)) && in_lasting(value))) continue;
    Step step{mapping, made, Fill::values};
    step.at = i;
    step.count = keys->dk_nentries;
    return push(step);
  }
  return made;
}

bool Thawer::fill_values(std::size_t depth) {
  while (steps_.back().at < steps_.back().count) {
    Step& step = steps_.back();
    const Py_ssize_t at = step.at++;
    PyObject* value = value_at(step.source, at);
    if (!value) continue;
    PyObject* dict = step.made;
    PyObject* made = convert(value);
    // The copy refers to the frozen value, which counts nothing. Hashing a key of another dict
    // may have run code that found this one and changed it: then it stays as that code left it.
    auto* copy = reinterpret_cast<PyDictObject*>(dict);
    const bool untouched = at < copy->ma_keys->dk_nentries && DK_IS_UNICODE(copy->ma_keys) &&
                           value_at(dict, at) == value;
    if (untouched) {
      value_at(dict, at) = made;
    } else {
      snapshots_.push_back(made);
    }
    if (steps_.size() != depth) return false;
  }
  return true;
}

bool Thawer::fill_list(std::size_t depth) {
  while (steps_.back().at < PyTuple_GET_SIZE(steps_.back().source)) {
    Step& step = steps_.back();
    PyObject* list = step.made;
    PyObject* made = convert(PyTuple_GET_ITEM(step.source, step.at++));
    const int status = PyList_Append(list, made);
    Py_DECREF(made);  // the list holds it
    if (status < 0) throw Failed{};
    if (steps_.size() != depth) return false;
  }
  return true;
}

bool Thawer::fill_deque(std::size_t depth) {
  while (steps_.back().at < PyTuple_GET_SIZE(steps_.back().source)) {
    Step& step = steps_.back();
    PyObject* deque = step.made;
    PyObject* made = convert(PyTuple_GET_ITEM(step.source, step.at++));
    PyObject* none = append_ ? PyObject_CallMethodOneArg(deque, append_, made) : nullptr;
    Py_DECREF(made);  // the deque holds it
    Py_DECREF(check(none));
    if (steps_.size() != depth) return false;
  }
  return true;
}

bool Thawer::fill_dict(std::size_t depth) {
  while (true) {
    if (!steps_.back().pending) {
      Step& step = steps_.back();
      PyObject *key = nullptr, *value = nullptr;
      if (!PyDict_Next(step.source, &step.at, &key, &value)) return true;
      step.value = value;
      PyObject* made = convert(key, true);
      steps_[depth - 1].pending = made;
      if (steps_.size() != depth) return false;
    }
    PyObject* key = steps_.back().pending;
    check_complete(key);
    PyObject* dict = steps_.back().made;
    PyObject* value = convert(steps_.back().value);
    steps_[depth - 1].pending = nullptr;
    const int status = Py_TYPE(dict) == &PyODict_Type ? PyODict_SetItem(dict, key, value)
                                                      : set_item_in_new_dict(dict, key, value);
    Py_DECREF(key);
    Py_DECREF(value);
    if (status < 0) throw Failed{};
    if (steps_.size() != depth) return false;
  }
}

bool Thawer::fill_set(std::size_t depth) {
  while (true) {
    if (!steps_.back().pending) {
      Step& step = steps_.back();
      PyObject* member = nullptr;
      Py_hash_t hash = 0;
      if (!_PySet_NextEntry(step.source, &step.at, &member, &hash)) {
        take_order(reinterpret_cast<PySetObject*>(step.made),
                   reinterpret_cast<PySetObject*>(step.source));
        return true;
      }
      PyObject* made = convert(member, true);
      steps_[depth - 1].pending = made;
      if (steps_.size() != depth) return false;
    }
    Step& step = steps_.back();
    check_complete(step.pending);
    PyObject* member = std::exchange(step.pending, nullptr);
    const int status = PySet_Add(step.made, member);
    Py_DECREF(member);
    if (status < 0) throw Failed{};
  }
}

}  // namespace firn::heap::thawing
