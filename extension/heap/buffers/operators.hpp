// What can be calculated element by element.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "heap/buffers/array.hpp"

namespace firn::heap::buffers {

enum class Binary : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  remainder,
  power,
  bitwise_and,
  bitwise_or,
  bitwise_xor,
  left_shift,
  right_shift,
  minimum,
  maximum,
  arctan2,
  hypot,
  logical_and,
  logical_or,
  logical_xor,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  count
};

enum class Unary : std::uint8_t {
  negative,
  positive,
  absolute,
  invert,
  conjugate,
  square,
  sign,
  reciprocal,
  sqrt,
  cbrt,
  exp,
  exp2,
  expm1,
  log,
  log2,
  log10,
  log1p,
  sin,
  cos,
  tan,
  arcsin,
  arccos,
  arctan,
  sinh,
  cosh,
  tanh,
  arcsinh,
  arccosh,
  arctanh,
  floor,
  ceil,
  trunc,
  rint,
  isnan,
  isinf,
  isfinite,
  logical_not,
  count
};

const char* name_of(Binary operation);
const char* name_of(Unary operation);
const char* sign_of(Binary operation);  // as Python writes it: "+"
std::optional<Binary> find_binary(std::string_view name);
std::optional<Unary> find_unary(std::string_view name);

inline bool is_comparison(Binary operation) { return operation >= Binary::equal; }

// Contiguous native elements of one type; what they give.
using BinaryKernel = void (*)(const char* left, const char* right, char* result, Py_ssize_t count);
using UnaryKernel = void (*)(const char* argument, char* result, Py_ssize_t count);

// nullptr where the operation has none for the type. binary_kernels.cpp, unary_kernels.cpp
BinaryKernel binary_kernel(Binary operation, Num num);
BinaryKernel mixed_comparison(Binary operation, bool left_signed);  // int64 with uint64
UnaryKernel unary_kernel(Unary operation, Num num);

ArrayRef apply(Binary operation, PyObject* left, PyObject* right);
ArrayRef apply(Unary operation, Array* array);

// The shape that both are broadcast to. ValueError with both shapes.
Shape broadcast_shapes(const std::vector<const Array*>& arrays);

}  // namespace firn::heap::buffers
