"""What a loop runs over: the same items in the same order as the serial loop, whatever part is asked for."""

from __future__ import annotations

import itertools
import signal
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from operator import length_hint
from pathlib import Path
from typing import Any

import pytest
from firn.items import as_items, slice_items
from hypothesis import given
from hypothesis import strategies as st

ROWS = [{"n": n} for n in range(7)]


class Squares:
    """A sequence of the old kind: only `__getitem__`."""

    def __getitem__(self, index: int) -> int:
        if index >= 5:
            raise IndexError
        return index * index


class Loud:
    def __iter__(self) -> Any:
        raise RuntimeError("not today")


MAKERS = {
    "list": lambda: list(ROWS),
    "tuple": lambda: tuple(ROWS),
    "range": lambda: range(20, 0, -3),
    "huge range": lambda: range(10**30, 10**30 + 5),
    "str": lambda: "aé\ud800€",
    "bytes": lambda: b"abc",
    "bytearray": lambda: bytearray(b"abc"),
    "dict": lambda: {"a": 1, "b": 2, "c": 3},
    "keys": lambda: {"a": 1, "b": 2, "c": 3}.keys(),
    "values": lambda: {"a": 1, "b": 2, "c": 3}.values(),
    "items": lambda: {"a": 1, "b": 2, "c": 3}.items(),
    "ordered items": lambda: OrderedDict(b=1, a=2).items(),
    "Counter": lambda: Counter("abracadabra"),
    "Counter's items": lambda: Counter("abracadabra").items(),
    "defaultdict": lambda: defaultdict(int, a=1),
    "set": lambda: {1, 5, 3},
    "frozenset": lambda: frozenset("abc"),
    "deque": lambda: deque([1, 2, 3], 3),
    "enumerate": lambda: enumerate(ROWS),
    "enumerate from": lambda: enumerate("abc", 10),
    "zip": lambda: zip(ROWS, range(100), "abcdefghij", strict=False),
    "strict zip": lambda: zip(ROWS, range(7), strict=True),
    "zip of nothing": lambda: zip(strict=False),
    "enumerate of zip": lambda: enumerate(zip("abc", "def", strict=True)),
    "reversed list": lambda: reversed(ROWS),
    "reversed tuple": lambda: reversed(tuple(ROWS)),
    "reversed range": lambda: reversed(range(9)),
    "reversed dict": lambda: reversed({"a": 1, "b": 2}),
    "enumerate of reversed": lambda: enumerate(reversed(ROWS), 3),
    "iterator": lambda: iter(ROWS),
    "iterator of a str": lambda: iter("aé"),
    "iterator of a dict": lambda: iter({"a": 1, "b": 2}),
    "map": lambda: map(str, range(6)),
    "filter": lambda: filter(None, range(6)),
    "generator": lambda: (n * n for n in range(6)),
    "chain": lambda: itertools.chain("ab", "cd"),
    "old sequence": lambda: Squares(),
    "empty list": lambda: [],
    "empty generator": lambda: (n for n in ()),
    "empty range": lambda: range(0),
}


def taken(items: Any, chunk: int) -> list[Any]:
    return [
        item
        for start in range(0, len(items), chunk)
        for item in slice_items(items.shared, start, min(start + chunk, len(items)))
    ]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_parts_make_up_the_serial_loop(kind: str, chunk: int) -> None:
    serial = list(MAKERS[kind]())
    items = as_items(MAKERS[kind]())
    assert len(items) == len(serial)
    assert taken(items, chunk) == serial


@pytest.mark.parametrize("kind", MAKERS)
def test_workers_see_the_same(kind: str, notebook: Any) -> None:
    serial = list(MAKERS[kind]())
    if len(serial):
        assert notebook.loop("x", MAKERS[kind](), chunk=2) == serial


@pytest.mark.parametrize(
    "kind", ["enumerate", "zip", "reversed list", "iterator", "map", "generator", "iterator of a dict"]
)
def test_an_iterator_is_used_up_as_by_a_serial_loop(kind: str) -> None:
    iterator = MAKERS[kind]()
    as_items(iterator)
    assert next(iterator, "end") == "end"


def test_an_iterator_goes_on_where_it_stands() -> None:
    for iterator in (iter(ROWS), reversed(ROWS), iter("abcdef"), iter(range(9))):
        next(iterator)
        rest = as_items(iterator)
        assert len(rest) in (5, 6, 8) and len(taken(rest, 2)) == len(rest)
    pairs = enumerate(ROWS)
    next(pairs)
    assert taken(as_items(pairs), 3) == list(enumerate(ROWS))[1:]


def test_sequences_are_shared_and_iterators_read_first() -> None:
    rows = list(ROWS)
    for made in (rows, enumerate(rows), reversed(rows), zip(rows, rows, strict=True), iter(rows)):
        items = as_items(made)
        assert all(source is rows for source in items.sources) and items.note == ""
    assert "generator was read to the end first (3 items)" in as_items(n for n in range(3)).note
    assert "map" in as_items(map(str, rows)).note


def test_a_view_shares_its_dict() -> None:
    table = {"a": 1}
    for view in (table.keys(), table.values(), table.items()):
        [source] = as_items(view).sources
        assert source is table


def test_a_file_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("a\nb\nc\n")
    with path.open() as file:
        items = as_items(file)
    assert taken(items, 2) == ["a\n", "b\n", "c\n"] and "TextIOWrapper" in items.note


@pytest.mark.parametrize("value", [5, 2.5, None, object()])
def test_what_cannot_be_iterated_raises_the_serial_error(value: Any) -> None:
    with pytest.raises(TypeError) as ours:
        as_items(value)
    with pytest.raises(TypeError) as serial:
        for _ in value:
            pass
    assert str(ours.value) == str(serial.value)


def test_errors_while_reading_are_the_serial_ones() -> None:
    with pytest.raises(RuntimeError, match="not today"):
        as_items(Loud())
    table = {"a": 1}
    iterator = iter(table)
    table["b"] = 2
    items = as_items(iterator)
    assert len(items) == 0 and type(items.error) is RuntimeError and "changed size" in str(items.error)


def test_an_error_while_reading_comes_after_the_items_before_it() -> None:
    items = as_items(zip(ROWS, range(3), strict=True))
    assert taken(items, 2) == list(zip(ROWS, range(3), strict=False))
    assert type(items.error) is ValueError and items.after(1).error is items.error
    for groups in (
        itertools.groupby(1 // n for n in (1, 1, 2, 0)),
        enumerate(itertools.groupby(iter([1, 2, {}]), abs)),
    ):
        items = as_items(groups)
        assert len(items) == len(taken(items, 1)) and type(items.error) in (ZeroDivisionError, TypeError)


def test_the_groups_of_groupby_are_there_and_are_iterators(notebook: Any) -> None:
    assert notebook.loop("(x[0], next(x[1]), list(x[1]))", itertools.groupby("aabbbc"), chunk=1) == [
        ("a", "a", ["a"]),
        ("b", "b", ["b", "b"]),
        ("c", "c", []),
    ]
    assert notebook.loop("(x[0], len(list(x[1][1])))", enumerate(itertools.groupby("aab"), 5)) == [(5, 2), (6, 1)]


def test_an_endless_iterator_can_be_interrupted() -> None:
    main = threading.main_thread().ident
    assert main is not None
    for endless in (iter(int, 1), (n for n in itertools.count())):
        press = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
        press.start()
        with pytest.raises(KeyboardInterrupt):
            as_items(endless)
        press.join()


def test_what_surely_has_no_end_is_refused() -> None:
    for endless in (itertools.count(), itertools.cycle("ab")):
        with pytest.raises(OverflowError, match="has no end"):
            as_items(endless)


def test_a_range_of_too_many_items_is_refused() -> None:
    assert len(as_items(range(2**62))) == 2**62
    for endless in (range(10**20), range(10**20, 0, -1), range(0, 10**20, 2)):
        with pytest.raises(OverflowError, match="more items than any loop"):
            as_items(endless)


def test_two_turns_of_one_iterator_are_not_split() -> None:
    iterator = iter(range(6))
    assert taken(as_items(zip(iterator, iterator, strict=False)), 2) == [(0, 1), (2, 3), (4, 5)]


def test_the_hint_counts_what_is_left() -> None:
    for kind in ("list", "range", "items", "enumerate", "zip", "reversed list", "enumerate of reversed", "set"):
        items = as_items(MAKERS[kind]())
        part = slice_items(items.shared, 1, len(items))
        for done, _ in enumerate(part, 2):
            assert len(items) - length_hint(part) == done


@given(st.lists(st.integers()), st.integers(1, 9), st.integers(-3, 3))
def test_any_nesting_and_any_chunk(values: list[int], chunk: int, first: int) -> None:
    def make() -> Any:
        return enumerate(zip(reversed(values), values, range(len(values) + 2), strict=False), first)

    assert taken(as_items(make()), chunk) == list(make())


def test_parts_in_any_order(notebook: Any) -> None:
    items = as_items({n: str(n) for n in range(50)}.items())
    for start in (40, 0, 20, 10, 45, 5):
        assert list(slice_items(items.shared, start, start + 5)) == [(n, str(n)) for n in range(start, start + 5)]
