#include "heap/records/builtin_methods.hpp"

#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "heap/faces/faces.hpp"
#include "heap/records/attributes.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap::records {

using faces::Ref;

namespace {

ternaryfunc call_wrapper = nullptr;
descrgetfunc bind_wrapper = nullptr;
descrgetfunc bind_method = nullptr;

// How methods are called, by their conventions: CPython has one function for each.
constexpr std::size_t kConventions = 8;
std::array<vectorcallfunc, kConventions> conventions{};

bool changes_self(std::string_view name) {
  static constexpr std::string_view all[] = {
      "append",
      "extend",
      "insert",
      "pop",
      "remove",
      "clear",
      "reverse",
      "sort",
      "update",
      "setdefault",
      "popitem",
      "add",
      "discard",
      "__setitem__",
      "__delitem__",
      "__iadd__",
      "__imul__",
      "__ior__",
      "__iand__",
      "__isub__",
      "__ixor__",
      "__init__",
      "__setattr__",
      "__delattr__",
      "__setstate__",
      "difference_update",
      "intersection_update",
      "symmetric_difference_update",
  };
  for (const std::string_view one : all) {
    if (one == name) return true;
  }
  return false;
}

using Arguments = std::pair<PyObject* const*, Py_ssize_t>;  // without self

// What a descriptor does for an instance of its own type.
class Original {
 public:
  Original(PyObject* descriptor, vectorcallfunc convention, PyObject* keywords)
      : descriptor_(descriptor), convention_(convention), keywords_(keywords) {}

  // `keywords_` names the last of the arguments.
  PyObject* operator()(PyObject* self, Arguments given) const {
    const Py_ssize_t named = keywords_ ? PyTuple_GET_SIZE(keywords_) : 0;
    std::vector<PyObject*> all{self};
    all.insert(all.end(), given.first, given.first + given.second + named);
    if (convention_) {
      return convention_(descriptor_, all.data(), static_cast<std::size_t>(given.second + 1),
                         keywords_);
    }
    Ref positional(PyTuple_New(given.second + 1));
    Ref by_name(named ? PyDict_New() : nullptr);
    if (!positional || (named && !by_name)) return nullptr;
    for (Py_ssize_t i = 0; i <= given.second; i++) {
      PyTuple_SET_ITEM(positional.get(), i, Py_NewRef(all[static_cast<std::size_t>(i)]));
    }
    for (Py_ssize_t i = 0; i < named; i++) {
      PyObject* value = all[static_cast<std::size_t>(given.second + 1 + i)];
      if (PyDict_SetItem(by_name.get(), PyTuple_GET_ITEM(keywords_, i), value) < 0) return nullptr;
    }
    return call_wrapper(descriptor_, positional.get(), by_name.get());
  }

 private:
  PyObject* descriptor_;
  vectorcallfunc convention_;  // nullptr: of a slot's wrapper
  PyObject* keywords_;
};

PyObject* answer_as_object(const Original& original, std::string_view name, PyObject* self,
                           Arguments given) {
  if (name == "__repr__") return plain_text(self);
  if (name == "__getattribute__" && given.second == 1) {
    return get_attribute_without_hook(self, given.first[0]);
  }
  if (name == "__setattr__" || name == "__delattr__") return refuse_write(self);
  if (name == "__format__" && given.second == 1 && PyUnicode_Check(given.first[0])) {
    if (PyUnicode_GET_LENGTH(given.first[0]) == 0) return PyObject_Str(self);
    PyTypeObject* type = type_of(self);
    if (type) {
      PyErr_Format(PyExc_TypeError, "unsupported format string passed to %.200s.__format__",
                   type->tp_name);
    }
    return nullptr;
  }
  if (name == "__init__") {
    if (given.second > 0) return refuse_write(self);
    Py_RETURN_NONE;
  }
  if (name == "__reduce_ex__" || name == "__reduce__" || name == "__getstate__" ||
      name == "__dir__" || name == "__sizeof__") {
    Ref instance(shallow_instance(self));
    return instance ? original(instance.get(), given) : nullptr;
  }
  return original(self, given);
}

PyObject* answer(PyObject* descriptor, const Original& original, PyObject* self, Arguments given,
                 PyObject* keywords) {
  const char* text = PyUnicode_AsUTF8(PyDescr_NAME(descriptor));
  if (!text) return nullptr;
  const std::string_view name = text;
  const PyTypeObject* of = PyDescr_TYPE(descriptor);
  if (of == &PyBaseObject_Type) return answer_as_object(original, name, self, given);
  PyTypeObject* type = type_of(self);
  if (!type) return nullptr;
  if (!PyType_IsSubtype(type, const_cast<PyTypeObject*>(of))) return original(self, given);
  if (changes_self(name)) return refuse_write(self);
  if (!keywords) {
    if (given.second == 0 && name == "__len__") {
      const Py_ssize_t size = container_length(self);
      return size < 0 ? nullptr : PyLong_FromSsize_t(size);
    }
    if (given.second == 0 && name == "__iter__") return container_iterator(self);
    if (given.second == 0 && name == "__repr__") return container_text(self);
    if (given.second == 1 && name == "__getitem__") return container_item(self, given.first[0]);
    if (given.second == 1 && name == "__contains__") {
      const int found = container_contains(self, given.first[0]);
      return found < 0 ? nullptr : PyBool_FromLong(found);
    }
  }
  // The frozen container's own method, which reads the record as it reads its like.
  if (as_record(self)->kind != FaceKind::tuple_record && of != &PyFrozenSet_Type &&
      Py_IS_TYPE(self, face_type(as_record(self)->kind)) &&
      Py_IS_TYPE(descriptor, &PyMethodDescr_Type) && !name.starts_with("__")) {
    Ref members(PyType_GetDict(Py_TYPE(self)));
    PyObject* own =
        members ? PyDict_GetItemWithError(members.get(), PyDescr_NAME(descriptor)) : nullptr;
    if (own && Py_IS_TYPE(own, &PyMethodDescr_Type)) {
      std::vector<PyObject*> all{self};
      const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
      all.insert(all.end(), given.first, given.first + given.second + named);
      return PyObject_Vectorcall(own, all.data(), static_cast<std::size_t>(given.second + 1),
                                 keywords);
    }
    if (PyErr_Occurred()) return nullptr;
  }
  Ref plain(plain_container(self));
  return plain ? original(plain.get(), given) : nullptr;
}

template <std::size_t convention>
PyObject* call_method(PyObject* descriptor, PyObject* const* arguments, std::size_t flags,
                      PyObject* keywords) {
  const Py_ssize_t given = PyVectorcall_NARGS(flags);
  if (given > 0 && is_record(arguments[0])) [[unlikely]] {
    return answer(descriptor, Original(descriptor, conventions[convention], keywords), arguments[0],
                  {arguments + 1, given - 1}, keywords);
  }
  return conventions[convention](descriptor, arguments, flags, keywords);
}

template <std::size_t... all>
constexpr std::array<vectorcallfunc, kConventions> make_routed(std::index_sequence<all...>) {
  return {call_method<all>...};
}
constexpr std::array<vectorcallfunc, kConventions> routed =
    make_routed(std::make_index_sequence<kConventions>());

// A slot's wrapper, as list.__len__ (hazard 16).
PyObject* call_taught_wrapper(PyObject* descriptor, PyObject* arguments, PyObject* keywords) {
  if (PyTuple_GET_SIZE(arguments) > 0 && is_record(PyTuple_GET_ITEM(arguments, 0)) &&
      (!keywords || PyDict_GET_SIZE(keywords) == 0)) [[unlikely]] {
    PyObject* const* all = reinterpret_cast<PyTupleObject*>(arguments)->ob_item;
    return answer(descriptor, Original(descriptor, nullptr, nullptr), all[0],
                  {all + 1, PyTuple_GET_SIZE(arguments) - 1}, nullptr);
  }
  return call_wrapper(descriptor, arguments, keywords);
}

PyObject* bind_taught_wrapper(PyObject* descriptor, PyObject* object, PyObject* type) {
  if (object && is_record(object)) [[unlikely]]
    return PyMethod_New(descriptor, object);
  return bind_wrapper(descriptor, object, type);
}

PyObject* bind_taught_method(PyObject* descriptor, PyObject* object, PyObject* type) {
  if (object && is_record(object)) [[unlikely]]
    return PyMethod_New(descriptor, object);
  return bind_method(descriptor, object, type);
}

// What `format % values` gives where C's look at the type misleads it: the strings take a tuple
// apart, and know a named tuple by its C type; and what has no items of its own is a single value,
// though its C type has them. Any other value as it is.
Ref values_to_format(PyObject* values) {
  switch (faces::kind_of(values)) {
    case FaceKind::tuple_record:
      return Ref(plain_container(values));
    case FaceKind::set:
    case FaceKind::deque:
      return Ref(PyTuple_Pack(1, values));
    case FaceKind::record:
    case FaceKind::set_record: {
      const Origin items = find(values, Special::getitem_).origin;
      if (items == Origin::unknown) return Ref();
      return items == Origin::absent ? Ref(PyTuple_Pack(1, values)) : faces::borrowed(values);
    }
    default:
      return faces::borrowed(values);
  }
}

template <PyTypeObject* strings>
binaryfunc format_original = nullptr;

template <PyTypeObject* strings>
PyObject* format_taught(PyObject* format, PyObject* values) {
  if (faces::is_face(values)) [[unlikely]] {
    const Ref given = values_to_format(values);
    return given ? format_original<strings>(format, given.get()) : nullptr;
  }
  return format_original<strings>(format, values);
}

template <PyTypeObject* strings>
void teach_formatting() {
  format_original<strings> = strings->tp_as_number->nb_remainder;
  strings->tp_as_number->nb_remainder = format_taught<strings>;
}

template <typename Visit>
int for_each_method(PyTypeObject* type, Visit&& visit) {
  Ref members(PyType_GetDict(type));
  if (!members) return -1;
  PyObject *name, *member;
  for (Py_ssize_t at = 0; PyDict_Next(members.get(), &at, &name, &member);) {
    if (Py_IS_TYPE(member, &PyMethodDescr_Type)) {
      visit(reinterpret_cast<PyMethodDescrObject*>(member));
    }
  }
  return 0;
}

PyTypeObject* const taught_types[] = {&PyBaseObject_Type, &PyList_Type,  &PyDict_Type,
                                      &PySet_Type,        &PyTuple_Type, &PyFrozenSet_Type};

}  // namespace

int teach_descriptors() {
  std::size_t known = 0;
  for (PyTypeObject* type : taught_types) {
    const int status = for_each_method(type, [&](PyMethodDescrObject* method) {
      for (std::size_t i = 0; i < known; i++) {
        if (conventions[i] == method->vectorcall) return;
      }
      if (known < kConventions) conventions[known++] = method->vectorcall;
    });
    if (status < 0) return -1;
  }
  call_wrapper = PyWrapperDescr_Type.tp_call;
  bind_wrapper = PyWrapperDescr_Type.tp_descr_get;
  bind_method = PyMethodDescr_Type.tp_descr_get;
  PyWrapperDescr_Type.tp_call = call_taught_wrapper;
  PyWrapperDescr_Type.tp_descr_get = bind_taught_wrapper;
  PyMethodDescr_Type.tp_descr_get = bind_taught_method;
  teach_formatting<&PyUnicode_Type>();
  teach_formatting<&PyBytes_Type>();
  return 0;
}

int route_builtin_methods(PyTypeObject* type) {
  PyTypeObject* base = base_of(type);
  for (PyTypeObject* taught : {base, &PyBaseObject_Type}) {
    const int status = for_each_method(taught, [](PyMethodDescrObject* method) {
      for (std::size_t i = 0; i < kConventions && conventions[i]; i++) {
        if (method->vectorcall == conventions[i]) {
          method->vectorcall = routed[i];
          return;
        }
      }
    });
    if (status < 0) return -1;
  }
  return 0;
}

PyObject* plain_text(PyObject* record) {
  PyTypeObject* type = type_of(record);
  if (!type) return nullptr;
  Ref module(PyType_GetModuleName(type));
  if (!module) PyErr_Clear();
  Ref name(PyType_GetQualName(type));
  if (!name) return nullptr;
  if (module && PyUnicode_Check(module.get()) && !PyUnicode_EqualToUTF8(module.get(), "builtins")) {
    return PyUnicode_FromFormat("<%U.%U object at %p>", module.get(), name.get(), record);
  }
  return PyUnicode_FromFormat("<%s object at %p>", type->tp_name, record);
}

}  // namespace firn::heap::records
