// What a write to a frozen value says, and every slot and method that says it.
//
// The messages of the frozen types stand here and nowhere else.
#include <string>

#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/state.hpp"

namespace firn::heap {

namespace {

// 'rows', or 'rows' and 'index'; a segment of very many names shows the first three.
std::string quoted(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 3;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < shown; i++) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += "'" + names[i] + "'";
  }
  if (names.size() > shown) text += " ...";
  return text;
}

std::string class_name(PyObject* target) {
  if (!faces::is_face(target)) return Py_TYPE(target)->tp_name;
  if (records::is_record(target)) {
    const std::string name = name_of_definition(layout_of(target)->definition).qualname;
    return name.substr(name.rfind('.') + 1);
  }
  switch (faces::kind_of(target)) {
    case FaceKind::list:
      return "list";
    case FaceKind::dict:
      return "dict";
    case FaceKind::set:
      return "set";
    case FaceKind::deque:
      return "deque";
    case FaceKind::ordered_dict:
      return "OrderedDict";
    case FaceKind::default_dict:
      return "defaultdict";
    case FaceKind::counter:
      return "Counter";
    default:
      return "value";
  }
}

// The variables among the names: what was frozen without a name of its own has words for one.
std::optional<Description> describe_variables(const void* target) {
  std::optional<Description> description = describe(target);
  if (description) {
    std::erase_if(description->names,
                  [](const std::string& name) { return name.find(' ') != name.npos; });
  }
  return description;
}

std::string refusal(const void* target, const std::string& kind) {
  const std::optional<Description> description = describe_variables(target);
  if (!description || description->names.empty() || description->cell.empty()) {
    return "this " + kind + " is frozen: firn.thaw() gives a copy that can be changed.";
  }
  const std::string& name = description->names[0];
  const std::string frozen = description->names.size() == 1
                                 ? quoted(description->names) + " is frozen: the %%parallel cell " +
                                       description->cell + " shares it with the workers. "
                                 : "this " + kind + " is frozen: the %%parallel cell " +
                                       description->cell + " shares " + quoted(description->names) +
                                       ", to which it belongs, with the workers. ";
  return frozen + name + " = firn.thaw(" + name +
         ") gives a copy that can be changed; %%parallel --copy " + name +
         " leaves the notebook's own untouched.";
}

}  // namespace

PyObject* refuse_write(PyObject* target) {
  PyErr_SetString(PyExc_TypeError, refusal(target, class_name(target)).c_str());
  return nullptr;
}

PyObject* refuse_write_to(const void* memory, const char* kind) {
  PyErr_SetString(PyExc_TypeError, refusal(memory, kind).c_str());
  return nullptr;
}

namespace faces {

PyObject* refuse_method(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  return refuse_write(self);
}

PyObject* refuse_binary(PyObject* self, PyObject*) { return refuse_write(self); }
PyObject* refuse_repeat(PyObject* self, Py_ssize_t) { return refuse_write(self); }

int refuse_item(PyObject* self, Py_ssize_t, PyObject*) {
  refuse_write(self);
  return -1;
}

int refuse_key(PyObject* self, PyObject*, PyObject*) {
  refuse_write(self);
  return -1;
}

int refuse_attribute(PyObject* self, PyObject*, PyObject*) {
  refuse_write(self);
  return -1;
}

int refuse_init(PyObject* self, PyObject*, PyObject*) {
  refuse_write(self);
  return -1;
}

Py_hash_t refuse_hash(PyObject* self) {
  const std::string name = class_name(self);
  const FaceKind kind = kind_of(self);
  const bool from_collections = kind > FaceKind::set && kind != FaceKind::counter;
  PyErr_Format(PyExc_TypeError, "unhashable type: '%s%s'", from_collections ? "collections." : "",
               name.c_str());
  return -1;
}

}  // namespace faces
}  // namespace firn::heap
