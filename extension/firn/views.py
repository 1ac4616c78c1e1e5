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
    array = getattr(numpy, "ndarray", ())
    arrays = [one for one in originals if isinstance(one, array)]
    memories = {id(_memory(one, array)) for one in arrays}
    for one in arrays:
        _close(one)
    names = []
    for name, value in [*namespace.items()] if memories else ():
        if not isinstance(value, (array, memoryview)) or id(_memory(value, array)) not in memories:
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


def _memory(value: Any, array: Any) -> object:
    """The object whose memory it is."""
    if isinstance(value, memoryview):
        value = value.obj
    while isinstance(value, array) and value.base is not None:
        value = value.base
    return value


def _close(value: Any) -> bool:
    """Whether it could be written to."""
    could = bool(value.flags.writeable)
    with suppress(ValueError):
        value.flags.writeable = False
    owner: Any = _memory(value, type(value))
    with suppress(TypeError):  # of a class without weak references
        _closed[id(owner)] = weakref.ref(owner, partial(_forget, id(owner)))
    return could


_closed: dict[int, Any] = {}
"""The owners of memory that was closed, by address."""


def _forget(address: int, _: object) -> None:
    _closed.pop(address, None)


def is_closed(array: Any) -> bool:
    """Whether an array is of memory that was closed here."""
    return id(_memory(array, type(array))) in _closed
