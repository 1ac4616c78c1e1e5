#include "heap/errors.hpp"

#include "heap/advice.hpp"
#include "heap/tables.hpp"

namespace firn::heap {
namespace {

std::string text_of(PyObject* string) {
  std::string text = "?";
  Py_ssize_t size = 0;
  if (const char* utf8 = string ? PyUnicode_AsUTF8AndSize(string, &size) : nullptr) {
    text.assign(utf8, static_cast<std::size_t>(size));
  }
  PyErr_Clear();
  Py_XDECREF(string);
  return text;
}

std::string key_text(PyObject* key) {
  std::string text = text_of(PyObject_Repr(key));
  constexpr std::size_t longest = 80;
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  return text;
}

const char* field_name(PyObject* container, std::size_t index) {
  static const char* const range[] = {".start", ".stop", ".step"};
  if (Py_TYPE(container) == frozen_dict_type()) return ".default_factory";
  if (PyRange_Check(container) || PySlice_Check(container)) return range[index % 3];
  return ".tzinfo";
}

// One step of the path. The frame's index is already past the slot.
std::string step(const Frame& frame, const std::string& path) {
  const std::size_t at = frame.index ? frame.index - 1 : 0;
  switch (frame.role) {
    case Role::elements:
      return path + "[" + std::to_string(at) + "]";
    case Role::values:
      return path + "[" + key_text(key_at(dict_of(frame.copy), at)) + "]";
    case Role::keys:
      return "list(" + path + ")[" + std::to_string(at) + "]";
    case Role::members: {
      std::size_t before = 0;
      for (std::size_t i = 0; i < at; ++i) {
        const auto* entry = reinterpret_cast<const setentry*>(frame.slots + i * frame.stride);
        before += entry->key && entry->hash != -1;
      }
      return "list(" + path + ")[" + std::to_string(before) + "]";
    }
    case Role::field:
      return path + field_name(frame.copy, at);
    case Role::fields:
      return path + "." + text_of(Py_NewRef(layout_of(frame.copy)->name(at)));
    case Role::state:
    case Role::unbuilt:
      break;
  }
  return path;
}

void set_attribute(PyObject* error, const char* name, const std::string& text) {
  PyObject* value = PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  if (value) PyObject_SetAttrString(error, name, value);
  Py_XDECREF(value);
}

// What firn.twin_parts says of a value that it refused; nothing of another exception.
std::string reason_of(PyObject* cause) {
  if (!cause) return {};
  PyObject* lost = PyImport_ImportModuleAttrString("firn.twin_parts", "Lost");
  const bool is_lost = reinterpret_cast<PyObject*>(Py_TYPE(cause)) == lost;
  Py_XDECREF(lost);
  PyErr_Clear();
  return is_lost ? text_of(PyObject_Str(cause)) : std::string{};
}

}  // namespace

void raise_not_freezable(const InterpreterTypes& types, const std::string& root,
                         const std::vector<Frame>& frames, const Unfreezable& what,
                         PyObject* cause) {
  constexpr std::size_t most_steps = 40;
  std::string path = root;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    // A part of a value is copied while another one waits, as a table's keys while its values do:
    // the latter's frame is no step.
    if (i + 1 < frames.size() && frames[i + 1].copy == frames[i].copy) continue;
    if (i == most_steps / 2 && frames.size() > most_steps) {
      path += " ... ";
      i = frames.size() - most_steps / 2;
    }
    path = step(frames[i], path);
  }
  if (what.suffix) path += what.suffix;
  const std::string type = text_of(PyType_GetFullyQualifiedName(Py_TYPE(what.object)));
  std::string reason = what.reason ? what.reason : reason_of(cause);
  if (reason.empty()) reason = advice_for(what.object);
  const std::string message =
      path + ": cannot freeze " + type + ", and nothing has been changed. " + reason;
  PyObject* text =
      PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "replace");
  PyObject* error = text ? PyObject_CallOneArg(types.not_freezable_error, text) : nullptr;
  Py_XDECREF(text);
  if (!error) return;
  set_attribute(error, "path", path);
  set_attribute(error, "root", root);
  set_attribute(error, "type_name", type);
  if (cause) PyException_SetCause(error, Py_NewRef(cause));
  if (!PyErr_Occurred()) PyErr_SetObject(types.not_freezable_error, error);
  Py_DECREF(error);
}

void raise_no_memory() {
  PyErr_SetString(PyExc_MemoryError, "not enough memory to freeze this; nothing has been changed");
}

}  // namespace firn::heap
