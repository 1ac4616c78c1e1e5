"""Objects in frozen data that the notebook can still change: a namespace, an instance of a class with a `__getstate__`.

Every interpreter has an object of its own for such a twin. Who changes the notebook's changes that one, and the workers
would go on with what was frozen, in silence. So before data is handed out it is looked at whether its twins still hold
what they held: the latest 200 of them, as far as they are small.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from firn import _core, twin_parts
from firn.names import Unshippable
from firn.readable import a
from firn.teach import FROZEN_TYPES
from firn.watch import is_compared, is_like, is_same

_NO_PARTS: Final = (type, types.FunctionType, types.ModuleType, *FROZEN_TYPES)

MOST: Final = 5_000
"""Objects below all those that are looked at; what has more of them is not looked at."""

_held: dict[int, tuple[list[int], int, Any]] = {}
"""Twin -> its segment, the id of the notebook's object, and what that held; None: nobody knows. A twin is known by its
negative address: a dict has hashes in its memory, and that of an address would be a pointer to the twin for ever."""


def note() -> None:
    """Writes down what objects hold that have just been frozen."""
    global _held
    held: dict[int, tuple[list[int], int, Any]] = {}
    left = MOST
    for value, twin in reversed(_core.kept_objects()):
        which = _core.segments_at([twin]), id(value)
        known = _held.get(-twin)
        if known is None or known[:2] != which:
            size = _count(value, left) if is_compared(value) else 0
            left -= size
            known = *which, _first_look(value) if size and left > 0 else None
        held[-twin] = known
    _held = held


def _count(value: Any, most: int) -> int:
    """How many objects a value leads to, as far as they are not frozen: so many at most."""
    found = {id(value): value}
    todo = [value]
    while todo and len(found) <= most:
        for part in gc.get_referents(todo.pop()):
            if id(part) not in found and gc.is_tracked(part) and not isinstance(part, _NO_PARTS):
                found[id(part)] = part
                todo.append(part)
    return len(found)


def _first_look(value: Any) -> Any:
    try:
        parts = _parts(value)
        return parts if is_same(parts, _parts(value), {}) else None  # it is another one each time: the time of day
    except Exception:  # code of its class
        return None


def _parts(value: Any) -> Any:
    """What a twin is made from, as mutable copies: what is frozen meanwhile reads the same."""
    apart = twin_parts.take_apart(value)
    return _core.thaw((apart.parts, apart.state))


def refuse(segments: set[int], used: Callable[[], list[tuple[int, str]]]) -> None:
    """Refuses frozen data with objects that the notebook has changed since; `used`: (address, the variable) of all of it."""
    for value, twin in changed(segments):
        for address, name in used():
            if _core.reached([address], [twin]):
                raise Unshippable(
                    f"{name} holds {a(type(value).__name__)} that was changed after it had been frozen: the workers would "
                    "read it as it was",
                    f"take a copy as it was frozen, and change that one: {name} = firn.thaw({name})",
                    name=name,
                )


def changed(segments: Iterable[int]) -> Iterator[tuple[Any, int]]:
    """Objects that are not what was frozen, in these segments or what they lead to, with the addresses of their twins."""
    kept = _core.kept_objects()
    if not kept and not _core.has_made():
        return
    used = frozenset(_core.segments_below(sorted(segments)))
    for value, twin in kept:
        which = _core.segments_at([twin]), id(value)
        known = _held.get(-twin)
        if not used.isdisjoint(which[0]) and known and known[:2] == which and not _holds(value, known[2]):
            yield value, twin
    twins: dict[int, int] = {}

    def is_wanted(value: Any, twin: int) -> bool:
        twins[id(value)] = twin
        return is_compared(value) and not used.isdisjoint(_core.segments_at([twin]))

    for value, other in _core.made_anew(is_wanted):
        if not is_like(value, other):
            yield value, twins[id(value)]


def _holds(value: Any, parts: Any) -> bool:
    try:
        return parts is None or is_same(parts, _parts(value), {})
    except Exception:  # code of its class: nothing that can be compared
        return True
