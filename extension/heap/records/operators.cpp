// The number protocol of records.
//
// CPython asks the left operand's type and then the right one's. Two records have one static type
// (or two that share these functions), so that it asks once: what it does with two classes, first
// among them that a subclass goes before its base, is done here.
#include "heap/records/instances.hpp"
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"

namespace firn::heap::records {

using faces::Ref;

namespace {

bool is_face(PyObject* object) { return faces::is_face(object); }

// A record as the builtin container that it derives from; anything else as it is.
Ref plain_operand(PyObject* object) {
  return is_record(object) ? Ref(plain_container(object)) : faces::borrowed(object);
}

bool is_container_record(PyObject* object) {
  return is_record(object) && as_record(object)->kind != FaceKind::record;
}

// What the slots of faces/ say.
template <auto slot>
PyObject* ask_faces(PyObject* left, PyObject* right) {
  const Base* of_left = is_face(left) ? base_of_face(left) : nullptr;
  const Base* of_right = is_face(right) ? base_of_face(right) : nullptr;
  if (of_left && of_left->number.*slot) {
    PyObject* result = (of_left->number.*slot)(left, right);
    if (result != Py_NotImplemented) return result;
    Py_DECREF(result);
  }
  if (of_right && of_right != of_left && of_right->number.*slot) {
    return (of_right->number.*slot)(left, right);
  }
  if constexpr (slot == &PyNumberMethods::nb_multiply) {
    // As a sequence it would be asked in the end; its __mul__ is found here first.
    const bool repeats = of_left && of_left->sequence.sq_repeat && PyLong_CheckExact(right);
    if (repeats || (of_right && of_right->sequence.sq_repeat && PyLong_CheckExact(left))) {
      const Py_ssize_t count = PyNumber_AsSsize_t(repeats ? right : left, PyExc_OverflowError);
      if (count == -1 && PyErr_Occurred()) return nullptr;
      return PySequence_Repeat(repeats ? left : right, count);
    }
  }
  Py_RETURN_NOTIMPLEMENTED;
}

// Asks an operand's class; NotImplemented where it has no such method of its own.
PyObject* ask(const Found& found, PyObject* self, PyObject* other) {
  if (found.origin == Origin::user) return call(found, self, other);
  Py_RETURN_NOTIMPLEMENTED;
}

using Operator = PyObject* (*)(PyObject*, PyObject*);

PyObject* power(PyObject* left, PyObject* right) { return PyNumber_Power(left, right, Py_None); }

template <Special forward_name, Special reflected_name, Operator operation>
PyObject* combine_records(PyObject* left, PyObject* right) {
  PyTypeObject* left_type = type_of(left);
  PyTypeObject* right_type = left_type ? type_of(right) : nullptr;
  if (!right_type) return nullptr;
  Found forward{Origin::absent}, reflected{Origin::absent};
  if (is_record(left)) forward = find(left, forward_name);
  if (forward.origin == Origin::unknown) return nullptr;
  if (is_record(right) && left_type != right_type) reflected = find(right, reflected_name);
  if (reflected.origin == Origin::unknown) return nullptr;

  const bool derived = left_type != right_type && PyType_IsSubtype(right_type, left_type);
  bool asked_right = false;
  if (derived && is_record(left) && !is_record(right)) {
    // An instance of a subclass, whose own slot asks its reflected method.
    const Found own = find(left, reflected_name);
    if (own.origin == Origin::unknown) return nullptr;
    PyObject* other = _PyType_Lookup(right_type, state()->names[index_of(reflected_name)]);
    if (other && other != own.method && PyFunction_Check(other)) {
      const Ref held = faces::borrowed(other);
      PyObject* arguments[] = {right, left};
      PyObject* answer = PyObject_Vectorcall(other, arguments, 2, nullptr);
      if (answer != Py_NotImplemented) return answer;
      Py_DECREF(answer);
    }
  }
  const bool right_first =
      reflected.origin == Origin::user &&
      ((derived && is_record(left) && find(left, reflected_name).method != reflected.method) ||
       forward.origin == Origin::builtin);
  if (right_first) {
    PyObject* answer = ask(reflected, right, left);
    if (answer != Py_NotImplemented) return answer;
    Py_DECREF(answer);
    asked_right = true;
  }
  PyObject* answer = ask(forward, left, right);
  if (answer != Py_NotImplemented) return answer;
  Py_DECREF(answer);
  if (!asked_right) {
    answer = ask(reflected, right, left);
    if (answer != Py_NotImplemented) return answer;
    Py_DECREF(answer);
  }
  if (forward.origin == Origin::builtin || reflected.origin == Origin::builtin) {
    const Ref plain_left = plain_operand(left);
    const Ref plain_right = plain_left ? plain_operand(right) : Ref();
    return plain_right ? operation(plain_left.get(), plain_right.get()) : nullptr;
  }
  Py_RETURN_NOTIMPLEMENTED;
}

// `(1,) + record`: the tuple's own operation sees no tuple in it.
PyObject* concatenate_tuples(PyObject* left, PyObject* right) {
  if (!PyTuple_Check(left)) Py_RETURN_NOTIMPLEMENTED;
  const Ref plain = plain_operand(right);
  return plain ? PySequence_Concat(left, plain.get()) : nullptr;
}

template <Special forward, Special reflected, binaryfunc PyNumberMethods::* slot,
          Operator operation>
PyObject* binary(PyObject* left, PyObject* right) {
  const bool left_record = is_record(left), right_record = is_record(right);
  if (!left_record && !right_record) return ask_faces<slot>(left, right);
  PyObject* answer = combine_records<forward, reflected, operation>(left, right);
  if (answer != Py_NotImplemented) return answer;
  if (left_record || !is_container_record(right)) return answer;
  Py_DECREF(answer);
  if (forward == Special::add_ && as_record(right)->kind == FaceKind::tuple_record) {
    return concatenate_tuples(left, right);
  }
  return ask_faces<slot>(left, right);
}

PyObject* three_argument_power(PyObject* left, PyObject* right, PyObject* modulus) {
  if (modulus == Py_None) {
    if (!is_record(left) && !is_record(right)) Py_RETURN_NOTIMPLEMENTED;
    return combine_records<Special::pow_, Special::rpow_, power>(left, right);
  }
  if (!is_record(left)) Py_RETURN_NOTIMPLEMENTED;
  const Found found = find(left, Special::pow_);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin != Origin::user) Py_RETURN_NOTIMPLEMENTED;
  return call(found, left, right, modulus);
}

// `record += other`: the class's own method runs, and fails where it writes; that of a builtin type
// would write.
PyObject* change_record(PyObject* self, PyObject* other, Special name) {
  const Found found = find(self, name);
  switch (found.origin) {
    case Origin::unknown:
      return nullptr;
    case Origin::user:
      return call(found, self, other);
    case Origin::builtin:
      return refuse_write(self);
    default:
      Py_RETURN_NOTIMPLEMENTED;
  }
}

template <Special name, binaryfunc PyNumberMethods::* slot>
PyObject* in_place(PyObject* self, PyObject* other) {
  if (is_record(self)) return change_record(self, other, name);
  const Base* base = base_of_face(self);
  if (base->number.*slot) return (base->number.*slot)(self, other);
  const bool repeats = name == Special::imul_ && base->sequence.sq_inplace_repeat;
  if (repeats && PyIndex_Check(other)) return refuse_write(self);
  Py_RETURN_NOTIMPLEMENTED;
}

PyObject* in_place_power(PyObject* self, PyObject* other, PyObject*) {
  if (is_record(self)) return change_record(self, other, Special::ipow_);
  Py_RETURN_NOTIMPLEMENTED;
}

constexpr char minus[] = "bad operand type for unary -: '%.200s'";
constexpr char plus[] = "bad operand type for unary +: '%.200s'";
constexpr char tilde[] = "bad operand type for unary ~: '%.200s'";
constexpr char absolute[] = "bad operand type for abs(): '%.200s'";

template <Special name, unaryfunc PyNumberMethods::* slot, const char* words>
PyObject* unary(PyObject* self) {
  if (!is_record(self)) {
    const Base* base = base_of_face(self);
    if (base && base->number.*slot) return (base->number.*slot)(self);
    return refuse_operation(self, words);
  }
  const Found found = find(self, name);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin == Origin::user) return call(found, self);
  return refuse_operation(self, words);
}

// ---- conversions ----

constexpr char no_index[] = "'%.200s' object cannot be interpreted as an integer";
constexpr char no_int[] =
    "int() argument must be a string, a bytes-like object or a real number, not '%.200s'";
constexpr char no_float[] = "float() argument must be a string or a real number, not '%.200s'";

template <Special name, Special otherwise, const char* words>
PyObject* convert(PyObject* self) {
  if (!is_record(self)) return refuse_operation(self, words);
  Found found = find(self, name);
  if (found.origin == Origin::absent && otherwise != name) found = find(self, otherwise);
  if (found.origin == Origin::unknown) return nullptr;
  if (found.origin != Origin::user) return refuse_operation(self, words);
  if (name == Special::float_ && found.method == find(self, Special::index_).method) {
    const Ref number(call(found, self));
    return number ? PyNumber_Float(number.get()) : nullptr;
  }
  return call(found, self);
}

int truth(PyObject* self) {
  if (!is_record(self)) return PyObject_Size(self) > 0;
  const Found found = find(self, Special::bool_);
  switch (found.origin) {
    case Origin::unknown:
      return -1;
    case Origin::user: {
      const Ref answer(call(found, self));
      if (!answer) return -1;
      if (!PyBool_Check(answer.get())) {
        PyErr_Format(PyExc_TypeError, "__bool__ should return bool, returned %s",
                     Py_TYPE(answer.get())->tp_name);
        return -1;
      }
      return answer.get() == Py_True;
    }
    default:
      break;
  }
  const Found length = find(self, Special::len_);
  if (length.origin == Origin::unknown) return -1;
  if (length.origin == Origin::absent) return 1;
  const Py_ssize_t size = PyObject_Size(self);
  return size < 0 ? -1 : size > 0;
}

}  // namespace

PyObject* refuse_operation(PyObject* self, const char* format) {
  const char* name = "object";
  if (is_record(self)) {
    PyTypeObject* type = type_of(self);
    if (!type) return nullptr;
    name = type->tp_name;
  } else if (is_face(self)) {
    PyObject* type = faces::class_of(faces::kind_of(self));
    if (!type) return nullptr;
    name = reinterpret_cast<PyTypeObject*>(type)->tp_name;
  }
  PyErr_Format(PyExc_TypeError, format, name);
  return nullptr;
}

void add_number_slots(PyNumberMethods* number, bool scalars) {
#define FIRN_BINARY(name, slot, function)                                                   \
  number->nb_##slot =                                                                       \
      binary<Special::name##_, Special::r##name##_, &PyNumberMethods::nb_##slot, function>; \
  number->nb_inplace_##slot = in_place<Special::i##name##_, &PyNumberMethods::nb_inplace_##slot>;
  FIRN_BINARY(add, add, PyNumber_Add)
  FIRN_BINARY(sub, subtract, PyNumber_Subtract)
  FIRN_BINARY(mul, multiply, PyNumber_Multiply)
  FIRN_BINARY(matmul, matrix_multiply, PyNumber_MatrixMultiply)
  FIRN_BINARY(truediv, true_divide, PyNumber_TrueDivide)
  FIRN_BINARY(floordiv, floor_divide, PyNumber_FloorDivide)
  FIRN_BINARY(mod, remainder, PyNumber_Remainder)
  FIRN_BINARY(lshift, lshift, PyNumber_Lshift)
  FIRN_BINARY(rshift, rshift, PyNumber_Rshift)
  FIRN_BINARY(and, and, PyNumber_And)
  FIRN_BINARY(xor, xor, PyNumber_Xor)
  FIRN_BINARY(or, or, PyNumber_Or)
#undef FIRN_BINARY
  number->nb_divmod =
      binary<Special::divmod_, Special::rdivmod_, &PyNumberMethods::nb_divmod, PyNumber_Divmod>;
  number->nb_power = three_argument_power;
  number->nb_inplace_power = in_place_power;
  number->nb_negative = unary<Special::neg_, &PyNumberMethods::nb_negative, minus>;
  number->nb_positive = unary<Special::pos_, &PyNumberMethods::nb_positive, plus>;
  number->nb_absolute = unary<Special::abs_, &PyNumberMethods::nb_absolute, absolute>;
  number->nb_invert = unary<Special::invert_, &PyNumberMethods::nb_invert, tilde>;
  number->nb_bool = truth;
  if (!scalars) return;
  number->nb_index = convert<Special::index_, Special::index_, no_index>;
  number->nb_int = convert<Special::int_, Special::index_, no_int>;
  number->nb_float = convert<Special::float_, Special::index_, no_float>;
}

}  // namespace firn::heap::records
