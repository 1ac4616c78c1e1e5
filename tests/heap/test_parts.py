"""A part of a frozen sequence, iterated over in place."""

from __future__ import annotations

import gc
from collections import deque
from decimal import Decimal
from operator import length_hint
from typing import Any

import firn
import pytest
from firn import _core

ROWS = [[n, str(n)] for n in range(10)]
SOURCES: dict[str, Any] = {
    "list": firn.freeze(ROWS),
    "tuple": firn.freeze(tuple(ROWS)),
    "list with twins": firn.freeze([*ROWS, Decimal(1)]),
    "deque's items": [*firn.freeze(deque(ROWS))],
    "list that is not frozen": ROWS,
    "str": "abcdefghij",
    "empty list": firn.freeze([]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_it_is_the_slice(name):
    source = SOURCES[name]
    for start, stop in [(0, 0), (0, 3), (2, 9), (9, 10), (4, 4), (7, 100), (10, 12), (50, 60), (-1, 0)]:
        part = _core.iterate_part(source, start, stop)
        assert length_hint(part) == len(source[start:stop])
        assert [*part] == [*source[start:stop]]
        assert [*part] == []
        assert length_hint(part) == 0


@pytest.mark.parametrize("name", ["list", "tuple"])
def test_nothing_is_copied(name):
    source = SOURCES[name]
    part = _core.iterate_part(source, 2, 5)
    [array] = gc.get_referents(part)
    assert isinstance(array, list)
    assert array.__sizeof__() == [].__sizeof__()
    assert not any(row in source for row in gc.get_referents(array))
    assert all(a is b for a, b in zip(part, source[2:5], strict=True))


def test_it_goes_as_it_came():
    source = SOURCES["list"]
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(1000):
        part = _core.iterate_part(source, 2, 5)
        next(part)
    gc.collect()
    assert len(gc.get_objects()) < before + 50


def test_what_has_no_slices():
    with pytest.raises(TypeError):
        _core.iterate_part({1, 2}, 0, 1)
