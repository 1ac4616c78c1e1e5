"""Arrays in workers, where numpy cannot load: `firn.Array`, and numpy's functions for it under numpy's names.

`import firn.arrays as np` serves code that calculates with whole arrays. Results are what NumPy 2 gives, but for three
things: elements and results without axes are Python's own numbers; nothing warns of overflow or division by zero; what
would write to an array raises TypeError, for arrays are immutable.

The arithmetic is Eigen's (vector instructions, blocked matrix products): the one such library in C++ that Debian has
next to xeus-dev. xtensor, which follows numpy's interface, needs a package (nlohmann-json3-dev) that excludes it.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

from firn._core import Array, array_apply
from firn.array_half import AxisError as AxisError
from firn.array_half import dtype as dtype
from firn.elementwise import *  # noqa: F403  (they are numpy's functions, too)
from firn.elementwise import not_equal

pi: Final = math.pi
e: Final = math.e
inf: Final = math.inf
nan: Final = math.nan
newaxis: Final = None


# --- making arrays ---


def array(object: Any, dtype: Any = None) -> Any:
    """An array of numbers, nested sequences or whatever has the buffer protocol."""
    return Array(object, dtype)


asarray = array


def _filled(shape: Any, value: Any, dtype: Any) -> Any:
    one = Array(value) if dtype is None else Array(value, dtype)
    return one._broadcast_to(shape).copy()


def zeros(shape: Any, dtype: Any = float) -> Any:
    return _filled(shape, 0, dtype)


def ones(shape: Any, dtype: Any = float) -> Any:
    return _filled(shape, 1, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    return _filled(shape, fill_value, dtype)


def zeros_like(a: Any, dtype: Any = None) -> Any:
    a = Array(a)
    return zeros(a.shape, dtype or a.dtype)


def ones_like(a: Any, dtype: Any = None) -> Any:
    a = Array(a)
    return ones(a.shape, dtype or a.dtype)


def full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    a = Array(a)
    return full(a.shape, fill_value, dtype or a.dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    if stop is None:
        start, stop = 0, start
    if builtins.all(isinstance(number, int) for number in (start, stop, step)):
        return Array(range(start, stop, step), dtype or int)
    count = builtins.max(0, math.ceil((stop - start) / step))
    values = start + Array(range(count), float) * step
    return values if dtype is None else values.astype(dtype)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    parts = num - 1 if endpoint else num
    values = Array(range(num), float)
    values = values * ((stop - start) / parts) + start if parts > 0 else values + start
    if endpoint and num > 1:
        return concatenate([values[:-1], [float(stop)]])
    return values


def eye(n: int, m: int | None = None, k: int = 0, dtype: Any = float) -> Any:
    rows, columns = Array(range(n), int).reshape(-1, 1), Array(range(n if m is None else m), int)
    return (columns - rows == k).astype(dtype)


# --- values ---


def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Elements of `x` where the condition holds, else of `y`; of the condition alone: where it holds."""
    if x is None or y is None:
        return Array(condition).nonzero()
    chosen, values = Array(condition).astype(bool), [Array(x), Array(y)]
    common = result_type(x, y)
    shape = broadcast_shapes(chosen.shape, *(value.shape for value in values))
    flat = [value.astype(common)._broadcast_to(shape).ravel() for value in values]
    places = Array(range(flat[0].size), int)
    picked = (1 - chosen._broadcast_to(shape).ravel().astype(int)) * flat[0].size + places
    return concatenate(flat)[picked].reshape(shape)


def clip(a: Any, min: Any = None, max: Any = None) -> Any:
    return Array(a).clip(min, max)


def round(a: Any, decimals: int = 0) -> Any:
    return Array(a).round(decimals)


# --- reductions ---


def sum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).sum(axis, dtype, keepdims=keepdims)


def prod(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).prod(axis, dtype, keepdims=keepdims)


def mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).mean(axis, dtype, keepdims=keepdims)


def var(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return Array(a).var(axis, dtype, ddof=ddof, keepdims=keepdims)


def std(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return Array(a).std(axis, dtype, ddof=ddof, keepdims=keepdims)


def min(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).min(axis, keepdims=keepdims)


def max(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).max(axis, keepdims=keepdims)


amin, amax = min, max


def argmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).argmin(axis, keepdims=keepdims)


def argmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).argmax(axis, keepdims=keepdims)


def any(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).any(axis, keepdims=keepdims)


def all(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return Array(a).all(axis, keepdims=keepdims)


def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return Array(a).cumsum(axis, dtype)


def cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return Array(a).cumprod(axis, dtype)


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return not_equal(Array(a), 0).sum(axis, keepdims=keepdims)


# --- order ---


def sort(a: Any, axis: Any = -1) -> Any:
    return Array(a).sort(axis)


def argsort(a: Any, axis: Any = -1) -> Any:
    return Array(a).argsort(axis)


def unique(a: Any) -> Any:
    """The different elements, sorted."""
    values = Array(a).ravel().sort()
    if values.size == 0:
        return values
    return values[concatenate([[True], values[1:] != values[:-1]])]


def nonzero(a: Any) -> Any:
    return Array(a).nonzero()


# --- products ---


def dot(a: Any, b: Any, /) -> Any:
    return Array(a).dot(b)


def matmul(a: Any, b: Any, /) -> Any:
    return Array(a) @ Array(b)


def outer(a: Any, b: Any, /) -> Any:
    return Array(a).reshape(-1, 1) * Array(b).reshape(1, -1)


# --- shapes ---


def reshape(a: Any, shape: Any, *, order: str = "C") -> Any:
    return Array(a).reshape(shape, order=order)


def ravel(a: Any) -> Any:
    return Array(a).ravel()


def transpose(a: Any, axes: Any = None) -> Any:
    return Array(a).transpose(axes)


def squeeze(a: Any, axis: Any = None) -> Any:
    return Array(a).squeeze(axis)


def expand_dims(a: Any, axis: int) -> Any:
    a = Array(a)
    place = axis if axis >= 0 else axis + a.ndim + 1
    return a[(*(slice(None),) * place, None)]


def broadcast_to(a: Any, shape: Any) -> Any:
    return Array(a)._broadcast_to(shape)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    total: Any = Array(False)
    for shape in shapes:  # of arrays whose one element is repeated
        total = Array(array_apply("logical_or", total, Array(False)._broadcast_to(shape)))
    made: tuple[int, ...] = total.shape
    return made


def result_type(*values: Any) -> Any:
    """The dtype of a calculation with all of these; Python's own numbers take the type of the arrays."""
    nothing = [Array((), value.dtype) if isinstance(value, Array) else value for value in values]
    arrays = [value for value in nothing if isinstance(value, Array)]
    if not arrays:
        return reduce(lambda a, b: array_apply("maximum", a, b), [Array([value]) for value in values]).dtype
    if builtins.all(array.dtype.kind in "US" for array in arrays):
        return concatenate(arrays).dtype
    return reduce(lambda a, b: array_apply("maximum", a, b), nothing).dtype


def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    return _concatenate([Array(a).ravel() if axis is None else Array(a) for a in arrays], axis or 0)


def _concatenate(parts: list[Any], axis: int) -> Any:
    if not parts:
        raise ValueError("need at least one array to concatenate")
    if builtins.any(part.ndim == 0 for part in parts):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    ndim = parts[0].ndim
    if not -ndim <= axis < ndim:
        raise AxisError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    axis %= ndim
    for part in parts:
        if part.ndim != ndim or part.shape[:axis] + part.shape[axis + 1 :] != (
            parts[0].shape[:axis] + parts[0].shape[axis + 1 :]
        ):
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match exactly, but these have "
                f"the shapes {', '.join(str(part.shape) for part in parts)}"
            )
    return Array._concatenate(parts, axis)


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def vstack(arrays: Sequence[Any]) -> Any:
    return concatenate([a if (a := Array(one)).ndim > 1 else a.reshape(1, -1) for one in arrays])


def hstack(arrays: Sequence[Any]) -> Any:
    parts = [a if (a := Array(one)).ndim else a.reshape(1) for one in arrays]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)
