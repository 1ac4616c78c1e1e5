"""The forms of reduction that change a list, set, dict, deque or Counter in place; tallies are a file of their own."""

import operator
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from firn import _core

from . import refusals
from .forms import MUTABLE, RUNNING, Commit, Form, Namespace, nothing, operate
from .places import is_pure, measured, measuring
from .values import is_absent

DICTS = (dict, defaultdict, OrderedDict, Counter)
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: classes written in Python, and some others


def check_kind(form: Form, value: Any, kinds: tuple[type, ...], wanted: str) -> None:
    if type(value) not in kinds:
        raise refusals.wrong_kind(form.line, form.name, value, wanted)
    if type(value) not in (list, deque):
        _by_value(form, value)


def check_factory(form: Form, value: Any) -> None:
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
        kinds: tuple[type, ...] = (dict, defaultdict, OrderedDict) if self.updates else DICTS
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
        check_kind(self, value, DICTS, "a dict")

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
        check_factory(form, value)
    distinct(form, list(form.inside(value)))


@dataclass
class Leader(Keyed):
    """`if k not in d or f(v) > f(d[k]): d[k] = v`. op: max or min; measure: f, see `places.measured`; vouched: as of
    `forms.Best`. absent: how the cell asks otherwise whether there is one yet, see `presence._empty`."""

    op: str = "max"
    measure: str = ""
    vouched: bool = False
    absent: str = ""
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
        made = self.absent in ("", "get None", "get false")
        check_kind(self, value, DICTS if made else (dict, OrderedDict), "a dict")

    def _is_there(self, target: Any, key: Any) -> bool:
        if self.absent.startswith("get ") and key not in target:
            return False
        return not is_absent(target[key], self.how) if self.absent else key in target

    @property
    def how(self) -> str:
        return self.absent.removeprefix("get ")

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
                if key in new or self._is_there(target, key):
                    entries = [(score_of(first), first), *others]
                else:
                    new[key] = first
                for score, value in entries:
                    if key not in scores:
                        scores[key] = score_of(new[key] if key in new else target[key])
                    if operate(self.op, scores[key], score) is not scores[key]:
                        new[key], scores[key] = value, score
        if self.absent:
            for value in new.values():
                if is_absent(value, self.how):
                    raise refusals.none_again(self.line, self.name, value, by_key=True)
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
