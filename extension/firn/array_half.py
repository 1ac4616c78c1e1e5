"""The Python half of firn.Array: its dtype, its text, and how it crosses to another interpreter. The type calls these
functions by their names."""

from __future__ import annotations

import builtins
import math
import pickle
import sys
from functools import cache
from typing import Any, Final

from firn._core import Array


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
