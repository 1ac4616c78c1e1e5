"""Thawing: equal, mutable, sharing and cycles kept."""

import collections
import datetime as dt

import firn
import pytest


def test_thawed_is_equal_and_mutable_all_the_way_down():
    plain = {
        "list": [1, [2, {"a": [3]}]],
        "tuple": (1, [2], ({"x": [4]},)),
        "set": {1, (2, 3)},
        "deque": collections.deque([[1], 2], maxlen=9),
        "ordered": collections.OrderedDict(a=[1]),
        "default": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("hello"),
        "when": [dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))],
    }
    thawed = firn.thaw(firn.freeze(plain))
    assert thawed == plain
    assert {key: type(value) for key, value in thawed.items()} == {key: type(value) for key, value in plain.items()}
    thawed["list"][1][1]["a"].append(5)
    thawed["tuple"][2][0]["x"].append(5)
    thawed["set"].add(9)
    thawed["deque"].append(3)
    thawed["deque"][0].append(3)
    thawed["ordered"]["a"].append(3)
    thawed["default"]["new"].append(3)
    thawed["counter"].update("xyz")
    thawed["more"] = 1
    assert thawed["deque"].maxlen == 9
    assert plain["list"] == [1, [2, {"a": [3]}]] and plain["counter"]["x"] == 0


def test_sharing_and_cycles_are_kept():
    shared = [1]
    plain = [shared, shared, {"k": shared}, (shared,)]
    plain.append(plain)
    thawed = firn.thaw(firn.freeze(plain))
    assert thawed[0] is thawed[1] is thawed[2]["k"] is thawed[3][0]
    assert thawed[4] is thawed
    queue = collections.deque()
    queue.append((queue, {1: queue}))
    thawed = firn.thaw(firn.freeze(queue))
    assert thawed[0][0] is thawed and thawed[0][1][1] is thawed


def test_sharing_is_kept_across_segments():
    first = firn.freeze([[1, 2]])
    second = firn.thaw(firn.freeze([first[0], first[0], first]))
    assert second[0] is second[1] is second[2][0]


def test_sharing_is_kept_all_over_a_segment_of_many_pieces():
    older = firn.freeze([["older", number] for number in range(3)])
    shared = ["shared"]
    plain = [shared, older[0], *([number, [number]] for number in range(250_000)), older[0], shared]
    thawed = firn.thaw(firn.freeze(plain))
    assert thawed == plain
    assert thawed[0] is thawed[-1] and thawed[1] is thawed[-2]
    assert len({id(pair) for pair in thawed[2:-2]}) == len({id(pair[1]) for pair in thawed[2:-2]}) == 250_000


def test_plain_containers_with_frozen_values_thaw():
    rows = firn.freeze([{"a": [1]}, {"a": [2]}])
    hits = [row for row in rows if row["a"][0] > 1]
    thawed = firn.thaw(hits)
    thawed[0]["a"].append(3)
    assert thawed == [{"a": [2, 3]}] and hits[0]["a"] == [2]
    marker = object()
    mixed = firn.thaw({"x": (rows[0], marker), "s": {1, 2}})
    mixed["x"][0]["b"] = 1
    assert mixed["x"][1] is marker and type(mixed["s"]) is set


def test_what_cannot_be_changed_stays_the_frozen_one():
    frozen = firn.freeze(["a long string of its own", 10**30])
    thawed = firn.thaw(frozen)
    assert thawed[0] is frozen[0] and thawed[1] is frozen[1]
    assert firn.thaw(7) == 7 and firn.thaw("x") == "x"
    marker = object()
    assert firn.thaw(marker) is marker


def test_thawed_again_and_again_is_independent():
    frozen = firn.freeze({"a": [1]})
    one, two = firn.thaw(frozen), firn.thaw(frozen)
    one["a"].append(2)
    assert two == {"a": [1]} and firn.freeze(one)["a"] == [1, 2]


def test_keys_and_members_are_complete_when_they_are_hashed():
    plain = {((1, ("x" * 9,)), frozenset({(2, 3)})): {frozenset({frozenset({("y",)})})}}
    thawed = firn.thaw(firn.freeze(plain))
    assert thawed == plain and thawed[((1, ("x" * 9,)), frozenset({(2, 3)}))] == {frozenset({frozenset({("y",)})})}


@pytest.mark.parametrize("make", [list, lambda rows: dict(enumerate(rows)), lambda rows: [tuple(rows)]])
def test_a_plain_container_that_is_emptied_while_it_is_thawed(make):
    """Hashing a key runs code of the user's."""
    emptied: list[object] = []

    class Key:
        armed = False

        def __hash__(self) -> int:
            if Key.armed:
                emptied.clear()
                rows.clear()
            return 1

    rows = make([{Key(): "value"}, *([number] for number in range(10_000))])
    emptied.append(rows)
    Key.armed = True
    thawed = firn.thaw([emptied])
    (inner,) = thawed[0]
    assert not rows and len(inner) in (1, 10_001)
    last = inner[0][-1] if len(inner) == 1 else inner[10_000]
    assert last == [9_999]


class Keyed:
    def __init__(self, n):
        self.n = n

    def __hash__(self):
        return hash(self.n)

    def __eq__(self, other):
        return self.n == other.n


@pytest.mark.parametrize("make", [lambda key: {key: 2}, lambda key: {key}], ids=["dict", "set"])
def test_a_key_that_leads_back_to_its_container_is_refused(make):
    inner = Keyed(1)
    key = (inner, 2)
    inner.held = make(key)
    frozen = firn.freeze([make(key)])
    try:
        assert firn.thaw(frozen) is not frozen
    except TypeError as error:
        assert "leads back" in str(error)
