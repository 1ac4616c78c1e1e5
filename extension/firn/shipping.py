"""What a split loop needs in the workers: everything is found, frozen, pickled and packed into one setup.

A definition's version is a digest of its pickle and of what it refers to, and a worker loads again only what has another
version. Functions find their globals in the worker's namespace, by name.
"""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import linecache
import marshal
import pickle
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firn import _core, effects, names, rebuild
from firn.analysis.plan import Depth
from firn.items import Items, inside
from firn.names import ShippingRefusal, Unshippable
from firn.planner import Planner
from firn.progress import Screen
from firn.rebind import rebind
from firn.units import Figures, Unit, components, is_definition
from firn.watch import LARGE

__all__ = ["Figures", "Shipment", "ShippingRefusal", "Unshippable", "look", "prepare", "unpack"]


@dataclass
class Shipment:
    """`setup` goes to Pool.submit; `frozen` are the notebook's names to rebind, `holders` who else holds originals."""

    setup: tuple[bytes, tuple[object, ...]]
    frozen: dict[str, object]
    holders: list[_core.Holders]
    figures: Figures
    lent: rebuild.Lent  # this and the next two: alive until the results are unpacked
    originals: list[_core.Originals]
    met: list[object]  # frozen values that the workers know by their addresses
    items: Items | None = None  # what the loop runs over, as the notebook has it from now on

    def bind(self, namespace: dict[str, Any]) -> list[object]:
        """Binds the notebook's variables, and whatever else holds originals, to the frozen forms; the originals."""
        originals, anew = rebind(namespace, self.frozen, self.holders)
        if anew:
            self.lent.made_anew(anew)
            if self.items is not None:
                sources = [anew.get(id(source), (None, source))[1] for source in self.items.sources]
                self.items = Items(self.items.numbered(sources), len(self.items))
        return originals


_numbers = itertools.count(1)


def prepare(
    wanted: Iterable[str],
    namespace: dict[str, Any],
    *,
    code: types.CodeType,
    items: Items | None = None,
    copy: Iterable[str] = (),
    besides: Mapping[str, Depth] = {},
    label: str = "",
    each: bool = False,
    remembered: Iterable[str] = (),
    gather: Iterable[str] = (),
    size: int = 0,
    seed: int | None = None,
    generation: int = 0,
    screen: Callable[[], Screen | None] = lambda: None,
) -> Shipment:
    """Gets everything ready that `code` needs in the workers; nothing has run or changed when it raises.

    `wanted`: the globals that the loop reads itself. `namespace`: the notebook's globals. `copy`: names of which the
    notebook keeps its own, mutable object; `besides`: those that the cell changes later. `label`: the cell ("[12]"), for
    messages. `each`: the code is a whole cell that runs in every one of `size` workers; `remembered` are the names that
    earlier such cells left there, `gather` those to return; a new `generation` starts the workers' own namespaces afresh.
    `seed`: of the random streams, one per iteration; None takes one from the notebook's generator. `screen`: where a long
    freeze is announced.
    Raises MissingName, Unloadable, LostEffect, Unshippable (all ShippingRefusal).
    """
    later = names.assigned(code) | {"parallel"} if each else set[str]()
    wanted = sorted(wanted)
    planner = Planner(namespace, frozenset(copy), frozenset(remembered), frozenset(later))
    planner.screen, planner.besides = screen, besides
    try:
        sources, figures = _find(planner, wanted, code, items, label)
    except ShippingRefusal:
        other = planner.without_strangers()
        if other is None:
            raise
        planner = other
        sources, figures = _find(planner, wanted, code, items, label)
    number = next(_numbers)
    packer = Packer(planner, number)
    units = packer.ordered()
    own, memos = packer.lent(each)
    stream = planner.seed(seed)
    figures.random = stream is not None and planner.draws()
    lent = rebuild.Lent(number, own, memos)
    header = {
        "shipment": number,
        "lent": (tuple(own), tuple(memos)),
        "mode": "each" if each else "split",
        "code": marshal.dumps(code),
        "bindings": packer.bindings(),
        "imports": sorted(planner.imports),
        "units": units,
        "items": items.numbered(unit.number for unit in sources) if items is not None else None,
        "copies": packer.copies(each),
        "watched": packer.watched(each),
        "copied": any(unit.why is not None or unit.is_own_object for unit in planner.units.values()),
        "changes": bool(planner.originals) or any(unit.kind == "copy" for unit in planner.units.values()),
        "copied_items": any(unit.why is not None for unit in sources),
        "lines": packer.lines(code.co_filename),
        "definitions": packer.numbers(),
        "gather": tuple(gather),
        "seed": stream,
        "generation": generation,
        "size": size,
        "settings": planner.settings,
    }
    runs_over = None
    if items is not None:
        found = [_core.adopt(unit.address) if unit.kind == "frozen" else unit.value for unit in sources]
        runs_over = Items(items.numbered(found), len(items))
    setup = (pickle.dumps(header, 5), tuple(packer.pointers))
    return Shipment(
        setup,
        planner.rebound,
        planner.holders,
        figures,
        lent,
        planner.originals,
        [value for value, _ in planner.common.met],
        runs_over,
    )


def _find(
    planner: Planner, wanted: Iterable[str], code: types.CodeType, items: Items | None, label: str
) -> tuple[list[Unit], Figures]:
    """Everything that the code needs; (what it runs over, the figures)."""
    planner.follow(code)
    for name in wanted:
        planner.need(name, code=code, reader="")
    effects.check_calls(code, planner.namespace, "")
    sources = [planner.source(value) for value in items.sources] if items is not None else []
    return sources, planner.settle(label)


def look(
    wanted: Iterable[str],
    namespace: dict[str, Any],
    *,
    code: types.CodeType,
    copy: Iterable[str] = (),
    later: Iterable[str] = (),
    over: Iterable[str] = (),
    deep: bool = True,
) -> list[str]:
    """What `prepare` would refuse is refused, and nothing frozen; the names that it would freeze. `later`: names that the
    cell makes before the loop runs, of which nothing can be known now. `over`: the variables that the loop runs over. Not
    `deep`: in passing, without a look into containers."""
    planner = Planner(namespace, frozenset(copy), frozenset(later), frozenset())
    planner.follow(code)
    for name in sorted(wanted):
        planner.need(name, code=code, reader="")
    effects.check_calls(code, namespace, "")
    for name in sorted(over):
        value = inside(namespace[name])
        if not isinstance(value, Iterator):  # what is read to its end first does not cross itself
            planner.source(value)
    return planner.look(deep)


def unpack(raw: bytes) -> Any:
    """A result that a worker packed; instances of the notebook's classes are of its own classes again."""
    return rebuild.ResultLoader(io.BytesIO(raw)).load()


class Packer:
    """Puts a planner's units in order and turns them into what a worker's `begin` reads."""

    def __init__(self, planner: Planner, shipment: int = 0) -> None:
        """`shipment`: its number; 0 for a call of an executor, whose workers keep what they have."""
        self.pointers: list[object] = []
        self._shipment = shipment
        self._planner = planner
        self._ordered: list[Unit] = []
        self._generations: dict[str, int] = planner.settings["reloads"]

    def ordered(self) -> list[tuple[Any, ...]]:
        """The units as the workers get them, each after those that it refers to."""
        # Copies may hold the same objects: in one pickle these stay the same.
        copies = [unit for unit in self._planner.units.values() if unit.kind == "copy" and unit.error is None]
        for unit, other in zip(copies, copies[1:] + copies[:1], strict=True):
            unit.together = (other,)
        # What frozen data names comes first: a worker makes objects of its own of some data as soon as it comes.
        for component in components([*self._planner.definitions.values(), *self._planner.units.values()]):
            if len(component) == 1:
                self._place(component[0])
            else:
                self._merge(component)
        for unit in copies:  # no cycle that keeps data until it is collected
            unit.together = ()
        return [self._sent(unit) for unit in self._ordered]

    def copies(self, each: bool) -> list[tuple[int, str]]:
        """The copies that a worker watches for changes; (-1, ...) when only a loop's items are to be."""
        if each:
            return []
        copied = [unit for unit in self._ordered if unit.why is not None and unit.error is None]
        return [(unit.number if len(unit.raw or b"") <= LARGE else -1, unit.key) for unit in copied]

    def numbers(self) -> dict[int, int]:
        """The numbers by which frozen data calls classes and functions, by those of their units. All of the notebook's
        classes have one, for results are frozen, too: else instances that the workers make would have to be pickled."""
        numbers = {unit.number: number for number, unit in self._planner.definitions.items()}
        for unit in self._ordered:
            if isinstance(unit.value, type) and unit.kind in ("definition", "part") and unit.error is None:
                numbers.setdefault(unit.number, _core.number_of(unit.value))
        return numbers

    def watched(self, each: bool) -> list[int]:
        """The notebook's classes and functions of which a worker watches what they hold."""
        if each:
            return []
        return [
            unit.number
            for unit in self._ordered
            if unit.kind in ("definition", "part") and unit.error is None and len(unit.raw or b"") <= LARGE
            if self._is_notebooks(unit.value)
        ]

    def _is_notebooks(self, value: object) -> bool:
        """Whether something is a class, a function or a partial of the notebook, not of a module's making."""
        if isinstance(value, types.FunctionType):
            return value.__globals__ is self._planner.namespace
        return type(value) is functools.partial or (isinstance(value, type) and value.__module__ == "__main__")

    def lent(self, each: bool) -> tuple[dict[int, object], dict[int, rebuild.Memo]]:
        """The notebook's own objects of which the workers have copies, by number, and the memos of the copies' pickles.
        Classes have numbers of their own. Whole cells may change what they have: to them, only definitions are lent."""
        found = [unit for unit in self._ordered if (unit.kind != "frozen" or unit.is_own_object) and unit.error is None]
        if each:
            found = [unit for unit in found if is_definition(unit.value)]
        own = {unit.number: unit.value for unit in found if not isinstance(unit.value, type) and not unit.own}
        return own, {unit.number: unit.memo for unit in found if unit.kind == "copy" and unit.memo is not None}

    def bindings(self) -> dict[str, Any]:
        return {
            name: ("unit", binding[1].number) if binding[0] == "unit" else binding
            for name, binding in self._planner.bindings.items()
        }

    def lines(self, filename: str) -> dict[str, list[str]]:
        """The source lines of notebook cells, for the workers' tracebacks."""
        entries = {name: linecache.cache.get(name) for name in {filename, *self._planner.files}}
        return {name: entry[2] for name, entry in entries.items() if entry and len(entry) == 4 and entry[1] is None}

    def _merge(self, cycle: list[Unit]) -> None:
        """What refers to each other in a circle crosses in one pickle."""
        kind = "copy" if all(unit.kind == "copy" for unit in cycle) else "definition"
        group = Unit(tuple(unit.value for unit in cycle), cycle[0].label, kind)
        group.own = frozenset(id(unit.value) for unit in cycle)
        self._planner.pickle(group)
        self._place(group)
        for unit in cycle:
            unit.kind, unit.needs = "part", {group: 0}
            self._place(unit)

    def _place(self, unit: Unit) -> None:
        unit.number = len(self._ordered)
        self._ordered.append(unit)
        if unit.kind == "frozen":
            unit.version = b"%x %d" % (unit.address, self._shipment if unit.is_own_object else 0)
            return
        if unit.error is not None:
            unit.raw, unit.needs = pickle.dumps(rebuild.Refused(str(unit.error)), 5), {}
        digest = hashlib.blake2b(unit.raw or b"", digest_size=16)
        for name in sorted(unit.modules & self._generations.keys()):
            digest.update(b"%s %d" % (name.encode(), self._generations[name]))
        if unit.holds_own:
            digest.update(b"%d" % self._shipment)
        for need in unit.needs:
            digest.update(need.version)
            need.sticky = need.sticky or unit.kind != "copy"
        unit.version = digest.digest()

    def _sent(self, unit: Unit) -> tuple[Any, ...]:
        if unit.kind == "frozen":
            if unit.is_own_object:
                return ("address", unit.address)
            self.pointers.append(unit.pointer)
            return ("frozen", len(self.pointers) - 1)
        if unit.kind == "part":
            (group,) = unit.needs
            values: tuple[object, ...] = group.value  # type: ignore[assignment]
            return ("part", group.number, next(i for i, value in enumerate(values) if value is unit.value))
        kept = unit.kind == "definition" or unit.sticky
        is_copy = unit.kind == "copy" and unit.error is None
        return ("pickle", unit.version, kept, is_copy, tuple(need.number for need in unit.needs), unit.raw)
