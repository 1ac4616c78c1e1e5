"""Any value made of the freezable containers reads, compares, prints, copies and thaws as its original does."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from concurrent import interpreters
from typing import Any

import firn
from firn import _core
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

texts = st.text(max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(max_size=8)
keys = st.recursive(
    texts | st.integers() | st.binary(max_size=4) | st.none(), lambda inner: st.tuples(inner, inner), max_leaves=3
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(texts, inner, max_size=6)
        | st.dictionaries(keys, inner, max_size=6)
        | st.sets(keys, max_size=6)
        | st.frozensets(keys, max_size=6)
        | st.lists(inner, max_size=4).map(deque)
        | st.dictionaries(keys, inner, max_size=4).map(OrderedDict)
        | st.dictionaries(keys, inner, max_size=4).map(lambda made: defaultdict(list, made))
        | st.dictionaries(texts, st.integers(), max_size=4).map(Counter)
    ),
    max_leaves=20,
)
lists = st.lists(values, max_size=8)
dicts = st.dictionaries(keys, values, max_size=8)
sets = st.sets(keys, max_size=8)
bounds = st.none() | st.integers(-10, 10)

thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def result_of(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        return type(error)


@thorough
@given(values)
def test_any_value(original: Any) -> None:
    frozen = firn.freeze(original)
    assert frozen == original and original == frozen
    assert [frozen != original, original != frozen] == [False, False]
    assert repr(frozen) == repr(original)
    assert frozen.__class__ is original.__class__
    for plain in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen)), firn.thaw(frozen)):
        assert plain == original and type(plain) is type(original)
    assert firn.freeze(frozen) is frozen


@thorough
@given(lists, lists, bounds, bounds, bounds.filter(lambda step: step != 0), st.integers(-10, 10))
def test_lists(a: list[Any], b: list[Any], start: Any, stop: Any, step: Any, index: int) -> None:
    x, y = firn.freeze(a), firn.freeze(b)
    assert x[start:stop:step] == a[start:stop:step]
    assert result_of(x.__getitem__, index) == result_of(a.__getitem__, index)
    assert x + y == x + b == a + y == a + b
    assert x * (index % 4) == a * (index % 4)
    assert (x == y) == (x == b) == (a == y) == (a == b)
    for operation in ("__lt__", "__le__", "__gt__", "__ge__"):
        expected = result_of(getattr(a, operation), b)
        assert result_of(getattr(x, operation), y) == result_of(getattr(x, operation), b) == expected
    for value in a[:3] + b[:3]:
        assert x.count(value) == a.count(value)
        assert (value in x) == (value in a)
        assert result_of(x.index, value) == result_of(a.index, value)
        if start is not None and stop is not None:
            assert result_of(x.index, value, start, stop) == result_of(a.index, value, start, stop)
    assert list(x) == a and list(reversed(x)) == a[::-1]


@thorough
@given(dicts, dicts, keys)
def test_dicts(a: dict[Any, Any], b: dict[Any, Any], key: Any) -> None:
    x, y = firn.freeze(a), firn.freeze(b)
    assert result_of(x.__getitem__, key) == result_of(a.__getitem__, key)
    assert (key in x) == (key in a) and x.get(key, 7) == a.get(key, 7)
    assert all(x[k] == v for k, v in a.items())
    assert list(x) == list(a) and list(reversed(x)) == list(reversed(a))
    assert list(x.values()) == list(a.values()) and list(x.items()) == list(a.items())
    assert x | y == x | b == a | y == a | b
    assert list(x | y) == list(a | b)
    assert (x == y) == (x == b) == (a == y) == (a == b)
    for operation in ("__and__", "__or__", "__sub__", "__xor__", "__le__", "__lt__", "__eq__", "isdisjoint"):
        expected = getattr(a.keys(), operation)(b.keys())
        assert getattr(x.keys(), operation)(y.keys()) == expected
        assert getattr(x.keys(), operation)(b.keys()) == expected
        assert getattr(x.keys(), operation)(set(b)) == expected
        assert result_of(getattr(x.items(), operation), y.items()) == result_of(
            getattr(a.items(), operation), b.items()
        )
    ordered, other = OrderedDict(a), OrderedDict(reversed(list(a.items())))
    assert (firn.freeze(ordered) == firn.freeze(other)) == (ordered == other)
    assert firn.freeze(ordered) == x and x == firn.freeze(other)


@thorough
@given(sets, sets)
def test_sets(a: set[Any], b: set[Any]) -> None:
    x, y = firn.freeze(a), firn.freeze(b)
    for operation in ("__and__", "__or__", "__sub__", "__xor__", "__le__", "__lt__", "__ge__", "__gt__", "__eq__"):
        expected = getattr(a, operation)(b)
        assert getattr(x, operation)(y) == getattr(x, operation)(b) == expected
        assert getattr(x, operation)(frozenset(b)) == expected
    for method in (
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "issubset",
        "issuperset",
        "isdisjoint",
    ):
        expected = getattr(a, method)(b)
        for argument in (y, b, list(b), firn.freeze(list(b))):
            assert getattr(x, method)(argument) == expected
    assert a | y == a | b and a & y == a & b and a - y == a - b and a ^ y == a ^ b
    assert sorted(map(repr, x)) == sorted(map(repr, a))


@thorough
@given(st.text(), st.text())
def test_counters(a: str, b: str) -> None:
    plain, other = Counter(a), Counter(b)
    x, y = firn.freeze(plain), firn.freeze(other)
    assert x + y == plain + other and x - other == plain - other and plain & y == plain & other
    assert x | y == plain | other and +x == +plain and -x == -plain
    assert (x <= y) == (plain <= other) and (x > other) == (plain > other)
    assert x.most_common() == plain.most_common() and x.total() == plain.total()
    assert all(x[letter] == plain[letter] for letter in a + b)


@thorough
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
    )
)
def test_json(original: Any) -> None:
    frozen = firn.freeze(original)
    assert pprint.pformat(frozen) == pprint.pformat(original)
    for options in ({}, {"indent": 1}, {"sort_keys": True}, {"default": str}):
        assert json.dumps(frozen, **options) == json.dumps(original, **options)


def test_any_value_in_a_subinterpreter() -> None:
    interpreter = interpreters.create()
    interpreter.exec("import firn, copy, pickle\nfrom firn import _core\nfrom collections import *")

    @settings(thorough, max_examples=60)
    @given(values)
    def check(original: Any) -> None:
        frozen = firn.freeze(original)
        interpreter.exec(f"""
x = _core.adopt({_core.address(frozen)})
plain = pickle.loads({pickle.dumps(original)!r})
assert x == plain and plain == x and repr(x) == {repr(original)!r}, (x, plain)
assert copy.deepcopy(x) == plain and pickle.loads(pickle.dumps(x)) == plain
""")

    check()
    interpreter.close()
