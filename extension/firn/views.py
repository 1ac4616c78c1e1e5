"""Views of arrays that are frozen: they are of the original's memory, where a change would not be seen any more.

So they are read-only from then on, as the frozen array is, and read what it reads. A bytearray that somebody looks into is
not bound to its frozen form to begin with.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

from firn import _core


def lock(namespace: MutableMapping[str, Any], originals: Iterable[object]) -> list[str]:
    """Makes read-only what looks into the originals' memory: them, and the variables that are views of it; these names."""
    numpy: Any = sys.modules.get("numpy")
    array = _array_type()
    arrays = [one for one in originals if isinstance(one, array)]
    memories = {id(owner(one)) for one in arrays}
    for one in arrays:
        _close(one)
    names = []
    for name, value in [*namespace.items()] if memories else ():
        if not isinstance(value, (array, memoryview)) or id(owner(value)) not in memories:
            continue
        if not any(numpy.may_share_memory(value, one) for one in arrays):
            continue  # another part of the same memory
        if isinstance(value, memoryview) and not value.readonly:
            namespace[name] = value.toreadonly()
        elif isinstance(value, memoryview) or _core.is_frozen(value) or not _close(value):
            continue
        if not name.startswith("_"):
            names.append(name)
    return names


def owner(value: Any) -> object:
    """The object whose memory an array or a memoryview has."""
    array = _array_type()
    if isinstance(value, memoryview):
        value = value.obj
    while isinstance(value, array) and value.base is not None:
        value = value.base
    return value


def is_array_type(kind: type) -> bool:
    """Whether it is NumPy's, which need not be imported for that."""
    return (kind.__module__, kind.__name__) == ("numpy", "ndarray")


def _array_type() -> Any:
    return getattr(sys.modules.get("numpy"), "ndarray", ())


def _close(value: Any) -> bool:
    """Whether it could be written to."""
    could = bool(value.flags.writeable)
    with suppress(ValueError):
        value.flags.writeable = False
    memory: Any = owner(value)
    with suppress(TypeError):  # of a class without weak references
        _closed[id(memory)] = weakref.ref(memory, partial(_forget, id(memory)))
    return could


_closed: dict[int, Any] = {}
"""The owners of memory that was closed, by address."""


def _forget(address: int, _: object) -> None:
    _closed.pop(address, None)


def is_closed(array: Any) -> bool:
    """Whether an array is of memory that was closed here."""
    return id(owner(array)) in _closed
