"""What crosses to the workers, one thing at a time.

A *unit* is a frozen value (as a pointer), a definition (function or class of the notebook, by value) or a copy (a value
that cannot be frozen but pickles). Units refer to each other by number, so that no pickle holds what another unit brings.
"""

from __future__ import annotations

import _thread
import datetime
import io
import itertools
import re
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from firn import _core, effects, rebuild, replicate, twin_parts
from firn.names import ShippingRefusal, Unshippable
from firn.readable import a
from firn.shared import Local, SharedField
from firn.teach import FROZEN_TYPES

SMALL: Final = 256
"""Strings, bytes and integers up to this many characters (bytes) cross by value."""

_GLANCE: Final = 64
_STATIC: Final = frozenset({type(None), bool, type(Ellipsis), type(NotImplemented)})
CONTAINERS: Final = frozenset(
    {list, dict, set, frozenset, tuple, deque, OrderedDict, defaultdict, Counter, types.MappingProxyType, bytearray}
)
FREEZABLE: Final = CONTAINERS | {
    str, bytes, int, float, complex, range, slice,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
}  # fmt: skip
_BUFFERS: Final = frozenset({("array", "array"), ("numpy", "ndarray")})
_SHAREABLE: Final = FREEZABLE - {list, dict, set}
FROZEN: Final = frozenset(FROZEN_TYPES)
_NOTED: Final = re.compile(r"when serializing (?:dict item '(?P<key>[^']+)'|tuple item (?P<index>\d+))")
_LOCKS: Final = (_thread.LockType, _thread.RLock)


@dataclass
class Figures:
    """What crossed, and what it took. Bytes of copies and definitions are those of their pickles."""

    frozen: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    copied: dict[str, int] = field(default_factory=dict)
    shipped: dict[str, int] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    random: bool = False  # the loop may draw random numbers
    kept: list[str] = field(default_factory=list)  # what keeps an original alive: "Out[3]", "_"
    together: set[str] = field(default_factory=set)  # variables that were copied for what they share with copied ones
    holders: set[str] = field(default_factory=set)  # variables below which something held an original
    objects: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(eq=False)
class Unit:
    """One thing that crosses on its own. `value` is the notebook's object and is kept alive while the unit is."""

    value: object
    label: str
    kind: str  # "frozen" | "definition" | "copy" | "part"
    names: list[str] = field(default_factory=list)
    raw: bytes | None = None
    needs: dict[Unit, int] = field(default_factory=dict)  # what it refers to, each with its number
    modules: set[str] = field(default_factory=set)
    pointer: object = None  # the frozen value, or this interpreter's own object for it
    address: int = 0  # of the frozen value
    memo: rebuild.Memo | None = None  # of its pickle
    parts: list[Any] | None = None  # some of the objects in that (`common`)
    replaced: set[int] = field(default_factory=set)  # ids of those that it was to refer to instead
    version: bytes = b""
    number: int = -1
    sticky: bool = False
    optional: bool = False
    together: tuple[Unit, ...] = ()  # units that are to cross in the same pickle
    owner: Any = None
    over: bool = False  # a loop runs over it
    content: bytes = b""  # of what a function or class holds
    reused: bool = False  # it was frozen with this content before
    root: str = ""
    why: Exception | None = None  # a copy: why it cannot be frozen
    error: ShippingRefusal | None = None
    own: frozenset[int] = frozenset()
    holds_own: bool = (
        False  # its pickle brings objects that a worker makes of frozen ones, and may make anew for each cell
    )

    @property
    def key(self) -> str:
        """What messages call it."""
        return self.names[0] if self.names else self.label

    def forget_frozen(self) -> None:
        """It is frozen once more."""
        self.pointer, self.address, self.reused = None, 0, False

    @property
    def is_own_object(self) -> bool:
        """Whether every interpreter makes its own object of the frozen value."""
        return self.kind == "frozen" and id(self.pointer) != self.address


def components(units: list[Unit]) -> list[list[Unit]]:
    """The strongly connected components of what refers to what, each after those that it refers to (Tarjan)."""
    index: dict[Unit, int] = {}
    low: dict[Unit, int] = {}
    stack: list[Unit] = []
    found: list[list[Unit]] = []

    def visit(unit: Unit) -> None:
        index[unit] = low[unit] = len(index)
        stack.append(unit)
        for need in (*unit.needs, *unit.together):
            if need not in index:
                visit(need)
                low[unit] = min(low[unit], low[need])
            elif need in stack:
                low[unit] = min(low[unit], index[need])
        if low[unit] == index[unit]:
            at = stack.index(unit)
            found.append(stack[at:])
            del stack[at:]

    for unit in units:
        if unit not in index:
            visit(unit)
    visit = None  # type: ignore[assignment]  # it refers to itself: no garbage that holds data until it is collected
    return found


def by_value(value: Any) -> bool:
    kind = type(value)
    if kind in _STATIC or kind is complex:
        return True
    if kind is float:
        return bool(value == value)  # a NaN's identity matters to `in`
    if kind is int:
        return bool(value.bit_length() <= SMALL * 8)
    return kind in (str, bytes) and bool(len(value) <= SMALL)


def is_data(value: object) -> bool:
    """Whether a variable's value may be frozen together with others, and the variable bound to the frozen form."""
    kind = type(value)
    return kind in FREEZABLE or (rebuild.is_mutable(kind) and not isinstance(value, type)) or is_buffer(kind)


def is_buffer(kind: type) -> bool:
    return kind is memoryview or (kind.__module__, kind.__name__) in _BUFFERS


def glance(value: object) -> Iterator[Any]:
    """Some of a value's parts that are not of builtin data types: what they need is found before the value is frozen, in
    one go with it, and what would be lost is refused. Runs no code of theirs."""
    todo = [value]
    for one in todo:
        kind = type(one)
        if kind in FREEZABLE:
            parts = one.values() if isinstance(one, dict) else one if isinstance(one, (list, tuple, set, deque)) else ()
            todo += islice(parts, max(0, min(_GLANCE // 4, _GLANCE - len(todo))))
        elif kind not in FROZEN:
            yield one


def is_in_heap(value: object) -> bool:
    """Whether a value of a builtin type is a frozen one: a string, a tuple ..."""
    return type(value) in _SHAREABLE and _core.is_frozen(value) and bool(_core.segments_of([value]))


def is_definition(value: object) -> bool:
    """Whether something is code rather than data: it is never frozen. An object with a `__call__` of its own is data,
    and a field that all interpreters share is a name for a place."""
    return (
        isinstance(value, (type, SharedField, Local))
        or replicate.is_for_types(value)
        or (callable(value) and type(value) not in FROZEN and not rebuild.is_mutable(type(value)))
    )


def functions_in(value: object) -> Iterator[types.FunctionType]:
    """The notebook's functions behind a method, property or decorated function."""
    todo, seen = [value], set()
    while todo:
        value = todo.pop()
        if value is None or id(value) in seen:
            continue
        seen.add(id(value))
        if type(value) is types.FunctionType:
            yield value
            for cell in value.__closure__ or ():
                with suppress(ValueError):
                    if callable(cell.cell_contents) and not isinstance(cell.cell_contents, type):
                        todo.append(cell.cell_contents)
        elif not isinstance(value, type):
            for name in ("__func__", "__wrapped__", "fget", "fset", "fdel", "func"):
                with suppress(Exception):  # any object may stand in a class
                    todo.append(getattr(value, name))


def refuse_state(unit: Unit) -> None:
    """Refuses values whose copies would each go through the same states."""
    random = sys.modules.get("random")
    if random is not None and isinstance(unit.value, random.Random):
        what, remedy = "is a random generator", "use the random module's own functions, which firn seeds per iteration"
    elif unit.value is sys.stdout or unit.value is sys.stderr:
        return
    elif isinstance(unit.value, io.IOBase):
        what, remedy = "is an open file", f"read it before the loop: lines = {unit.key}.readlines()"
    elif type(unit.value) in (itertools.count, itertools.cycle):
        what, remedy = (
            "is an iterator",
            "it has no end: number the items with enumerate(...), and give the number to the function",
        )
    elif isinstance(unit.value, Iterator):
        what, remedy = "is an iterator", f"read it to the end before the loop: {unit.key} = list({unit.key})"
    else:
        return
    raise effects.LostEffect(
        f"{unit.key} {what}: each worker would start with a copy of it and get the same values",
        remedy,
        name=unit.key,
    )


def refuse_other_class(cls: type) -> None:
    """Refuses instances in data whose `__class__` is what their class says: frozen ones would be of their own class."""
    if any("__class__" in vars(base) for base in cls.__mro__ if base is not object):
        name = cls.__qualname__
        raise Unshippable(
            f"an instance of {name} answers with another __class__ than {name}, which it would not do once it is frozen",
            f"make it inside the loop, or give the loop what it stands for instead of the {name}",
            name=name,
        )


def _inside(unit: Unit, error: Exception) -> str:
    """Where in a class or a function the value is that pickle stopped at, by the notes that it leaves from there outwards."""
    notes = [_NOTED.fullmatch(note) for note in getattr(error, "__notes__", ())]
    way = [found["key"] or int(found["index"]) for found in notes if found]
    value = unit.value
    if isinstance(value, type):
        name = next((name for name in reversed(way) if name in vars(value)), None)
        return f"{unit.key}.{name}" if name else ""
    if isinstance(value, types.FunctionType):
        code, defaults = value.__code__, value.__defaults__ or ()
        match way[-2:]:
            case [int(index), "__defaults__"]:
                return f"the default of {code.co_varnames[code.co_argcount - len(defaults) + index]} in {unit.key}"
            case [str(name), "__kwdefaults__"]:
                return f"the default of {name} in {unit.key}"
            case [int(index), 3]:  # its closure (`replicate`)
                return f"{code.co_freevars[index]} in {unit.key}"
    return ""


def unshippable(unit: Unit, error: Exception) -> Unshippable:
    path = unit.key
    if unit.why is not None:
        kind = getattr(unit.why, "type_name", type(unit.value).__name__)
        path = getattr(unit.why, "path", unit.key)
        what = f"{path}: {a(kind)} can neither be frozen nor copied to the workers"
        if unit.over and not unit.names:
            what = f"the loop runs over {a(kind)}, which can neither be frozen nor copied to the workers"
    else:
        path = _inside(unit, error) or path
        what = f"{path} cannot be sent to the workers"
    cause = getattr(unit.why, "__cause__", None)
    told = "" if isinstance(error, twin_parts.Refused) else f" ({type(error).__name__}: {error})"
    if type(unit.value) in _LOCKS:
        remedy = (
            f"leave {unit.key} out: what the loop adds up or collects is merged without one, and effects beyond the "
            "notebook's variables (a file) are better had after the loop"
        )
    elif isinstance(cause, twin_parts.Refused):
        remedy = str(cause)
    elif unit.over and not unit.names:
        remedy = "before it, make a list of what it needs of each item (a text, a number), and run over that"
    elif path != unit.key and isinstance(unit.value, types.FunctionType):
        remedy = f"make it inside {unit.key}, each time that this is called"
    elif path != unit.key:
        remedy = f"leave {path} out of {unit.key}, or give the loop only the part of {unit.key} that it needs"
    else:
        remedy = f"make {unit.key} inside the loop, or give the loop only the part of it that it needs"
    return Unshippable(f"{what}{told}", remedy, name=unit.key)
