"""numpy's functions that calculate element by element, for firn.Array."""

from __future__ import annotations

from typing import Any

from firn._core import array_apply


def add(x1: Any, x2: Any, /) -> Any:
    return array_apply("add", x1, x2)


def subtract(x1: Any, x2: Any, /) -> Any:
    return array_apply("subtract", x1, x2)


def multiply(x1: Any, x2: Any, /) -> Any:
    return array_apply("multiply", x1, x2)


def divide(x1: Any, x2: Any, /) -> Any:
    return array_apply("divide", x1, x2)


true_divide = divide


def floor_divide(x1: Any, x2: Any, /) -> Any:
    return array_apply("floor_divide", x1, x2)


def remainder(x1: Any, x2: Any, /) -> Any:
    return array_apply("remainder", x1, x2)


mod = remainder


def power(x1: Any, x2: Any, /) -> Any:
    return array_apply("power", x1, x2)


def bitwise_and(x1: Any, x2: Any, /) -> Any:
    return array_apply("bitwise_and", x1, x2)


def bitwise_or(x1: Any, x2: Any, /) -> Any:
    return array_apply("bitwise_or", x1, x2)


def bitwise_xor(x1: Any, x2: Any, /) -> Any:
    return array_apply("bitwise_xor", x1, x2)


def left_shift(x1: Any, x2: Any, /) -> Any:
    return array_apply("left_shift", x1, x2)


def right_shift(x1: Any, x2: Any, /) -> Any:
    return array_apply("right_shift", x1, x2)


def minimum(x1: Any, x2: Any, /) -> Any:
    return array_apply("minimum", x1, x2)


def maximum(x1: Any, x2: Any, /) -> Any:
    return array_apply("maximum", x1, x2)


def arctan2(x1: Any, x2: Any, /) -> Any:
    return array_apply("arctan2", x1, x2)


def hypot(x1: Any, x2: Any, /) -> Any:
    return array_apply("hypot", x1, x2)


def logical_and(x1: Any, x2: Any, /) -> Any:
    return array_apply("logical_and", x1, x2)


def logical_or(x1: Any, x2: Any, /) -> Any:
    return array_apply("logical_or", x1, x2)


def logical_xor(x1: Any, x2: Any, /) -> Any:
    return array_apply("logical_xor", x1, x2)


def equal(x1: Any, x2: Any, /) -> Any:
    return array_apply("equal", x1, x2)


def not_equal(x1: Any, x2: Any, /) -> Any:
    return array_apply("not_equal", x1, x2)


def less(x1: Any, x2: Any, /) -> Any:
    return array_apply("less", x1, x2)


def less_equal(x1: Any, x2: Any, /) -> Any:
    return array_apply("less_equal", x1, x2)


def greater(x1: Any, x2: Any, /) -> Any:
    return array_apply("greater", x1, x2)


def greater_equal(x1: Any, x2: Any, /) -> Any:
    return array_apply("greater_equal", x1, x2)


def negative(x: Any, /) -> Any:
    return array_apply("negative", x)


def absolute(x: Any, /) -> Any:
    return array_apply("absolute", x)


abs = fabs = absolute


def invert(x: Any, /) -> Any:
    return array_apply("invert", x)


def conjugate(x: Any, /) -> Any:
    return array_apply("conjugate", x)


def square(x: Any, /) -> Any:
    return array_apply("square", x)


def sign(x: Any, /) -> Any:
    return array_apply("sign", x)


def reciprocal(x: Any, /) -> Any:
    return array_apply("reciprocal", x)


def sqrt(x: Any, /) -> Any:
    return array_apply("sqrt", x)


def cbrt(x: Any, /) -> Any:
    return array_apply("cbrt", x)


def exp(x: Any, /) -> Any:
    return array_apply("exp", x)


def exp2(x: Any, /) -> Any:
    return array_apply("exp2", x)


def expm1(x: Any, /) -> Any:
    return array_apply("expm1", x)


def log(x: Any, /) -> Any:
    return array_apply("log", x)


def log2(x: Any, /) -> Any:
    return array_apply("log2", x)


def log10(x: Any, /) -> Any:
    return array_apply("log10", x)


def log1p(x: Any, /) -> Any:
    return array_apply("log1p", x)


def sin(x: Any, /) -> Any:
    return array_apply("sin", x)


def cos(x: Any, /) -> Any:
    return array_apply("cos", x)


def tan(x: Any, /) -> Any:
    return array_apply("tan", x)


def arcsin(x: Any, /) -> Any:
    return array_apply("arcsin", x)


def arccos(x: Any, /) -> Any:
    return array_apply("arccos", x)


def arctan(x: Any, /) -> Any:
    return array_apply("arctan", x)


def sinh(x: Any, /) -> Any:
    return array_apply("sinh", x)


def cosh(x: Any, /) -> Any:
    return array_apply("cosh", x)


def tanh(x: Any, /) -> Any:
    return array_apply("tanh", x)


def arcsinh(x: Any, /) -> Any:
    return array_apply("arcsinh", x)


def arccosh(x: Any, /) -> Any:
    return array_apply("arccosh", x)


def arctanh(x: Any, /) -> Any:
    return array_apply("arctanh", x)


def floor(x: Any, /) -> Any:
    return array_apply("floor", x)


def ceil(x: Any, /) -> Any:
    return array_apply("ceil", x)


def trunc(x: Any, /) -> Any:
    return array_apply("trunc", x)


def rint(x: Any, /) -> Any:
    return array_apply("rint", x)


def isnan(x: Any, /) -> Any:
    return array_apply("isnan", x)


def isinf(x: Any, /) -> Any:
    return array_apply("isinf", x)


def isfinite(x: Any, /) -> Any:
    return array_apply("isfinite", x)


def logical_not(x: Any, /) -> Any:
    return array_apply("logical_not", x)
