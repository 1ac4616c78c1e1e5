"""What CPython's allocator keeps of objects that are gone: pools in arenas of which something is still in use."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from firn import _core

POOL = 16 << 10
ARENA = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def scattered() -> list[bytes]:
    """20 MB of small objects, of which one in each arena stays."""
    many = [bytes(400) for _ in range(20 * ARENA // 448)]
    return many[:: ARENA // 448]


def test_unused_pools_go_back_to_the_system():
    _core.give_back_pools()
    few = scattered()
    before = resident()
    given = _core.give_back_pools()
    assert given > 10 * ARENA and given % (POOL - mmap.PAGESIZE) == 0
    assert resident() < before - given // 2
    assert _core.give_back_pools() < ARENA  # those that have been used since
    assert set(few) == {bytes(400)}


@pytest.mark.parametrize("again", [lambda size: size, lambda size: 480 - size], ids=["same size", "others"])
def test_pools_that_were_given_back_are_used_as_new_ones(again: Callable[[int], int]):
    """Those whose blocks had the size that is wanted next, above all: CPython would go on with their list of free ones."""
    for size in range(16, 480, 16):
        few = [bytes([size % 251]) * size for _ in range(4000)][::1000]
        _core.give_back_pools()
        size = again(size)
        blocks = sys.getallocatedblocks()
        fresh = [b"%08d" % n * (size // 8) for n in range(4000)]
        assert sys.getallocatedblocks() - blocks >= 4000
        assert all(text == b"%08d" % n * (size // 8) for n, text in enumerate(fresh))
        assert len({id(text) for text in fresh}) == 4000
        assert len(set(few)) == 1
        del few, fresh
