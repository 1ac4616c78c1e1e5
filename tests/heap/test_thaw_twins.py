"""Thawing what every interpreter has its own object of: sharing and cycles with the rest of the graph stay."""

import collections
import decimal
import functools
import operator
import types
from typing import Any

import firn
import pytest
from firn import _core

ONE = decimal.Decimal(1)


class Failure(Exception):
    pass


class Made:
    """Is reduced to a call, with a state beside it."""

    def __init__(self, *parts: Any) -> None:
        self.parts, self.more = parts, None

    def __reduce__(self) -> Any:
        return Made, self.parts, {"more": self.more}


class Table(collections.defaultdict[str, list[int]]):
    pass


def test_tuples_and_their_kin_share_with_the_rest() -> None:
    shared = [1]
    thawed = firn.thaw(
        firn.freeze(
            [shared, (shared, ONE), slice(ONE, shared), {(ONE, 2): shared}, frozenset([(ONE, "x")]), (ONE, shared)]
        )
    )
    assert thawed[1][0] is thawed[2].stop is thawed[3][ONE, 2] is thawed[5][1] is thawed[0]
    thawed[0].append(2)
    assert thawed[1] == ([1, 2], ONE) and thawed[4] == {(ONE, "x")} and type(thawed[1]) is tuple
    assert [type(part) for part in thawed] == [list, tuple, slice, dict, frozenset, tuple]


def test_a_shell_that_is_met_twice_is_one() -> None:
    pair = (ONE, [1])
    thawed = firn.thaw(firn.freeze([pair, {"again": pair}]))
    assert thawed[0] is thawed[1]["again"]


def test_the_state_of_a_twin_shares_with_the_rest() -> None:
    shared = [1]
    space = types.SimpleNamespace(numbers=shared)
    space.me = [space, (space, shared)]
    thawed = firn.thaw(firn.freeze([shared, space, (space, ONE)]))
    assert thawed[1].numbers is thawed[0] and thawed[2][0] is thawed[1]
    assert thawed[1].me[0] is thawed[1] and thawed[1].me[1][0] is thawed[1] and thawed[1].me[1][1] is thawed[0]
    thawed[1].numbers.append(2)
    assert thawed[0] == [1, 2] and shared == [1]


def test_the_arguments_of_a_twin_share_with_the_rest() -> None:
    shared = [1]
    made, partial, table = Made(shared, (shared, ONE)), functools.partial(operator.iadd, shared), Table(list, a=shared)
    made.more, table.title = shared, shared  # type: ignore[attr-defined, assignment]
    thawed = firn.thaw(firn.freeze([shared, made, partial, table]))
    assert thawed[1].parts[0] is thawed[1].parts[1][0] is thawed[1].more is thawed[0]
    assert thawed[2]([2]) is thawed[0] == [1, 2] and shared == [1]
    assert thawed[3]["a"] is thawed[3].title is thawed[0] and thawed[3]["b"] == []


@pytest.mark.parametrize(
    "make", [lambda part: Failure(part), lambda part: Made(part), lambda part: functools.partial(print, part)]
)
def test_a_cycle_through_arguments_closes(make: Any) -> None:
    ring: list[Any] = []
    ring.append(make(ring))
    thawed = firn.thaw(firn.freeze(ring))
    held = getattr(thawed[0], "args", None) or thawed[0].parts
    assert held[0] is thawed and held[0][0] is thawed[0]
    thawed = firn.thaw(firn.freeze([ring[0], ring]))
    held = getattr(thawed[0], "args", None) or thawed[0].parts
    assert held[0] is thawed[1] and thawed[1][0] is thawed[0]


def test_what_never_changes_stays_itself() -> None:
    sentinel = object()
    original = [sentinel, (sentinel, ONE), functools.partial(divmod, 7), operator.itemgetter(1), len]
    thawed = firn.thaw(firn.freeze(original))
    assert thawed[0] is sentinel is thawed[1][0] and thawed[2:] == original[2:]


def test_frames_have_memory_of_their_own() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": numpy.arange(5.0), "y": list("abcde")})
    frozen = firn.freeze([frame, (frame, ONE)])
    thawed = firn.thaw(frozen)
    thawed[0].loc[0, "x"] = 9.0
    thawed[0]["z"] = 1
    assert thawed[1][0] is thawed[0] and thawed[0].loc[0, "x"] == 9.0
    assert frozen[0].loc[0, "x"] == 0.0 == frame.loc[0, "x"] and list(frozen[0]) == ["x", "y"]


def test_views_in_tuples() -> None:
    ((view, number),) = firn.thaw(firn.freeze([(memoryview(b"x"), 2)]))
    assert bytes(view) == b"x" and number == 2


DEEP = 100_000


def test_deep_shells_are_read_and_thawed(readers: Any) -> None:
    nested: Any = (ONE,)
    for _ in range(DEEP):
        nested = (nested,)
    frozen = firn.freeze([nested])
    readers.run(
        """
        depth, inner = 0, frozen[0]
        while type(inner) is tuple:
            depth, inner = depth + 1, inner[0]
        assert depth == 100_001 and inner == 1, depth
        """,
        frozen,
    )
    depth, inner = 0, firn.thaw(frozen)[0]
    while type(inner) is tuple:
        depth, inner = depth + 1, inner[0]
    assert depth == DEEP + 1 and inner == ONE
    assert firn.freeze(frozen[0]) is frozen[0]


def test_deep_frozensets_of_twins() -> None:
    nested = frozenset([ONE])
    for _ in range(20_000):
        nested = frozenset([nested, ONE])
    frozen = firn.freeze([nested])
    for one in frozen[0], firn.thaw(frozen)[0]:
        depth = 0
        while type(one) is frozenset:
            depth, one = depth + 1, next((part for part in one if type(part) is frozenset), None)
        assert depth == 20_001


def test_deep_chains_of_twins_and_tuples() -> None:
    chain: Any = None
    for number in range(20_000):
        chain = types.SimpleNamespace(next=(chain, number))
    frozen = firn.freeze([chain])
    for one in frozen[0], firn.thaw(frozen)[0]:
        depth = 0
        while one is not None:
            one, number = one.next
            depth += 1
            assert number == 20_000 - depth
        assert depth == 20_000


def test_arguments_too_deep_for_the_stack_are_an_error_not_a_crash() -> None:
    nested: Any = print
    for _ in range(50_000):
        nested = functools.partial(divmod, (nested, []))
    frozen = _core.freeze([nested])
    for _ in range(2):
        with pytest.raises(RecursionError):
            frozen[0]
        with pytest.raises(RecursionError):
            firn.thaw(frozen)


def test_a_tuple_and_what_it_holds_refer_to_each_other() -> None:
    space = types.SimpleNamespace()
    space.pair = (space, ONE)
    for order in ([space, space.pair], [space.pair, space]):
        frozen = firn.freeze({"space": space, "order": order})
        pair, found = (frozen["order"][0 if order[0] is space.pair else 1], frozen["space"])
        assert pair[0] is found and found.pair is pair
        thawed = firn.thaw(frozen)
        assert thawed["space"].pair[0] is thawed["space"] and thawed["space"].pair in thawed["order"]


def test_what_a_tuple_was_read_as_freezes_to_itself() -> None:
    space = types.SimpleNamespace(x=1)
    frozen = firn.freeze([(ONE, [1]), frozenset([ONE]), slice(ONE), ((ONE,), (2, ONE)), (space, (ONE,))])
    for part in frozen[0], frozen[1], frozen[2], frozen[3], frozen[3][1], frozen[4][1]:
        assert firn.is_frozen(part) and firn.freeze(part) is part and firn.freeze([part])[0] is part
    assert not firn.is_frozen(frozen[4])  # its namespace can be changed
    count = len(_core.segments())
    again = firn.freeze({"pair": frozen[0], "deep": [[frozen[3]]]})
    assert again["pair"] is frozen[0] and again["deep"][0][0] is frozen[3] and len(_core.segments()) == count + 1


def test_an_error_while_filling_is_told_again_and_keeps_nothing() -> None:
    class Wrong:
        def __eq__(self, other: object) -> bool:  # then the notebook makes its own object too
            return isinstance(other, Wrong)

        def __reduce__(self) -> Any:
            return types.SimpleNamespace, (), {"x": 1}, None, None, explode

    space = types.SimpleNamespace(pair=(Wrong(), ONE))
    frozen = firn.freeze([space])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            frozen[0]
        with pytest.raises(ZeroDivisionError):
            firn.thaw(frozen)


def explode(made: Any, state: Any) -> None:
    raise ZeroDivisionError("no")
