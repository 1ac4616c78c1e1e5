"""Freezes the data of a shipment: all of it in one segment, so that what the notebook's variables share stays shared."""

from __future__ import annotations

import gc
import re
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Sized
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from firn import _core, long_freezes, stale
from firn.analysis.plan import Depth
from firn.functions import not_captured
from firn.units import FREEZABLE, FROZEN, Figures, Unit, is_buffer, is_data

if TYPE_CHECKING:
    from firn.planner import Planner

_OURS: Final = re.compile(
    "In|Out|exit|quit|get_ipython|open|parallel|__.*|_+|_[0-9]+|_i+|_i[0-9]+|_[iod]h|_exit_code", re.ASCII
)
"""IPython's names and firn's, never rebound."""

_HELD: Final = 100_000
"""So many parts of what code holds are looked at, at most."""

_WITHOUT_ORIGINALS: Final = frozenset({str, bytes, int, float, complex, bool, type(None), types.ModuleType})

_NO_PARTS: Final = (
    *(str, bytes, int, float, type, types.FunctionType, types.ModuleType, types.BuiltinFunctionType),
    *FROZEN,
)

_CONTAINERS: Final = frozenset({list, dict, set, bytearray, deque, OrderedDict, defaultdict, Counter})
"""What their methods change are their own items."""

_captured: WeakKeyDictionary[Any, dict[bytes, tuple[object, int]]] = WeakKeyDictionary()
"""Function or class -> content of a container that it holds -> the frozen form and its address."""


def captured(owner: object, content: bytes) -> tuple[object, int]:
    """The frozen form of a container that a definition holds, if it was frozen before with this content; else None."""
    return _captured.get(owner, {}).get(content, (None, 0))


def freeze(data: list[Unit], planner: Planner, label: str, figures: Figures) -> None:
    """Freezes units and notes in `planner.rebound` which of the notebook's names are to be bound to frozen forms: those
    of the units and those of every other object that was frozen with them. All or nothing, but for `copy` names, which
    have a segment of their own, and the way back from it (`planner.originals`); what has objects in common with these is
    copied together with them, or a change of one would not be seen in the other any more. `planner.common` learns what
    was frozen to what. Raises NotFreezableError.
    """
    names = [
        name
        for name, value in planner.namespace.items()
        if not (name in planner.copy or type(value) in _WITHOUT_ORIGINALS or _OURS.fullmatch(name))
    ]
    values = [planner.namespace[name] for name in names]
    data = smallest_first(data)
    own = [unit for unit in data if _is_own(unit, planner)]
    shared = [unit for unit in data if not _is_own(unit, planner)]
    roots = _roots(data)
    results = []
    if shared:
        with not_captured(), long_freezes.announced(planner.screen, {unit.key: unit.value for unit in shared}):
            result = _core.freeze_roots({roots[unit]: unit.value for unit in shared}, keeps_forms=True)
        assert result.forms is not None
        if _is_changed(result.forms, planner, is_new=bool(result.objects)):
            own, shared = data, []
            figures.together.update(name for unit in data for name in unit.names if name not in planner.copy)
            planner.copy |= figures.together
    if shared:
        results.append((shared, result))
        figures.kept += _kept(planner, {id(unit.value) for unit in shared if is_data(unit.value)})
        assert result.forms is not None
        kept = _stays(shared, result, roots)
        code = [definition for _, definition in _core.definitions_of([result.segment] if result.segment else [])]
        held = {id(unit.value) for unit in shared if not unit.names and unit.owner is None} | {*map(id, kept or ())}
        for name, original, frozen in zip(names, values, result.forms.of(values), strict=True):
            if frozen is None or frozen is original or id(original) in held or not _takes_its_place(frozen):
                continue
            planner.rebound.setdefault(name, frozen)
        if kept is not None and (holders := result.forms.holders(values + code, kept)) is not None:
            planner.holders.append(holders)
            labels = names + [definition.__qualname__ for definition in code]
            figures.holders |= {labels[number] for _, number in holders.found}
    if own:
        with not_captured():
            result = _core.freeze_roots(
                {roots[unit]: unit.value for unit in own}, keeps_forms=True, keeps_originals=True
            )
        results.append((own, result))
        if result.originals is not None:
            planner.originals.append(result.originals)
    stale.note()
    for units, result in results:
        planner.common.learn(result.forms)
        if result.segment and label:
            _core.set_cell(result.segment, label)
        figures.objects += result.objects
        figures.bytes += result.bytes
        figures.seconds += result.seconds
        long_freezes.learn(result.objects, result.seconds)
        for unit in units:
            unit.pointer, unit.address = result.frozen[roots[unit]], result.addresses[roots[unit]]
            planner.segments.update(_core.segments_at([unit.address]))
            if unit.owner is not None:
                _captured[unit.owner] = {**_captured.get(unit.owner, {}), unit.content: (unit.pointer, unit.address)}
            kind = figures.reused if unit.pointer is unit.value else figures.frozen
            kind += unit.names
            if units is shared and unit.pointer is not unit.value and _takes_its_place(unit.pointer):
                planner.rebound.update(dict.fromkeys(unit.names, unit.pointer))


def _is_own(unit: Unit, planner: Planner) -> bool:
    """Also what a loop runs over without a name: it may be a part of such a variable (`config["rows"]`)."""
    return not planner.copy.isdisjoint(unit.names) or (unit.over and not unit.names and bool(planner.copy))


def _is_changed(forms: _core.Forms, planner: Planner, is_new: bool) -> bool:
    """Whether what is copied, or what the cell changes beside it, has any of the objects that were frozen. What no list
    or dict of the notebook's holds is looked for only where objects are newly frozen: a walk through all that is changed
    would cost each cell that changes much."""
    space = planner.namespace
    deep: list[object] = [value for name, value in space.items() if name in planner.copy and is_data(value)]
    own: list[object] = []
    for name in planner.besides.keys() & space.keys():
        value, depth = space[name], planner.besides[name]
        if type(value) not in _WITHOUT_ORIGINALS:
            is_own = depth == Depth.ATTRIBUTES or (depth == Depth.ITEMS and type(value) in _CONTAINERS)
            (own if is_own else deep).append(value)
    if any(form is not None for form in forms.of(deep + own)):
        return True
    if not deep:
        return False
    return bool(forms.holders(deep, [])) or (is_new and any(form is not None for form in forms.of(_parts(deep))))


def _parts(values: list[object]) -> list[object]:
    """Some of what values hold, instances of libraries' classes, too, whose lists are not exchanged, but can be changed."""
    found: dict[int, object] = {}
    todo = list(values)
    while todo and len(found) < _HELD:
        part = todo.pop()
        if id(part) not in found and not issubclass(type(part), _NO_PARTS):
            found[id(part)] = part
            todo += gc.get_referents(part)
    return [*found.values()]


def _stays(units: list[Unit], result: _core.FreezeResult, roots: dict[Unit, str]) -> list[object] | None:
    """What the notebook goes on using as it is, although it is frozen: what code uses, but for what variables have of it,
    too. None: there is too much of it."""
    used = used_by_code(units)
    if not used:
        return used
    assert result.forms is not None
    addresses = {id(one): address for one, address, _ in result.forms.addresses(used)}
    variables = [result.addresses[roots[unit]] for unit in units if unit.names]
    common = {*_core.reached(variables, [*{*addresses.values()}])}
    return [one for one in used if addresses.get(id(one)) not in common]


def used_by_code(units: list[Unit]) -> list[object] | None:
    """What the notebook goes on using as it is, although it is frozen: what functions and classes hold, with all its parts,
    for their code may change it; and what a loop runs over, if no variable is bound to it. None: there is too much of it."""
    todo = [unit.value for unit in units if not unit.names and not unit.over]
    found = {id(unit.value): unit.value for unit in units if not unit.names and unit.over}
    while todo:
        if len(found) > _HELD:
            return None
        part = todo.pop()
        if id(part) not in found and not issubclass(type(part), _NO_PARTS):
            found[id(part)] = part
            todo += gc.get_referents(part)
    return [*found.values()]


def references(holders: Iterable[object]) -> Counter[int]:
    """How many references these hold to each object, by its id."""
    return Counter(id(part) for holder in holders for part in gc.get_referents(holder))


def is_held_elsewhere(unit: Unit, pickled: Counter[int]) -> bool:
    """Whether anything else than its owner, and the pickles of definitions (`references`), has something of a container that
    code holds."""
    parts = used_by_code([unit])
    if parts is None:
        return True
    known = references(parts)
    known[id(unit.value)] += 2  # the owner, the unit
    tracked = [part for part in parts if gc.is_tracked(part)]
    counts = zip(tracked, _counts(tracked), strict=True)
    return any(count > known[id(part)] + pickled[id(part)] + _UNHELD for part, count in counts)


def _counts(parts: list[object]) -> list[int]:
    return [sys.getrefcount(part) for part in parts]


_UNHELD: Final = _counts([object()])[0] + 1  # the list that they are counted in, and that of all parts


def _takes_its_place(frozen: object) -> bool:
    """Whether a variable is bound to what its value was frozen to. What every interpreter makes its own object of (a
    compiled pattern, an Enum member) stays what it is in the notebook; an array becomes a read-only one, whose memory is
    the workers'."""
    return type(frozen) in FROZEN or type(frozen) in FREEZABLE or is_buffer(type(frozen))


def smallest_first(data: list[Unit]) -> list[Unit]:
    """The order in which units are frozen: what does not freeze is found before the big ones are walked."""
    return sorted(data, key=_size)


def _size(unit: Unit) -> int:
    if type(unit.value) not in FREEZABLE:
        return -1
    return len(unit.value) if isinstance(unit.value, Sized) else 0


def _roots(data: list[Unit]) -> dict[Unit, str]:
    """A name of its own for each unit, at the head of the paths in messages."""
    taken: dict[str, Unit] = {}
    for unit in data:
        unit.root, number = unit.key, 2
        while unit.root in taken:
            unit.root, number = f"{unit.key} ({number})", number + 1
        taken[unit.root] = unit
    return {unit: root for root, unit in taken.items()}


def _kept(planner: Planner, originals: set[int]) -> list[str]:
    """Where IPython still holds originals of what was frozen."""
    out = planner.namespace.get("Out")
    places = {f"Out[{number}]": value for number, value in out.items()} if isinstance(out, dict) else {}
    places |= {name: planner.namespace.get(name) for name in ("_", "__", "___")}
    return [place for place, value in places.items() if id(value) in originals]
