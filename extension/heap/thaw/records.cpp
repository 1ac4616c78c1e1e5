// Real instances, whose classes run no code.
#include "heap/thaw/thawer.hpp"

#include "heap/records/state.hpp"

namespace firn::heap::thawing {

// A real instance; its class runs no code.
PyObject* Thawer::make_record(PyObject* object) {
  const records::Maker* maker = records::Maker::of(object);
  if (!maker) throw Failed{};
  auto* record = reinterpret_cast<FrozenRecord*>(object);
  PyObject* inner = record->inner;
  const FaceKind kind = record->kind;
  const Py_ssize_t items = kind == FaceKind::tuple_record ? PyTuple_GET_SIZE(inner) : 0;
  PyObject* made = check(maker->make_empty(items));
  const auto count = static_cast<Py_ssize_t>(maker->layout().count);
  Py_ssize_t at = 0;
  for (; at < count; ++at) {  // what stays as it is needs no step
    PyObject* value = record->fields[at];
    if (!value) continue;
    if (transfer_ || !(is_static(value) || (is_leaf(Py_TYPE(value)) && in_lasting(value)))) break;
    if (maker->set_field(made, static_cast<std::size_t>(at), value) < 0) {
      Py_DECREF(made);
      throw Failed{};
    }
  }
  if (at < count) {
    Step step{object, made, Fill::fields};
    step.maker = maker;
    step.at = at;
    push(step);
  }
  switch (kind) {
    case FaceKind::tuple_record:
      return push_slots(made, reinterpret_cast<PyTupleObject*>(inner)->ob_item,
                        reinterpret_cast<PyTupleObject*>(made)->ob_item, items);
    case FaceKind::list_record:
      return push({inner, made, Fill::list});
    case FaceKind::dict_record:
      return push({inner, made, Fill::dict});
    case FaceKind::set_record:
      return push({inner, made, Fill::set});
    default:
      return made;
  }
}

bool Thawer::fill_fields(std::size_t depth) {
  const auto* record = reinterpret_cast<FrozenRecord*>(steps_.back().source);
  const records::Maker& maker = *steps_.back().maker;
  const Layout& layout = maker.layout();
  const auto count = static_cast<Py_ssize_t>(layout.count);
  while (steps_.back().at < count) {
    Step& step = steps_.back();
    const Py_ssize_t at = step.at++;
    PyObject* child = record->fields[at];
    if (!child) continue;
    PyObject* instance = step.made;
    PyObject* made = convert(child);
    int status;
    if (layout.whole_dict && at + 1 == count) {
      status = PyObject_GenericSetDict(instance, made, nullptr);
      Py_DECREF(made);
    } else {
      status = maker.set_field(instance, static_cast<std::size_t>(at), made);
    }
    if (status < 0) throw Failed{};
    if (steps_.size() != depth) return false;
  }
  return true;
}

}  // namespace firn::heap::thawing
