// Elementwise operations: which type they are calculated in, and over which shape.
#include <cstring>
#include <memory>

#include "heap/buffers/operands.hpp"

namespace firn::heap::buffers {
namespace {

constexpr const char* binary_names[] = {
    "add",        "subtract",    "multiply",    "divide",      "floor_divide",
    "remainder",  "power",       "bitwise_and", "bitwise_or",  "bitwise_xor",
    "left_shift", "right_shift", "minimum",     "maximum",     "arctan2",
    "hypot",      "logical_and", "logical_or",  "logical_xor", "equal",
    "not_equal",  "less",        "less_equal",  "greater",     "greater_equal"};
constexpr const char* binary_signs[] = {"+",  "-", "*", "/", "//", "%",
                                        "**", "&", "|", "^", "<<", ">>"};
constexpr const char* unary_names[] = {
    "negative", "positive", "absolute", "invert",   "conjugate",  "square", "sign",   "reciprocal",
    "sqrt",     "cbrt",     "exp",      "exp2",     "expm1",      "log",    "log2",   "log10",
    "log1p",    "sin",      "cos",      "tan",      "arcsin",     "arccos", "arctan", "sinh",
    "cosh",     "tanh",     "arcsinh",  "arccosh",  "arctanh",    "floor",  "ceil",   "trunc",
    "rint",     "isnan",    "isinf",    "isfinite", "logical_not"};
static_assert(std::size(binary_names) == static_cast<std::size_t>(Binary::count));
static_assert(std::size(unary_names) == static_cast<std::size_t>(Unary::count));

// ---- operands ----

Num weak_num(const Operand& weak, Num other) {
  switch (weak.weak) {
    case Weak::boolean:
      return promote(Num::boolean, other);
    case Weak::integer:
      return other == Num::boolean ? Num::int64 : other;
    case Weak::floating:
      return other <= Num::uint64 ? Num::float64 : other;
    default:
      return other == Num::float16 || other == Num::float32 || other == Num::complex64
                 ? Num::complex64
                 : Num::complex128;
  }
}

ArrayRef scalar_array(PyObject* number, Num num) {
  ArrayRef array = new_array(dtype_of(num), {});
  if (!is_integer(num) || PyLong_Check(number)) {
    set_element(array->dtype, array->data, number);
  } else {
    raise(PyExc_TypeError, "a float among integers");
  }
  return array;
}

Num default_num(const Operand& operand) {
  switch (operand.weak) {
    case Weak::boolean:
      return Num::boolean;
    case Weak::integer:
      return Num::int64;
    case Weak::floating:
      return Num::float64;
    case Weak::complex:
      return Num::complex128;
    default:
      return operand.array->dtype.num;
  }
}

// ---- types ----

// The type that an operation is calculated in, from that of its operands.
Num calculated_in(Binary operation, Num num) {
  switch (operation) {
    case Binary::divide:
    case Binary::arctan2:
    case Binary::hypot:
      if (num == Num::boolean || num == Num::int8 || num == Num::uint8) {
        return operation == Binary::divide ? Num::float64 : Num::float16;
      }
      if (num == Num::int16 || num == Num::uint16) {
        return operation == Binary::divide ? Num::float64 : Num::float32;
      }
      return num <= Num::uint64 ? Num::float64 : num;
    case Binary::floor_divide:
    case Binary::remainder:
    case Binary::power:
    case Binary::left_shift:
    case Binary::right_shift:
      return num == Num::boolean ? Num::int8 : num;
    default:
      return num;
  }
}

Num calculated_in(Unary operation, Num num) {
  const bool as_float = (operation >= Unary::sqrt && operation <= Unary::arctanh);
  if (as_float && num <= Num::uint64) {
    switch (dtype_of(num).itemsize) {
      case 1:
        return Num::float16;
      case 2:
        return Num::float32;
      default:
        return Num::float64;
    }
  }
  const bool as_integer =
      operation == Unary::square || operation == Unary::reciprocal || operation == Unary::conjugate;
  if (num == Num::boolean && as_integer) return Num::int8;
  if (operation == Unary::rint && num <= Num::uint64) {
    return dtype_of(num).itemsize == 1   ? Num::float16
           : dtype_of(num).itemsize == 2 ? Num::float32
                                         : Num::float64;
  }
  return num;
}

// ---- numbers ----

bool has_negative(const Array* array) {
  bool found = false;
  Reader reader(array->dtype, Num::int64);
  const Shape shape = shape_of(array);
  walk<1>(shape, {{const_cast<char*>(array->data)}, {broadcast_strides(array, shape)}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count && !found; i += kBlock) {
              const Py_ssize_t part = std::min(kBlock, count - i);
              const auto* numbers = reinterpret_cast<const std::int64_t*>(
                  reader.read(at[0] + i * strides[0], strides[0], part));
              found = std::any_of(numbers, numbers + part, [](std::int64_t n) { return n < 0; });
            }
          });
  return found;
}

ArrayRef calculate(BinaryKernel kernel, const ArrayRef& left, Num left_num, const ArrayRef& right,
                   Num right_num, Num result_num) {
  const Shape shape = broadcast_shapes({left.get(), right.get()});
  const Array* const like =
      left->ndim == static_cast<int>(shape.size()) && shape_of(left.get()) == shape ? left.get()
                                                                                    : right.get();
  ArrayRef result = new_array_like(dtype_of(result_num), shape, like);
  const Py_ssize_t result_size = result->dtype.itemsize;
  const auto left_reader = std::make_unique<Reader>(left->dtype, left_num);
  const auto right_reader = std::make_unique<Reader>(right->dtype, right_num);
  walk<3>(shape, operands_of(result, left, right, shape),
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; i += kBlock) {
              const Py_ssize_t part = std::min(kBlock, count - i);
              kernel(left_reader->read(at[1] + i * strides[1], strides[1], part),
                     right_reader->read(at[2] + i * strides[2], strides[2], part),
                     at[0] + i * result_size, part);
            }
          });
  return result;
}

// A comparison with an integer that the array's type cannot hold: the same answer for all elements.
ArrayRef compare_out_of_bounds(Binary operation, const Array* array, PyObject* number,
                               bool swapped) {
  Ref zero(check(PyLong_FromLong(0)));
  const int positive = PyObject_RichCompareBool(number, zero.get(), Py_GT);
  int order = positive ? -1 : 1;  // the array's elements against the number
  if (swapped) order = -order;
  ArrayRef result = new_array_like(dtype_of(Num::boolean), shape_of(array), array);
  std::memset(result->data, holds(operation, order),
              static_cast<std::size_t>(size_of(result.get())));
  return result;
}

bool fits(PyObject* integer, Num num) {
  if (!is_integer(num)) return true;
  char element[8];
  try {
    set_element(dtype_of(num), element, integer);
    return true;
  } catch (const Raised&) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw;
    PyErr_Clear();
    return false;
  }
}

}  // namespace

// False for what is no operand: then Python asks the other side.
bool make_operand(PyObject* object, Operand* out) {
  out->number = object;
  if (is_array(object)) {
    out->array = share(as_array(object));
    return true;
  }
  if (PyBool_Check(object)) {
    out->weak = Weak::boolean;
  } else if (PyLong_Check(object)) {
    out->weak = Weak::integer;
  } else if (PyFloat_CheckExact(object)) {
    out->weak = Weak::floating;
  } else if (PyComplex_CheckExact(object)) {
    out->weak = Weak::complex;
  } else {
    // NumPy's own objects know how to calculate with an array.
    PyObject* theirs = nullptr;
    if (PyObject_GetOptionalAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)),
                                       "__array_ufunc__", &theirs) < 0) {
      throw Raised{};
    }
    if (theirs) {
      Py_DECREF(theirs);
      return false;
    }
    const bool sequence = PyList_Check(object) || PyTuple_Check(object) ||
                          Py_IS_TYPE(object, frozen_list_type()) || PyRange_Check(object);
    if (!sequence && !PyObject_CheckBuffer(object) && !PyUnicode_Check(object) &&
        !PyFloat_Check(object) && !PyComplex_Check(object)) {
      return false;
    }
    out->array = array_from(object, nullptr);
  }
  return true;
}

[[noreturn]] void raise_unsupported(const char* operation, const DType& left, const DType* right) {
  std::string message = std::string("'") + operation + "' is not supported for ";
  message +=
      right ? "dtypes " + name_of(left) + " and " + name_of(*right) : "dtype " + name_of(left);
  if (is_time(left.num) || (right && is_time(right->num))) {
    message += ": view('int64') gives the numbers";
  }
  raise(PyExc_TypeError, message);
}

Operands<3> operands_of(const ArrayRef& result, const ArrayRef& left, const ArrayRef& right,
                        const Shape& shape) {
  return {{result->data, left->data, right->data},
          {broadcast_strides(result.get(), shape), broadcast_strides(left.get(), shape),
           broadcast_strides(right.get(), shape)}};
}

ArrayRef apply_operands(Binary operation, Operand left, Operand right) {
  // Python's own numbers take the type of the array (NEP 50).
  Num left_num = default_num(left), right_num = default_num(right);
  for (auto [weak, weak_type, other] :
       {std::tuple{&left, &left_num, &right}, std::tuple{&right, &right_num, &left}}) {
    if (weak->weak == Weak::none) continue;
    const bool alone = other->weak != Weak::none;
    Num num = alone                                 ? promote(left_num, right_num)
              : is_numeric(other->array->dtype.num) ? weak_num(*weak, other->array->dtype.num)
                                                    : default_num(*weak);
    if (!alone && is_time(other->array->dtype.num) && weak->weak == Weak::integer) {
      num = Num::int64;
    }
    if (operation == Binary::divide && num <= Num::uint64) num = Num::float64;
    if (weak->weak == Weak::integer && !fits(weak->number, num)) {
      if (is_comparison(operation) && !alone) {
        return compare_out_of_bounds(operation, other->array.get(), weak->number, weak == &left);
      }
    }
    weak->array = scalar_array(weak->number, num);
    *weak_type = num;
  }
  const DType& a = left.array->dtype;
  const DType& b = right.array->dtype;
  if (!is_numeric(a.num) || !is_numeric(b.num)) {
    if (is_comparison(operation)) return compare_others(operation, left.array, right.array);
    raise_unsupported(operation <= Binary::right_shift ? binary_signs[static_cast<int>(operation)]
                                                       : binary_names[static_cast<int>(operation)],
                      a, &b);
  }
  if (is_comparison(operation) &&
      ((a.num == Num::uint64 && is_signed(b.num)) || (is_signed(a.num) && b.num == Num::uint64))) {
    const bool left_signed = is_signed(a.num);
    return calculate(mixed_comparison(operation, left_signed), left.array,
                     left_signed ? Num::int64 : Num::uint64, right.array,
                     left_signed ? Num::uint64 : Num::int64, Num::boolean);
  }
  const bool each = operation == Binary::arctan2 || operation == Binary::hypot;
  const Num num = each ? promote(calculated_in(operation, a.num), calculated_in(operation, b.num))
                       : calculated_in(operation, promote(a.num, b.num));
  const BinaryKernel kernel = binary_kernel(operation, num);
  if (!kernel) {
    if (operation == Binary::subtract) {
      raise(PyExc_TypeError,
            "boolean subtract, the `-` operator, is not supported: use the bitwise_xor, the `^` "
            "operator, instead");
    }
    raise_unsupported(operation <= Binary::right_shift ? binary_signs[static_cast<int>(operation)]
                                                       : binary_names[static_cast<int>(operation)],
                      a, &b);
  }
  if (operation == Binary::power && is_signed(num) && has_negative(right.array.get())) {
    raise(PyExc_ValueError, "Integers to negative integer powers are not allowed.");
  }
  const bool boolean = is_comparison(operation) ||
                       (operation >= Binary::logical_and && operation <= Binary::logical_xor);
  if (operation == Binary::power && right.array->ndim == 0 &&
      (is_float(num) || is_complex_num(num))) {
    // Powers that are products: faster, and exact, as in NumPy.
    Complex128 exponent;
    cast_run(b, right.array->data, 0, Num::complex128, reinterpret_cast<char*>(&exponent), 1);
    const UnaryKernel square = exponent == Complex128(2) ? unary_kernel(Unary::square, num)
                               : exponent == Complex128(0.5) && is_float(num)
                                   ? unary_kernel(Unary::sqrt, num)
                                   : nullptr;
    if (square) {
      ArrayRef base = left.array->dtype.num == num ? share(left.array.get())
                                                   : converted(left.array.get(), dtype_of(num));
      return apply(exponent == Complex128(2) ? Unary::square : Unary::sqrt, base.get());
    }
  }
  return calculate(kernel, left.array, num, right.array, num, boolean ? Num::boolean : num);
}

const char* name_of(Binary operation) { return binary_names[static_cast<int>(operation)]; }
const char* name_of(Unary operation) { return unary_names[static_cast<int>(operation)]; }

std::optional<Binary> find_binary(std::string_view name) {
  for (std::size_t i = 0; i < std::size(binary_names); ++i) {
    if (name == binary_names[i]) return static_cast<Binary>(i);
  }
  return std::nullopt;
}

std::optional<Unary> find_unary(std::string_view name) {
  for (std::size_t i = 0; i < std::size(unary_names); ++i) {
    if (name == unary_names[i]) return static_cast<Unary>(i);
  }
  return std::nullopt;
}

Shape broadcast_shapes(const std::vector<const Array*>& arrays) {
  Shape shape;
  for (const Array* array : arrays) {
    const auto ndim = static_cast<std::size_t>(array->ndim);
    if (ndim > shape.size()) shape.insert(shape.begin(), ndim - shape.size(), 1);
    for (std::size_t i = 0; i < ndim; ++i) {
      Py_ssize_t& extent = shape[shape.size() - 1 - i];
      const Py_ssize_t own = array->shape()[ndim - 1 - i];
      if (own == extent || own == 1) continue;
      if (extent != 1) {
        std::string shapes;
        for (const Array* one : arrays) shapes += " " + shape_text(one->shape(), one->ndim);
        raise(PyExc_ValueError, "operands could not be broadcast together with shapes" + shapes);
      }
      extent = own;
    }
  }
  return shape;
}

ArrayRef apply(Unary operation, Array* array) {
  if (!is_numeric(array->dtype.num)) raise_unsupported(name_of(operation), array->dtype, nullptr);
  const Num num = calculated_in(operation, array->dtype.num);
  const bool whole = num <= Num::uint64;
  if (whole &&
      (operation == Unary::floor || operation == Unary::ceil || operation == Unary::trunc)) {
    return share(array);
  }
  const UnaryKernel kernel = unary_kernel(operation, num);
  if (!kernel) {
    if (operation == Unary::negative) {
      raise(PyExc_TypeError,
            "The boolean negative, the `-` operator, is not supported, use the `~` operator or the "
            "logical_not function instead.");
    }
    raise_unsupported(name_of(operation), array->dtype, nullptr);
  }
  Num result_num = num;
  if (operation >= Unary::isnan) result_num = Num::boolean;
  if (operation == Unary::absolute && is_complex_num(num)) {
    result_num = num == Num::complex64 ? Num::float32 : Num::float64;
  }
  const Shape shape = shape_of(array);
  ArrayRef result = new_array_like(dtype_of(result_num), shape, array);
  const Py_ssize_t result_size = result->dtype.itemsize;
  const auto reader = std::make_unique<Reader>(array->dtype, num);
  walk<2>(shape,
          {{result->data, array->data},
           {broadcast_strides(result.get(), shape), broadcast_strides(array, shape)}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; i += kBlock) {
              const Py_ssize_t part = std::min(kBlock, count - i);
              kernel(reader->read(at[1] + i * strides[1], strides[1], part),
                     at[0] + i * result_size, part);
            }
          });
  return result;
}

ArrayRef apply(Binary operation, PyObject* left, PyObject* right) {
  Operand a, b;
  for (const auto& [object, operand] : {std::pair{left, &a}, std::pair{right, &b}}) {
    if (!make_operand(object, operand)) operand->array = array_from(object, nullptr);
  }
  return apply_operands(operation, std::move(a), std::move(b));
}

PyObject* apply_named(PyObject* name, PyObject* const* arguments, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    const char* const text = PyUnicode_AsUTF8(name);
    if (!text) throw Raised{};
    if (count == 1) {
      if (const auto operation = find_unary(text)) {
        ArrayRef array = array_from(arguments[0], nullptr);
        return item_or_array(apply(*operation, array.get()));
      }
    } else if (count == 2) {
      if (const auto operation = find_binary(text)) {
        return item_or_array(apply(*operation, arguments[0], arguments[1]));
      }
    }
    raise(PyExc_ValueError, std::string("there is no operation '") + text + "'");
  });
}

}  // namespace firn::heap::buffers
