"""Any graph of any kinds, frozen: read in two workers at once, thawed, frozen again, and its memory given back."""

from __future__ import annotations

import enum
from typing import Any

import firn
import pytest
from firn import _core
from graphs import build, change_everything, shape
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TWINS = True

specs = st.lists(st.tuples(st.integers(0, 60), st.lists(st.integers(0, 200), max_size=5)), min_size=1, max_size=14)
usual = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
)
thorough = settings(usual, max_examples=3000)


def check_read_everywhere(readers: Any, graph: list[tuple[int, list[int]]]) -> None:
    nodes = build(graph, TWINS)
    readers.run(
        """
        from graphs import shape
        got = shape(frozen)
        assert got == wanted, [pair for pair in zip(got, wanted) if pair[0] != pair[1]][:3]
        """,
        _core.freeze(nodes),
        wanted=shape(nodes),
    )


def check_thaw(graph: list[tuple[int, list[int]]]) -> None:
    nodes = build(graph, TWINS)
    before = shape(nodes)
    frozen = firn.freeze(nodes)
    assert firn.freeze(frozen) is frozen
    assert shape(nodes) == before
    assert shape(frozen) == before
    thawed = firn.thaw(frozen)
    assert shape(thawed) == before
    assert change_everything(thawed) >= 1
    assert shape(frozen) == before
    assert shape(nodes) == before
    assert shape(firn.thaw(frozen)) == before
    again = firn.freeze(firn.thaw(frozen))
    assert again is not frozen and shape(again) == before


def changes(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return type(value) in (tuple, frozenset) and any(map(changes, value))
    if isinstance(value, slice):
        return any(map(changes, (value.start, value.stop, value.step)))
    return type(value).__module__ == "graph_kinds" and not isinstance(value, enum.Enum)


def check_parts_are_frozen(graph: list[tuple[int, list[int]]]) -> None:
    """Whatever a frozen graph leads to is frozen, and freezing it again makes nothing: but for objects of an
    interpreter's own that can be changed, and tuples that hold such."""
    frozen = firn.freeze(build(graph, TWINS))
    for node in frozen:
        assert firn.is_frozen(node) is not changes(node)
        assert changes(node) or firn.freeze(node) is node
    assert firn.freeze(frozen) is frozen


@usual
@given(specs)
def test_any_graph_is_the_same_in_three_interpreters(readers: Any, graph: Any) -> None:
    check_read_everywhere(readers, graph)


@usual
@given(specs)
def test_any_graph_thaws_to_an_equal_one_that_can_be_changed(graph: Any) -> None:
    check_thaw(graph)


@usual
@given(specs)
def test_parts_of_what_is_frozen_are(graph: Any) -> None:
    check_parts_are_frozen(graph)


@pytest.mark.long
@thorough
@given(specs)
def test_many_graphs_are_the_same_in_three_interpreters(readers: Any, graph: Any) -> None:
    check_read_everywhere(readers, graph)


@pytest.mark.long
@thorough
@given(specs)
def test_many_graphs_thaw(graph: Any) -> None:
    check_thaw(graph)
