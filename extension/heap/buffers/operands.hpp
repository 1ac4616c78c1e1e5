// The two sides of an operation: arrays, and what becomes one.
#pragma once

#include "heap/buffers/loops.hpp"
#include "heap/buffers/operators.hpp"

namespace firn::heap::buffers {

enum class Weak { none, boolean, integer, floating, complex };  // Python's own numbers

struct Operand {
  ArrayRef array;
  Weak weak = Weak::none;
  PyObject* number = nullptr;  // of a weak one
};

// False for what is no operand: then Python asks the other side.
bool make_operand(PyObject* object, Operand* out);

// The elementwise result. Python's own numbers take the type of the array (NEP 50).
ArrayRef apply_operands(Binary operation, Operand left, Operand right);

// Whether the order of two elements (negative, 0, positive) is what a comparison asks for.
bool holds(Binary operation, int order);

// Text, bytes, dates, structures. comparisons.cpp
ArrayRef compare_others(Binary operation, const ArrayRef& left, const ArrayRef& right);

// A result and what it is calculated from, broadcast to its shape.
Operands<3> operands_of(const ArrayRef& result, const ArrayRef& left, const ArrayRef& right,
                        const Shape& shape);

// TypeError: there is no such operation for these types.
[[noreturn]] void raise_unsupported(const char* operation, const DType& left, const DType* right);

}  // namespace firn::heap::buffers
