"""Finds everything that some names need, through functions, classes, closures and whatever holds them.

The walk is the pickling itself: each definition is pickled once, and its pickler tells what it meets.
"""

from __future__ import annotations

import hashlib
import opcode
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from enum import EnumType
from functools import cached_property
from typing import Any

from firn import (
    _core,
    common,
    effects,
    forecast,
    freezing,
    modules,
    names,
    rebuild,
    replicate,
    settings,
    stale,
    twin_parts,
)
from firn.analysis.plan import Depth
from firn.bytecode import instructions
from firn.common import Common
from firn.functions import not_captured
from firn.items import is_bar
from firn.names import BUILTINS, ShippingRefusal
from firn.progress import Screen
from firn.units import (
    CONTAINERS,
    FROZEN,
    Figures,
    Unit,
    by_value,
    functions_in,
    glance,
    is_buffer,
    is_definition,
    is_in_heap,
    refuse_other_class,
    refuse_state,
    unshippable,
)

_IMPORT_NAME = opcode.opmap["IMPORT_NAME"]


def lost_effect(unit: Unit, error: _core.NotFreezableError, lost: twin_parts.Lost) -> ShippingRefusal:
    """The refusal of a part that would be copied, and what happens to the copies lost."""
    return effects.LostEffect(f"{error.path} {lost.what}", lost.remedy, name=unit.key)


def _imports(code: types.CodeType) -> bool:
    return any(op == _IMPORT_NAME for _, op, _ in instructions(code))


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
        self.besides: Mapping[str, Depth] = {}  # variables that the cell changes later
        self.remembered = remembered
        self.screen: Callable[[], Screen | None] = lambda: None
        self.bindings: dict[str, Any] = {}
        self.imports: set[str] = set()
        self.rebound: dict[str, object] = {}
        self.holders: list[_core.Holders] = []  # who else holds originals of what is frozen
        self.originals: list[_core.Originals] = []  # the way back from what is frozen and stays in use
        self.common = Common()
        self.segments: set[int] = set()  # of all that is frozen
        self.definitions: dict[int, Unit] = {}  # the numbers by which frozen data calls classes and functions
        self._strangers: frozenset[int] = frozenset()  # those that lie beside what is shipped, and are not
        self._known: dict[int, Unit] = {}  # frozen by an earlier planner, by the id of the original
        self._figures = Figures()
        self._imported: dict[str, str] = {}  # module -> the class of frozen data that a worker imports from it
        self.units: dict[int, Unit] = {}
        self._queue: list[Unit] = []
        self._current: Unit | None = None
        self._met: dict[int, types.FunctionType] = {}
        self._reached: dict[int, types.FunctionType] = {}
        self._parked: dict[str, list[types.FunctionType]] = {}
        self._attributes: set[str] = set()
        self._waiting: dict[int, types.FunctionType] = {}  # parked, by id
        self._made: set[int] = set()  # ids of the classes that code may make instances of
        self._makes_any = False  # it may be any class
        self._imports_random = False  # the code itself may
        self._optional: set[str] = set()  # names that only parked methods read
        self._users: dict[str, tuple[str, int | None, str]] = {}  # module -> who needs it, line, file
        self.files: set[str] = set()
        # What crosses on its own, to be the same object wherever it is met: functions, sentinels, instances of classes.
        self._functions = {
            id(value): name
            for name, value in namespace.items()
            if type(value) in (types.FunctionType, object)
            or (rebuild.is_mutable(type(value)) and type(value).__module__ == "__main__")
        }

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the workers take over from the notebook."""
        return settings.settings()

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
        elif by_value(value):
            self.bindings[name] = ("value", value)
        elif is_bar(value) and not optional:
            raise names.Unshippable(
                f"{name} is a bar of tqdm's, which the notebook alone moves: it goes on with the loop by itself",
                f"leave {name} out of the loop's body, and set what it shows before or after the loop",
                name=name,
                line=names.reads(code).lines.get(name),
                filename=code.co_filename,
            )
        else:
            if isinstance(value, type) and not optional:
                self._may_make(value)
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
        self._imports_random |= any("random" in part.co_names and _imports(part) for part in names.nested(code))
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
        if not self._makes_any and effects.makes_any(code, found):
            self._makes_any = True
            for cls in [unit.value for unit in self.units.values() if isinstance(unit.value, type)]:
                self._may_make(cls)

    def _may_make(self, cls: type) -> None:
        """Notes that code may make instances of a class: its `__init__` runs, and those of its bases."""
        for base in cls.__mro__:
            if id(base) not in self._made:
                self._made.add(id(base))
                for name in effects.CONSTRUCTORS & vars(base).keys():
                    for function in functions_in(vars(base)[name]):
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
        if seed is not None:
            return seed
        random = sys.modules.get("random")
        used = self._imports_random or {"random"} & {name for unit in self.units.values() for name in unit.modules}
        if random is None or not (used or ("module", "random") in self.bindings.values()):
            return None
        return int(random.getrandbits(64))

    def draws(self) -> bool:
        """Whether the code seems to draw from the random module's own generator, not from one that it makes."""
        return "Random" not in self._attributes

    def source(self, value: object) -> Unit:
        """The unit of something that the loop runs over."""
        unit = self._unit(value, "what the loop runs over")
        if unit.kind == "frozen" and not unit.names:
            own = (name for name, other in self.namespace.items() if other is value and not name.startswith("_"))
            unit.names += [name for name in own if name not in unit.names]
        unit.over = True
        return unit

    # replicate.Host

    @property
    def in_definition(self) -> bool:
        return self._current is not None and self._current.kind == "definition"

    def outside(self, value: object) -> int | tuple[int] | None:
        current = self._current
        assert current is not None
        unit = self.units.get(id(value))
        if unit is None:
            if address := self.common.address_of(value, current):
                return (address,)
            unit = self._found_outside(value, current)
            if unit is None:
                return None
        elif unit.optional and not current.optional:
            self._require(unit)
        if unit is current or id(value) in current.own:
            return None
        return current.needs.setdefault(unit, len(current.needs))

    def _found_outside(self, value: object, current: Unit) -> Unit | None:
        if isinstance(value, type):
            if value.__module__ == "builtins" or not replicate.is_by_value(value):
                return None
            holder = current.value
            if isinstance(holder, type):
                is_attribute = value not in holder.__mro__ and value is not type(holder)
            else:
                is_attribute = is_definition(holder)
            if is_attribute and not current.optional:
                self._may_make(value)
            return self._unit(value, value.__qualname__, current.optional)
        if replicate.is_for_types(value):
            return self._unit(value, value.__name__, current.optional)  # type: ignore[attr-defined]
        if id(value) in self._functions:
            return self._unit(value, self._functions[id(value)], current.optional)
        return None

    def meet_function(self, function: types.FunctionType) -> None:
        if id(function) in self._met:
            return
        self._met[id(function)] = function
        code = function.__code__
        self.files.update(part.co_filename for part in names.nested(code))
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
        for name, value in list(vars(cls).items()):  # to pickle an instance adds __slotnames__
            if type(value) in CONTAINERS:
                if not enum and not (name.startswith("__") and name.endswith("__")):
                    self._capture(value, f"{cls.__qualname__}.{name}", cls)
            elif optional or not (self._is_called(name, cls) or name in self._attributes):
                for function in functions_in(value):
                    if id(function) not in self._reached:
                        self._waiting[id(function)] = function
                        self._parked.setdefault(name, []).append(function)

    def _is_called(self, name: str, cls: type) -> bool:
        if name in effects.CONSTRUCTORS and not (self._makes_any or id(cls) in self._made):
            return False
        return effects.called_by_python(name, cls)

    def meet_module(self, name: str, value: object) -> None:
        # What a type calls its module need not be one.
        if self._current is not None and (name in sys.modules or type(value) is types.ModuleType):
            self._current.modules.add(name)

    def meet_method(self, method: Any) -> None:
        assert self._current is not None
        unit = self._current
        effects.check_method(method, f"{unit.key} {'is' if method is unit.value else 'holds'}", unit.key)

    # units

    def _capture(self, value: object, label: str, owner: object) -> None:
        """A container that a function or class holds: frozen, but not rebound, so it may change before the next cell;
        while its content stays the same, so does the frozen one, and with it the owner's version."""
        if type(value) not in CONTAINERS or id(value) in self.units:
            return
        unit = self._unit(value, label, self._current is not None and self._current.optional)
        try:
            unit.content = hashlib.blake2b(pickle.dumps(value, 5), digest_size=16).digest()
        except Exception:  # then it does not freeze either, or only the freezer knows how
            return
        unit.pointer, unit.address = freezing.captured(owner, unit.content)
        unit.reused = unit.pointer is not None
        self._use(unit)
        unit.owner = owner

    def _unit(self, value: object, label: str, optional: bool = False) -> Unit:
        unit = self.units.get(id(value))
        if unit is not None:
            if unit.optional and not optional:
                self._require(unit)
            return unit
        kind = "definition" if is_definition(value) else "frozen"
        unit = self.units[id(value)] = Unit(value, label, kind, optional=optional)
        if kind == "definition":
            self._queue.append(unit)
        else:
            self._glance(unit)
        return unit

    def _glance(self, unit: Unit) -> None:
        """Looks at some parts of what is to be frozen."""
        for part in glance(unit.value):
            kind = type(part)
            if kind in replicate.METHODS and not isinstance(part.__self__, types.ModuleType | types.NoneType | type):
                effects.check_method(part, f"{unit.label} {'is' if part is unit.value else 'holds'}", unit.label)
            elif isinstance(part, type):
                self._may_make(part)
            elif callable(part) and not rebuild.is_mutable(kind):
                continue
            elif kind.__module__ == "__main__":
                if rebuild.is_mutable(kind):
                    self._unit(kind, kind.__qualname__, unit.optional)
            elif kind.__module__ in sys.modules and not is_buffer(kind):
                unit.modules.add(kind.__module__)

    def _require(self, unit: Unit) -> None:
        """Something that only parked methods read turns out to be needed: it is looked at again, more strictly."""
        unit.optional = False
        if unit.raw is not None or unit.error is not None:
            unit.raw = unit.error = None
            self._queue.append(unit)
        for function in functions_in(unit.value):
            if self._waiting.pop(id(function), None) is not None:
                self._reach(function)

    def look(self, deep: bool) -> list[str]:
        """Finds everything and refuses what `settle` would, but freezes nothing; the names that would be frozen. Containers are
        looked into if `deep`, which may take longer than to freeze them."""
        self._find_all()
        self._check()
        data = (unit for unit in self.units.values() if unit.kind == "frozen")
        new = [unit for unit in data if not (type(unit.value) in FROZEN or is_in_heap(unit.value))]
        for unit in freezing.smallest_first(new):
            if not unit.optional and (deep or type(unit.value) not in CONTAINERS):
                refuse_state(unit)
                self._forecast(unit)
        return sorted({name for unit in new for name in unit.names if name not in self.copy})

    def _forecast(self, unit: Unit) -> None:
        """Refuses what can neither be frozen nor copied, as `_freeze` would."""
        for path, part in forecast.suspects(unit.value, unit.key):
            try:
                with not_captured():
                    _core.freeze_roots({path: part})
            except _core.NotFreezableError as error:
                if isinstance(error.__cause__, twin_parts.Lost):
                    raise lost_effect(unit, error, error.__cause__) from None
                unit.why = error
            else:
                continue
            alone = Unit(part, path, "copy", own=frozenset({id(part)}))  # not by the unit that it may be itself
            before, self._current = self._current, alone
            try:
                replicate.dump(part, self)
            except ShippingRefusal:
                raise
            except Exception as error:
                raise unshippable(unit, error) from None
            finally:
                self._current = before

    def settle(self, label: str) -> Figures:
        """Pickles the definitions and freezes the data, until nothing more turns out to be needed; then refuses what
        would be lost."""
        figures = self._figures
        while True:
            self._find_all()
            self._check()
            if self._freeze(label, figures) and not self._join() and not self._define():
                break
        stale.refuse(self.segments, self._all_frozen)
        for unit in self.units.values():
            if unit.raw is not None and unit.names:
                sizes = figures.copied if unit.kind == "copy" else figures.shipped
                sizes[unit.names[0]] = len(unit.raw)
        figures.modules = sorted({binding[1] for binding in self.bindings.values() if binding[0] == "module"})
        return figures

    def _all_frozen(self) -> list[tuple[int, str]]:
        """The addresses of what is shipped frozen, and the variables that it belongs to."""
        found = [(unit.address, unit.key) for unit in self.units.values() if unit.kind == "frozen" and unit.address]
        return found + [(_core.address(value), unit.key) for value, unit in self.common.met]

    def without_strangers(self) -> Planner | None:
        """For a planner that refused: one that knows what this one has frozen, and asks only for the definitions that the
        shipped values lead to, rather than for all that the values in their segments do. None if that makes no difference.
        Walks all that is shipped."""
        strangers = self._find_strangers()
        if not strangers:
            return None
        other = Planner(self.namespace, self.copy, self.remembered, self.later)
        other._strangers = self._strangers | strangers
        other._known = {id(unit.value): unit for unit in self.units.values() if unit.kind == "frozen" and unit.address}
        other.rebound, other.holders, other.originals = self.rebound, self.holders, self.originals
        other.common, other.besides = self.common, self.besides
        other._figures, other.screen = self._figures, self.screen
        other._figures.reused.clear()  # it finds them again
        return other

    def _find_strangers(self) -> frozenset[int]:
        """The definitions that were asked for and lie only beside what is shipped. Walks all of that."""
        asked = {number for number, _ in _core.definitions_of(sorted(self.segments))} - self._strangers
        if not asked:
            return frozenset()
        return frozenset(asked.difference(_core.definitions_below([address for address, _ in self._all_frozen()])))

    def _freeze(self, label: str, figures: Figures) -> bool:
        """Freezes the data; False when some of it turned out to be a copy."""
        data = [unit for unit in self.units.values() if unit.kind == "frozen" and unit.pointer is None]
        data += self._in_doubt(data)
        for unit in data:
            if unit.kind == "frozen":
                refuse_state(unit)
            if self._is_frozen(unit):
                unit.pointer, unit.address = unit.value, _core.address(unit.value)
                self._use(unit)
                figures.reused += unit.names
            elif (known := self._known.get(id(unit.value))) is not None:
                unit.pointer, unit.address = known.pointer, known.address
                self._use(unit)
        try:
            freezing.freeze([unit for unit in data if unit.pointer is None], self, label, figures)
        except _core.NotFreezableError as error:
            unit = next(unit for unit in data if unit.root == error.root)
            unit.kind, unit.why = "copy", error
            lost = error.__cause__
            if isinstance(lost, twin_parts.Lost):  # as it would be in a copy
                unit.error = lost_effect(unit, error, lost)
                if not unit.optional:
                    raise unit.error from None
                return False
            self._queue.append(unit)
            return False
        # A worker makes its own object of a tuple that holds classes before it has these, which may need the tuple.
        early = [unit for unit in data if unit.owner is not None and id(unit.pointer) != unit.address]
        for unit in early:
            unit.kind = "copy"
            self._queue.append(unit)
        return not early

    @property
    def _pickled(self) -> list[Unit]:
        return [unit for unit in self.units.values() if unit.memo is not None and unit.error is None]

    def _join(self) -> bool:
        """Sees to it that no pickle holds what crosses in another way, too; whether one did."""
        pickled = self._pickled
        self.common.learn_frozen(pickled)
        self.common.learn_twins(pickled, self.segments)
        outdated = self.common.outdated(pickled)
        reused = [unit for unit in self.units.values() if unit.reused]
        if reused and common.have_parts_of(pickled, freezing.used_by_code(reused)):
            for unit in reused:  # which of its parts is which, only a freeze can tell
                unit.forget_frozen()
            return True
        if not outdated:
            several = ((id(part), label) for part, label in common.in_several(pickled))
            new = {key: label for key, label in several if key not in self._functions}
            self._functions |= new
            outdated = [unit for unit in pickled if not new.keys().isdisjoint(map(id, common.parts(unit)))]
        else:
            stale.note()  # what these hold of it may be changed there
        self._queue += outdated
        return bool(outdated)

    def _in_doubt(self, data: list[Unit]) -> list[Unit]:
        """What code holds and was frozen in an earlier cell, but may have objects in common with what is to be frozen now: it
        is frozen once more, together with that."""
        reused = [unit for unit in self.units.values() if unit.reused]
        if not reused or all(unit.owner is not None or self._is_frozen(unit) for unit in data):
            return []
        definitions = [unit for unit in self._pickled if unit.kind == "definition"]
        pickled = freezing.references(part for unit in definitions for part in common.parts(unit))
        found = [unit for unit in reused if freezing.is_held_elsewhere(unit, pickled)]
        for unit in found:
            unit.forget_frozen()
        return found

    @staticmethod
    def _is_frozen(unit: Unit) -> bool:
        return type(unit.value) in FROZEN or is_in_heap(unit.value)

    def _use(self, unit: Unit) -> None:
        """Notes where a frozen unit's values are."""
        if unit.address:
            self.segments.update(_core.segments_at([unit.address]))

    def _define(self) -> bool:
        """Sees to it that the workers have the classes and functions that frozen data names; whether any were new."""
        new = False
        for number, definition in _core.definitions_of(sorted(self.segments)):
            if number in self.definitions or number in self._strangers:
                continue
            name = getattr(definition, "__qualname__", repr(definition))
            if isinstance(definition, type):
                refuse_other_class(definition)
            if replicate.is_by_value(definition):
                self.definitions[number] = self._unit(definition, name)
                new = True
            elif definition.__module__ not in ("builtins", *self._imported):
                self._imported[definition.__module__] = name
                new = True
        return new

    def _find_all(self) -> None:
        """Goes on until neither a definition nor a parked method brings anything new."""
        done: set[int] = set()
        while True:
            while self._queue:
                self.pickle(self._queue.pop())
            new = [function for number, function in self._waiting.items() if number not in done]
            if not new:
                self.segments.update(_core.segments_of([value for value, _ in self.common.met]))
                return
            for function in new:
                done.add(id(function))
                if id(function) in self._met and function.__globals__ is self.namespace:
                    self.read(function.__code__, function.__qualname__, optional=True)

    def _check(self) -> None:
        """Refuses what a worker cannot load, or what would be lost; nothing has been frozen yet."""
        for unit in self.units.values():
            if unit.error is not None and not unit.optional:
                raise unit.error
        needed = {name for unit in self.units.values() for name in unit.modules}
        needed |= (
            self.imports
            | self._imported.keys()
            | {binding[1] for binding in self.bindings.values() if binding[0] == "module"}
        )
        reasons = modules.why_not(needed)
        for unit in self.units.values():
            own = type(unit.value).__module__
            guilty = sorted(unit.modules & reasons.keys(), key=lambda name: (name.partition(".")[0] != own, name))
            for name in guilty[:1]:
                error = modules.unloadable(name, reasons[name], user=unit.key, line=None, filename="")
                if not unit.optional:
                    raise error
                unit.error = error
        for module, name in self._imported.items():
            if module in reasons:
                raise modules.unloadable(module, reasons[module], user=name, line=None, filename="")
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

    def pickle(self, unit: Unit) -> None:
        """Makes a unit's pickle, and with it finds what the unit needs."""
        unit.needs.clear()
        unit.modules.clear()
        before, self._current = self._current, unit
        try:
            if unit.kind == "copy":
                refuse_state(unit)
            unit.parts = None
            unit.raw, unit.memo = replicate.dump_with_memo(unit.value, self)
        except ShippingRefusal as error:
            unit.error = error
        except Exception as error:
            unit.error = unshippable(unit, error)
        finally:
            self._current = before
        if unit.error is not None and not unit.optional:
            raise unit.error
