"""Sees in a worker whether a loop's code changes a copy of something of the notebook's: what frozen data refuses at once
would otherwise be lost in silence (`def poke(p): p.n += 1`, called for each item).

A copy is compared by its pickle before and after; of the notebook's classes and functions it is what they hold (class
attributes, defaults, captured variables). Objects that a worker makes of frozen data (a namespace, a deque of a class of
one's own) are compared with others that are made of the same data. Not everything is looked at all the time: the first
chunks always, later ones as long as looking takes a small part of the time. What `functools.cached_property` keeps does
not count.
"""

from __future__ import annotations

import copy
import functools
import io
import pickle
import types
from collections import deque
from collections.abc import Iterable, Iterator
from enum import EnumType
from time import perf_counter

from firn import _core, instances, rebuild
from firn.readable import a
from firn.teach import FROZEN_TYPES

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

LARGE: Final = 1 << 21
"""Copies of more bytes are only watched where they are a loop's items, a chunk at a time."""

_SHARE: Final = 0.05
_ALWAYS: Final = 3
"""So many chunks are looked at, whatever that takes."""
_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_COUNTS: Final = _ATOMS - {type(None)}
_SAME: Final = (
    type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.CodeType, types.CellType,
    functools._lru_cache_wrapper, *FROZEN_TYPES,
)  # fmt: skip


_CODE: Final = (
    type, types.FunctionType, property, staticmethod, classmethod, functools.cached_property, functools.partialmethod,
    types.MemberDescriptorType, types.GetSetDescriptorType,
)  # fmt: skip
_MACHINERY: Final = frozenset({"_abc_impl", "_is_protocol", "_is_runtime_protocol"})


class Watch:
    """Watches some values and definitions, each value with the name that messages call it by."""

    def __init__(self, values: list[tuple[str, Any]], definitions: list[Any]) -> None:
        began = perf_counter()
        self._definitions = [(definition, dict(_held(definition))) for definition in definitions]
        parts = (part for _, held in self._definitions for part in held.items())
        self._held = _shaped(part for part in parts if type(part[1]) not in _ATOMS)
        self._before = _shaped(values)
        self._cost = perf_counter() - began
        self._looked, self._looks = 0.0, 0

    @property
    def due(self) -> bool:
        """Whether it is time to look (again)."""
        return self._looks < _ALWAYS or perf_counter() - self._looked > self._cost / _SHARE

    def also(self, name: str, value: Any) -> tuple[str, Any, bytes | None]:
        """Looks at a chunk's items before they are worked on."""
        began = perf_counter()
        shape = _shape(value)
        self._cost = max(self._cost, perf_counter() - began)
        return name, value, shape

    def changed(self, more: tuple[str, Any, bytes | None] | None) -> str:
        """The name of a value that is not what it was, or ""."""
        began = perf_counter()
        found = (
            self.changed_in_definitions()
            or _changed([*self._before, *([more] if more is not None else [])])
            or self.changed_object()
        )
        self._looked, self._looks = perf_counter(), self._looks + 1
        self._cost = max(self._cost, self._looked - began)
        return found

    def changed_object(self) -> str:
        """What an object is called that this interpreter has made of frozen data and that code has changed, or "". It is
        compared with another one that is made of the same data."""
        if not _core.has_made():
            return ""
        for value, other in _core.made_anew(is_compared):
            if not is_like(value, other):
                return f"{a(type(value).__qualname__)} in the notebook's data"
        return ""

    def changed_in_definitions(self) -> str:
        """The name of what a definition holds that is not what it was, or ""."""
        for definition, held in self._definitions:
            now = dict(_held(definition))
            for name in now.keys() | held.keys():
                if name not in now or name not in held or now[name] is not held[name]:
                    return name
        return _changed(self._held)


def is_compared(value: Any, twin: int = 0) -> bool:
    """Objects of libraries may keep what they have computed."""
    kind = type(value)
    return kind is types.SimpleNamespace or (kind.__module__ == "__main__" and rebuild.is_mutable(kind))


def is_like(value: Any, other: Any) -> bool:
    """Whether two objects hold the same (`is_same`), or can't be compared."""
    try:
        return is_same(value, other, {})
    except Exception:  # code of their classes
        return True


def is_same(value: Any, other: Any, seen: dict[tuple[int, int], Any]) -> bool:
    """Whether two objects that were made of the same data hold the same, by no code of their classes, if these do not speak
    for themselves."""
    kind: Any = type(value)
    if value is other or (id(value), id(other)) in seen:
        return True
    if kind is not type(other) or isinstance(value, _SAME):
        return False
    if kind in _ATOMS:
        return bool(value == other or value != value) and (kind is not float or str(value) == str(other))  # -0.0
    seen[id(value), id(other)] = value, other  # alive, so that their ids stay theirs
    if kind in (list, tuple, deque):
        return len(value) == len(other) and all(is_same(a, b, seen) for a, b in zip(value, other, strict=True))
    if kind is dict:
        return is_same([*value], [*other], seen) and is_same([*value.values()], [*other.values()], seen)
    if kind is types.SimpleNamespace:
        return is_same(vars(value), vars(other), seen)
    if kind in (set, frozenset):
        return bool(value == other)
    if instances.speaker_of(kind) is not None:
        if (shape := _shape(value)) != _shape(other):
            return shape != _shape(value)  # it says something else each time: the time of day
        counted = _counted(value, other)
        # Those that are made anew each time (a time, a number that is drawn) differ in any copy.
        return not counted or counted <= _counted(copy.copy(other), other)
    held, expected = instances.take_apart(value), instances.take_apart(other)
    return held is None or all(
        is_same(_kept(kind, a), _kept(kind, b), seen) for a, b in zip(held, expected, strict=True)
    )


def _counted(value: Any, other: Any) -> set[str]:
    """The attributes with different numbers or texts of which the objects' class does not tell pickle (`self.calls += 1`).
    What fills a cache there does not count."""
    held, expected = (getattr(one, "__dict__", {}) for one in (value, other))
    names = (name for name in held.keys() & expected.keys() if {type(held[name]), type(expected[name])} <= _COUNTS)
    return {name for name in names if held[name] != expected[name]}


def _kept(kind: type, part: Any) -> Any:
    """Without what `functools.cached_property` keeps."""
    cached = _cached_names(kind)
    return {name: value for name, value in part.items() if name not in cached} if type(part) is dict else part


def _shaped(values: Iterable[tuple[str, Any]]) -> list[tuple[str, Any, bytes | None]]:
    return [(name, value, shape) for name, value in values if (shape := _shape(value)) is not None]


def _changed(values: list[tuple[str, Any, bytes | None]]) -> str:
    for name, value, before in values:
        if before is not None and _shape(value) != before:
            return name
    return ""


def _held(definition: Any) -> Iterator[tuple[str, Any]]:
    """What a class, a function or a partial holds besides code, each by a name."""
    if isinstance(definition, type):
        for name, value in vars(definition).items():
            # An Enum keeps the combinations of its flags that it has met.
            hidden = name in _MACHINERY or name.startswith("_" if isinstance(definition, EnumType) else "__")
            if not (hidden or isinstance(value, _CODE)):
                yield f"{definition.__qualname__}.{name}", value
        if isinstance(definition, EnumType):
            members: dict[str, Any] = dict(definition.__members__)
            kept = {"_inverted_", *_cached_names(definition)}
            for name, member in members.items():
                for attribute, value in vars(member).items():
                    if attribute not in kept:
                        yield f"{definition.__qualname__}.{name}.{attribute}", value
    elif isinstance(definition, functools.partial):
        for number, value in enumerate([*definition.args, *definition.keywords.values()], 1):
            yield f"argument {number} of a partial of {getattr(definition.func, '__name__', definition.func)}", value
    else:
        name = definition.__qualname__
        for number, value in enumerate(
            [*(definition.__defaults__ or ()), *(definition.__kwdefaults__ or {}).values()], 1
        ):
            yield f"default {number} of {name}", value
        for variable, cell in zip(definition.__code__.co_freevars, definition.__closure__ or (), strict=True):
            try:
                yield f"{variable} of {name}", cell.cell_contents
            except ValueError:  # not bound yet
                continue
        for attribute, value in definition.__dict__.items():
            yield f"{name}.{attribute}", value


def _shape(value: Any) -> bytes | None:
    file = io.BytesIO()
    try:
        _Shape(file, protocol=5).dump(value)
    except Exception:  # nothing that can be compared
        return None
    return file.getvalue()


class _Shape(pickle.Pickler):
    """Pickles what a value holds; code and what cannot change stand for themselves."""

    def persistent_id(self, value: Any) -> Any:
        if type(value) in _ATOMS:
            return None
        return id(value) if isinstance(value, _SAME) else None

    def reducer_override(self, value: Any) -> Any:
        if type(value).__name__ == "Context" and type(value).__module__ == "decimal":
            return type(value), (
                value.prec,
                value.rounding,
                value.Emin,
                value.Emax,
                value.capitals,
                value.clamp,
            )  # no flags
        cached = _cached_names(type(value))  # type: ignore[arg-type]
        if not cached:
            return NotImplemented
        reduced = value.__reduce_ex__(5)
        if not isinstance(reduced, tuple) or len(reduced) < 3 or type(reduced[2]) is not dict:
            return reduced
        state = {name: kept for name, kept in reduced[2].items() if name not in cached}
        return (*reduced[:2], state or None, *reduced[3:])


@functools.lru_cache
def _cached_names(cls: type) -> frozenset[str]:
    return frozenset(
        name for base in cls.__mro__ for name, value in vars(base).items() if type(value) is functools.cached_property
    )
