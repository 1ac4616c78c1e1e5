"""The workers' side: accumulators become compact data without losing what exactness needs."""

import datetime
import decimal
import functools
import gc
import itertools
import math
import random
import re
import sys
import types
from array import array
from collections import Counter, defaultdict
from typing import Any

import pytest
from firn import _core
from firn.analysis import chunk, contest, plan
from firn.analysis.values import NotMergeable, settled, snapshot
from firn.jobs import Done, Gathering, _uncollected


class Half(float):
    pass


class Whole(int):
    pass


@pytest.mark.parametrize(
    ("values", "packed"),
    [
        ([], ("ints", 0, 0, b"")),
        ([1, True, -3], ("list", [1, True, -3])),
        ([10**30, 1], ("ints", 10**30 + 1, 2, [10**30, 1])),
        ([0.5, 1.5], ("floats", array("d", [0.5, 1.5]).tobytes())),
        ([0.5, 1], ("list", [0.5, 1])),
        (["a"], ("list", ["a"])),
        (
            [2**60 - 1, -(2**60) + 1, 2**60 - 1],
            ("ints", 2**60 - 1, 3, array("q", [2**60 - 1, -(2**60) + 1, 2**60 - 1]).tobytes()),
        ),
        ([2**60, 1], ("ints", 2**60 + 1, 2, array("q", [2**60, 1]).tobytes())),
        ([2**60 - 1] * 100, ("ints", 100 * (2**60 - 1), 100, array("q", [2**60 - 1] * 100).tobytes())),
        ([-(2**60) + 1] * 100, ("ints", -100 * (2**60 - 1), 100, array("q", [-(2**60) + 1] * 100).tobytes())),
        ([True, False], ("bools", 1, 2, array("q", [1, 0]).tobytes())),
        ([0.5, Half(0.5)], ("list", [0.5, Half(0.5)])),
        ([1, Whole(1)], ("list", [1, Whole(1)])),
    ],
)
def test_values(values: list[Any], packed: tuple[Any, ...]) -> None:
    assert chunk.pack_values(values) == packed


def test_keys_that_do_not_equal_themselves() -> None:
    nan = math.nan
    odd = (nan, Half(nan), (1, nan), frozenset([nan, 1]), ((nan,), 1), complex(0, nan), decimal.Decimal("NaN"))
    for key in (*odd, Whole(1), (1.5, None), frozenset([2]), 1j, decimal.Decimal(1)):
        assert _core.unlike_itself({"a": 1, key: 2}) == ((key,) if key in odd else None)
        for packer, made in (("dict", {key: 1}), ("tally", {key: [1]}), ("grouped", {key: [1]}), ("distinct", [key])):
            pack = functools.partial(chunk.PACKERS[packer], made, "+" if packer == "tally" else "")
            if key in odd:
                with pytest.raises(NotMergeable, match="does not equal itself"):
                    pack()
            else:
                pack()


@pytest.mark.parametrize("seed", range(20))
def test_floats_are_added_up_as_by_sum(seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.uniform(-1, 1) * 10.0 ** draw.randint(-30, 30) for _ in range(draw.randint(1, 300))]
    values += draw.sample([math.inf, -math.inf, math.nan, 1e308, 1e308, -1e308, -0.0, 5e-324], draw.choice([0, 0, 2]))
    draw.shuffle(values)
    cut = draw.randint(0, len(values))
    parts = [array("d", values[:cut]).tobytes(), array("d", values[cut:]).tobytes()]
    assert _core.float_sum(parts).hex() == float(sum(values)).hex()


def test_sums_of_no_floats_and_of_negative_zeros() -> None:
    assert math.copysign(1, _core.float_sum([array("d", [-0.0, -0.0]).tobytes()])) == math.copysign(1, sum([-0.0]))
    assert _core.float_sum([]) == 0
    with pytest.raises(TypeError):
        _core.float_sum([(1,)])  # type: ignore[list-item]


@pytest.mark.parametrize("seed", range(20))
def test_floats_are_folded_as_by_a_loop(seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.uniform(-1, 1) * 10.0 ** draw.randint(-30, 30) for _ in range(draw.randint(0, 300))]
    values += draw.sample([math.inf, -math.inf, math.nan, 1e308, 1e308, -1e308, -0.0, 5e-324], draw.choice([0, 0, 2]))
    draw.shuffle(values)
    raw = array("d", values).tobytes()
    for start in (-0.0, draw.uniform(-1, 1)):
        up = down = start
        for value in values:
            up += value
            down -= value
        assert _core.fold_floats(start, raw, False).hex() == up.hex()
        assert _core.fold_floats(start, raw, True).hex() == down.hex()


def test_items_move_from_list_to_list() -> None:
    parts: list[list[Any]] = [[], [1, object()], [], ["a"] * 3, [None] * 1000, [2]]
    whole = [item for part in parts for item in part]
    found, *others = parts
    for part in others:
        _core.move_items(found, part)
        assert part == []
    assert len(found) == len(whole) and all(one is other for one, other in zip(found, whole, strict=True))
    found.extend(range(5000))
    others[0].append(1)
    assert others[0] == [1] and found[-5001:-4999] == [2, 0]
    for to, from_ in (([], (1,)), ((1,), []), (found, found)):
        with pytest.raises(TypeError, match="list"):
            _core.move_items(to, from_)  # type: ignore[arg-type]
    assert sys.getrefcount(whole[1]) == 3  # found's, whole's and the call's


def test_groups_move_from_dict_to_dict() -> None:
    mark = object()
    found = {"a": [1], "b": []}
    more = {"b": [2, mark], "a": [], "c": [3], (1, "x"): [4]}
    taken = more["c"]
    _core.move_groups(found, more)
    assert more == {} and found["c"] is taken
    assert [*found.items()] == [("a", [1]), ("b", [2, mark]), ("c", [3]), ((1, "x"), [4])]
    assert sys.getrefcount(found["b"][1]) == 3  # found's, this function's and the call's
    for to, from_ in ((found, found), ({"a": (1,)}, {"a": [1]}), ({"a": [1]}, {"a": 1})):
        with pytest.raises(TypeError, match="from one"):
            _core.move_groups(to, from_)  # type: ignore[arg-type]


def test_counts_are_added_by_key() -> None:
    found = {"a": 1, (1, 2): 2**70}
    _core.add_counts(found, {"b": 3, (1, 2): 2**70, "a": -1})
    assert [*found.items()] == [("a", 0), ((1, 2), 2**71), ("b", 3)]
    with pytest.raises(TypeError):
        _core.add_counts(found, {"a": "1"})  # type: ignore[dict-item]


def test_keys_that_nobody_looks_into() -> None:
    for keys in ((), ("a", b"a", 1, True, 2**70), (("a", 1.5, None), (b"", False))):
        assert _core.plain_keys(dict.fromkeys(keys)) and _core.plain_keys([*keys])
    for key in (1.0, None, Whole(1), ("a", Whole(1)), ((1,),), frozenset()):
        assert not _core.plain_keys({"a": 1, key: 2}) and not _core.plain_keys(["a", key])


@pytest.mark.parametrize("seed", range(20))
def test_extremes_are_those_of_max_and_min(seed: int) -> None:
    draw = random.Random(seed)
    reals = [0.0, -0.0, math.inf, -math.inf, 5e-324, -1e308, *(draw.uniform(-1, 1) for _ in range(20))]
    whole = [0, 1, -1, 2**30, -(2**30), 2**60 - 1, 1 - 2**60, *(draw.randint(-300, 10**6) for _ in range(20))]
    for some in (reals, whole):
        # Each is another object, so that one sees which of equal ones it is.
        values = [type(value)(repr(value)) for value in draw.choices(some, k=draw.randint(1, 60))]
        assert _core.extreme(values, True, False) is max(values)
        assert _core.extreme(values, False, False) is min(values)
        assert _core.extreme(values, True, True) is max(reversed(values))
        assert _core.extreme(values, False, True) is min(reversed(values))


@pytest.mark.parametrize(
    "values",
    [[], [1.5, math.nan], [math.nan, 1.5], [1, 2**60], [2**60, 1], [1, 1.5], [1.5, 1], [1, True], [True, 1], ["a"],
     [1, Whole(1)], [1.5, Half(1)], [None, 1.5]],
)  # fmt: skip
def test_extremes_of_other_values_are_left_to_cpython(values: list[Any]) -> None:
    assert _core.extreme(values, True, False) is None


def test_neighbours_results_become_one() -> None:
    """What the mergers make of two chunks' results while others run, and that they leave alone what may run code of the
    user's."""
    one, other = [1, 2], ["a"]
    found = plan.Lists().gathered(one, other)
    assert found is one and one == [1, 2, "a"] and plan.Lists().value([found, [3]]) == [1, 2, "a", 3]
    assert plan.Lists().gathered((1,), [2]) is None

    found = plan.Sets().gathered([1, 2], [2, 3])
    found = plan.Sets().gathered(found, [9])
    assert type(found) is set and plan.Sets().value([found, [4, (5,)]]) == {1, 2, 3, 9, 4, (5,)}
    assert plan.Sets().gathered([1], [(2,)]) is None and plan.Sets().gathered([(1,)], [2]) is None
    assert plan.Sets().value([[(1,)], [2]]) == {(1,), 2} and plan.Sets().value([]) == set()

    dicts = plan.Dicts()
    found = dicts.gathered(([1, 2], ["a", "b"]), ([2, 3], ["c", "d"]))
    found = dicts.gathered(found, ([], []))
    assert [*dicts.value([found, {"x": 1}, ([1], [0])]).items()] == [(1, 0), (2, "c"), (3, "d"), ("x", 1)]
    assert dicts.gathered({"x": 1}, ([1], [0])) is None and dicts.gathered(found, {"x": 1}) is None
    assert dicts.value([]) == {}


@pytest.mark.parametrize("seed", range(10))
def test_chunks_become_one_in_the_order_of_their_iterations(seed: int) -> None:
    draw = random.Random(seed)
    cuts = [0, *sorted(draw.sample(range(1, 100), 12)), 100]
    chunks = [
        Done(start, stop, 0, 0.0, 0.0, 0.0, effects=[*range(start, stop)]) for start, stop in itertools.pairwise(cuts)
    ]
    draw.shuffle(chunks)
    refused = draw.choice([None, *cuts[1:-1]])

    def gathered(one: list[int], other: list[int]) -> list[int] | None:
        assert one[-1] + 1 == other[0]
        return None if other[0] == refused else one + other

    gathering = Gathering(gathered)
    for done in chunks:
        gathering.add(done)
    found = gathering.before(100)
    assert [item for done in found for item in done.effects] == [*range(100)]
    assert (found[0].start, found[0].stop) == (0, refused or 100)
    assert len(found) == (1 if refused is None else len(cuts) - cuts.index(refused))
    assert all(done.start < 50 for done in gathering.before(50))


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_collected_while_a_result_is_taken_in(collects: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        events: Any = [1, 2]
        for _ in _uncollected(iter(events)):
            assert not gc.isenabled()
        assert gc.isenabled() is collects
        with pytest.raises(KeyboardInterrupt):
            for _ in _uncollected(iter(events)):
                raise KeyboardInterrupt
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


def test_dicts_of_ints_travel_as_lists() -> None:
    assert chunk.pack_pairs({2: "b", 1: [0]}) == ([2, 1], ["b", [0]])
    assert chunk.pack_pairs({}) == ([], [])
    for found in ({True: 1}, {1: 1, "a": 2}, {1.0: 1}):
        assert chunk.pack_pairs(found) is found


def test_raw_bytes_give_the_values_back() -> None:
    assert list(chunk.unpack(chunk.pack_values([3, -(2**63), 2**63 - 1])[3], "q")) == [3, -(2**63), 2**63 - 1]
    assert list(chunk.unpack(chunk.pack_values([2**63])[3], "q")) == [2**63]


@pytest.mark.parametrize(
    ("values", "spec", "left"),
    [
        ([1, 3, 3, 2], "max", [3]),
        (["b", "a"], "min", ["a"]),
        ([1, 2.0, 2], "max", [1, 2.0, 2]),
        ([1.0, math.nan, 2.0], "max", None),
        ([math.inf, -math.inf, 1.0], "max", [math.inf]),
        ([(1,), (2,)], "max", [(1,), (2,)]),
        ([], "max", []),
    ],
)
def test_extremes_shrink_only_in_a_total_order(values: list[Any], spec: str, left: list[Any] | None) -> None:
    assert chunk.pack_extreme(values, spec) == (values if left is None else left)


def test_which_of_equal_values() -> None:
    first, last = 10**20, int("1" + "0" * 20)
    assert chunk.pack_extreme([first, last], "max")[0] is first
    assert chunk.pack_extreme([first, last], "max>")[0] is last
    assert chunk.pack_keyed([5, 5], ["a", "b"], "max") == [(5, "a")]


def test_champions_keep_the_first_and_the_last_to_win() -> None:
    acc = contest.Champion(">")
    for value in [2, 1, 5, 5, 3]:
        if acc.beaten_by(value):
            acc.take(value, (value,))
    assert contest.pack_champion(acc, "") == (None, [(2, 2), (5, 5)], True)
    with pytest.raises(NotMergeable, match="set"):
        acc.beaten_by({1})


def test_what_wins_must_stay_as_good() -> None:
    first, second, third = {"x": 1}, {"x": 2}, {"x": 3}

    def search() -> contest.VouchedChampion:
        acc = contest.VouchedChampion(">", lambda found: found["x"])
        acc.open((first,))
        for found in (second, third):
            if acc.beaten_by(found["x"]):
                acc.take(found["x"], (found,))
        return acc

    assert contest.pack_champion(search(), "") == ((first,), [(2, second), (3, third)], True)
    for changed in (first, second, third):
        acc = search()
        kept = changed.pop("x")
        with pytest.raises(NotMergeable, match="changed after"):
            contest.pack_champion(acc, "")
        changed["x"] = kept
    acc = search()
    third["x"] = 7
    with pytest.raises(NotMergeable, match="changed after"):
        acc.take(9, ({"x": 9},))


def test_how_good_the_first_one_is_is_asked_of_a_copy() -> None:
    acc = contest.VouchedChampion(">", lambda found: found["x"])
    first = defaultdict(int)
    acc.open((first,))
    assert contest.pack_champion(acc, "") == ((first,), [], False)
    assert dict(first) == {}


def test_what_wins_by_key_must_stay_as_good() -> None:
    first, second = {"x": math.nan}, {"x": 2}
    acc = contest.VouchedLeaders(lambda found: found["x"])
    acc["k"] = [first]
    acc["k"].append((2, second))
    assert chunk.pack_leaders(acc, "max") == {"k": (first, [(2, second)])}
    for changed in (first, second):
        kept, changed["x"] = changed["x"], 3
        with pytest.raises(NotMergeable, match="changed after"):
            chunk.pack_leaders(acc, "max")
        changed["x"] = kept


def test_snapshots() -> None:
    row = [1]
    taken = snapshot(row)
    row.append(2)
    assert taken == [1]
    day = datetime.date(2020, 1, 1)
    assert snapshot(day) is day
    counts = snapshot(Counter("aab"))
    assert type(counts) is Counter and counts == Counter("aab")
    with pytest.raises(NotMergeable, match="SimpleNamespace"):
        snapshot(types.SimpleNamespace())
    with pytest.raises(NotMergeable):
        settled([1])


def test_tallies() -> None:
    assert chunk.pack_tally({"a": [1, 2], "b": []}, "+")[:3] == ("ints", ["a", "b"], [3, 0])
    assert chunk.pack_tally({"a": [1, 0.5]}, "+") == ("lists", {"a": [1, 0.5]})


def test_counts_must_be_ints() -> None:
    assert chunk.pack_counts(Counter("aab"), "") == {"a": 2, "b": 1}
    with pytest.raises(NotMergeable, match="not ints"):
        chunk.pack_counts(Counter(a=0.5), "")


def test_last_values() -> None:
    variables = {"a": [1], "m": re, "hit": re.match("a", "a"), "__firn_gone_d": True, "other": 1, "deep": [{"k": {1}}]}
    found = chunk.last_values(variables, ("a", "m", "hit", "d", "never", "deep"), {})
    assert found == {
        "a": ("value", [1]),
        "m": ("module", "re"),
        "hit": ("lost", "Match"),
        "d": ("deleted", None),
        "deep": ("value", [{"k": {1}}]),
    }
    loop: list[Any] = []
    loop.append(loop)
    assert chunk.portable(loop)
    assert not chunk.portable([{"k": (iter(()), (n for n in ()))}])
