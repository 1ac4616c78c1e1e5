// What the frozen types' dicts hold for records.
//
// Python and C look some methods up on type(x) by name: __enter__, __format__, __round__ ... So
// they stand in the dict and ask the record's class. But ABCs look there too: whatever is found
// makes every record a context manager, a Sized, a SupportsRound. The dict therefore denies (`in`)
// what only some instances have, while CPython's own look-ups, which do not ask that way, find it
// (hazard 15).
#include <cmath>
#include <cstring>

#include "heap/faces/faces.hpp"
#include "heap/records/builtin_methods.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"

namespace firn::heap::records {

using faces::Ref;

namespace {

// Asks a record's class. `found` is set; a null pointer without an exception: it has no such
// method.
PyObject* ask(PyObject* self, Special special, PyObject* first = nullptr) {
  if (!has_record_kind(self)) return nullptr;
  const Found found = find(self, special);
  if (found.origin != Origin::user) return nullptr;
  return call(found, self, first);
}

// As ask(), with the words of a class that has no such method.
template <Special special, const char* words>
PyObject* ask_or_refuse(PyObject* self, PyObject*) {
  PyObject* answer = ask(self, special);
  return answer || PyErr_Occurred() ? answer : refuse_operation(self, words);
}

constexpr char no_context[] = "'%.200s' object does not support the context manager protocol";
constexpr char no_async_context[] =
    "'%.200s' object does not support the asynchronous context manager protocol";
constexpr char no_path[] = "expected str, bytes or os.PathLike object, not %.200s";
constexpr char no_trunc[] = "type %.200s doesn't define __trunc__ method";
constexpr char no_round[] = "type %.200s doesn't define __round__ method";
constexpr char no_real[] = "must be real number, not %.200s";
constexpr char no_complex[] = "complex() argument must be a string or a number, not %.200s";
constexpr char no_reversed[] = "'%.200s' object is not reversible";

template <Special special, const char* words>
PyObject* leave(PyObject* self, PyObject* const* arguments, Py_ssize_t given) {
  if (has_record_kind(self)) {
    const Found found = find(self, special);
    if (found.origin == Origin::unknown) return nullptr;
    if (found.origin == Origin::user && given == 3) {
      PyObject* all[] = {self, arguments[0], arguments[1], arguments[2]};
      const Ref method = faces::borrowed(found.method);
      if (PyType_HasFeature(Py_TYPE(found.method), Py_TPFLAGS_METHOD_DESCRIPTOR)) {
        return PyObject_Vectorcall(method.get(), all, 4, nullptr);
      }
      descrgetfunc bind = Py_TYPE(method.get())->tp_descr_get;
      const Ref bound(bind ? bind(method.get(), self, reinterpret_cast<PyObject*>(found.of->type))
                           : Py_NewRef(method.get()));
      return bound ? PyObject_Vectorcall(bound.get(), all + 1, 3, nullptr) : nullptr;
    }
  }
  return refuse_operation(self, words);
}

PyObject* format(PyObject* self, PyObject* specification) {
  PyObject* answer = ask(self, Special::format_, specification);
  if (answer || PyErr_Occurred()) return answer;
  if (PyUnicode_Check(specification) && PyUnicode_GET_LENGTH(specification) == 0) {
    return PyObject_Str(self);
  }
  return refuse_operation(self, "unsupported format string passed to %.200s.__format__");
}

PyObject* length_hint(PyObject* self, PyObject*) {
  PyObject* answer = ask(self, Special::length_hint_);
  return answer || PyErr_Occurred() ? answer : Py_NewRef(Py_NotImplemented);
}

PyObject* as_bytes(PyObject* self, PyObject*) {
  PyObject* answer = ask(self, Special::bytes_);
  if (answer || PyErr_Occurred()) return answer;
  if (has_record_kind(self) && find(self, Special::index_).origin == Origin::user) {
    const Py_ssize_t size = PyNumber_AsSsize_t(self, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred()) return nullptr;
    const Ref number(PyLong_FromSsize_t(size));
    return number ? PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyBytes_Type), number.get())
                  : nullptr;
  }
  if (PyErr_Occurred()) return nullptr;
  const Ref iterator(PyObject_GetIter(self));
  if (!iterator) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return nullptr;
    PyErr_Clear();
    return refuse_operation(self, "cannot convert '%.200s' object to bytes");
  }
  return PyBytes_FromObject(iterator.get());
}

PyObject* as_complex(PyObject* self, PyObject*) {
  PyObject* answer = ask(self, Special::complex_);
  if (answer || PyErr_Occurred()) return answer;
  const bool real = has_record_kind(self) && (find(self, Special::float_).origin == Origin::user ||
                                              find(self, Special::index_).origin == Origin::user);
  if (PyErr_Occurred()) return nullptr;
  if (!real) return refuse_operation(self, no_complex);
  const double value = PyFloat_AsDouble(self);
  return value == -1 && PyErr_Occurred() ? nullptr : PyComplex_FromDoubles(value, 0);
}

PyObject* rounded(PyObject* self, PyObject* const* arguments, Py_ssize_t given) {
  PyObject* answer = ask(self, Special::round_, given > 0 ? arguments[0] : nullptr);
  return answer || PyErr_Occurred() ? answer : refuse_operation(self, no_round);
}

template <Special special, double (*whole)(double)>
PyObject* to_whole(PyObject* self, PyObject*) {
  PyObject* answer = ask(self, special);
  if (answer || PyErr_Occurred()) return answer;
  const bool real = has_record_kind(self) && (find(self, Special::float_).origin == Origin::user ||
                                              find(self, Special::index_).origin == Origin::user);
  if (PyErr_Occurred()) return nullptr;
  if (!real) return refuse_operation(self, no_real);
  const double value = PyFloat_AsDouble(self);
  return value == -1 && PyErr_Occurred() ? nullptr : PyLong_FromDouble(whole(value));
}

// What FrozenList and FrozenDict do for their own.
PyCFunction reversed_container[2] = {};

PyObject* reversed(PyObject* self, PyObject*) {
  const FaceKind kind = as_record(self)->kind;
  if (has_record_kind(self)) {
    const Found found = find(self, Special::reversed_);
    if (found.origin == Origin::unknown) return nullptr;
    if (found.origin == Origin::user) return call(found, self);
    if (found.origin == Origin::none || kind == FaceKind::set_record) {
      return refuse_operation(self, no_reversed);
    }
    // Tuples have none: reversed() takes their length and items, as those of a class that has both.
    if (found.origin == Origin::builtin) {
      const Ref plain(plain_container(self));
      return plain ? PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyReversed_Type), plain.get())
                   : nullptr;
    }
    const Origin items = find(self, Special::getitem_).origin;
    const Origin length = find(self, Special::len_).origin;
    if (PyErr_Occurred()) return nullptr;
    if (items == Origin::absent || length == Origin::absent) {
      return refuse_operation(self, no_reversed);
    }
    const Ref function(PyImport_ImportModuleAttrString("firn.records", "reversed_by_index"));
    return function ? PyObject_CallOneArg(function.get(), self) : nullptr;
  }
  if (Py_IS_TYPE(self, frozen_list_type())) return reversed_container[0](self, nullptr);
  if (Py_IS_TYPE(self, frozen_dict_type())) return reversed_container[1](self, nullptr);
  return refuse_operation(self, no_reversed);
}

PyCFunction size_of_container[3] = {};
PyCFunction dir_of_container[3] = {};

std::size_t place_of(PyTypeObject* type) {
  return (reinterpret_cast<std::uintptr_t>(type) - types_address) / type_stride;
}

PyObject* size_of(PyObject* self, PyObject*) {
  if (!has_record_kind(self)) return size_of_container[place_of(Py_TYPE(self))](self, nullptr);
  PyObject* answer = ask(self, Special::sizeof_);
  if (answer || PyErr_Occurred()) return answer;
  const Base* base = base_of_face(self);
  std::size_t inner = 0;
  if (base) {
    const Ref size(size_of_container[place_of(face_type(as_record(self)->kind))](self, nullptr));
    if (!size) return nullptr;
    inner = PyLong_AsSize_t(size.get());
  } else if (as_record(self)->kind == FaceKind::tuple_record) {
    inner = sizeof(PyTupleObject) +
            static_cast<std::size_t>(container_length(self)) * sizeof(PyObject*);
  }
  return PyLong_FromSize_t(inner + offsetof(FrozenRecord, fields) +
                           layout_of(self)->count * sizeof(PyObject*));
}

PyObject* dir_of(PyObject* self, PyObject*) {
  if (!has_record_kind(self)) return dir_of_container[place_of(Py_TYPE(self))](self, nullptr);
  PyObject* answer = ask(self, Special::dir_);
  if (answer || PyErr_Occurred()) return answer;
  const Ref instance(shallow_instance(self));
  return instance ? PyObject_CallMethod(instance.get(), "__dir__", nullptr) : nullptr;
}

PyCFunction reduce_container[3] = {};
PyCFunction reduce_ex_container[3] = {};

PyObject* reduce_ex(PyObject* self, PyObject* protocol) {
  if (!has_record_kind(self)) return reduce_ex_container[place_of(Py_TYPE(self))](self, protocol);
  const Ref instance(shallow_instance(self));
  return instance ? PyObject_CallMethod(instance.get(), "__reduce_ex__", "(O)", protocol) : nullptr;
}

PyObject* reduce(PyObject* self, PyObject*) {
  if (!has_record_kind(self)) return reduce_container[place_of(Py_TYPE(self))](self, nullptr);
  const Ref instance(shallow_instance(self));
  return instance ? PyObject_CallMethod(instance.get(), "__reduce__", nullptr) : nullptr;
}

// copy.copy() asks type(x) for it.
PyObject* copy(PyObject* self, PyObject*) {
  PyObject* answer = ask(self, Special::copy_);
  if (answer || PyErr_Occurred()) return answer;
  if (!has_record_kind(self)) return faces::to_plain(self).release();
  const Ref instance(shallow_instance(self));
  const Ref function(instance ? PyImport_ImportModuleAttrString("copy", "copy") : nullptr);
  return function ? PyObject_CallOneArg(function.get(), instance.get()) : nullptr;
}

constexpr int as_is = METH_NOARGS;
PyMethodDef methods[] = {
    {"__enter__", ask_or_refuse<Special::enter_, no_context>, as_is, nullptr},
    {"__exit__", faces::method(leave<Special::exit_, no_context>), METH_FASTCALL, nullptr},
    {"__aenter__", ask_or_refuse<Special::aenter_, no_async_context>, as_is, nullptr},
    {"__aexit__", faces::method(leave<Special::aexit_, no_async_context>), METH_FASTCALL, nullptr},
    {"__format__", format, METH_O, nullptr},
    {"__length_hint__", length_hint, as_is, nullptr},
    {"__fspath__", ask_or_refuse<Special::fspath_, no_path>, as_is, nullptr},
    {"__bytes__", as_bytes, as_is, nullptr},
    {"__complex__", as_complex, as_is, nullptr},
    {"__round__", faces::method(rounded), METH_FASTCALL, nullptr},
    {"__trunc__", ask_or_refuse<Special::trunc_, no_trunc>, as_is, nullptr},
    {"__floor__", to_whole<Special::floor_, std::floor>, as_is, nullptr},
    {"__ceil__", to_whole<Special::ceil_, std::ceil>, as_is, nullptr},
    {"__reversed__", reversed, as_is, nullptr},
    {"__sizeof__", size_of, as_is, nullptr},
    {"__dir__", dir_of, as_is, nullptr},
    {"__reduce_ex__", reduce_ex, METH_O, nullptr},
    {"__reduce__", reduce, as_is, nullptr},
    {"__copy__", copy, as_is, nullptr},
    {},
};

// ---- the dict that denies ----

int holds_name(PyObject* self, PyObject* name) {
  PyObject* denied = denied_names();
  if (!denied) return -1;
  const int is_denied = PySet_Contains(denied, name);
  return is_denied ? (is_denied < 0 ? -1 : 0) : PyDict_Contains(self, name);
}

PyTypeObject* make_members_type() {
  PyType_Slot slots[] = {{Py_sq_contains, reinterpret_cast<void*>(holds_name)}, {0, nullptr}};
  PyType_Spec spec = {"firn.members", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
  return reinterpret_cast<PyTypeObject*>(
      PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(&PyDict_Type)));
}

// The function of a method that faces/ gave the type.
PyCFunction function_of(PyTypeObject* type, const char* name) {
  for (const PyMethodDef* one = type->tp_methods; one && one->ml_name; one++) {
    if (std::strcmp(one->ml_name, name) == 0) return one->ml_meth;
  }
  return nullptr;
}

}  // namespace

PyObject* denied_names() {
  State* own = state();
  if (!own) return nullptr;
  if (!own->denied) {
    const Ref names(PyTuple_New(kSpecials));
    for (std::size_t i = 0; names && i < kSpecials; i++) {
      // Without it nothing would be unhashable: the next in line is object's.
      PyObject* name = own->names[i == index_of(Special::hash_) ? index_of(Special::len_) : i];
      PyTuple_SET_ITEM(names.get(), static_cast<Py_ssize_t>(i), Py_NewRef(name));
    }
    own->denied = names ? PyFrozenSet_New(names.get()) : nullptr;
  }
  return own->denied;
}

namespace {

int add_members_to(PyTypeObject* type) {
  const Ref members(PyType_GetDict(type));
  const Ref denying_type(reinterpret_cast<PyObject*>(make_members_type()));
  const Ref denying(denying_type ? PyObject_CallNoArgs(denying_type.get()) : nullptr);
  if (!members || !denying || PyDict_Update(denying.get(), members.get()) < 0) return -1;
  for (PyMethodDef* method = methods; method->ml_name; method++) {
    const Ref descriptor(PyDescr_NewMethod(type, method));
    if (!descriptor || PyDict_SetItemString(denying.get(), method->ml_name, descriptor.get()) < 0) {
      return -1;
    }
  }
  if (PyDict_SetItemString(denying.get(), "__hash__", Py_None) < 0) return -1;
  exchange_static_type_dict(type, denying.get());
  return 0;
}

}  // namespace

void remember_container_methods(PyTypeObject* type) {
  const std::size_t place = place_of(type);
  if (place < 2) reversed_container[place] = function_of(type, "__reversed__");
  size_of_container[place] = function_of(type, "__sizeof__");
  dir_of_container[place] = function_of(type, "__dir__");
  reduce_container[place] = function_of(type, "__reduce__");
  reduce_ex_container[place] = function_of(type, "__reduce_ex__");
}

int add_members(State& state) {
  for (PyTypeObject* type :
       {frozen_list_type(), frozen_dict_type(), frozen_face_type(), frozen_callable_type()}) {
    bool& added = state.members_added[place_of(type)];
    if (added || !is_admitted(type)) continue;
    if (add_members_to(type) < 0) return -1;
    added = true;
  }
  return 0;
}

void remove_members(State& state) {
  for (PyTypeObject* type :
       {frozen_list_type(), frozen_dict_type(), frozen_face_type(), frozen_callable_type()}) {
    if (!state.members_added[place_of(type)]) continue;
    const Ref denying(PyType_GetDict(type));
    const Ref plain(denying ? PyDict_Copy(denying.get()) : nullptr);
    if (plain) exchange_static_type_dict(type, plain.get());
    PyErr_Clear();
  }
}

}  // namespace firn::heap::records
