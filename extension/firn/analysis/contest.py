"""The workers' part of the search for the best: `if e > best: best, who = e, p`, and of the best by key."""

import copy
import operator
from collections.abc import Callable

from .values import NotMergeable, alike, order_of

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

BEATS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Champion:
    """A chunk's part of `if e > best: best, who = e, p`: the first candidate and the last one that beat all before; from one
    on that is in no order with these, all."""

    __slots__ = ("_apart", "_beats", "_error", "_order", "dropped", "fence", "first", "last", "rest", "unasked")

    def __init__(self, sign: str) -> None:
        self._beats = BEATS[sign]
        self.unasked: tuple[Any, ...] | None = None  # before `first`, of a search that asks only later how good it is
        self.first: tuple[Any, ...] | None = None
        self.last: tuple[Any, ...] | None = None  # also set by generated code
        self.rest: list[tuple[Any, ...]] = []
        self.dropped = False  # whether there were others
        self._error: NotMergeable | None = None  # also if the cell's own `try` has caught it
        self._order: Any = None
        self._apart = False  # whether there was one that is in no order with those before
        # What generated code compares with, without a call: the best, where its type is surely in a total order.
        self.fence: Any = self

    def beaten_by(self, value: Any) -> bool:
        order = order_of(value)
        if order is None:
            raise self._failed(
                f"a split loop looks for the best of values of type {value.__class__.__name__}, whose order may depend on"
                " the order of the comparisons: use max(...) or min(...) over a comprehension"
            )
        if self.first is None:
            self._order = order
            return True
        self._apart = self._apart or not alike(order, self._order)
        if self._apart:
            return True
        self.dropped = True
        if isinstance(order, tuple) and len(order) > len(self._order):
            self._order = order
        return value == value and (self.last is None or bool(self._beats(value, self.last[0])))

    def open(self, assigned: tuple[Any, ...]) -> None:
        """Takes the first one, where nobody asks yet how good it is."""
        self.unasked = assigned

    def take(self, value: Any, assigned: tuple[Any, ...]) -> None:
        entry = (value, *assigned)
        if self.first is None:
            self.first = entry
        elif self._apart:
            self.rest.append(entry)
            self.fence = self
            return
        if value == value:
            self.last = entry
            self.fence = value if type(value) in (int, float, str, bytes) else self

    def settle(self) -> None:
        """Nothing is taken after that."""
        if self._error is not None:
            raise self._error

    def _failed(self, why: str) -> NotMergeable:
        self._error = NotMergeable(why)
        return self._error


class Failed:
    """What stands for the values that go with a best of a chunk, where it failed to compute them. The cell itself computes
    them only for what is the best of all before."""

    def __init__(self, error: Exception) -> None:
        self.kind = type(error).__name__


class VouchedChampion(Champion):
    """The same where what is bound may change after that (`m = fit(p)`): fails where its measure did."""

    __slots__ = ("_measure", "_opening")

    def __init__(self, sign: str, measure: Callable[[Any], Any]) -> None:
        super().__init__(sign)
        self._measure = measure
        self._opening: Any = None

    def open(self, assigned: tuple[Any, ...]) -> None:
        super().open(assigned)
        self._opening = _measured(self._measure, assigned[0])

    def take(self, value: Any, assigned: tuple[Any, ...]) -> None:
        self._check(self.last)
        super().take(value, assigned)
        self._check((value, *assigned))
        self.fence = self  # so that each of them comes here

    def settle(self) -> None:
        super().settle()
        if self.unasked is not None:
            self._check((self._opening, *self.unasked))
        for entry in (self.first, self.last, *self.rest):
            self._check(entry)

    def _check(self, entry: tuple[Any, ...] | None) -> None:
        if entry is not None and not _is_as_good(self._measure, *entry[:2]):
            raise self._failed(_CHANGED)


def pack_champion(acc: Champion, _: str) -> tuple[tuple[Any, ...] | None, list[tuple[Any, ...]], bool]:
    """(the unasked one or None, candidates, whether there may have been others)."""
    acc.settle()
    entries = [entry for entry in (acc.first, acc.last) if entry is not None]
    found = [*(entries[:1] if entries[1:] and entries[0] is entries[1] else entries), *acc.rest]
    return acc.unasked, found, acc.dropped or acc.fence is not acc


class VouchedLeaders(dict):  # type: ignore[type-arg]
    """The record of a best by key where what is stored may change after that."""

    def __init__(self, measure: Callable[[Any], Any]) -> None:
        self._measure = measure
        self._openings: dict[Any, Any] = {}

    def __setitem__(self, key: Any, entries: list[Any]) -> None:
        self._openings[key] = _measured(self._measure, entries[0])
        super().__setitem__(key, entries)

    def settle(self) -> None:
        for key, (first, *others) in self.items():
            for score, value in ((self._openings[key], first), *others):
                if not _is_as_good(self._measure, score, value):
                    raise NotMergeable(_CHANGED)


_CHANGED = (
    "what a split loop keeps as the best is changed after that, and would be compared again: keep what is compared beside it,"
    " best = (score, found), or change it before it is compared"
)
_UNKNOWN = object()
_CALM = (dict, list, tuple, str)


def _measured(measure: Callable[[Any], Any], value: Any) -> Any:
    """How good a value is; the cell itself does not ask it yet, nor raises what that may raise. A copy is asked where the
    question may change the value (a defaultdict, a cached property)."""
    try:
        return measure(value if type(value) in _CALM else copy.copy(value))
    except Exception:
        return _UNKNOWN


def _is_as_good(measure: Callable[[Any], Any], score: Any, value: Any) -> bool:
    """Whether a value is as good as it was."""
    now = _measured(measure, value)
    order = order_of(score)
    return now is score or (order is not None and order == order_of(now) and bool(now == score or now != now))
