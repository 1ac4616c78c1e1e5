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
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import EnumType
from typing import Any, Final
from weakref import WeakKeyDictionary

from firn import _core, effects, modules, names, rebuild, replicate, settings
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


_captured: WeakKeyDictionary[types.FunctionType | type, dict[bytes, object]] = WeakKeyDictionary()
"""Function or class -> content of a container that it holds -> the frozen form."""


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
    optional: bool = False
    owner: types.FunctionType | type | None = None
    content: bytes = b""
    why: Exception | None = None  # a copy: why it cannot be frozen
    error: ShippingRefusal | None = None
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
    generation: int = 0,
) -> Shipment:
    """Gets everything ready that `code` needs in the workers; nothing has run or changed when it raises.

    `wanted`: the globals that the loop reads itself. `namespace`: the notebook's globals. `copy`: names of which the
    notebook keeps its own, mutable object. `label`: the cell ("[12]"), for messages. `each`: the code is a whole cell
    that runs in every one of `size` workers; `remembered` are the names that earlier such cells left there, `gather`
    those to return; a new `generation` starts the workers' own namespaces afresh. `seed`: of the random streams, one per
    iteration; None takes one from the notebook's generator.
    Raises MissingName, Unloadable, LostEffect, Unshippable (all ShippingRefusal).
    """
    later = names.assigned(code) | {"parallel"} if each else set[str]()
    planner = Planner(namespace, frozenset(copy), frozenset(remembered), frozenset(later))
    planner.follow(code)
    for name in sorted(wanted):
        planner.need(name, code=code, reader="")
    effects.check_calls(code, namespace, "")
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
        "seed": planner.seed(seed),
        "generation": generation,
        "size": size,
        "settings": planner.settings,
    }
    return Shipment((pickle.dumps(header, 5), tuple(planner.pointers)), planner.rebound, figures)


def unpack(raw: bytes) -> Any:
    """A result that a worker packed; instances of the notebook's classes are of its own classes again."""
    return pickle.loads(raw)


class Planner:
    """Finds everything that some names need (a `replicate.Host`); one use, one thread.

    Methods that nothing reached calls by name are *parked*: they cross with their class, what they read crosses if it
    can, and what they lack or change is no reason to refuse the cell (a `plot` method may use matplotlib).
    """

    def __init__(
        self, namespace: dict[str, Any], copy: frozenset[str], remembered: frozenset[str], later: frozenset[str]
    ) -> None:
        self.namespace = namespace
        self.later = later  # names that the code itself makes
        self.copy = copy
        self.remembered = remembered
        self.bindings: dict[str, Any] = {}
        self.imports: set[str] = set()
        self.rebound: dict[str, object] = {}
        self.pointers: list[object] = []
        self.settings = settings.settings()
        self._generations: dict[str, int] = self.settings["reloads"]
        self._units: dict[int, Unit] = {}
        self._queue: list[Unit] = []
        self._ordered: list[Unit] = []
        self._current: Unit | None = None
        self._met: dict[int, types.FunctionType] = {}
        self._reached: dict[int, types.FunctionType] = {}
        self._parked: dict[str, list[types.FunctionType]] = {}
        self._attributes: set[str] = set()
        self._waiting: dict[int, types.FunctionType] = {}  # parked, by id
        self._optional: set[str] = set()  # names that only parked methods read
        self._users: dict[str, tuple[str, int | None, str]] = {}  # module -> who needs it, line, file
        self._files: set[str] = set()
        self._functions = {id(value): name for name, value in namespace.items() if type(value) is types.FunctionType}

    # names

    def need(self, name: str, *, code: types.CodeType, reader: str, optional: bool = False) -> None:
        """Sees to it that a global exists in the workers."""
        if name in self.remembered:
            return
        if name in self.bindings and (optional or name not in self._optional):
            return
        if name not in self.namespace:
            if name not in BUILTINS and name not in self.later and not optional:
                line = names.reads(code).lines.get(name)
                raise names.missing(name, self.namespace, line=line, filename=code.co_filename, reader=reader)
            return
        if optional:
            self._optional.add(name)
        else:
            self._optional.discard(name)
        value = self.namespace[name]
        if type(value) is types.ModuleType:
            self.bindings[name] = ("module", value.__name__)
            line = names.reads(code).lines.get(name)
            if not optional:
                self._users[value.__name__] = (reader, line, code.co_filename)
        elif _by_value(value):
            self.bindings[name] = ("value", value)
        else:
            unit = self._unit(value, name, optional)
            if name not in unit.names:
                unit.names.append(name)
            self.bindings[name] = ("unit", unit)

    def read(self, code: types.CodeType, reader: str, optional: bool = False) -> None:
        """Needs everything that some code reads, but the names of the code itself (`prepare` has those)."""
        for name in names.reads(code).lines:
            self.need(name, code=code, reader=reader, optional=optional)

    def follow(self, code: types.CodeType) -> None:
        """Notes the attributes that some code reads: methods it may call, submodules behind a package's name."""
        found = names.reads(code)
        for name, chains in found.chains.items():
            module = self.namespace.get(name)
            if type(module) is types.ModuleType:
                self._import_inner(module, chains)
        new = found.attributes - self._attributes
        self._attributes |= new
        for attribute in new:
            for function in self._parked.pop(attribute, ()):
                if self._waiting.pop(id(function), None) is not None:
                    self._reach(function)

    def _import_inner(self, module: types.ModuleType, chains: set[tuple[str, ...]]) -> None:
        for chain in chains:
            inner: Any = module
            for word in chain:
                inner = vars(inner).get(word)
                if type(inner) is not types.ModuleType:
                    break
                if inner.__name__.startswith(f"{module.__name__}."):
                    self.imports.add(inner.__name__)

    def seed(self, seed: int | None) -> int | None:
        """The seed of the iterations' random streams; None when nothing reads the random module."""
        random = sys.modules.get("random")
        used = {"random"} & {name for unit in self._units.values() for name in unit.modules}
        if random is None or not (used or ("module", "random") in self.bindings.values()):
            return None
        return seed if seed is not None else random.getrandbits(64)

    def source(self, value: object) -> Unit:
        """The unit of something that the loop runs over."""
        return self._unit(value, "the items")

    # replicate.Host

    def outside(self, value: object) -> int | None:
        current = self._current
        assert current is not None
        unit = self._units.get(id(value))
        if unit is None:
            unit = self._found_outside(value, current)
            if unit is None:
                return None
        elif unit.optional and not current.optional:
            self._require(unit)
        if unit is current or id(value) in current.own:
            return None
        if unit not in current.needs:
            current.needs.append(unit)
        return current.needs.index(unit)

    def _found_outside(self, value: object, current: Unit) -> Unit | None:
        if isinstance(value, type):
            if value.__module__ == "builtins" or not replicate.is_by_value(value):
                return None
            return self._unit(value, value.__qualname__, current.optional)
        if id(value) in self._functions:
            return self._unit(value, self._functions[id(value)], current.optional)
        if type(value) in _FROZEN:
            return self._unit(value, "a frozen value")
        return None

    def meet_function(self, function: types.FunctionType) -> None:
        if id(function) in self._met:
            return
        self._met[id(function)] = function
        code = function.__code__
        self._files.update(part.co_filename for part in names.nested(code))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                self._capture(cell.cell_contents, f"{name} of {function.__qualname__}", function)
            except ValueError:  # an empty cell
                continue
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._capture(value, f"a default of {function.__qualname__}", function)
        if id(function) in self._waiting:
            return
        if self._current is not None and self._current.optional:
            self._waiting[id(function)] = function
        else:
            self._reach(function)

    def _reach(self, function: types.FunctionType) -> None:
        if id(function) in self._reached:
            return
        self._reached[id(function)] = function
        if function.__globals__ is self.namespace:
            self.follow(function.__code__)
            self.read(function.__code__, function.__qualname__)

    def meet_class(self, cls: type) -> None:
        enum = isinstance(cls, EnumType)
        optional = self._current is not None and self._current.optional
        for name, value in vars(cls).items():
            if type(value) in _CONTAINERS:
                if not enum and not (name.startswith("__") and name.endswith("__")):
                    self._capture(value, f"{cls.__qualname__}.{name}", cls)
            elif optional or not (effects.called_by_python(name, cls) or name in self._attributes):
                for function in _functions_in(value):
                    if id(function) not in self._reached:
                        self._waiting[id(function)] = function
                        self._parked.setdefault(name, []).append(function)

    def meet_module(self, name: str, value: object) -> None:
        if self._current is not None:
            self._current.modules.add(name)

    # units

    def _capture(self, value: object, label: str, owner: types.FunctionType | type) -> None:
        """A container that a function or class holds: frozen, but not rebound, so it may change before the next cell;
        while its content stays the same, so does the frozen one, and with it the owner's version."""
        if type(value) not in _CONTAINERS or id(value) in self._units:
            return
        unit = self._unit(value, label, self._current is not None and self._current.optional)
        try:
            unit.content = hashlib.blake2b(pickle.dumps(value, 5), digest_size=16).digest()
        except Exception:  # then it does not freeze either, or only the freezer knows how
            return
        unit.pointer = _captured.setdefault(owner, {}).get(unit.content)
        unit.owner = owner

    def _unit(self, value: object, label: str, optional: bool = False) -> Unit:
        unit = self._units.get(id(value))
        if unit is not None:
            if unit.optional and not optional:
                self._require(unit)
            return unit
        kind = "definition" if is_definition(value) else "frozen"
        unit = self._units[id(value)] = Unit(value, label, kind, optional=optional)
        if kind == "definition":
            self._queue.append(unit)
        return unit

    def _require(self, unit: Unit) -> None:
        """Something that only parked methods read turns out to be needed: it is looked at again, more strictly."""
        unit.optional = False
        if unit.raw is not None or unit.error is not None:
            unit.raw = unit.error = None
            self._queue.append(unit)
        for function in _functions_in(unit.value):
            if self._waiting.pop(id(function), None) is not None:
                self._reach(function)

    def settle(self, label: str) -> Figures:
        """Pickles the definitions and freezes the data, until nothing more turns out to be needed; then refuses what
        would be lost."""
        figures = Figures()
        while True:
            self._find_all()
            self._check()
            data = [unit for unit in self._units.values() if unit.kind == "frozen" and unit.pointer is None]
            for unit in data:
                if type(unit.value) in _FROZEN:
                    unit.pointer = unit.value
                    figures.reused += unit.names
            try:
                self._freeze([unit for unit in data if unit.pointer is None], label, figures)
            except _core.NotFreezableError as error:
                unit = next(unit for unit in data if _key(unit) == error.root)
                unit.kind, unit.why = "copy", error
                self._queue.append(unit)
                continue
            break
        for unit in self._units.values():
            if unit.raw is not None and unit.names:
                sizes = figures.copied if unit.kind == "copy" else figures.shipped
                sizes[unit.names[0]] = len(unit.raw)
        figures.modules = sorted({binding[1] for binding in self.bindings.values() if binding[0] == "module"})
        return figures

    def _find_all(self) -> None:
        """Goes on until neither a definition nor a parked method brings anything new."""
        done: set[int] = set()
        while True:
            while self._queue:
                self._pickle(self._queue.pop())
            new = [function for number, function in self._waiting.items() if number not in done]
            if not new:
                return
            for function in new:
                done.add(id(function))
                if id(function) in self._met and function.__globals__ is self.namespace:
                    self.read(function.__code__, function.__qualname__, optional=True)

    def _check(self) -> None:
        """Refuses what a worker cannot load, or what would be lost; nothing has been frozen yet."""
        for unit in self._units.values():
            if unit.error is not None and not unit.optional:
                raise unit.error
        needed = {name for unit in self._units.values() for name in unit.modules}
        needed |= self.imports | {binding[1] for binding in self.bindings.values() if binding[0] == "module"}
        reasons = modules.why_not(needed)
        for unit in self._units.values():
            for name in sorted(unit.modules & reasons.keys()):
                error = modules.unloadable(name, reasons[name], user=_key(unit), line=None, filename="")
                if not unit.optional:
                    raise error
                unit.error = error
        for name, (kind, module) in list(self.bindings.items()):
            if kind == "module" and module in reasons:
                reader, line, filename = self._users.get(module, ("", None, ""))
                error = modules.unloadable(module, reasons[module], user=reader or name, line=line, filename=filename)
                if name not in self._optional:
                    raise error
                self.bindings[name] = ("refused", str(error))
        self.imports -= reasons.keys()
        for function in self._reached.values():
            if function.__globals__ is self.namespace:
                effects.check(function, self.namespace)
                effects.check_calls(function.__code__, self.namespace, function.__qualname__)

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
            figures.kept = self._kept({id(unit.value) for unit in shared if type(unit.value) in _CONTAINERS})
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
                if unit.owner is not None:
                    _captured[unit.owner] = {**_captured.get(unit.owner, {}), unit.content: unit.pointer}
                kind = figures.reused if unit.pointer is unit.value else figures.frozen
                kind += unit.names
                if units is shared and unit.pointer is not unit.value:
                    self.rebound.update(dict.fromkeys(unit.names, unit.pointer))

    def _kept(self, originals: set[int]) -> list[str]:
        """Where IPython still holds originals of what was frozen."""
        out = self.namespace.get("Out")
        places = {f"Out[{number}]": value for number, value in out.items()} if isinstance(out, dict) else {}
        places |= {name: self.namespace.get(name) for name in ("_", "__", "___")}
        return [place for place, value in places.items() if id(value) in originals]

    def _pickle(self, unit: Unit) -> None:
        unit.needs.clear()
        unit.modules.clear()
        before, self._current = self._current, unit
        try:
            if unit.kind == "copy":
                _refuse_state(unit)
            unit.raw = replicate.dump(unit.value, self)
        except ShippingRefusal as error:
            unit.error = error
        except Exception as error:
            unit.error = _unshippable(unit, error)
        finally:
            self._current = before
        if unit.error is not None and not unit.optional:
            raise unit.error

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
        if unit.error is not None:
            unit.raw, unit.needs = pickle.dumps(rebuild.Refused(str(unit.error)), 5), []
        digest = hashlib.blake2b(unit.raw or b"", digest_size=16)
        for name in sorted(unit.modules & self._generations.keys()):
            digest.update(b"%s %d" % (name.encode(), self._generations[name]))
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


def _functions_in(value: object) -> Iterator[types.FunctionType]:
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
            todo += [getattr(value, name, None) for name in ("__func__", "__wrapped__", "fget", "fset", "fdel", "func")]


def _refuse_state(unit: Unit) -> None:
    """Refuses values whose copies would each go through the same states."""
    random = sys.modules.get("random")
    if random is not None and isinstance(unit.value, random.Random):
        what, remedy = "is a random generator", "use the random module's own functions, which firn seeds per iteration"
    elif isinstance(unit.value, Iterator):
        what, remedy = "is an iterator", f"read it to the end before the loop: {_key(unit)} = list({_key(unit)})"
    else:
        return
    raise effects.LostEffect(
        f"{_key(unit)} {what}: each worker would start with a copy of it and get the same values",
        remedy,
        name=_key(unit),
    )


def _unshippable(unit: Unit, error: Exception) -> Unshippable:
    if unit.why is not None:
        what = f"{unit.why}, and it cannot be copied either"
    else:
        what = f"{_key(unit)} cannot be sent to the workers"
    return Unshippable(
        f"{what} ({type(error).__name__}: {error})",
        f"make {_key(unit)} inside the loop, or give the loop only the part of it that it needs",
        name=_key(unit),
    )
