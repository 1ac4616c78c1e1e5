"""The slowest iterations of a loop, as its report names them, and short forms of their items."""

from __future__ import annotations

import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from heapq import nlargest
from itertools import islice
from typing import Any, Final

from firn.items import Items, slice_items, with_sources
from firn.jobs import Done
from firn.report import SLOWEST, Loop, Slow

LENGTH: Final = 60
"""Characters of a short form."""

WALK: Final = 1_000_000
"""An item of a dict or set is not looked for behind so many others."""

_DEPTH: Final = 3
_PARTS: Final = 3
_BRACKETS: Final = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", deque: "[]"}
_MAPPINGS: Final = (dict, OrderedDict, defaultdict, Counter)


def find(loop: Loop, done: Sequence[Done]) -> None:
    """Writes down a loop's slowest iterations; where one chunk's were too quick to be timed, its slowest chunks."""
    if len(done) > 0 and all(chunk.stop - chunk.start == 1 or chunk.slowest for chunk in done):
        loop.slowest_are = "items"
        found = []
        for chunk in done:
            if chunk.stop - chunk.start == 1:
                found.append((_own(chunk), chunk.start))
            found += chunk.slowest
        loop.slowest = [Slow(index, index + 1, taken) for taken, index in nlargest(SLOWEST, found)]
    else:
        chunks = nlargest(SLOWEST, done, key=_own)
        loop.slowest = [Slow(chunk.start, chunk.stop, _own(chunk)) for chunk in chunks]


def _own(chunk: Done) -> float:
    """A chunk's time without what it waited for a CPU."""
    return chunk.ended - chunk.began - chunk.delay_seconds


def describe(loop: Loop, items: Items | None) -> None:
    """Adds the items' short forms; `items` are what the loop ran over."""
    if items is None or loop.slowest_are != "items":
        return
    plan = with_sources(items.numbered(range(len(items.sources))), items.sources)
    for slow in sorted(loop.slowest, key=lambda slow: slow.start):
        with suppress(Exception):  # a class of the user's may do anything; the iteration has its number
            if plan[0] == "walk" and slow.start > WALK:
                continue
            [item] = slice_items(plan, slow.start, slow.stop)
            slow.item = short(item)


def short(value: Any) -> str:
    """The beginning of a value's repr, at once whatever its size; runs no code of the notebook's classes."""
    text = " ".join(_short(value, _DEPTH).split())
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def _short(value: Any, depth: int) -> str:
    kind = value.__class__
    if kind in (str, bytes, bytearray):
        most = LENGTH - 5 if depth == _DEPTH else LENGTH // 3
        return repr(value) if len(value) <= most else f"{repr(value[:most])[:-1]}…"
    if kind is int and value.bit_length() > 4 * LENGTH:
        return f"<an int of {value.bit_length():,} bits>"
    if isinstance(value, Enum):
        return f"{kind.__name__}.{value._name_}"
    if kind in _BRACKETS:
        brackets = _BRACKETS[kind]
        return f"{brackets[0]}{_listed(value, len(value), depth)}{brackets[1]}"
    if kind in _MAPPINGS:
        pairs = [f"{_short(key, depth - 1)}: {_part(value[key], depth)}" for key in islice(value, _PARTS)]
        return f"{{{', '.join(pairs)}{', …' if len(value) > _PARTS else ''}}}"
    if isinstance(kind.__repr__, types.WrapperDescriptorType) and kind.__repr__ is not object.__repr__:
        return repr(value) if not isinstance(value, (list, tuple, dict, set, frozenset)) else f"<{kind.__name__}>"
    if kind.__module__.partition(".")[0] in sys.stdlib_module_names and kind.__module__ != "__main__":
        return repr(value)
    fields = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "_fields", None) or vars(value)
    named = [f"{name}={_part(getattr(value, name), depth)}" for name in islice(fields, _PARTS)]
    return f"{kind.__name__}({', '.join(named)}{', …' if len(fields) > _PARTS else ''})"


def _listed(values: Any, length: int, depth: int) -> str:
    parts = [_part(part, depth) for part in islice(values, _PARTS)]
    return ", ".join(parts) + (", …" if length > _PARTS else "," if length == 1 and values.__class__ is tuple else "")


def _part(value: Any, depth: int) -> str:
    return _short(value, depth - 1) if depth > 0 else "…"
