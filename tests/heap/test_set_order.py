"""The order of sets, which is no part of what a set says, and which everybody sees: it stays."""

import random
from collections.abc import Callable

import firn
import pytest

OPERATIONS: dict[str, Callable[[set[int], set[int]], set[int]]] = {
    "itself": lambda a, b: a,
    "copy": lambda a, b: a.copy(),
    "|": lambda a, b: a | b,
    "&": lambda a, b: a & b,
    "-": lambda a, b: a - b,
    "^": lambda a, b: a ^ b,
    "union": lambda a, b: a.union(b),
    "union of a list": lambda a, b: a.union([*b]),
    "intersection": lambda a, b: a.intersection([*b]),
    "difference": lambda a, b: a.difference(b),
    "symmetric difference": lambda a, b: a.symmetric_difference([*b]),
    "comprehension": lambda a, b: {n for n in a},
}


def sets(generator: random.Random) -> tuple[set[int], set[int]]:
    most = generator.choice([3, 5, 8, 12, 40, 200])
    a, b = ([generator.randrange(4 * most) for _ in range(generator.randrange(most))] for _ in range(2))
    return set(a), set(b)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_on_frozen_sets(name: str) -> None:
    operate = OPERATIONS[name]
    generator = random.Random(name)
    for _ in range(1000):
        a, b = sets(generator)
        frozen, other = firn.freeze(a), firn.freeze(b)
        for left, right in [(frozen, other), (frozen, b)]:
            found, expected = operate(left, right), operate(a, b)
            assert list(found) == list(expected)
            if found is not left:
                assert type(found) is set
                found.add(-1)
                found.discard(-1)


def test_thawing() -> None:
    generator = random.Random(7)
    for _ in range(5000):
        a, _ = sets(generator)
        thawed = firn.thaw(firn.freeze(a))
        assert list(thawed) == list(a) and thawed == a
        assert all(n in thawed for n in a)
        nested = firn.thaw(firn.freeze([a, frozenset(a), (a,)]))
        assert [*map(list, (nested[0], nested[1], nested[2][0]))] == [list(a), list(frozenset(a)), list(a)]
        assert nested[0] is nested[2][0]


def test_members_that_hash_anew() -> None:
    class Key:
        def __init__(self, n: int) -> None:
            self.n = n

    keys = {Key(n) for n in range(40)}
    thawed = firn.thaw(firn.freeze(keys))
    assert {key.n for key in thawed} == {*range(40)} and all(key in thawed for key in thawed)


@pytest.mark.parametrize("values", [{7, 15}, {7, 15, 23}, {"a", 8, 0, 16}, {1.5, (1, 2), None}])
def test_several_members_in_all_orders(values: set[object]) -> None:
    for first in values:
        made = {first}
        made |= values
        assert list(firn.thaw(firn.freeze(made))) == list(made)
