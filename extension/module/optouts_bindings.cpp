// What PEP 795 calls escape hatches: shared fields, and objects that say whether they may be
// frozen.
#include <pybind11/stl.h>

#include <marshal.h>

#include <optional>
#include <string>
#include <vector>

#include "heap/heap.hpp"
#include "heap/optouts.hpp"
#include "heap/shared_fields.hpp"
#include "module/bindings.hpp"

namespace py = pybind11;

namespace firn {
namespace {

// Values whose marshalled form is no longer than this cross as bytes, others as pointers.
constexpr Py_ssize_t kSmall = 1024;
constexpr int kDeepest = 16;
constexpr int kMarshalVersion = 2;  // equal values have equal bytes, which later versions' have not

bool is_plain(PyObject* object, int depth) {
  PyTypeObject* type = Py_TYPE(object);
  if (object == Py_None || object == Py_Ellipsis || type == &PyBool_Type || type == &PyLong_Type ||
      type == &PyFloat_Type || type == &PyComplex_Type) {
    return true;
  }
  if (type == &PyUnicode_Type) return PyUnicode_GET_LENGTH(object) <= kSmall;
  if (type == &PyBytes_Type) return PyBytes_GET_SIZE(object) <= kSmall;
  if (type != &PyTuple_Type || depth == kDeepest || PyTuple_GET_SIZE(object) > kSmall) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
    if (!is_plain(PyTuple_GET_ITEM(object, i), depth + 1)) return false;
  }
  return true;
}

// The bytes that stand for a small value of builtin types; nothing for any other.
std::optional<std::string> small_form(PyObject* object) {
  if (!is_plain(object, 0)) return std::nullopt;
  const auto bytes =
      py::reinterpret_steal<py::bytes>(PyMarshal_WriteObjectToString(object, kMarshalVersion));
  if (!bytes) throw py::error_already_set();
  if (PyBytes_GET_SIZE(bytes.ptr()) > kSmall) return std::nullopt;
  return std::string(PyBytes_AS_STRING(bytes.ptr()),
                     static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr())));
}

heap::SharedValue to_shared(const py::object& object) {
  if (auto small = small_form(object.ptr())) return {nullptr, std::move(*small)};
  auto frozen = heap::freeze_roots({{"value", object.ptr()}});
  if (!frozen) throw py::error_already_set();
  return {frozen->frozen.front(), {}};
}

py::object to_python(const heap::SharedValue& value) {
  PyObject* made = value.frozen
                       ? heap::own_object(value.frozen)
                       : PyMarshal_ReadObjectFromString(
                             value.bytes.data(), static_cast<Py_ssize_t>(value.bytes.size()));
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

// Whether a field's value is `expected`: the same frozen object, or an equal string, number ... of
// the same type. Runs no code of a user's class.
bool is_same(const heap::SharedValue& value, const py::object& expected,
             const std::optional<std::string>& small) {
  if (!value.frozen || small) return !value.frozen && small && value.bytes == *small;
  const py::object held = to_python(value);
  if (held.is(expected)) return true;
  PyTypeObject* type = Py_TYPE(expected.ptr());
  if (Py_TYPE(held.ptr()) != type ||
      (type != &PyUnicode_Type && type != &PyBytes_Type && type != &PyLong_Type)) {
    return false;
  }
  const int equal = PyObject_RichCompareBool(held.ptr(), expected.ptr(), Py_EQ);
  if (equal < 0) throw py::error_already_set();
  return equal == 1;
}

std::uint64_t checked(std::uint64_t field) {
  if (!heap::has_shared_field(field)) throw py::value_error("there is no such shared field");
  return field;
}

bool compare_and_swap(std::uint64_t field, const py::object& expected, const py::object& value) {
  checked(field);
  const auto small = small_form(expected.ptr());
  std::optional<heap::SharedValue> wanted;
  while (true) {
    const heap::SharedState state = heap::load(field);
    if (!is_same(state.value, expected, small)) return false;
    if (!wanted) wanted = to_shared(value);
    if (heap::store_if(field, state.stamp, *wanted)) return true;
  }
}

void mark_freezable(std::uintptr_t object, std::optional<bool> freezable) {
  if (heap::mark_freezable(reinterpret_cast<void*>(object), freezable) < 0) {
    throw py::error_already_set();
  }
}

void lend(const std::vector<std::uintptr_t>& objects) {
  if (heap::lend(objects) < 0) throw py::error_already_set();
}

void seal_class(const py::type& type, bool sealed) {
  auto* cls = reinterpret_cast<PyTypeObject*>(type.ptr());
  if (!(cls->tp_flags & Py_TPFLAGS_HEAPTYPE)) throw py::type_error("not made by a class statement");
  heap::seal_class(cls, sealed);
}

}  // namespace

void bind_optouts(py::module_& module) {
  module.def("new_shared_field",
             [](const py::object& value) { return heap::new_shared_field(to_shared(value)); });
  module.def("shared_get",
             [](std::uint64_t field) { return to_python(heap::load(checked(field)).value); });
  module.def("shared_swap", [](std::uint64_t field, const py::object& value) {
    return to_python(heap::exchange(checked(field), to_shared(value)));
  });
  module.def("shared_compare_and_swap", &compare_and_swap);
  module.def("new_local_key", &heap::new_local_key);
  module.def("mark_freezable", &mark_freezable);
  module.def("lend", &lend);
  module.def("seal_class", &seal_class);
}

}  // namespace firn
