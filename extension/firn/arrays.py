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
import pickle
import sys
from collections.abc import Sequence
from functools import cache, reduce
from typing import Any, Final

from firn._core import Array, array_apply

pi: Final = math.pi
e: Final = math.e
inf: Final = math.inf
nan: Final = math.nan
newaxis: Final = None


class AxisError(ValueError, IndexError):
    """An axis that the array does not have; both a ValueError and an IndexError, as numpy's."""


class dtype(str):
    """What an array's elements are. Equal to its name ("float64"), to numpy's short forms ("<f8", "f8", "d"), to
    numpy.dtype and to Python's types (`float`)."""

    name: str
    """As "float64", whatever the byte order."""
    kind: str
    """numpy's letter: b, i, u, f, c, m, M, S, U, V."""
    itemsize: int
    """Bytes of an element."""
    char: str
    str: str
    """As in the array interface: "<f8"."""
    fields: tuple[Any, ...] | None
    """Of structured elements: (name, offset, typestr, shape, fields) of each field."""

    __slots__ = ("char", "fields", "itemsize", "kind", "name", "str")

    def __new__(cls, wanted: Any) -> dtype:
        return wanted if isinstance(wanted, dtype) else _empty(wanted).dtype

    @property
    def byteorder(self) -> builtins.str:
        return {"<": "=", ">": ">", "|": "|"}[self.str[0]]

    @property
    def names(self) -> tuple[builtins.str, ...] | None:
        return self.fields and tuple(field[0] for field in self.fields)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dtype):
            return self.str == other.str and self.fields == other.fields
        if isinstance(other, builtins.str) and builtins.str.__eq__(self, other):
            return True
        try:
            return bool(_empty(other).dtype.str == self.str)
        except TypeError, ValueError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return builtins.str.__hash__(self)

    def __repr__(self) -> builtins.str:
        return f"dtype({builtins.str.__repr__(self)})"

    def __str__(self) -> builtins.str:
        return builtins.str.__str__(self)

    def __reduce__(self) -> Any:
        return _make_dtype, (self.name, self.kind, self.itemsize, self.char, self.str, self.fields)


@cache
def _make_dtype(
    name: str, kind: str, itemsize: int, char: str, typestr: str, fields: tuple[Any, ...] | str | None
) -> dtype:
    made = str.__new__(dtype, typestr if typestr[0] == ">" else name)
    made.name, made.kind, made.itemsize, made.char, made.str = name, kind, itemsize, char, typestr
    made.fields = fields if isinstance(fields, tuple) else None
    return made


def _empty(wanted: Any) -> Any:
    return Array((), wanted)


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


# --- element by element ---


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


class ObjectArray:
    """What an ndarray of Python objects is in a worker: its elements, by integers and slices along the first axis."""

    dtype: Final = "object"

    def __init__(self, elements: tuple[Any, ...], shape: tuple[int, ...]) -> None:
        self._elements, self.shape = elements, shape
        self.ndim, self.size = len(shape), len(elements)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def _row(self, place: int) -> Any:
        if self.ndim == 1:
            return self._elements[place]
        width = self.size // self.shape[0]
        return ObjectArray(self._elements[place * width : (place + 1) * width], self.shape[1:])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            found: Any = self
            for one in key:
                found = found[one]
            return found
        places = range(len(self))[key]
        if isinstance(places, int):
            return self._row(places)
        width = self.size // len(self) if len(self) else 0
        chosen = [element for place in places for element in self._elements[place * width : (place + 1) * width]]
        return ObjectArray(tuple(chosen), (len(places), *self.shape[1:]))

    def __iter__(self) -> Any:
        return map(self._row, range(len(self)))

    def __contains__(self, value: object) -> bool:
        return value in self._elements

    def tolist(self) -> Any:
        if not self.shape:
            return self._elements[0]
        return list(self._elements) if self.ndim == 1 else [row.tolist() for row in self]

    def ravel(self) -> ObjectArray:
        return ObjectArray(self._elements, (self.size,))

    def __repr__(self) -> str:
        return f"ObjectArray({self.tolist()!r})"

    def __reduce__(self) -> Any:
        return _rebuild_objects, (self._elements, self.shape)


def _rebuild_objects(elements: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    numpy: Any = sys.modules.get("numpy")
    if not hasattr(numpy, "empty"):
        return ObjectArray(elements, shape)
    made = numpy.empty(len(elements), object)
    for place, element in enumerate(elements):
        made[place] = element
    return made.reshape(shape)


# --- text ---

_SUMMARY: Final = 1000
"""Arrays of more elements are shown with the first and last three of each axis only."""


def _pieces(a: Any, summary: bool, texts: list[str]) -> Any:
    """The nested structure of what is shown: lists of numbers of texts, None for what is left out."""
    if a.ndim == 0:
        texts.append(repr(a.item()))
        return len(texts) - 1
    shown: list[Any] = []
    for place in range(a.shape[0]):
        if summary and a.shape[0] > 6 and 3 <= place < a.shape[0] - 3:
            if place == 3:
                shown.append(None)
            continue
        shown.append(_pieces(a[place : place + 1].reshape(a.shape[1:]), summary, texts))
    return shown


def _lines(shown: Any, texts: list[str], indent: str, separator: str, axes: int) -> str:
    if not isinstance(shown, list):
        return "..." if shown is None else texts[shown]
    parts = [_lines(part, texts, indent + " ", separator, axes - 1) for part in shown]
    between = separator + " " if axes == 1 else separator.rstrip(" ") + "\n" * (axes - 1) + indent + " "
    return "[" + between.join(parts) + "]"


def _shown(a: Any, indent: str, separator: str) -> str:
    texts: list[str] = []
    shown = _pieces(a, a.size > _SUMMARY, texts)
    if a.dtype.kind in "iufcb":
        width = builtins.max(map(len, texts), default=0)
        texts = [text.rjust(width) for text in texts]
    return _lines(shown, texts, indent, separator, a.ndim)


def _repr(a: Any) -> str:
    if a.size == 0 and a.shape != (0,):
        return f"Array([], shape={a.shape}, dtype={a.dtype.name})"
    plain = a.dtype.name in ("int64", "float64", "bool", "complex128") and a.size
    return f"Array({_shown(a, '      ', ',')}{'' if plain else f', dtype={a.dtype.name}'})"


def _text(a: Any) -> str:
    return str(a.item()) if a.ndim == 0 else _shown(a, "", "")


# --- crossing to another interpreter ---


def _reduce(a: Any, protocol: int) -> Any:
    """An array as its bytes; out of band with protocol 5."""
    flat = a.ravel()
    raw = flat.view("u1") if a.dtype.itemsize else flat
    data = pickle.PickleBuffer(memoryview(raw)) if protocol >= 5 and a.dtype.itemsize else raw.tobytes()
    return _rebuild, (data, a.dtype.str, a.shape, a.dtype.fields)


def _rebuild(data: Any, typestr: str, shape: tuple[int, ...], fields: tuple[Any, ...] | None) -> Any:
    """A numpy array where numpy is loaded, hence in the notebook; a firn.Array elsewhere."""
    numpy = sys.modules.get("numpy")
    if hasattr(numpy, "frombuffer"):
        kind = numpy.dtype(_descr(fields, 0) if fields else typestr)  # type: ignore[union-attr]
        return numpy.frombuffer(bytearray(data), kind).reshape(shape)  # type: ignore[union-attr]
    return Array(bytearray(data)).view(typestr).reshape(shape)


def _descr(fields: tuple[Any, ...], itemsize: int) -> list[Any]:
    """Structured elements as numpy's array interface describes them, gaps included."""
    described: list[Any] = []
    end = 0
    for name, offset, typestr, shape, nested in fields:
        if offset > end:
            described.append(("", f"|V{offset - end}"))
        size = Array((), typestr).dtype.itemsize * math.prod(shape)
        kind = _descr(nested, size) if nested else typestr
        described.append((name, kind, shape) if shape else (name, kind))
        end = offset + size
    if itemsize > end:
        described.append(("", f"|V{itemsize - end}"))
    return described


def _convert_elements(elements: Any, wanted: Any, shape: tuple[int, ...]) -> Any:
    """Numbers from text, or text of numbers, one at a time."""
    kind = dtype(wanted).kind

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(part) for part in value]
        if kind == "U":
            return str(value)
        text = value.decode() if isinstance(value, bytes) else value
        return {"c": complex, "f": float}.get(kind, int)(text)

    return Array(convert(elements), wanted).reshape(shape)
