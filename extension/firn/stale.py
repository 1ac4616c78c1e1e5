"""Objects in frozen data that the notebook can still change: a namespace, an instance of a class with a `__getstate__`.

Every interpreter has an object of its own for such a twin. Who changes the notebook's changes that one, and the workers
would go on with what was frozen, in silence. So before data is handed out it is looked at whether its twins still hold
what they held: the latest 200 of them, as far as that takes no time worth mentioning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any, Final

from firn import _core, twin_parts
from firn.watch import is_compared, is_same

LONGEST: Final = 0.005
"""Seconds: what takes longer to look at is not looked at."""

_held: dict[int, tuple[int, Any]] = {}
"""id of an object that was frozen -> its twin's address, and what it held then; None: nobody knows."""


def note() -> None:
    """Writes down what objects hold that have just been frozen."""
    before = _held.copy()
    _held.clear()
    for value, twin in _core.kept_objects():
        known = before.get(id(value))
        _held[id(value)] = known if known is not None and known[0] == twin else (twin, _first_look(value))


def _first_look(value: Any) -> Any:
    if not is_compared(value):
        return None
    began = perf_counter()
    try:
        parts = _parts(value)
        usable = is_same(parts, _parts(value), {})  # not what is another one each time: the time of day
    except Exception:  # code of its class
        return None
    return parts if usable and perf_counter() - began < LONGEST else None


def _parts(value: Any) -> Any:
    """What a twin is made from, as mutable copies: what is frozen meanwhile reads the same."""
    apart = twin_parts.take_apart(value)
    return _core.thaw((apart.parts, apart.state))


def changed(segments: Iterable[int]) -> Iterator[tuple[Any, int]]:
    """Objects that are not what was frozen, in these segments or what they lead to, with the addresses of their twins."""
    kept = _core.kept_objects()
    if not kept and not _core.has_made():
        return
    used = frozenset(_core.segments_below(sorted(segments)))
    for value, twin in kept:
        known = _held.get(id(value))
        is_used = not used.isdisjoint(_core.segments_at([twin]))
        if is_used and known is not None and known[0] == twin and not _holds(value, known[1]):
            yield value, twin
    twins: dict[int, int] = {}

    def is_wanted(value: Any, twin: int) -> bool:
        twins[id(value)] = twin
        return is_compared(value) and not used.isdisjoint(_core.segments_at([twin]))

    for value, other in _core.made_anew(is_wanted):
        if not _is_like(value, other):
            yield value, twins[id(value)]


def _holds(value: Any, parts: Any) -> bool:
    try:
        return parts is None or is_same(parts, _parts(value), {})
    except Exception:  # code of its class: nothing that can be compared
        return True


def _is_like(value: Any, other: Any) -> bool:
    try:
        return is_same(value, other, {})
    except Exception:
        return True
