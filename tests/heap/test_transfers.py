"""Transfers: values that cross between interpreters and whose memory is used again."""

import collections
import datetime as dt
import gc
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import firn
import pytest
from firn import _core
from hypothesis import given
from reading import compare
from test_properties import relaxed, values

RETURN_DATA = "def run(start, stop): return data"


@pytest.fixture(scope="module")
def pool() -> Iterator[_core.Pool]:
    sys.path.insert(0, str(Path(__file__).parent.parent / "pool"))
    pool = _core.Pool(2, "pool_runtime")
    yield pool
    pool.close()


def cross(pool: _core.Pool, source: str, data: object, count: int = 1) -> list[object]:
    """What each chunk of one item returns, in order."""
    job = pool.submit((source, data), count, chunk=1)
    results: dict[int, object] = {}
    while (event := job.next()) is not None:
        assert event.kind == "chunk" and not event.pickled, event
        results[event.start] = event.result
    return [results[i] for i in range(count)]


@relaxed
@given(values)
def test_any_value_crosses_twice_and_comes_back_equal(pool, value):
    (result,) = cross(pool, RETURN_DATA, [value])
    compare(result, [value])


NUMBERS = {
    "integers": [0, 1, -1, 255, 256, 257, -5, -6, 2**30 - 1, 2**30, -(2**30), 2**60 - 1, -(2**60) + 1],
    "one that is too long": [*range(300, 320), 2**60],
    "one that is no integer": [*range(300, 320), True],
    "floats": [0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1],
    "floats and an integer": [0.5] * 20 + [1],
    "many": list(range(-50_000, 50_000)),
    "many floats": [n / 3 for n in range(50_000)],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_lists_of_numbers_keep_values_and_types(pool, name):
    source = (
        f"data = [*{NUMBERS[name]!r}]\ndef run(start, stop): return data" if len(NUMBERS[name]) < 100 else RETURN_DATA
    )
    (result,) = cross(pool, source.replace("inf", "float('inf')"), NUMBERS[name])
    assert [*map(repr, result)] == [*map(repr, NUMBERS[name])]
    assert [*map(type, result)] == [*map(type, NUMBERS[name])] and type(result) is list
    result.append(None)  # it is the notebook's own


def test_a_list_of_numbers_that_is_met_twice_is_one(pool):
    source = "def run(start, stop):\n  numbers = list(range(1000))\n  return [numbers, {'again': numbers}, [1.5] * 10]"
    one, again = cross(pool, source, None, 2)
    assert one[0] is one[1]["again"] and one[0] is not again[0] and one[0] == list(range(1000))


def test_frozen_numbers_stay_the_objects_that_they_are(pool):
    frozen = firn.freeze([10**9 + n for n in range(100)])
    (result,) = cross(pool, "def run(start, stop): return [*data]", frozen)
    assert all(one is other for one, other in zip(result, frozen, strict=True))


def test_what_both_sides_have_stays_what_it_is(pool):
    frozen = firn.freeze([10**9 + n for n in range(100)] + [1.5, "text", b"bytes", 2**70, math.nan])
    source = "def run(start, stop): return [*data, None, True, False, 7, 'a', Ellipsis][start:]"
    for result in cross(pool, source.replace(", Ellipsis", ""), frozen, 2):
        expected = [*frozen, None, True, False, 7, "a"][-len(result) :]
        assert all(one is other for one, other in zip(result, expected, strict=True))
        result[0] = None  # it is the notebook's own
        result.append(object())
    (result,) = cross(pool, source, frozen)  # one of them has to be copied as any other
    assert result == [*frozen, None, True, False, 7, "a", Ellipsis]


def test_what_is_frozen_inside_of_a_list_of_it_is_thawed_or_lent_as_ever(pool):
    frozen = firn.freeze([[n, "x" * n] for n in range(20)])
    (result,) = cross(pool, "def run(start, stop): return [*data]", frozen)
    assert all(one is other for one, other in zip(result, frozen, strict=True))


def test_a_nan_that_is_met_twice_is_one(pool):
    (result,) = cross(pool, "def run(start, stop):\n  nan = float('nan')\n  return [nan] * 10", None)
    assert len({id(value) for value in result}) == 1


def test_a_bound_of_zero_is_zero_in_memory_that_was_used_before(pool):
    for _ in range(5):
        cross(pool, RETURN_DATA, [b"\xff" * (300 + i) for i in range(100)])
        (result,) = cross(pool, RETURN_DATA, [collections.deque(maxlen=0) for _ in range(200)])
        assert {queue.maxlen for queue in result} == {0}


def test_nothing_that_came_back_points_into_memory_that_is_used_again(pool):
    # With the guard on, memory that is not in use cannot even be read.
    data = {
        "rows": [{f"column {i}": (f"value {i} {j}", i * 10**9 + j, i / 7) for i in range(5)} for j in range(50)],
        "wide": {f"key {i}": [i] for i in range(100)},
        "keys": {(f"k{i}", i): frozenset([f"m{i}"]) for i in range(20)},
        "kinds": [collections.deque([10**9], 2**40), collections.OrderedDict(zzz=10**9), collections.Counter("héllo"),
                  collections.defaultdict(list, x=[b"bytes of a result"]), {"a set of", "strings"}, range(10**9, 10**10),
                  slice(10**9, ["x y z"]), 3j, "non-ASCII: äöü 日本", "\udfff lone"],
        "when": [dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5), "far")), dt.date(2024, 1, 1),
                 dt.time(1, 2, 3, 4), dt.timedelta(1, 2, 3)],
    }  # fmt: skip
    results = cross(pool, RETURN_DATA, data, 20)
    copies = [row.copy() for row in results[0]["rows"]]
    holder = type("Holder", (), {})()
    for name in results[0]["rows"][0]:
        setattr(holder, name, sys.intern(name))
    cross(pool, RETURN_DATA, {"other": ["y" * 50] * 2000}, 20)
    gc.collect()
    for result in results:
        assert result == data
        assert repr(result["rows"]) == repr(data["rows"]) and repr(result["when"]) == repr(data["when"])
    assert copies == data["rows"]
    assert vars(holder) == {name: name for name in data["rows"][0]}


@pytest.mark.unsanitized
def test_small_transfers_by_the_thousand_use_no_more_memory(pool):
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    cross(pool, RETURN_DATA, {"a": [1, "two"]}, 500)
    before = resident()
    for _ in range(5):
        cross(pool, RETURN_DATA, {"a": [1, "two"]}, 500)
    assert resident() - before < 8_000_000


def test_segments_are_only_for_what_lasts(pool):
    before = _core.segments()
    cross(pool, RETURN_DATA, [1, 2, {"x": "y" * 1000}], 3)
    assert _core.segments() == before


def test_sharing_between_what_crosses_and_what_lasts(pool):
    lasting = firn.freeze({"rows": [{"id": i} for i in range(3)]})
    part = ["some text of its own"]
    (result,) = cross(pool, RETURN_DATA, [lasting, lasting["rows"], part, part, {"p": part}])
    assert result[0] is lasting and result[1] is lasting["rows"]
    assert result[2] is result[3] is result[4]["p"] and type(result[2]) is list
