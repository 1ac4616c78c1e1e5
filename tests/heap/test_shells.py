"""Tuples, frozensets and slices that hold what each interpreter has its own of, or whose hash only Python can tell."""

import dataclasses
import inspect
import textwrap
from typing import Any

import pytest
from firn import _core


@dataclasses.dataclass(frozen=True)
class Coin:
    value: object


THREADS = pytest.mark.parametrize("threads", [1, 4])


def freeze(value: object, threads: int = 0) -> Any:
    return _core.freeze_roots({"value": value}, threads=threads).frozen["value"]


def read(readers: Any, code: str, frozen: object) -> None:
    """Runs the code here and in two workers at once, where Coin is a class of their own."""
    prelude = f"import dataclasses\n{inspect.getsource(Coin)}\n_core.define({_core.number_of(Coin)}, Coin)\n"
    readers.run(f"from firn import _core\n{prelude}{textwrap.dedent(code)}", frozen)
    _core.define(_core.number_of(Coin), Coin)


def test_tuples_that_hash_by_python_are_genuine_and_cache_nothing_in_the_heap(readers: Any) -> None:
    pair = (Coin(1), 2)
    frozen = freeze([pair, pair, [pair], {"k": (pair, 3)}])
    read(
        readers,
        """
        one, other, inner, mapping = frozen
        assert type(one) is tuple and one is other is inner[0] is mapping["k"][0]
        assert one == (Coin(1), 2) and hash(one) == hash((Coin(1), 2)) == hash(one)
        assert {one: 1}[(Coin(1), 2)] == 1 and mapping["k"] == (one, 3) and hash(mapping["k"]) == hash((one, 3))
        """,
        frozen,
    )


def test_keys_and_members_are_found(readers: Any) -> None:
    one, two = (Coin(1), 1), (Coin(2), 2)
    frozen = freeze([{one: 1, two: 2}, {one, two}, frozenset([one]), {frozenset([two]): 3}, {(one, two): 4}])
    read(
        readers,
        """
        mapping, members, few, nested, pairs = frozen
        assert mapping[Coin(2), 2] == 2 and (Coin(1), 1) in members and (Coin(3), 1) not in members
        assert few == {(Coin(1), 1)} and hash(few) == hash(frozenset([(Coin(1), 1)]))
        assert nested[frozenset([(Coin(2), 2)])] == 3 and pairs[(Coin(1), 1), (Coin(2), 2)] == 4
        """,
        frozen,
    )


def test_slices_and_fields(readers: Any) -> None:
    frozen = freeze([slice((Coin(1), 1), None, Coin(2)), Coin((Coin(3), 3))])
    read(
        readers,
        """
        part, coin = frozen
        assert part == slice((Coin(1), 1), None, Coin(2)) and coin.value == (Coin(3), 3)
        assert hash(coin) == hash(Coin((Coin(3), 3)))
        """,
        frozen,
    )


@THREADS
def test_many(readers: Any, threads: int) -> None:
    frozen = freeze([[i, ((Coin(i), i),)] for i in range(20_000)], threads)
    read(
        readers,
        """
        assert all(hash(row[1]) == hash(((Coin(i), i),)) for i, row in enumerate(frozen[:2000]))
        assert frozen[19_999][1] == ((Coin(19_999), 19_999),)
        """,
        frozen,
    )


def test_a_hash_that_the_original_knew_is_kept() -> None:
    pair = (Coin(1000), "a")
    hash(pair)
    fresh = (Coin(1000), "a")
    result, other = _core.freeze_roots({"v": [pair]}), _core.freeze_roots({"v": [fresh]})
    assert _core.is_frozen(result.frozen["v"][0])
    # It stays the tuple of the heap: every read gives the same object, at an address in the segment.
    assert _core.segments_of([result.frozen["v"][0]]) == [result.segment]
    assert _core.segments_of([other.frozen["v"][0]]) != [result.segment]


def test_a_cycle_through_a_tuple() -> None:
    ring: list[Any] = [1]
    ring.append((Coin(1), ring))
    frozen = freeze(ring)
    assert frozen[1][1] is frozen and frozen[1][0] == Coin(1)


def test_unhashable_ones_stay_themselves() -> None:
    @dataclasses.dataclass
    class Loose:
        x: int

    result = _core.freeze_roots({"v": [(Loose(1), Coin(1))]})
    assert _core.segments_of([result.frozen["v"][0]]) == [result.segment]
    with pytest.raises(TypeError, match="unhashable"):
        hash(result.frozen["v"][0])
