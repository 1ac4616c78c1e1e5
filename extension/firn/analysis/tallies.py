"""What is added up by key: `d[k] += v`, `d[k] = max(d.get(k, c), v)`."""

import operator
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

from firn import _core

from . import refusals
from .chunk import CODES, NUMBERS, unpack, unpacked
from .containers import DICTS, Keyed, check_factory, check_kind, distinct, made_for, mutable
from .forms import IN_PLACE, MUTABLE, PICKS, Commit, Namespace, folded, nothing, operate
from .values import alike, order_of

OPERAND: Final = object()
"""The default of `d[k] = max(d.get(k, v), v)`: the first operand."""


@dataclass
class Tally(Keyed):
    """`d[k] += v`, `d[k] = d.get(k, c) + v`, `d[k] = max(d.get(k, c), v)` on dicts of numbers and the like; `d[i] += v` on
    lists. op: see `operate`."""

    op: str = "+"
    default: tuple[Any, ...] = ()
    unit: int = 0  # the one constant that all operands are, or 0
    certain: bool = False  # an item without operands is there, too
    above: tuple[Any, ...] = ()  # of `if v > d.get(k, c): d[k] = v`, c
    what = "an augmented item assignment"

    @property
    def packer(self) -> str:
        return "tally units" if self.unit else "tally in parts" if self.in_parts else "tally"

    @property
    def accumulator(self) -> str:
        return f"__firn_tools__.defaultdict(__firn_{'int' if self.unit else 'list'}__)"

    @property
    def argument(self) -> str:
        return self.op.strip("=")

    @property
    def shown(self) -> str:
        if self.op.rstrip("<>") in PICKS:
            return "the largest by key" if self.op.startswith("max") else "the least by key"
        return f"{self.what}, in parts" if self.in_parts else self.what

    @property
    def begins(self) -> bool:
        """Whether the first operand becomes the item itself, and is changed in place by the next."""
        return self.default == (OPERAND,) and self.op in IN_PLACE

    @property
    def keeps(self) -> str:
        """What is called with an operand that may change later."""
        if self.begins:
            return "__firn_constant__"
        return "__firn_settled__" if self.op.rstrip("<>") in PICKS else "__firn_snapshot__"

    @property
    def leaves_no_key(self) -> bool:
        """Whether the key is not there when the operand fails."""
        return bool(self.default) or self.target is not defaultdict

    @property
    def may_be_list(self) -> bool:
        return super().may_be_list and not (self.default or self.guarded)

    def check(self, value: Any) -> None:
        kinds: tuple[type, ...] = DICTS
        if self.may_be_list:
            kinds = (list,) if self.target is list else (*DICTS, list)
        if self.guarded and not self.default:
            kinds = (defaultdict,) if self.target is defaultdict else (Counter,)
        if self.plain:
            kinds = (dict, OrderedDict)
        check_kind(self, value, kinds, "a Counter" if self.guarded else "a dict, Counter or list")
        if not self.default:
            check_factory(self, value)
        if self.above and not all(map(self._is_above, value.values())):
            raise refusals.below(self.line, self.name, self.above[0])
        distinct(self, self.inside(value))

    def inside(self, value: Any) -> list[Any]:
        return mutable(value) if self.op in IN_PLACE and value and type(value) is not Counter else []

    def gathers(self, effect: Any) -> bool:
        match effect:
            case ("units", totals):
                return _core.plain_keys(totals)
            case ("ints" | "bools", keys, _, counts, _):
                return 0 not in unpack(counts, "q") and _core.plain_keys(keys)
        return False

    def gather(self, found: Any, effect: Any) -> Any:
        if self.unit:
            _core.add_counts(found[1], effect[1])
            return found
        if found[0] != "sums":
            found = ("sums", dict(zip(found[1], found[2], strict=True)), [found])
        _core.add_counts(found[1], dict(zip(effect[1], effect[2], strict=True)))
        found[2].append(effect)
        return found

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effect[1] for effect in effects):
            return nothing
        target = self.checked(namespace)
        known: dict[Any, Any] = {}  # asking for an item may run code
        if self.argument == "+" and type(target) in (dict, defaultdict, Counter):
            sums: Mapping[Any, int | float] | None = _sums(effects)
            if sums is None and self.in_parts:
                sums = _parts(effects)
            new = None if sums is None else self._added(target, sums, known)
            if new is not None:
                return lambda: dict.update(target, new)
        return self._replayed(target, effects, known)

    def _added(
        self, target: Any, sums: Mapping[Any, int | float], known: dict[Any, Any]
    ) -> Mapping[Any, int | float] | None:
        """The new items, if all that is added to are ints (in parts: or floats), too; in any case fills in the items that were
        looked at."""
        new: dict[Any, Any] = {}
        summed = (int, bool, float) if self.in_parts else (int, bool)
        absent = self.default[0] if self.default else 0
        if absent is OPERAND and self.unit:
            absent = 0
        plain = type(target) is Counter or bool(self.default) or getattr(target, "default_factory", None) is int
        if plain and not target and type(absent) is int and absent == 0:
            return sums
        for key, total in sums.items():
            known[key] = state = target.get(key, absent) if plain else self._state(target, key)
            if type(state) not in summed:
                return None
            new[key] = state + total if total or not self.unit else state
        return new

    def _replayed(self, target: Any, effects: Sequence[Any], known: dict[Any, Any]) -> Commit:
        new: dict[Any, Any] = {}
        order: dict[Any, None] = {}
        signs = set()
        for key, value, count, operands in _operands(effects, self.unit):
            if type(target) is list:
                target[key]
                signs.add(operator.index(key) < 0)
                key = operator.index(key)
            order[key] = None
            if not count and not self.certain:
                continue
            if key not in new:
                state = known[key] if key in known else self._state(target, key)
                if type(state) in MUTABLE and self.op in IN_PLACE:
                    state = state.copy()
                if state is OPERAND:
                    rest = iter(operands)
                    state, value = next(rest), None
                    operands = operands[1:] if isinstance(operands, array) else rest
                new[key] = state
            state = new[key]
            if value is not None and type(state) in (int, bool):
                new[key] = operate(self.op, state, value) if count else state
                continue
            if isinstance(operands, array) and operands.typecode == CODES["floats"]:
                new[key] = folded(self.op, state, operands.tobytes())
                continue
            for operand in operands:
                if self.guarded and type(operand) not in NUMBERS:
                    raise refusals.cannot_replay(self.line, self.name)
                state = operate(self.op, state, operand)
            new[key] = state
        if len(signs) > 1:
            raise refusals.cannot_replay(self.line, self.name)

        def commit() -> None:
            for key in order:
                if key not in new:
                    # The operand failed where that was caught; a defaultdict has the key all the same.
                    if type(target) is defaultdict and not self.default:
                        target[key]
                    continue
                value = new[key]
                old = target.get(key) if isinstance(target, dict) else target[key]
                if type(old) in MUTABLE and self.op in IN_PLACE:
                    _become(old, value)
                    value = old
                target[key] = value

        return commit

    def _state(self, target: Any, key: Any) -> Any:
        if self.default:
            return target.get(key, self.default[0])
        return made_for(target, key) if type(target) is defaultdict and key not in target else target[key]

    def _is_above(self, item: Any) -> bool:
        """Whether what beats an item surely beats what it would have to beat without it, which is all that the workers ask."""
        [least] = self.above
        more = self.op.startswith("max")
        return alike(order_of(item), order_of(least)) and bool(item >= least if more else item <= least)


def _become(old: Any, new: Any) -> None:
    """Gives a builtin container the contents of another one of its type, in place."""
    if isinstance(old, (list, bytearray)):
        old[:] = new
    else:
        old.clear()
        old.extend(new) if isinstance(old, deque) else old.update(new)


def _operands(effects: Sequence[Any], unit: int) -> Iterator[tuple[Any, Any, int, Iterable[Any]]]:
    """(key, their sum or None, their number, operands) of each chunk in order of first appearance."""
    for effect in effects:
        if effect[0] == "units":
            for key, total in effect[1].items():
                yield key, total, total // unit, repeat(unit, total // unit)
            continue
        if effect[0] == "lists":
            for key, packed in effect[1].items():
                total, operands = unpacked(packed) if type(packed) is tuple else (None, packed)
                yield key, total, len(operands), operands
            continue
        if effect[0] == "parts":
            for key, part in zip(*effect[1:], strict=True):
                yield key, None, 1, (part,)
            continue
        if effect[0] == "sums":
            yield from _operands(effect[2], unit)
            continue
        kind, keys, sums, counts, raw = effect
        operands = unpack(raw, CODES[kind])
        start = 0
        for key, total, count in zip(keys, sums, unpack(counts, "q"), strict=True):
            yield key, total, count, operands[start : start + count]
            start += count


def _parts(effects: Sequence[Any]) -> dict[Any, float] | None:
    """The sum of each key's parts, where there are no others."""
    sums: dict[Any, float] = {}
    for kind, keys, *parts in effects:
        if not keys:
            continue
        if kind != "parts":
            return None
        for key, part in zip(keys, *parts, strict=True):
            sums[key] = sums.get(key, 0.0) + part
    return sums


def _sums(effects: Sequence[Any]) -> dict[Any, int] | None:
    """The sum of each key's operands, in order of first appearance, where all are ints and no key is without one."""
    sums: dict[Any, int] = {}
    for effect in effects:
        match effect:
            case ("units", totals) | ("sums", totals, _):
                found = totals
            case ("ints" | "bools", keys, totals, counts, _) if 0 not in unpack(counts, "q"):
                found = dict(zip(keys, totals, strict=True))
            case _:
                return None
        if sums:
            _core.add_counts(sums, found)
        else:
            sums = dict(found)
    return sums
