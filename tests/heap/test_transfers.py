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
        assert event.kind == "chunk" and not event.pickled, event.text
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


def test_numbers_that_a_result_shares_with_something_else_stay_what_they_are(pool):
    # Their lists' other numbers are used again for the next chunk's.
    source = """def run(start, stop):
  for name, expected in kept.items():
    found = [*kept[name][0]], kept[name][1:]
    assert repr(found) == expected[-1], (start, name)
  ints, reals, lists = ([make(n + start) for n in range(1000)] for make in ((10**6).__add__, (0.5).__add__, (2**40).__sub__))
  some, inner, pair = [*ints[::7], *reals[::3]], ([10**7 + n for n in range(50)],), ([10**8 + start] * 20, 1.5)
  kept[start] = some, lists, inner, pair[0]
  kept[start] += (repr(([*some], (lists, inner, pair[0]))),)
  return ints, [reals, [*reals, None]], lists, inner, pair, [10**9 + start, 'text', *ints, 0.5, *reals]
""".replace("kept[name][1:]", "kept[name][1:-1]")
    for start, found in enumerate(cross(pool, source, None, 40)):
        ints, reals, lists = (
            [10**6 + n + start for n in range(1000)],
            [0.5 + n + start for n in range(1000)],
            2**40 - start,
        )
        assert found[:3] == (ints, [reals, [*reals, None]], [lists - n for n in range(1000)])
        assert found[3:5] == (([10**7 + n for n in range(50)],), ([10**8 + start] * 20, 1.5))
        assert found[5] == [10**9 + start, "text", *ints, 0.5, *reals]


def test_tuples_that_something_else_keeps_stay_what_they_are(pool):
    # Their lists' other tuples are used again for the next chunk's.
    source = """import gc
def run(start, stop):
  mine = kept.setdefault('tuples', {})
  for name, (several, expected) in mine.items():
    assert repr(several) == expected and all(map(gc.is_tracked, several[-1])), (start, name)
  rows = [(10**6 + n, 0.5 + n, f'text {n} {start}', None, data[n % 20]) for n in range(500)]
  pairs = [(n + start, 2**40 + n) for n in range(300)]
  singles = [(10**7 + n,) for n in range(40)] + [()]
  nested = [(n, (n, [n])) for n in range(30)]
  long = [tuple(range(10**6, 10**6 + n)) for n in range(15, 25)]
  shared = [part for row in rows[::7] for part in row]
  hash(pairs[5])
  cycles = [(n, []) for n in range(100)]  # take what is on the free lists, and are the collector's
  for one in cycles: one[1].append(one)
  several = [rows[::5], pairs[3:7], [singles[0], (singles[1], 2)], nested[::2], shared, long[3:8:2], cycles[::20]]
  mine[start] = several, repr(several)
  del one, cycles
  gc.collect()
  return rows, pairs, singles, nested, long, [[10**8 + start, 'x'], *pairs]
"""
    frozen = firn.freeze([float(n) for n in range(20)])
    for start, found in enumerate(cross(pool, source, frozen, 30)):
        rows = [(10**6 + n, 0.5 + n, f"text {n} {start}", None, float(n % 20)) for n in range(500)]
        pairs = [(n + start, 2**40 + n) for n in range(300)]
        singles = [(10**7 + n,) for n in range(40)] + [()]
        nested = [(n, (n, [n])) for n in range(30)]
        long = [tuple(range(10**6, 10**6 + n)) for n in range(15, 25)]
        assert found[:5] == (rows, pairs, singles, nested, long)
        assert found[5] == [[10**8 + start, "x"], *pairs]
        assert not any(map(gc.is_tracked, found[1])) and len({*found[1]}) == 300


@pytest.mark.unsanitized
@pytest.mark.parametrize("second", ["[0.5 + n for n in range(data)]", "[(10**6 + n, 0.5) for n in range(data)]"])
def test_numbers_and_tuples_are_used_again_within_a_job_and_given_back_after_it(second):
    sys.path.insert(0, str(Path(__file__).parent.parent / "pool"))
    pool = _core.Pool(1, "pool_runtime")
    source = f"""import sys
def run(start, stop):
  before = sys.getallocatedblocks()
  return before, [10**6 + n for n in range(data)], {second}
"""
    try:
        several = [before for before, _, _ in cross(pool, source, 30_000, 5)]
        after, _, _ = cross(pool, source, 0)[0]
    finally:
        pool.close()
    # Those on the free lists count as allocated.
    assert all(before > several[0] + 50_000 for before in several[1:])
    assert after < several[0] + 5_000


def test_tuples_keep_values_types_and_what_they_share(pool):
    source = """def run(start, stop):
  nan, text, pair = float('nan'), 'made ' * 2 + str(start), (10**9 + start, 0.5)
  rows = [(n, n / 3, f'name {n}', None, True, 10**9 * n, 2**70 + n, b'raw%d' % n, data[n]) for n in range(20)]
  inside = [(n, [n], (n, (n / 2,)), {'n': n}, n) for n in range(20)]
  alike = [(text, n) for n in range(20)] + [pair, pair, (pair, pair), (nan, nan), (nan, 1), (), (...,)]
  loop = []
  loop.append((1, 'x', loop))
  return rows, inside, alike, loop, {(n, f'k{n}'): {(n, 0.5), (None,)} for n in range(20)}, frozenset([pair, (pair, 1)])
"""
    frozen = firn.freeze([[n] for n in range(20)])
    for start, (rows, inside, alike, loop, table, members) in enumerate(cross(pool, source, frozen, 3)):
        assert repr(rows) == repr(
            [(n, n / 3, f"name {n}", None, True, 10**9 * n, 2**70 + n, b"raw%d" % n, [n]) for n in range(20)]
        )
        assert all(row[-1] is frozen[n] for n, row in enumerate(rows))
        assert repr(inside) == repr([(n, [n], (n, (n / 2,)), {"n": n}, n) for n in range(20)])
        assert {type(part) for row in inside for part in row} == {int, list, tuple, dict}
        assert alike[:20] == [("made made " + str(start), n) for n in range(20)]
        assert all(row[0] is alike[0][0] for row in alike[:20])
        one, other, both, nans, again, empty, dots = alike[20:]
        assert one == (10**9 + start, 0.5) and one is other is both[0] is both[1]
        assert nans[0] is nans[1] is again[0] and nans[0] != nans[0] and (empty, dots) == ((), (...,))
        assert loop[0][:2] == (1, "x") and loop[0][2] is loop
        assert table == {(n, f"k{n}"): {(n, 0.5), (None,)} for n in range(20)}
        assert members == {one, (one, 1)}


ROWS = {
    "pairs": "[(n, n / 3) for n in range(-300, 300)]",
    "of one": "[(n,) for n in range(20)]",
    "of many": "[(n, 0.5, None, True, -n, 2**60 - 1, 1 - 2**60, '', n % 2 == 0, 1e300) for n in range(20)]",
    "some small, some long": "[(n % 7 * 10**6, n) for n in range(1000)]",
    "one too long": "[(n, 2**60 - 10 + n) for n in range(20)]",
    "one that is a float": "[(n, n) for n in range(20)] + [(20, 20.0)]",
    "one that is None": "[(n, n) for n in range(20)] + [(20, None)]",
    "one that is shorter": "[(n, n) for n in range(20)] + [(20,)]",
    "one that is a list": "[(n, n) for n in range(20)] + [[20, 20]]",
    "one that has a list": "[(n, n) for n in range(20)] + [(20, [20])]",
    "of nothing": "[() for n in range(20)]",
    "of texts": "[(n, f'name {n}') for n in range(20)]",
    "of rows": "[(n, (n, n / 2)) for n in range(20)]",
    "not a number": "[(n, nan) for n in range(20)]",
    "minus zero": "[(-0.0, n, 0.0) for n in range(20)]",
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_numbers_keep_values_and_types(pool, name):
    (result,) = cross(pool, f"nan = float('nan')\ndef run(start, stop): return {ROWS[name]}", None)
    expected = eval(ROWS[name], {"nan": math.nan})
    assert repr(result) == repr(expected)
    assert [*map(type, result)] == [*map(type, expected)] and type(result) is list
    kinds = [[*map(type, row)] for row in expected]
    assert [[*map(type, row)] for row in result] == kinds
    gc.collect()  # after which no tuple of numbers or texts is tracked, whoever made it
    tracked = [*map(gc.is_tracked, expected)]
    assert [*map(gc.is_tracked, result)] == tracked
    result.append(None)  # it is the notebook's own


def test_tuples_without_containers_are_none_of_the_collectors_business(pool):
    source = "def run(start, stop): return [(n, 'text', 0.5) for n in range(9)], [(n, -n) for n in range(99)], ([],), ((1,),)"
    (result,) = cross(pool, source, None)
    rows, packed, holder, nested = result
    assert not any(map(gc.is_tracked, [*rows, *packed]))
    assert gc.is_tracked(holder) and holder[0] == [] and nested == ((1,),)
    thawed = firn.thaw(firn.freeze([(1, "a"), ([2], "b")]))
    assert [*map(gc.is_tracked, thawed)] == [False, True]


def test_rows_keep_what_both_sides_have_and_what_they_share(pool):
    frozen = firn.freeze([10**9 + n for n in range(100)] + [1.5, "text"])
    source = """def run(start, stop):
  one = (1, 2)
  return [(n, x, 3) for n, x in enumerate(data)], [one] * 20, [(data[n], 10**9 + n) for n in range(20)], one
"""
    (result,) = cross(pool, source, frozen)
    assert all(row == (n, frozen[n], 3) and row[1] is frozen[n] for n, row in enumerate(result[0]))
    assert len({id(row) for row in result[1]}) == 1 and result[1][0] is result[3] == (1, 2)
    assert all(row[0] is frozen[n] and row[0] == row[1] is not row[0] for n, row in enumerate(result[2]))


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
