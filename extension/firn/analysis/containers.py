"""The forms of reduction that change a list, set, dict, deque or Counter in place."""

import operator
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

from firn import _core

from . import refusals
from .chunk import CODES, NUMBERS, unpack, unpacked
from .forms import IN_PLACE, MUTABLE, PICKS, RUNNING, Commit, Form, Namespace, folded, nothing, operate
from .places import is_pure, measured, measuring

_DICTS = (dict, defaultdict, OrderedDict, Counter)
OPERAND: Final = object()
"""The default of `d[k] = max(d.get(k, v), v)`: the first operand."""
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: classes written in Python, and some others


def check_kind(form: Form, value: Any, kinds: tuple[type, ...], wanted: str) -> None:
    if type(value) not in kinds:
        raise refusals.wrong_kind(form.line, form.name, value, wanted)
    if type(value) not in (list, deque):
        _by_value(form, value)


def _factory(form: Form, value: Any) -> None:
    """Raises Refusal where what a defaultdict makes for a missing key depends on when it is asked."""
    if type(value) is defaultdict and not is_pure(value.default_factory):
        raise refusals.own_factory(form.line, form.name, value.default_factory)


def made_for(target: Any, key: Any) -> Any:
    """What a dict makes for a missing key; raises what it raises."""
    factory = getattr(target, "default_factory", None)
    if factory is None:
        raise KeyError(key)
    return factory()


def _by_value(form: Form, value: Any) -> None:
    """Raises Refusal where keys are found by identity: what a worker has of such an object is another one."""
    by_identity: Any = object.__hash__
    for kind in set(map(type, value)):
        if kind.__hash__ is by_identity and kind.__flags__ & _HEAP_TYPE and not issubclass(kind, type):
            raise refusals.found_by_identity(form.line, form.name, kind)


@dataclass
class Appended(Form):
    """`x.append(e)`, `x.extend(e)` on a list or deque."""

    packer = "same"
    what, otherwise = "append or extend", RUNNING
    role = "output"

    def check(self, value: Any) -> None:
        check_kind(self, value, (list, deque), "a list or deque")

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)

        def commit() -> None:
            for values in effects:
                target.extend(values)

        return commit


@dataclass
class Distinct(Form):
    """`x.add(e)`, `x.update(es)` on a set."""

    packer = "distinct"
    what = "add or update of a set"
    otherwise = (
        "for the first of equal ones write first.setdefault(key, x) in the loop, and list(first.values()) after it"
    )
    role = "output"

    def check(self, value: Any) -> None:
        check_kind(self, value, (set,), "a set")

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)

        def commit() -> None:
            for values in effects:
                target.update(values)

        return commit


@dataclass
class Keyed(Form):
    """A form that is recorded by key. target: the variable's type where the cell makes it certain; plain: only of dicts that
    raise KeyError.

    A record keeps one of two keys that are equal, 1 and 1.0, which a list does not take for the same.
    """

    target: type | None = field(default=None, kw_only=True)
    plain: bool = field(default=False, kw_only=True)

    def aim(self, target: type | None) -> None:
        self.target = target

    @property
    def may_be_list(self) -> bool:
        return self.target is None or self.target is list


@dataclass
class Store(Keyed):
    """`x[k] = v`, `x.update(m)` on a dict; `x[i] = v` on a list."""

    packer = "dict"
    accumulator = "{}"
    what = "an item assignment"
    role = "output"
    updates: bool = False

    @property
    def may_be_list(self) -> bool:
        return super().may_be_list and not (self.updates or self.guarded)

    def check(self, value: Any) -> None:
        kinds: tuple[type, ...] = (dict, defaultdict, OrderedDict) if self.updates else _DICTS
        if self.may_be_list:
            kinds = (list,) if self.target is list else (*kinds, list)
        check_kind(self, value, kinds, "a dict" if self.updates or self.guarded else "a dict or list")

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)
        if type(target) is list:
            merged = _indices(self, target, effects)
            return lambda: _assign(target, merged)

        def commit() -> None:
            for values in effects:
                if type(target) in (dict, defaultdict):
                    target.update(values)
                else:
                    _assign(target, values)

        return commit


@dataclass
class First(Keyed):
    """`d.setdefault(k, v)`, `if k not in d: d[k] = v`."""

    packer = "dict"
    accumulator = "{}"
    what = "the first by key"
    role = "output"

    @property
    def may_be_list(self) -> bool:
        return False

    def check(self, value: Any) -> None:
        check_kind(self, value, _DICTS, "a dict")

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)

        def commit() -> None:
            for values in effects:
                for key, value in values.items():
                    target.setdefault(key, value)

        return commit


def _assign(target: Any, values: dict[Any, Any]) -> None:
    for key, value in values.items():
        target[key] = value


def _indices(form: Form, target: list[Any], effects: Sequence[dict[Any, Any]]) -> dict[int, Any]:
    """Index -> value, checked; -1 and len - 1 are one place."""
    merged: dict[int, Any] = {}
    signs = set()
    for values in effects:
        for key, value in values.items():
            try:
                target[key]
            except IndexError:
                raise IndexError("list assignment index out of range") from None
            signs.add(operator.index(key) < 0)
            merged[operator.index(key)] = value
    if len(signs) > 1:
        raise refusals.cannot_replay(form.line, form.name)
    return merged


@dataclass
class Tally(Keyed):
    """`d[k] += v`, `d[k] = d.get(k, c) + v`, `d[k] = max(d.get(k, c), v)` on dicts of numbers and the like; `d[i] += v` on
    lists. op: see `operate`."""

    op: str = "+"
    default: tuple[Any, ...] = ()
    unit: int = 0  # the one constant that all operands are, or 0
    certain: bool = False  # an item without operands is there, too
    what = "an augmented item assignment"

    @property
    def packer(self) -> str:
        return "tally units" if self.unit else "tally"

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
        return self.what

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
        kinds: tuple[type, ...] = _DICTS
        if self.may_be_list:
            kinds = (list,) if self.target is list else (*_DICTS, list)
        if self.guarded and not self.default:
            kinds = (defaultdict,) if self.target is defaultdict else (Counter,)
        if self.plain:
            kinds = (dict, OrderedDict)
        check_kind(self, value, kinds, "a Counter" if self.guarded else "a dict, Counter or list")
        if not self.default:
            _factory(self, value)
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
            sums = _sums(effects)
            new = None if sums is None else self._added(target, sums, known)
            if new is not None:
                return lambda: dict.update(target, new)
        return self._replayed(target, effects, known)

    def _added(self, target: Any, sums: dict[Any, int], known: dict[Any, Any]) -> dict[Any, Any] | None:
        """The new items, if all that is added to are ints, too; in any case fills in the items that were looked at."""
        new: dict[Any, Any] = {}
        absent = self.default[0] if self.default else 0
        if absent is OPERAND and self.unit:
            absent = 0
        plain = type(target) is Counter or bool(self.default) or getattr(target, "default_factory", None) is int
        if plain and not target and type(absent) is int and absent == 0:
            return sums
        for key, total in sums.items():
            known[key] = state = target.get(key, absent) if plain else self._state(target, key)
            if type(state) is not int and type(state) is not bool:
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
        if effect[0] == "sums":
            yield from _operands(effect[2], unit)
            continue
        kind, keys, sums, counts, raw = effect
        operands = unpack(raw, CODES[kind])
        start = 0
        for key, total, count in zip(keys, sums, unpack(counts, "q"), strict=True):
            yield key, total, count, operands[start : start + count]
            start += count


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


def mutable(value: Any) -> list[Any]:
    """The items of a list, or the values of a dict, that can be changed in place."""
    return [item for item in (value if type(value) is list else value.values()) if type(item) in MUTABLE]


def distinct(form: Form, found: list[Any]) -> None:
    if len(set(map(id, found))) < len(found):
        raise refusals.shared_values(form.line, form.name)


def check_holder(form: Keyed, value: Any, creates: bool, wanted: str) -> None:
    """Raises Refusal when a variable is not what holds items that are changed in place, each of its own. creates: the loop
    makes those that are not there."""
    kinds: tuple[type, ...] = (dict, defaultdict, OrderedDict)
    if form.guarded and not creates:
        kinds = (defaultdict,)
    if form.may_be_list:
        kinds = (list,) if form.target is list else (*kinds, list)
    if form.plain:
        kinds = (dict, OrderedDict)
    check_kind(form, value, kinds, "a defaultdict" if form.guarded else wanted)
    if not creates:
        _factory(form, value)
    distinct(form, list(form.inside(value)))


@dataclass
class Leader(Keyed):
    """`if k not in d or f(v) > f(d[k]): d[k] = v`. op: max or min; measure: f, see `places.measured`;
    vouched: as of `forms.Best`."""

    op: str = "max"
    measure: str = ""
    vouched: bool = False
    packer = "leaders"
    what = "the best by key"
    role = "output"

    @property
    def accumulator(self) -> str:
        return f"__firn_contest__.VouchedLeaders({measuring(self.measure)})" if self.vouched else "{}"

    @property
    def argument(self) -> str:
        return self.op

    @property
    def may_be_list(self) -> bool:
        return False

    def check(self, value: Any) -> None:
        check_kind(self, value, _DICTS, "a dict")

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)
        score_of = measured(self.measure)
        new: dict[Any, Any] = {}
        scores: dict[Any, Any] = {}
        for effect in effects:
            for key, (first, others) in effect.items():
                entries = others
                if key in new or key in target:
                    entries = [(score_of(first), first), *others]
                else:
                    new[key] = first
                for score, value in entries:
                    if key not in scores:
                        scores[key] = score_of(new[key] if key in new else target[key])
                    if operate(self.op, scores[key], score) is not scores[key]:
                        new[key], scores[key] = value, score
        return lambda: dict.update(target, new) if type(target) is not OrderedDict else target.update(new)


@dataclass
class Grouped(Keyed):
    """`d[k].append(v)`, `d.setdefault(k, []).append(v)` and the same with extend, add and update. inner: list or set;
    create: for setdefault."""

    inner: str = "list"
    create: bool = False
    packer = "grouped"
    what = "a change of an item"

    @property
    def accumulator(self) -> str:
        return "__firn_tools__.defaultdict(__firn_list__)"

    @property
    def argument(self) -> str:
        return self.inner

    @property
    def may_be_list(self) -> bool:
        return super().may_be_list and not (self.create or self.guarded)

    def check(self, value: Any) -> None:
        check_holder(self, value, bool(self.create), "a dict or defaultdict")

    def inside(self, value: Any) -> list[Any]:
        return mutable(value)

    def gathers(self, effect: Any) -> bool:
        return _core.plain_keys(effect)

    def gather(self, found: Any, effect: Any) -> Any:
        _core.move_groups(found, effect)
        return found

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)
        created: dict[Any, Any] = {}
        own: dict[Any, Any] = {}  # those of `created` that nobody else has: they are filled before the commit
        others: dict[Any, list[Any]] = {}  # what comes to all other values
        wanted: tuple[type, ...] = (list, deque) if self.inner == "list" else (set,)
        make = list if self.inner == "list" else set
        factory = make if self.create else getattr(target, "default_factory", None)
        for effect in effects:
            for key, values in effect.items():
                if type(target) is list:
                    target[key]
                    key = operator.index(key)
                if (value := own.get(key)) is not None:
                    value.extend(values) if self.inner == "list" else value.update(values)
                elif key in others:
                    others[key].append(values)
                elif type(target) is list or key in target:
                    self._check_item(key, target[key], wanted)
                    others[key] = [values]
                elif factory is make:
                    # A list is the chunk's own, made for this merge.
                    own[key] = created[key] = values if make is list and type(values) is list else make(values)
                elif factory is not None:
                    created[key] = factory()
                    self._check_item(key, created[key], wanted)
                    others[key] = [values]
                else:
                    raise KeyError(key)
        # Two keys of one object (a list's -1 and len - 1 as well) would need the order among them.
        distinct(self, mutable([created[key] if key in created else target[key] for key in others]))

        def commit() -> None:
            for key, value in created.items():
                target[key] = value
            for key, lists in others.items():
                value = target[key]
                for values in lists:
                    value.extend(values) if self.inner == "list" else value.update(values)

        return commit

    def _check_item(self, key: Any, value: Any, wanted: tuple[type, ...]) -> None:
        if type(value) not in wanted:
            raise refusals.wrong_kind(self.line, f"{self.name}[{key!r}]", value, f"a {self.inner}")


@dataclass
class Counts(Form):
    """`c.update(words)` on a Counter."""

    packer = "counts"
    what = "update of a Counter"

    @property
    def accumulator(self) -> str:
        return "__firn_tools__.Counter()"

    def check(self, value: Any) -> None:
        check_kind(self, value, (Counter,), "a Counter")

    def gathers(self, effect: Any) -> bool:
        return _core.plain_keys(effect)

    def gather(self, found: Any, effect: Any) -> Any:
        _core.add_counts(found, effect)
        return found

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)
        new: dict[Any, Any] = {}
        for counts in effects:
            for key, count in counts.items():
                old = new[key] if key in new else target.get(key, 0)
                if type(old) is not int:
                    raise refusals.wrong_kind(self.line, f"{self.name}[{key!r}]", old, "an int")
                new[key] = old + count
        return lambda: dict.update(target, new)
