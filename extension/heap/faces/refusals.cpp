// What a write to a frozen value says, and every slot and method that says it.
//
// The messages of the frozen types stand here and nowhere else.
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "heap/arena.hpp"
#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/interpreter.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/state.hpp"

namespace firn::heap {

namespace {

constexpr std::size_t shown = 3;  // names of a segment that may have very many

// 'rows', or 'rows' or 'index'.
std::string quoted(const std::vector<std::string>& names) {
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

// Whether a variable's value can lead to what was written to.
bool may_hold(PyObject* value) {
  if (in_heap(value)) {
    return faces::is_face(value) || PyTuple_CheckExact(value) || PyAnySet_CheckExact(value);
  }
  // An object of the interpreter's own for frozen data: most of those that hold nothing say so.
  return PyObject_IS_GC(value) && std::string_view(Py_TYPE(value)->tp_name) != "re.Pattern";
}

// The notebook's variables. IPython's own kind of module has them elsewhere than in itself.
faces::Ref variables() {
  PyObject* main = loaded_module("__main__");
  if (!main) return {};
  if (PyModule_CheckExact(main)) return faces::borrowed(PyModule_GetDict(main));
  faces::Ref found(PyObject_GetAttrString(main, "__dict__"));
  if (!found) PyErr_Clear();
  return found && PyDict_Check(found.get()) ? std::move(found) : faces::Ref();
}

// Those of the names that are bound to the target or to what may lead to it; all, where none is.
std::vector<std::string> holders(const std::vector<std::string>& names, const void* target) {
  std::vector<std::string> found;
  const faces::Ref space = variables();
  if (!space) return names;
  for (const std::string& name : names) {
    PyObject* value = PyDict_GetItemString(space.get(), name.c_str());
    if (value == target) return {name};
    if (value && may_hold(value)) found.push_back(name);
  }
  return found.empty() ? names : found;
}

std::string refusal(const std::optional<Description>& description, const std::string& kind) {
  if (!description || description->names.empty() || description->cell.empty()) {
    return "this " + kind + " is frozen: firn.thaw() gives a copy that can be changed.";
  }
  const std::vector<std::string>& names = description->names;
  const std::string cell = " is frozen: the %%parallel cell " + description->cell;
  const std::string frozen = names.size() == 1
                                 ? quoted(names) + cell + " shares it with the workers. "
                                 : "this " + kind + cell + " shares " + quoted(names) +
                                       ", to which it belongs, with the workers. ";
  std::string thawed, copied;
  for (std::size_t i = 0; i < names.size() && i < shown; ++i) {
    thawed += (i > 0 ? " or " : "") + names[i] + " = firn.thaw(" + names[i] + ")";
    // --copy takes variables, and not what a class or a function holds ("Cfg.d").
    if (names[i].find('.') == names[i].npos) copied += (copied.empty() ? "" : ",") + names[i];
  }
  const std::string way_out = frozen + thawed + " gives a copy that can be changed";
  if (copied.empty()) return way_out + ".";
  return way_out + "; %%parallel --copy " + copied + " leaves the notebook's own untouched.";
}

thread_local std::optional<RefusedWrite> first_refused;

PyObject* refuse(const std::string& message) {
  if (!first_refused) {
    RefusedWrite refused{message, "", 0};
    if (PyFrameObject* frame = PyEval_GetFrame()) {
      refused.line = PyFrame_GetLineNumber(frame);
      const faces::Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
      PyObject* name = reinterpret_cast<PyCodeObject*>(code.get())->co_qualname;
      if (const char* text = PyUnicode_AsUTF8(name)) {
        refused.function = text;
      } else {
        PyErr_Clear();
      }
    }
    first_refused = std::move(refused);
  }
  PyErr_SetString(PyExc_TypeError, message.c_str());
  return nullptr;
}

}  // namespace

std::optional<RefusedWrite> take_refused_write() {
  return std::exchange(first_refused, std::nullopt);
}

PyObject* refuse_write(PyObject* target) {
  std::optional<Description> description = describe_variables(target);
  if (description) description->names = holders(description->names, target);
  return refuse(refusal(description, class_name(target)));
}

PyObject* refuse_write_to(const void* memory, const char* kind) {
  return refuse(refusal(describe_variables(memory), kind));
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
