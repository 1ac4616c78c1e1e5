"""One object is one object in a worker, whichever way it gets there.

Data is frozen; copies and definitions are pickled, each by itself. Where two of them hold the same object, code can tell:
`row in special`, `tree is Tree.EMPTY`. Hence what is frozen stays out of every pickle, and what several definitions hold
crosses on its own.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import EnumType
from typing import Any, Final

from firn import _core, rebuild
from firn.names import Unshippable
from firn.readable import a
from firn.units import FROZEN, Unit, is_in_heap

_SAME_WHEN_EQUAL: Final = rebuild.ATOMS | {types.CodeType, types.FunctionType, types.ModuleType, type}
"""Types of what nobody asks the identity of, and of definitions, which are units of their own."""

_WITHOUT_TWINS: Final = frozenset({list, dict, set})


type Form = tuple[object, int, bool]
"""An object, the address of what it was frozen to, whether every interpreter makes an object of its own of that."""


class Common:
    """What a cell's pickles have in common with its frozen data, and with each other."""

    def __init__(self) -> None:
        self._forms: dict[int, Form] = {}  # by the id of the object
        self._frozen: list[_core.Forms] = []
        self._met: dict[int, tuple[object, Unit]] = {}  # id -> a frozen value, a pickle that refers to it

    def address_of(self, value: object, unit: Unit) -> int:
        """Where the frozen form is of an object that a unit's pickle comes upon; 0: it has none."""
        if (form := self._forms.get(id(value))) is not None:
            _, address, is_own = form
            if is_own and unit.kind == "definition" and _needs_class(address):
                _refuse_two(value, unit)
                return 0
            unit.holds_own |= is_own
            return address
        if type(value) in FROZEN or is_in_heap(value):
            self._met[id(value)] = value, unit
            return _core.address(value)
        return 0

    @property
    def met(self) -> list[tuple[object, Unit]]:
        """The frozen values that pickles refer to, each with one of these. They have to live until the job is done."""
        return [*self._met.values()]

    def learn(self, forms: _core.Forms | None) -> None:
        """Takes note of a freeze."""
        if forms is not None:
            self._frozen.append(forms)

    def learn_frozen(self, units: list[Unit]) -> None:
        """Looks for what units' pickles hold of what was frozen."""
        for forms in self._frozen:
            for unit in units:
                self._forms.update((id(form[0]), form) for form in forms.addresses(parts(unit)))

    def learn_twins(self, units: list[Unit], segments: set[int]) -> None:
        """The same of objects that this interpreter goes on with, of which frozen data in these segments has twins."""
        used: frozenset[int] = frozenset()
        for unit in units:
            for part in parts(unit):
                if type(part) in _WITHOUT_TWINS or id(part) in self._forms:
                    continue
                if not (address := _core.twin_address(part) or _core.origin_address(part)):
                    continue
                used = used or frozenset(_core.segments_below(sorted(segments)))
                if not used.isdisjoint(_core.segments_at([address])):
                    self._forms[id(part)] = part, address, True

    def outdated(self, units: list[Unit]) -> list[Unit]:
        """The units whose pickles hold what has a frozen form."""
        found = []
        for unit in units if self._forms else ():
            known = {id(part) for part in parts(unit) if id(part) in self._forms}
            if not known <= unit.replaced:  # the pickler may leave something where it is
                unit.replaced |= known
                found.append(unit)
        return found


def _needs_class(address: int) -> bool:
    """Whether a class of the notebook's is needed to make an object of a frozen one."""
    below = {*_core.definitions_below([address])}
    known = _core.definitions_of(_core.segments_at([address])) if below else ()
    return any(number in below and definition.__module__ == "__main__" for number, definition in known)


def _refuse_two(value: object, unit: Unit) -> None:
    """A worker would have to make an instance for a class before it has the class: it makes one for frozen data and another
    one for the class, which code can tell where they compare by identity."""
    cls = type(value)
    if cls.__eq__ is object.__eq__:
        raise Unshippable(
            f"{unit.key} holds {a(cls.__qualname__)} that the frozen data holds, too, and each worker would have two of it, "
            f"for {cls.__qualname__} says how it is pickled",
            f"give {cls.__qualname__} an __eq__, and compare with == instead of `is`",
            name=unit.key,
        )


def parts(unit: Unit) -> list[Any]:
    """The objects in a unit's pickle, besides its own, of which code may ask whether they are the same."""
    if unit.parts is None:
        assert unit.memo is not None
        unit.parts = [part for part in unit.memo().values() if _has_identity(part) and part is not unit.value]
    return unit.parts


def have_parts_of(units: list[Unit], held: list[object] | None) -> bool:
    """Whether pickles of data hold some of what code holds; None: too much to look at."""
    copies = [unit for unit in units if unit.kind == "copy"]
    wanted = {id(one) for one in held or () if type(one) not in _SAME_WHEN_EQUAL}
    return any(held is None or not wanted.isdisjoint(map(id, parts(unit))) for unit in copies)


def in_several(units: list[Unit]) -> Iterator[tuple[object, str]]:
    """The instances that definitions have in common with other units, and how to call them. (Copies among themselves cross
    in one pickle.)"""
    owners: dict[int, Unit] = {}
    definitions = [unit for unit in units if unit.kind == "definition"]
    for unit in definitions:
        for part in parts(unit):
            if _is_instance(part) and owners.setdefault(id(part), unit) is not unit:
                yield part, f"the {type(part).__qualname__} in {unit.key}"
    for unit in units:
        if owners and unit.kind == "copy":
            yield from (
                (part, f"the {type(part).__qualname__} in {unit.key}") for part in parts(unit) if id(part) in owners
            )


def _has_identity(value: object) -> bool:
    kind = type(value)
    return not (kind in _SAME_WHEN_EQUAL or isinstance(kind, EnumType))  # members are found in their class


def _is_instance(value: object) -> bool:
    kind = type(value)
    if kind is object or isinstance(value, type):
        return kind is object
    return rebuild.is_mutable(kind) and kind.__module__ == "__main__"
