"""Arrays of Python objects in workers."""

from __future__ import annotations

import sys
from typing import Any, Final


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
