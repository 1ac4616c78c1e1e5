"""Any value, frozen, reads as its original: here and in two interpreters at once, whatever is read."""

import collections
import datetime as dt
import math
import sys

import firn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reading import compare, same

characters = st.characters(exclude_categories=())
texts = st.text(characters, max_size=12)
offsets = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(
    lambda d: dt.timedelta(minutes=d // dt.timedelta(minutes=1))
)
zones = st.builds(dt.timezone, offsets) | st.builds(dt.timezone, offsets, st.text(max_size=5)) | st.just(dt.UTC)
numbers = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
)
hashable_leaves = (
    st.none()
    | numbers
    | texts
    | st.binary(max_size=12)
    | st.dates()
    | st.times(timezones=st.none() | zones)
    | st.datetimes(timezones=st.none() | zones)
    | st.timedeltas()
    | zones
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 4))
    | st.sampled_from([..., NotImplemented, int, dict, ValueError])
)
hashable = st.recursive(
    hashable_leaves,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    lists, rows = st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)
    maps = st.dictionaries(hashable, inner, max_size=5)
    return (
        lists
        | lists.map(tuple)
        | rows
        | maps
        | st.builds(collections.deque, lists, st.none() | st.integers(0, 9))
        | maps.map(collections.OrderedDict)
        | st.builds(collections.defaultdict, st.sampled_from([None, int, list]), maps)
        | st.lists(hashable, max_size=6).map(collections.Counter)
        | st.sets(hashable, max_size=6)
        | st.builds(slice, inner, inner, inner)
        | lists.map(lambda items: items + items)
    )


values = st.recursive(hashable_leaves | hashable, containers, max_leaves=15)
relaxed = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
)


@relaxed
@given(values)
def test_any_value_reads_as_its_original_in_three_interpreters(readers, value):
    frozen = firn.freeze([value])
    readers.run("from reading import compare\ncompare(frozen, plain)", frozen, plain=[value])


@settings(relaxed, max_examples=100)
@given(values)
def test_any_value_comes_back_equal(value):
    thawed = firn.thaw(firn.freeze([value]))
    compare(thawed, [value])
    again = firn.thaw(firn.freeze(firn.freeze(thawed)))
    assert same(again, [value])


@relaxed
@given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), values, max_size=6), max_size=30), st.randoms())
def test_rows_after_any_history_of_changes(readers, rows, random):
    for row in rows:
        for key in list(row):
            match random.randrange(4):
                case 0:
                    del row[key]
                case 1:
                    row[key] = row.pop(key)
                case 2:
                    row[key + "x"] = random.choice(rows)
    readers.run(
        "for a, b in zip(frozen, plain, strict=True): assert list(a) == list(b)",
        firn.freeze(rows),
        plain=[dict.fromkeys(row) for row in rows],
    )


@relaxed
@given(st.sets(hashable, max_size=40), st.randoms())
def test_sets_after_any_history_iterate_as_the_original(members, random):
    for member in random.sample(sorted(members, key=repr), len(members) // 2):
        members.discard(member)
        members.add((member, 1))
    frozen = firn.freeze(members)
    assert list(frozen) == list(members)
    assert all(member in frozen for member in members)


@relaxed
@given(
    st.recursive(
        st.floats() | st.complex_numbers(),
        lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
        max_leaves=8,
    )
)
def test_keys_with_nan_are_found_as_what_they_are(readers, key):
    frozen = firn.freeze([{key: 1, "other": 2}, {key}, [key], key])
    readers.run(
        """
        mapping, members, items, key = frozen
        # Only of a float that is a number may there be two copies.
        assert mapping[key] == 1 and key in members
        assert all(one is key or one == key for one in (items[0], next(iter(mapping))))
        assert len(members) == 1 and hash(key) == hash(key)
        """,
        frozen,
    )


@relaxed
@given(st.integers(0, 8), st.randoms())
def test_any_graph_keeps_its_sharing_and_cycles(size, random):
    nodes: list = [random.choice([list, dict, collections.deque])() for _ in range(size + 1)]
    for node in nodes:
        for i in range(random.randrange(5)):
            child = random.choice(nodes)
            child = random.choice([child, (child,), (child, child)])
            if isinstance(node, dict):
                node[f"k{i}"] = child
            else:
                node.append(child)

    def shape(root: object) -> list:
        known: dict[int, int] = {}
        out, todo = [], [root]
        while todo:
            node = todo.pop()
            if id(node) in known:
                out.append(known[id(node)])
                continue
            known[id(node)] = len(known)
            children = list(node.values()) if isinstance(node, dict) else list(node)
            out.append((node.__class__.__name__, len(children)))
            todo += children
        return out

    keep = [firn.freeze(nodes)]
    keep.append(firn.thaw(keep[0]))
    assert shape(keep[0]) == shape(nodes) == shape(keep[1])


def test_special_floats_are_what_they_were(readers):
    plain = [math.nan, -math.nan, math.inf, -0.0, 0.0, sys.float_info.min, complex(math.nan, -0.0)]
    frozen = firn.freeze(plain)
    assert all(map(same, frozen, plain, strict=True))
    readers.run("from reading import same\nassert all(map(same, frozen, plain, strict=True))", frozen, plain=plain)
