"""Where the memory of a frozen value goes: exact to the byte, each object once."""

from __future__ import annotations

import datetime
import re
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import firn
import pytest
from firn import _core
from firn.anatomy import SHOWN, Anatomy, dissect

SHARED = [10_000, 20_000]


class Node:
    def __init__(self, value: Any, left: Any = None, right: Any = None) -> None:
        self.value, self.left, self.right = value, left, right


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a: Any) -> None:
        self.a = a


class Items(list[Any]):
    pass


class Table(dict[Any, Any]):
    pass


class Bag(set[Any]):
    pass


Pair = namedtuple("Pair", "left right")


def with_fields(value: Any, **fields: Any) -> Any:
    vars(value).update(fields)
    return value


TREE: dict[str, Any] = {}
for _level in range(30):
    TREE = {"left": TREE, "right": None, "value": _level * 1000}

VALUES: list[Any] = [
    [{"id": n + 1000, "text": f"row {n}", "tags": ["a", "b", str(n)], "é": {n + 1, 2}} for n in range(1000)],
    {f"key {n}": (float(n), [n + 5000]) for n in range(3000)},
    {n * 1000: {str(n)} for n in range(500)},
    [1.5, "x" * 1000, b"yy", 1 + 2j, 2**200, "größe", "\U0001f600" * 20, ""],
    Counter(map(str, range(1000))),
    deque([[n] for n in range(1000, 1100)]),
    defaultdict(list, {1: [2], 3: []}),
    OrderedDict(b=[1.5], a=2),
    {1000, "two", (3.5, "four")},
    frozenset({(1000, "a"), (2000, "b")}),
    [SHARED, SHARED, {"again": SHARED}],
    [datetime.datetime(2026, 1, 2, 3, 4), datetime.date(2026, 1, 2), datetime.timedelta(5), datetime.time(1)],
    TREE,
    [[[[[[[[[[[[1.5]]]]]]]]]]]],
    [Node(n + 0.5, Node("x" * n), Slots([n * 10_000])) for n in range(100)],
    [with_fields(Items([1.5]), x=[2.5]), Items(), with_fields(Table(a=1.5), y="yyyy"), Table()],
    [with_fields(Bag({20_000}), z=1.5), Bag(), Pair(1.5, [2.5]), Slots(None)],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_all_objects_and_bytes_are_found(value):
    result = _core.freeze_roots({"value": value})
    anatomy = dissect(result.frozen["value"], "value")
    assert (anatomy.objects, anatomy.bytes) == (result.objects, result.bytes)


def paths(anatomy: Anatomy) -> dict[tuple[str, str], int]:
    return {(part.path, part.type): part.objects for part in anatomy.parts}


def test_paths_name_the_keys_of_rows_and_not_those_of_big_dicts():
    frozen = firn.freeze({f"user {n}": {"mails": [f"{n}@x"], "age": n + 1000.5} for n in range(200)})
    assert paths(dissect(frozen, "users")) == {
        ("users", "dict"): 1,
        ("keys of users", "str"): 200,
        ("users[*]", "dict"): 200,
        ("keys of users[*]", "str"): 2,
        ("users[*]['mails']", "list"): 200,
        ("users[*]['mails'][*]", "str"): 200,
        ("users[*]['age']", "float"): 200,
    }


def test_types_at_one_path_are_told_apart():
    frozen = firn.freeze([10_000, "two", 3.5, [40_000], {50_000}, "six"])
    assert paths(dissect(frozen, "x")) == {
        ("x", "list"): 1,
        ("x[*]", "int"): 1,
        ("x[*]", "str"): 2,
        ("x[*]", "float"): 1,
        ("x[*]", "list"): 1,
        ("x[*][*]", "int"): 1,
        ("x[*]", "set"): 1,
        ("x[*]{*}", "int"): 1,
    }


def test_what_is_shared_counts_once_where_it_is_met_first():
    found = paths(dissect(firn.freeze({"a": SHARED, "b": [SHARED]}), "x"))
    assert found[("x['a']", "list")] == 1 and found[("x['a'][*]", "int")] == 2
    assert found[("x['b']", "list")] == 1 and ("x['b'][*]", "list") not in found


def test_a_sample_of_long_containers_stands_for_all():
    result = _core.freeze_roots({"rows": [{"n": n + 1000, "s": [str(n)]} for n in range(10_000)]})
    parts = _core.dissect(result.frozen["rows"], 7)
    assert sum(part[4] for part in parts) == pytest.approx(result.objects, rel=0.01)
    assert sum(part[5] for part in parts) == pytest.approx(result.bytes, rel=0.01)


def test_what_is_in_no_segment_has_no_parts():
    assert _core.dissect(None) == [] and _core.dissect([1]) == []
    assert "every interpreter has it" in str(dissect(None, "nothing"))


def test_small_parts_are_told_together():
    anatomy = dissect(firn.freeze([{f"field {n}": "x" * n for n in range(60)}]), "x")
    figures = anatomy.figures()
    assert len(figures) <= SHOWN + 2
    assert "smaller parts" in figures[-1][0]
    assert sum(share for *_, share in figures) == pytest.approx(1)


def test_a_tree_of_instances_has_one_path_for_all_depths():
    node = None
    for n in range(50):
        node = Node(n + 0.5, node, Node("leaf"))
    assert paths(dissect(firn.freeze(node), "tree")) == {
        ("tree", "Node"): 1,
        ("tree….left", "Node"): 49,
        ("tree….right", "Node"): 50,
        ("tree….value", "float"): 50,
        ("tree….value", "str"): 1,
    }


def test_the_bars_have_a_colour():
    page = dissect(firn.freeze([[1.5] * 10]), "rows")._repr_html_()
    used = set(re.findall(r"var\((--(?!jp-)[a-z-]+)", page))
    assert used and used <= set(re.findall(r"(--[a-z-]+):", page))
