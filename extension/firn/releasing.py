"""`firn.release`: frozen data is dropped now, and its memory given back, or one hears what holds it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from firn import _core
from firn.lifetime import LIFETIME, holders, tidy
from firn.readable import a, size
from firn.session import SESSION

_LOOKED_AT: Final = 200_000
"""Objects of a variable that are looked at to find out whether it holds frozen data."""

_SCANS: Final = 3


class Released(int):
    """The bytes that were given back, as a number; it reads as a sentence, with what still holds the rest."""

    held: tuple[str, ...] = ()

    @classmethod
    def of(cls, freed: int, held: list[str]) -> Released:
        self = cls(freed)
        self.held = tuple(held)
        return self

    def __repr__(self) -> str:
        given = f"{size(self)} given back" if self else "nothing given back yet"
        return given if not self.held else f"{given}: {'; '.join(self.held)}"

    __str__ = __repr__


def release(target: object) -> Released:
    """Drops frozen data and gives its memory back at once.

    `target` is the name of a variable, or a frozen value: all variables that are bound to that very value go. What other
    variables are bound to stays frozen. The result is the number of bytes that were given back (those of all that was
    frozen together with the value); printed, it says what still holds the rest: that is on disk from now on, reads as
    before, and goes when the holder does. Raises NameError for an unknown name, TypeError for what is not frozen.

    >>> firn.release("rows")
    312 MB given back
    """
    __tracebackhide__ = True
    from firn import notebook

    spaces = [one.shell.user_ns for one in notebook._notebooks.values()]
    if isinstance(target, str) and not _core.segments_of([target]):
        spaces = [space for space in spaces if target in space]
        if not spaces:
            raise NameError(f"firn.release: no notebook has a variable {target!r}")
        segments = _core.segments_of([space[target] for space in spaces])
        doomed = [(space, target) for space in spaces]
        what = target
    else:
        segments = _core.segments_of([target])
        doomed = [(space, name) for space in spaces for name, value in space.items() if value is target]
        what = doomed[0][1] if doomed else f"this {target.__class__.__name__}"
    if not segments:
        raise TypeError(f"firn.release: {what} is not frozen, so there is nothing to release")
    for space, name in doomed:
        del space[name]
    target = None
    return _retired(segments, spaces)


def _retired(segments: list[int], spaces: list[dict[str, Any]]) -> Released:
    bound = {segment: names for space in spaces for segment, names in holders(space).items()}
    held = [f"{', '.join(bound[segment])} is frozen together with it" for segment in segments if segment in bound]
    going = [segment for segment in segments if segment not in bound]
    sizes = {one["id"]: one["bytes"] for one in _core.segments() if one["id"] in going}
    with SESSION.idle() as idle:
        if not idle:
            return Released.of(0, [*held, "a parallel cell is running: it goes when that has ended"])
        LIFETIME.forget(going)
        _core.begin_retirement(going)
        for attempt in range(_SCANS):
            gc.collect()
            tidy()
            if attempt == 0:
                _core.retire(going)
            else:
                _core.rescan(True)
            _core.settle()
            left = {one["id"]: one["holder"] for one in _core.segments() if one["id"] in going}
            if not left:
                break
    for segment in left:
        held.append(f"{_holder(segment, left[segment], spaces)} ({size(sizes[segment])} on disk)")
    return Released.of(sum(taken for segment, taken in sizes.items() if segment not in left), held)


def _holder(segment: int, address: int, spaces: list[dict[str, Any]]) -> str:
    """Who holds values of a segment, in words."""
    for space in spaces:
        for name, value in space.items():
            if name != "Out" and not name.startswith("_") and any(_holds(part, segment) for part in _parts(value)):
                return f"{name} holds values of it"
        for number, value in space.get("Out", {}).items():
            if any(_holds(part, segment) for part in _parts(value)):
                return f"Out[{number}] holds values of it"
    if not address:
        return "other frozen data refers to it"
    for one in gc.get_objects():
        if address - object.__sizeof__(one) < id(one) <= address:
            return f"{a(type(one).__name__)} holds a value of it"
    from firn import each

    if each.WORKERS.names:
        return f"a variable of the workers may hold values of it ({', '.join(sorted(each.WORKERS.names))})"
    return f"something in the process points to it, at {address:#x} (a thread's stack, or memory of a C library)"


def _holds(value: object, segment: int) -> bool:
    return _core.segments_of([value]) == [segment]


def _parts(value: Any) -> Iterator[Any]:
    """The value and what ordinary containers and instances in it hold, in no order, the first ones only."""
    todo, seen = [value], set()
    for _ in range(_LOOKED_AT):
        if not todo:
            return
        one = todo.pop()
        yield one
        if id(one) in seen or _core.is_frozen(one):
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            todo += islice(one.values(), _LOOKED_AT)
        elif isinstance(one, (list, tuple, set, frozenset)):
            todo += islice(one, _LOOKED_AT)
        elif type(one).__module__ == "__main__":
            todo += getattr(one, "__dict__", {}).values()
