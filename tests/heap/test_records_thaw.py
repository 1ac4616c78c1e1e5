"""Frozen instances thaw into instances of their class: equal, mutable, sharing and cycles kept."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, NamedTuple

import pytest
from firn import _core


class Node:
    ran = 0

    def __init__(self, value: Any) -> None:
        Node.ran += 1
        self.value = value
        self.children: list[Node] = []
        self.me = self

    def __setattr__(self, name: str, value: Any) -> None:
        Node.ran += 1
        object.__setattr__(self, name, value)


class Slots:
    __slots__ = ("a", "b")


class MoreSlots(Slots):
    __slots__ = ("__dict__", "a", "c")  # hides one of its base's


@dataclasses.dataclass(frozen=True)
class Key:
    name: str
    place: tuple[int, ...] = ()


class Pair(NamedTuple):
    a: Any
    b: Any


class Words(list[Any]):
    pass


class Table(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        raise AssertionError("thawing runs no code of the class")


class Bag(set[Any]):
    def add(self, member: Any) -> None:
        raise AssertionError("thawing runs no code of the class")


class Chest(frozenset[Any]):
    pass


def test_an_instance_thaws_without_running_its_code() -> None:
    node = Node(1)
    node.children.append(Node([2]))
    frozen = _core.freeze(node)
    ran = Node.ran
    thawed = _core.thaw(frozen)
    assert Node.ran == ran
    assert type(thawed) is Node and thawed.me is thawed and thawed.children[0].me is thawed.children[0]
    assert list(vars(thawed)) == list(vars(node))
    thawed.children[0].value.append(3)
    thawed.value, thawed.extra = 5, 6
    del thawed.me
    assert thawed.children[0].value == [2, 3] and vars(thawed).keys() == {"value", "children", "extra"}
    assert frozen.value == 1 and frozen.children[0].value == [2]


def test_slots_of_a_class_and_of_its_base_with_one_name() -> None:
    plain: Any = MoreSlots()
    plain.a, plain.c, plain.d = 1, [2], 3
    Slots.a.__set__(plain, 99)  # type: ignore[attr-defined]
    thawed = _core.thaw(_core.freeze(plain))
    assert (thawed.a, thawed.c, thawed.d, Slots.a.__get__(thawed)) == (1, [2], 3, 99)  # type: ignore[attr-defined]
    assert not hasattr(thawed, "b")
    thawed.b = thawed.c.append(4)
    assert thawed.c == [2, 4]


def test_subclasses_of_builtin_containers() -> None:
    words: Any = Words([1, [2]])
    words.itself = words
    table: Any = Table({"a": [1]})
    dict.__setitem__(table, "itself", table)
    table.extra = {1}
    plain = [words, table, Bag([1, (2, 3)]), Chest([1, Pair(1, 2)]), Pair([1], words)]
    thawed = _core.thaw(_core.freeze(plain))
    assert [type(value) for value in thawed] == [type(value) for value in plain]
    assert thawed[0] == [1, [2]] and thawed[0].itself is thawed[0] and thawed[4].b is thawed[0]
    assert thawed[1]["itself"] is thawed[1] and thawed[1]["a"] == [1] and thawed[1].extra == {1}
    assert thawed[2:4] == plain[2:4]
    thawed[0].append(3)
    thawed[1].extra.add(2)
    thawed[4].a.append(2)
    set.add(thawed[2], 9)
    assert plain[0] == [1, [2]] and table.extra == {1} and plain[4].a == [1]  # type: ignore[attr-defined]


def test_keys_that_are_instances() -> None:
    plain = {Key("a", (1,)): [1], Key("b"): {Key("c"): Key("d")}, Pair(1, Key("e")): 0}
    thawed = _core.thaw(_core.freeze(plain))
    assert thawed == plain and thawed[Key("a", (1,))] == [1] and thawed[Pair(1, Key("e"))] == 0
    thawed[Key("a", (1,))].append(2)
    assert plain[Key("a", (1,))] == [1]


def test_shared_instances_stay_shared() -> None:
    shared = Node(0)
    thawed = _core.thaw(_core.freeze([shared, {"k": shared}, (shared,)]))
    assert thawed[0] is thawed[1]["k"] is thawed[2][0]
    first = _core.freeze([shared])
    again = _core.thaw(_core.freeze([first[0], [first[0]]]))
    assert again[0] is again[1][0]
    hit = first[0]
    assert _core.thaw([hit, hit])[0] is not hit


def test_a_dict_with_other_than_string_names() -> None:
    plain: Any = Words()
    plain.__dict__[1] = [2]
    plain.__dict__["itself"] = plain
    thawed = _core.thaw(_core.freeze(plain))
    assert thawed.__dict__[1] == [2] and thawed.itself is thawed
    thawed.more = 1


def test_deep_graphs_of_instances() -> None:
    head: Any = None
    for number in range(100_000):
        node: Any = Slots()
        node.a, node.b = number, head
        head = node
    thawed = _core.thaw(_core.freeze(head))
    count = 0
    while thawed is not None:
        assert type(thawed) is Slots
        count, thawed = count + 1, thawed.b
    assert count == 100_000
    while head is not None:
        head = head.b


@pytest.mark.parametrize(
    "make", [lambda: [Node(1)], lambda: collections.deque([Pair(1, [2])]), lambda: {"k": Words([1])}]
)
def test_thawed_and_frozen_again(make: Any) -> None:
    once = _core.freeze(make())
    twice = _core.freeze(_core.thaw(once))
    assert repr(twice)[:20] == repr(once)[:20] and twice is not once
