"""What a split loop runs over: a description of its items that crosses to the workers, where any part can be cut out.

Sequences, dicts, sets and what `enumerate`, `zip` and `reversed` make of them cross as they are, also from inside a bar of
tqdm's; every other iterable is read to the end in the notebook first (`Items.note` says so).
"""

from __future__ import annotations

import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, cycle, groupby, islice
from operator import length_hint
from types import GeneratorType

from firn import _core
from firn.teach import FROZEN_TYPES

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

    from firn.lazy import Watch

type Plan = tuple[Any, ...]
"""("range", range) | ("slice", source) | ("walk", source, view) | ("back", plan) | ("enumerate", plan, start) |
("zip", *plans) | ("groups", plan) | ("part", plan, start, stop). A source is an object or, in a setup, its number among the pointers."""

_PIECE: Final = 1 << 16  # items that are read at once, if they come so fast
_OFTEN: Final = 0.01  # seconds
_SLICED: Final = (list, tuple, str, bytes, bytearray)
_WALKED: Final = (dict, set, frozenset, deque, OrderedDict, defaultdict, Counter)
_VIEWS: Final = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}
_ODICT_VIEWS: Final = {
    type(OrderedDict().keys()): "keys",
    type(OrderedDict().values()): "values",
    type(OrderedDict().items()): "items",
}
_KINDS: Final = frozenset("biufcSU")
"""Of arrays whose elements are numbers, bytes or texts: in workers, Python's own."""


class _ByIndex:
    """Is iterated as arrays are."""

    def __getitem__(self, index: int) -> Any:
        raise IndexError


_REDUCED: Final = tuple(
    type(iterator)
    for iterator in (
        *(iter([]), iter(()), iter(""), iter("é"), iter(b""), iter(range(0)), reversed([]), reversed(())),
        iter(_ByIndex()),
    )
)


class Items:
    """The items of a loop.

    `shared` describes them (see `Plan`), `sources` are the objects in it, in the order of their numbers; `note` is
    empty or says what was done to get them. `len()` is the number of iterations. `error` is what came in the place of a
    further item: the loop raises it when these have run. `taken` is the iterator that the loop is to leave as the serial
    one does, if there is such a one. `bars` are tqdm's, which are to show how far the loop is.
    """

    def __init__(
        self, plan: Plan, length: int, note: str = "", error: Exception | None = None, taken: Taken | None = None
    ) -> None:
        self.shared = plan
        self.note = note
        self.error = error
        self.taken = taken
        self.bars: tuple[Any, ...] = ()
        self._length = length

    def __len__(self) -> int:
        return self._length

    def after(self, done: int) -> Items:
        """Those that are left."""
        if not done:
            return self
        rest = Items(("part", self.shared, done, len(self)), len(self) - done, error=self.error)
        rest.bars = self.bars
        return rest

    @property
    def sources(self) -> list[object]:
        return _sources(self.shared)

    def numbered(self, numbers: Iterable[object]) -> Plan:
        """The description with a number, or another object, in the place of each source."""
        return _replace(self.shared, iter(list(numbers)))


class Taken:
    """An iterator of the notebook's, which goes on after a loop that fails. `rest` makes what is left behind so many items
    of one that had to be read to the end."""

    def __init__(self, iterator: Iterator[Any], rest: Callable[[int], Iterator[Any]] | None = None) -> None:
        self._iterator, self._rest = iterator, rest

    def use_up(self) -> None:
        if self._rest is None:
            _exhaust(self._iterator)

    def leave(self, done: int, namespace: dict[str, Any]) -> list[str]:
        """Leaves it behind so many items; the variables that another iterator had to be bound to for that."""
        if self._rest is None:
            deque(islice(self._iterator, done), maxlen=0)
            return []
        names = [name for name, value in namespace.items() if value is self._iterator]
        namespace.update(dict.fromkeys(names, self._rest(done)))
        return names


def as_items(
    iterable: Iterable[Any],
    look: Callable[[], None] = lambda: None,
    namespace: Mapping[str, object] | None = None,
    watch: Watch | None = None,
) -> Items:
    """Describes what a loop runs over; raises the serial loop's TypeError when that cannot be iterated.

    Reading an iterator to the end can be interrupted; `look` is called now and then, and what it raises ends the reading.
    An exception of the iterator's own comes after the items before it. An iterator is used up, unless a variable in the
    namespace is bound to it or to one that it reads: then that is the caller's to do (`Items.taken`). `watch` looks at what
    is read to the end.
    """
    known = _plan(iterable)
    if known is not None:
        return Items(*known)
    if (bar := _bar_of(iterable)) is not None:
        found = as_items(bar.iterable, look, namespace, watch)
        found.bars = (*found.bars, bar)
        return found
    iterator = iter(iterable)
    if type(iterator) is enumerate and type(inner := iterator.__reduce__()[1][0]) is groupby:
        groups = as_items(inner, look, watch=watch)
        plan = "enumerate", groups.shared, iterator.__reduce__()[1][1]
        return Items(plan, len(groups), groups.note, groups.error)
    if iterator is iterable:
        known = _plan_of_iterator(iterator)
        if known is not None:
            if namespace is not None and _is_bound(iterator, namespace):
                return Items(*known, taken=Taken(iterator))
            _exhaust(iterator)
            return Items(*known)
        if namespace is None or not _is_bound(iterator, namespace):
            items = _numbered_in_bar(iterator)
            if items is not None:
                return items
    if type(iterator) in (count, cycle):
        raise OverflowError(f"{_describe(iterable)} has no end: a loop that is split runs over all of it")
    if watch is not None:
        watch.before(iterator)
    if type(iterator) is groupby:  # a group is only there until the next one is asked for
        read, error = _read(((key, list(group)) for key, group in iterator), look)
        note = f"the groupby was read to the end first ({len(read):,} groups)"
        return Items(("groups", ("slice", read)), len(read), note, error)
    read, error = _read(iterator, look)
    if watch is not None:
        watch.after(read)
    note = f"{_describe(iterable)} was read to the end first ({len(read):,} items)"
    taken = None
    bound = namespace is not None and any(value is iterator for value in namespace.values())
    if bound and _only_iterates(iterator):
        taken = Taken(iterator, lambda done: chain(read[done:], _raising(error)))
    return Items(("slice", read), len(read), note, error, taken)


def is_bar(value: object) -> bool:
    """Whether a value is a bar of tqdm's, or of a class that does no more than this."""
    methods = [getattr(type(value), name, None) for name in ("__iter__", "update", "close")]
    return all((getattr(method, "__module__", None) or "").partition(".")[0] == "tqdm" for method in methods)


def _bar_of(value: Any) -> Any:
    """tqdm's bar, where a value is one of which nothing was taken yet; else None."""
    if not is_bar(value):
        return None
    return value if value.iterable is not None and getattr(value, "n", 0) == getattr(value, "initial", 0) else None


def _bar_behind(iterator: Any) -> Any:
    """The same of an iterator: tqdm's own, which is a generator."""
    if type(iterator) is not GeneratorType or iterator.gi_code.co_name != "__iter__" or iterator.gi_frame is None:
        return None
    begun = iterator.gi_running or iterator.gi_suspended
    return None if begun else _bar_of(iterator.gi_frame.f_locals.get("self"))


def _numbered_in_bar(iterator: Iterator[Any]) -> Items | None:
    """The items of `enumerate(tqdm(rows))`."""
    if type(iterator) is not enumerate:
        return None
    parts: tuple[Any, int] = iterator.__reduce__()[1]  # type: ignore[assignment]
    inner, start = parts
    bar = _bar_behind(inner)
    known = None if bar is None else _plan(bar.iterable)
    if known is None:
        return None
    inner.close()  # as the serial loop leaves it
    items = Items(("enumerate", known[0], start), known[1])
    items.bars = (bar,)
    return items


def inside(value: Any) -> Any:
    """What a loop over a value runs over."""
    bar = _bar_of(value)
    return value if bar is None else bar.iterable


def _only_iterates(iterator: Iterator[Any]) -> bool:
    """Whether another iterator over the same items is as good: a file, or an instance of a user's class, is more."""
    kind = type(iterator)
    return kind in (GeneratorType, map, filter, zip, enumerate) or kind.__module__ == "itertools"


def _raising(error: Exception | None) -> Iterator[Any]:
    if error is not None:
        raise error
    yield from ()


def _is_bound(iterator: Iterator[Any], namespace: Mapping[str, object]) -> bool:
    """Whether a variable is bound to an iterator whose position is known, or to one that it reads."""
    parts: Sequence[Any] = iterator.__reduce__()[1] if type(iterator) in (enumerate, zip) else ()
    inner = parts[:1] if type(iterator) is enumerate else parts
    return any(value is iterator for value in namespace.values()) or any(_is_bound(part, namespace) for part in inner)


def _read(iterator: Iterator[Any], look: Callable[[], None]) -> tuple[list[Any], Exception | None]:
    """All that an iterator gives, and the exception that it ends with if it does."""
    read: list[Any] = []
    piece, began = 1, time.monotonic()
    while True:  # between pieces an interrupt is seen, whatever the iterator is
        before = len(read)
        try:
            read.extend(islice(iterator, piece))
        except Exception as error:
            return read, error
        look()
        if len(read) < before + piece:  # it has come to its end, and no loop asks again
            return read, None
        now = time.monotonic()
        piece = min(2 * piece, _PIECE) if now - began < _OFTEN else max(piece // 2, 1)
        began = now


def _plan(value: Any) -> tuple[Plan, int] | None:
    kind = type(value)
    if kind is range:
        if value and (value[-1] - value[0]) // value.step >= sys.maxsize:
            raise OverflowError(f"{value} has more items than any loop can run over")
        return ("range", value), len(value)
    if kind in FROZEN_TYPES:  # instances of other classes may iterate as they like
        kind = value.__class__
    if kind in _SLICED:
        return ("slice", value), len(value)
    if kind in _WALKED:
        return ("walk", value, "keys"), len(value)
    view = _VIEWS.get(kind) or _ODICT_VIEWS.get(kind)
    if view is not None:
        return _plan_of_view(value, view)
    if (kind.__module__, kind.__name__) == ("numpy", "ndarray") and value.ndim and value.dtype.kind in _KINDS:
        return ("slice", value), len(value)
    return None


def _plan_of_view(value: Any, view: str) -> tuple[Plan, int] | None:
    # A view's own mapping hides behind a proxy, whose union with nothing is a copy; a referent is the dict itself.
    import gc

    source = next((it for it in gc.get_referents(value) if len(it) == len(value)), None)
    if type(source) in _WALKED or (type(source) is _core.FrozenDict and source.__class__ in _WALKED):  # type: ignore[comparison-overlap]
        return ("walk", source, view), len(value)
    return None


def _plan_of_iterator(value: Any) -> tuple[Plan, int] | None:
    kind = type(value)
    if kind in _REDUCED:
        return _plan_of_position(*value.__reduce__())
    if kind is enumerate:
        _, (inner, start) = value.__reduce__()
        known = _plan_of_iterator(inner)
        return None if known is None else (("enumerate", known[0], start), known[1])
    if kind is zip:
        _, parts, *strict = value.__reduce__()
        plans = [_plan_of_iterator(part) for part in parts]
        if not plans or any(plan is None for plan in plans) or any(part is other for part, other in _pairs(parts)):
            return None
        lengths = [plan[1] for plan in plans if plan is not None]
        if strict and len(set(lengths)) > 1:
            return None  # read to its end, it raises the serial loop's error
        return ("zip", *(plan[0] for plan in plans if plan is not None)), min(lengths)
    return None


def _pairs(parts: Sequence[object]) -> Iterator[tuple[object, object]]:
    return ((one, other) for index, one in enumerate(parts) for other in parts[:index])


def _plan_of_position(make: Any, arguments: tuple[Any, ...], position: Any = None) -> tuple[Plan, int] | None:
    if not arguments:
        return ("slice", ()), 0
    known = _plan(arguments[0])
    if known is None:
        return None
    plan, length = known
    if make is reversed:
        stop = length if position is None else position + 1
        return ("back", ("part", plan, 0, stop) if stop != length else plan), stop
    start = position or 0
    return (("part", plan, start, length), length - start) if start else (plan, length)


def _exhaust(iterator: Iterator[Any]) -> None:
    """Leaves an iterator as the serial loop would: at its end. In one step where the iterator can."""
    kind = type(iterator)
    if kind is enumerate:
        inner: Any = iterator.__reduce__()[1][0]
        _exhaust(inner)
    elif kind in _REDUCED and "reverse" not in kind.__name__ and kind is not type(iter(_ByIndex())):
        iterator.__setstate__(sys.maxsize)  # type: ignore[attr-defined]
    deque(iterator, maxlen=0)


def _describe(iterable: object) -> str:
    name = type(iterable).__name__
    return f"the {name}" if name[:1].islower() else f"this {name}"


def _sources(plan: Plan) -> list[object]:
    match plan:
        case ("slice", source) | ("walk", source, _):
            return [source]
        case ("back", inner) | ("groups", inner) | ("enumerate", inner, _) | ("part", inner, _, _):
            return _sources(inner)
        case ("zip", *plans):
            return [source for inner in plans for source in _sources(inner)]
    return []


def _replace(plan: Plan, numbers: Iterator[object]) -> Plan:
    match plan:
        case ("slice", _):
            return ("slice", next(numbers))
        case ("walk", _, view):
            return ("walk", next(numbers), view)
        case ("back" | "groups" as kind, inner):
            return (kind, _replace(inner, numbers))
        case ("enumerate", inner, start):
            return ("enumerate", _replace(inner, numbers), start)
        case ("part", inner, start, stop):
            return ("part", _replace(inner, numbers), start, stop)
        case ("zip", *plans):
            return ("zip", *(_replace(inner, numbers) for inner in plans))
    return plan


def with_sources(plan: Plan, sources: Sequence[object]) -> Plan:
    """A numbered description with the objects in place of the numbers, and places to remember iterators in."""
    match plan:
        case ("slice", number):
            return ("slice", sources[number])
        case ("walk", number, view):
            return ("walk", _Walk(sources[number], view))
        case ("back" | "groups" as kind, inner):
            return (kind, with_sources(inner, sources))
        case ("enumerate", inner, start):
            return ("enumerate", with_sources(inner, sources), start)
        case ("part", inner, start, stop):
            return ("part", with_sources(inner, sources), start, stop)
        case ("zip", *plans):
            return ("zip", *(with_sources(inner, sources) for inner in plans))
    return plan


class _Walk:
    """Parts of something that can only be walked: goes on where the last part ended, so that all parts together cost
    one walk as long as they come in order."""

    def __init__(self, source: Any, view: str) -> None:
        self._source, self._view = source, view
        self._iterator: Iterator[Any] = iter(())
        self._position: float = float("inf")

    def part(self, start: int, stop: int) -> list[Any]:
        if start < self._position:
            self._iterator = iter(self._source if self._view == "keys" else getattr(self._source, self._view)())
            self._position = 0
        skip = start - int(self._position)
        next(islice(self._iterator, skip, skip), None)
        found = list(islice(self._iterator, stop - start))
        self._position = stop
        return found


class Slice:
    """The items of one chunk. Iterating it hands out a plain iterator; its `__length_hint__` is what that has left."""

    __slots__ = ("_iterator", "_primary")

    def __init__(self, iterator: Iterator[Any], primary: Iterator[Any] | Slice) -> None:
        self._iterator, self._primary = iterator, primary

    def __iter__(self) -> Iterator[Any]:
        return self._iterator

    def __length_hint__(self) -> int:
        return length_hint(self._primary)


def slice_items(shared: Plan, start: int, stop: int) -> Slice:
    """The items `start` to `stop` (exclusive) of a description, at the cost of the part alone."""
    return Slice(*_cut(shared, start, stop))


def _cut(plan: Plan, start: int, stop: int) -> tuple[Iterator[Any], Iterator[Any]]:
    match plan:
        case ("range", numbers):
            primary = iter(numbers[start:stop])
        case ("slice", source):
            primary = _core.iterate_part(source, start, stop)
        case ("walk", source, view):
            primary = iter(_Walk(source, view).part(start, stop))
        case ("walk", walk):
            primary = iter(walk.part(start, stop))
        case ("part", inner, first, _):
            return _cut(inner, first + start, first + stop)
        case ("back", inner):
            length = _length(inner)
            ahead, _ = _cut(inner, length - stop, length - start)
            primary = reversed(list(ahead))
        case ("groups", inner):
            ahead, primary = _cut(inner, start, stop)
            return ((key, iter(group)) for key, group in ahead), primary
        case ("enumerate", inner, first):
            ahead, primary = _cut(inner, start, stop)
            return zip(count(first + start), ahead), primary
        case ("zip", *plans):
            cut = [_cut(inner, start, stop) for inner in plans]
            return zip(*(ahead for ahead, _ in cut), strict=False), cut[0][1]
        case _:
            raise AssertionError(plan)
    return primary, primary


def _length(plan: Plan) -> int:
    match plan:
        case ("part", _, start, stop):
            return int(stop) - int(start)
        case ("range" | "slice", source):
            return len(source)
        case ("walk", source, _):
            return len(source)
        case ("walk", walk):
            return len(walk._source)
        case ("back" | "groups", inner) | ("enumerate", inner, _):
            return _length(inner)
    return min(_length(inner) for inner in plan[1:])
