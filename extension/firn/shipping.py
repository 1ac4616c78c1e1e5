"""What a split loop needs in the workers, and how each value gets there.

A *unit* is one thing that crosses on its own: a frozen value (as a pointer), a definition (function or class of the
notebook, by value) or a copy (a value that cannot be frozen but pickles). Units refer to each other by number, so that
no pickle holds what another unit brings; a definition's version is a digest of its pickle and of what it refers to,
and a worker loads again only what has another version. Functions find their globals in the worker's namespace, by name.
"""

from __future__ import annotations

import datetime
import hashlib
import linecache
import marshal
import pickle
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from firn import _core, names, replicate
from firn.items import Items
from firn.names import BUILTINS, ShippingRefusal

SMALL: Final = 256
"""Strings, bytes and integers up to this many characters (bytes) cross by value."""

_STATIC: Final = frozenset({type(None), bool, type(Ellipsis), type(NotImplemented)})
_CONTAINERS: Final = frozenset(
    {list, dict, set, frozenset, tuple, deque, OrderedDict, defaultdict, Counter, types.MappingProxyType, bytearray}
)
_FREEZABLE: Final = _CONTAINERS | {
    str, bytes, int, float, complex, range, slice,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
}  # fmt: skip
_FROZEN: Final = (_core.FrozenList, _core.FrozenDict, _core.FrozenFace)
_OURS: Final = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open", "parallel"})


class Unshippable(ShippingRefusal, TypeError):
    """A value that can neither be frozen nor copied to the workers."""


@dataclass
class Figures:
    """What crossed, and what it took. Bytes of copies and definitions are those of their pickles."""

    frozen: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    copied: dict[str, int] = field(default_factory=dict)
    shipped: dict[str, int] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # what keeps an original alive: "Out[3]", "_"
    objects: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass
class Shipment:
    """`setup` goes to Pool.submit; `frozen` are the notebook's names to rebind; `note` is empty or worth telling."""

    setup: tuple[bytes, tuple[object, ...]]
    frozen: dict[str, object]
    figures: Figures


@dataclass(eq=False)
class Unit:
    """One thing that crosses on its own. `value` is the notebook's object and is kept alive while the unit is."""

    value: object
    label: str
    kind: str  # "frozen" | "definition" | "copy" | "part"
    names: list[str] = field(default_factory=list)
    raw: bytes | None = None
    needs: list[Unit] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    pointer: object = None
    version: bytes = b""
    number: int = -1
    sticky: bool = False
    own: frozenset[int] = frozenset()


def prepare(
    wanted: Iterable[str],
    namespace: dict[str, Any],
    *,
    code: types.CodeType,
    items: Items | None = None,
    copy: Iterable[str] = (),
    label: str = "",
    each: bool = False,
    remembered: Iterable[str] = (),
    gather: Iterable[str] = (),
    size: int = 0,
    seed: int | None = None,
) -> Shipment:
    """Gets everything ready that `code` needs in the workers; nothing has run or changed when it raises.

    `wanted`: the globals that the loop reads itself. `namespace`: the notebook's globals. `copy`: names of which the
    notebook keeps its own, mutable object. `label`: the cell ("[12]"), for messages. `each`: the code is a whole cell
    that runs in every worker; `remembered` are the names that earlier such cells left there, `gather` those to return.
    Raises MissingName, Unloadable, LostEffect, Unshippable (all ShippingRefusal).
    """
    planner = Planner(namespace, frozenset(copy), frozenset(remembered))
    planner.follow(code)
    for name in sorted(wanted):
        planner.need(name, code=code, reader="")
    plan = None
    sources = [planner.source(value) for value in items.sources] if items is not None else []
    figures = planner.settle(label)
    units = planner.ordered()
    if items is not None:
        plan = items.numbered(planner.number(unit) for unit in sources)
    header = {
        "mode": "each" if each else "split",
        "code": marshal.dumps(code),
        "bindings": planner.bindings_sent(),
        "imports": sorted(planner.imports),
        "units": units,
        "items": plan,
        "lines": planner.lines(code.co_filename),
        "gather": tuple(gather),
        "seed": seed,
        "size": size,
    }
    return Shipment((pickle.dumps(header, 5), tuple(planner.pointers)), planner.rebound, figures)


def unpack(raw: bytes) -> Any:
    """A result that a worker packed; instances of the notebook's classes are of its own classes again."""
    return pickle.loads(raw)


class Planner:
    """Finds everything that some names need (a `replicate.Host`); one use, one thread."""

    def __init__(self, namespace: dict[str, Any], copy: frozenset[str], remembered: frozenset[str]) -> None:
        self.namespace = namespace
        self.copy = copy
        self.remembered = remembered
        self.bindings: dict[str, Any] = {}
        self.imports: set[str] = set()
        self.rebound: dict[str, object] = {}
        self.pointers: list[object] = []
        self._units: dict[int, Unit] = {}
        self._queue: list[Unit] = []
        self._ordered: list[Unit] = []
        self._current: Unit | None = None
        self._met: set[int] = set()
        self._files: set[str] = set()
        self._functions = {id(value): name for name, value in namespace.items() if type(value) is types.FunctionType}

    # names

    def need(self, name: str, *, code: types.CodeType, reader: str) -> None:
        """Sees to it that a global exists in the workers."""
        if name in self.bindings or name in self.remembered:
            return
        if name not in self.namespace:
            if name not in BUILTINS:
                line = names.reads(code).lines.get(name)
                raise names.missing(name, self.namespace, line=line, filename=code.co_filename, reader=reader)
            return
        value = self.namespace[name]
        kind = type(value)
        if kind is types.ModuleType:
            self.bindings[name] = ("module", value.__name__)
            self.meet_module(value.__name__, value)
        elif _by_value(value):
            self.bindings[name] = ("value", value)
        else:
            unit = self._unit(value, name)
            unit.names.append(name)
            self.bindings[name] = ("unit", unit)

    def follow(self, code: types.CodeType) -> None:
        """Imports the submodules that some code reaches through a package's name (`os.path.join`)."""
        for name, chains in names.reads(code).chains.items():
            module = self.namespace.get(name)
            if type(module) is not types.ModuleType:
                continue
            for chain in chains:
                inner: Any = module
                for word in chain:
                    inner = vars(inner).get(word)
                    if type(inner) is not types.ModuleType:
                        break
                    if inner.__name__.startswith(f"{module.__name__}."):
                        self.imports.add(inner.__name__)

    def source(self, value: object) -> Unit:
        """The unit of something that the loop runs over."""
        return self._unit(value, "the items")

    # replicate.Host

    def outside(self, value: object) -> int | None:
        unit = self._units.get(id(value))
        current = self._current
        assert current is not None
        if unit is None:
            if isinstance(value, type):
                if value.__module__ in ("builtins", "collections") or not replicate.is_by_value(value):
                    return None
                unit = self._unit(value, value.__qualname__)
            elif id(value) in self._functions:
                unit = self._unit(value, self._functions[id(value)])
            elif type(value) in _FROZEN:
                unit = self._unit(value, "a frozen value")
            else:
                return None
        if unit is current or id(value) in current.own:
            return None
        if unit not in current.needs:
            current.needs.append(unit)
        return current.needs.index(unit)

    def meet_function(self, function: types.FunctionType) -> None:
        if id(function) in self._met:
            return
        self._met.add(id(function))
        code = function.__code__
        self._files.update(part.co_filename for part in names.nested(code))
        self.follow(code)
        for name in names.reads(code).lines:
            self.need(name, code=code, reader=function.__qualname__)
        captured = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        for name, cell in captured.items():
            try:
                self._capture(cell.cell_contents, f"{name} of {function.__qualname__}")
            except ValueError:
                continue
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._capture(value, f"a default of {function.__qualname__}")

    def meet_class(self, cls: type) -> None:
        pass

    def meet_module(self, name: str, value: object) -> None:
        if self._current is not None:
            self._current.modules.add(name)

    # units

    def _capture(self, value: object, label: str) -> None:
        if type(value) in _CONTAINERS:
            self._unit(value, label)

    def _unit(self, value: object, label: str) -> Unit:
        unit = self._units.get(id(value))
        if unit is not None:
            return unit
        kind = "definition" if is_definition(value) else "frozen"
        unit = self._units[id(value)] = Unit(value, label, kind)
        if kind == "definition":
            self._queue.append(unit)
        return unit

    def settle(self, label: str) -> Figures:
        """Pickles the definitions and freezes the data, until nothing more turns out to be needed."""
        figures = Figures()
        while True:
            while self._queue:
                self._pickle(self._queue.pop())
            data = [unit for unit in self._units.values() if unit.kind == "frozen" and unit.pointer is None]
            for unit in data:
                if type(unit.value) in _FROZEN:
                    unit.pointer = unit.value
                    figures.reused += unit.names
            try:
                self._freeze([unit for unit in data if unit.pointer is None], label, figures)
            except _core.NotFreezableError as error:
                unit = next(unit for unit in data if _key(unit) == error.root)
                unit.kind = "copy"
                unit.pointer = error
                self._queue.append(unit)
                continue
            break
        for unit in self._units.values():
            if unit.raw is not None and unit.names:
                sizes = figures.copied if unit.kind == "copy" else figures.shipped
                sizes[unit.names[0]] = len(unit.raw)
        return figures

    def _freeze(self, data: list[Unit], label: str, figures: Figures) -> None:
        own = [unit for unit in data if not self.copy.isdisjoint(unit.names)]
        shared = [unit for unit in data if self.copy.isdisjoint(unit.names)]
        others = {
            name: value
            for name, value in self.namespace.items()
            if type(value) in _FREEZABLE and not name.startswith("_") and name not in _OURS and name not in self.copy
        }
        results = []
        if own:
            results.append((own, _core.freeze_roots({_key(unit): unit.value for unit in own})))
        if shared:
            result = _core.freeze_roots({_key(unit): unit.value for unit in shared}, list(others.values()))
            results.append((shared, result))
            for name, frozen in zip(others, result.replaced, strict=True):
                if frozen is not None and frozen is not others[name]:
                    self.rebound[name] = frozen
        for units, result in results:
            if result.segment and label:
                _core.set_cell(result.segment, label)
            figures.objects += result.objects
            figures.bytes += result.bytes
            figures.seconds += result.seconds
            for unit in units:
                unit.pointer = result.frozen[_key(unit)]
                kind = figures.reused if unit.pointer is unit.value else figures.frozen
                kind += unit.names
                if units is shared and unit.pointer is not unit.value:
                    self.rebound.update(dict.fromkeys(unit.names, unit.pointer))

    def _pickle(self, unit: Unit) -> None:
        unit.needs.clear()
        before, self._current = self._current, unit
        why = unit.pointer
        unit.pointer = None
        try:
            unit.raw = replicate.dump(unit.value, self)
        except ShippingRefusal:
            raise
        except Exception as error:
            raise _unshippable(unit, why, error) from None
        finally:
            self._current = before

    # the setup

    def ordered(self) -> list[tuple[Any, ...]]:
        """The units as the workers get them, each after those that it refers to."""
        for component in _components(list(self._units.values())):
            if len(component) == 1:
                self._place(component[0])
            else:
                self._merge(component)
        return [self._sent(unit) for unit in self._ordered]

    def number(self, unit: Unit) -> int:
        return unit.number

    def bindings_sent(self) -> dict[str, Any]:
        return {
            name: ("unit", binding[1].number) if binding[0] == "unit" else binding
            for name, binding in self.bindings.items()
        }

    def lines(self, filename: str) -> dict[str, list[str]]:
        """The source lines of notebook cells, for the workers' tracebacks."""
        entries = {name: linecache.cache.get(name) for name in {filename, *self._files}}
        return {name: entry[2] for name, entry in entries.items() if entry and len(entry) == 4 and entry[1] is None}

    def _merge(self, cycle: list[Unit]) -> None:
        """Definitions that refer to each other in a circle cross in one pickle."""
        group = Unit(tuple(unit.value for unit in cycle), cycle[0].label, "definition")
        group.own = frozenset(id(unit.value) for unit in cycle)
        self._pickle(group)
        self._place(group)
        for unit in cycle:
            unit.kind, unit.needs = "part", [group]
            self._place(unit)

    def _place(self, unit: Unit) -> None:
        unit.number = len(self._ordered)
        self._ordered.append(unit)
        if unit.kind == "frozen":
            unit.version = b"%x" % id(unit.pointer)
            return
        digest = hashlib.blake2b(unit.raw or b"", digest_size=16)
        for need in unit.needs:
            digest.update(need.version)
            need.sticky = need.sticky or unit.kind != "copy"
        unit.version = digest.digest()

    def _sent(self, unit: Unit) -> tuple[Any, ...]:
        if unit.kind == "frozen":
            self.pointers.append(unit.pointer)
            return ("frozen", len(self.pointers) - 1)
        if unit.kind == "part":
            values: tuple[object, ...] = unit.needs[0].value  # type: ignore[assignment]
            return ("part", unit.needs[0].number, next(i for i, value in enumerate(values) if value is unit.value))
        kept = unit.kind == "definition" or unit.sticky
        return ("pickle", unit.version, kept, tuple(need.number for need in unit.needs), unit.raw)


def _components(units: list[Unit]) -> list[list[Unit]]:
    """The strongly connected components of what refers to what, each after those that it refers to (Tarjan)."""
    index: dict[Unit, int] = {}
    low: dict[Unit, int] = {}
    stack: list[Unit] = []
    found: list[list[Unit]] = []

    def visit(unit: Unit) -> None:
        index[unit] = low[unit] = len(index)
        stack.append(unit)
        for need in unit.needs:
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
    return found


def _key(unit: Unit) -> str:
    return unit.names[0] if unit.names else unit.label


def _by_value(value: object) -> bool:
    kind = type(value)
    if kind in _STATIC or kind is complex:
        return True
    if kind is float:
        return value == value  # a NaN's identity matters to `in`
    if kind is int:
        return value.bit_length() <= SMALL * 8  # type: ignore[attr-defined]
    return kind in (str, bytes) and len(value) <= SMALL  # type: ignore[arg-type]


def is_definition(value: object) -> bool:
    """Whether something is code rather than data: it is never frozen."""
    return isinstance(value, type) or (callable(value) and type(value) not in _FROZEN)


def _unshippable(unit: Unit, why: object, error: Exception) -> Unshippable:
    what = (
        f"{why}, and it cannot be copied either" if why is not None else f"{_key(unit)} cannot be sent to the workers"
    )
    return Unshippable(
        f"{what} ({type(error).__name__}: {error})",
        f"make {_key(unit)} inside the loop, or give the loop only the part of it that it needs",
        name=_key(unit),
    )
