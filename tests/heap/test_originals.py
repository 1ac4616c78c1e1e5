"""What was frozen for the workers and stays in use in the notebook: the way back from each copy to its original."""

from __future__ import annotations

import enum
import re
from collections import OrderedDict, deque
from types import MappingProxyType
from typing import Any

import pytest
from firn import _core


class Point:
    def __init__(self, at: list[int]) -> None:
        self.at = at


class Slots:
    __slots__ = ("at",)

    def __init__(self, at: list[int]) -> None:
        self.at = at


class Color(enum.Enum):
    RED = 1


def freeze(value: object, threads: int = 0) -> tuple[_core.Originals, Any, int]:
    """(the way back, the frozen form, its address)."""
    result = _core.freeze_roots({"x": value}, threads=threads, keeps_originals=True)
    assert result.originals is not None
    return result.originals, result.frozen["x"], result.addresses["x"]


VALUES: dict[str, Any] = {
    "list": [1, [2], "text"],
    "tuple": (1, [2]),
    "dict": {"a": {"b": [1]}, (1, 2): [3]},
    "set": {1, (2, 3)},
    "deque": deque([[1]]),
    "ordered": OrderedDict(a=[1]),
    "instance": Point([1]),
    "slots": Slots([1]),
    "tuple with a pattern": (re.compile("a"), [1]),
    "tuple with a member": (Color.RED, [[1]]),
    "bytearray": bytearray(b"abc"),
}


@pytest.mark.parametrize("kind", VALUES)
def test_adopting_a_copy_gives_the_original(kind: str) -> None:
    value = VALUES[kind]
    originals, frozen, address = freeze(value)
    assert _core.adopt(address) is value
    del originals
    assert _core.adopt(address) is frozen or kind in ("tuple with a pattern", "tuple with a member", "bytearray")
    assert _core.adopt(address) is not value


def test_every_container_below_has_its_own() -> None:
    shared: list[int] = [7]
    value = [{"n": [i], "shared": shared, "point": Point([i])} for i in range(100)]
    originals, frozen, _ = freeze(value)
    for row, copy in zip(value, frozen, strict=True):
        for part, other in [(row, copy), (row["n"], copy["n"]), (row["point"].at, copy["point"].at)]:  # type: ignore[attr-defined]
            assert _core.adopt(_core.address(other)) is part
        assert _core.adopt(_core.address(copy["shared"])) is shared
    assert len(originals) == 2 + 4 * 100


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_threads_have_copied(threads: int) -> None:
    value = [[{"n": i, "parts": ([i],)}] for i in range(60_000)]
    originals, frozen, _ = freeze(value, threads)
    for i in range(0, len(value), 997):
        assert _core.adopt(_core.address(frozen[i][0]["parts"])) is value[i][0]["parts"]
    assert len(originals) == 1 + 4 * 60_000


def test_a_mapping_behind_a_proxy_stays_frozen() -> None:
    _, frozen, address = freeze(MappingProxyType({"a": [1]}))
    assert _core.adopt(address) is frozen


class Hooked:
    """Drops what was copied already, when it is asked how it is pickled."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __getstate__(self) -> dict[str, Any]:
        self.rows[0].clear()
        return {}


def test_originals_that_python_code_drops_meanwhile_live_on() -> None:
    rows: list[Any] = [[[str(i)] for i in range(500)]]
    rows.append(Hooked(rows))
    originals, frozen, _ = freeze(rows)
    assert rows[0] == [] and len(frozen[0]) == 500
    dropped = [_core.adopt(_core.address(row)) for row in frozen[0]]
    assert dropped == [[str(i)] for i in range(500)] and type(dropped[0]) is list
    assert len(originals) >= 500


def test_only_the_latest_way_back_counts_that_is_there() -> None:
    value = [[1]]
    first, frozen, address = freeze(value)
    second, _, other = freeze(value)
    assert address != other and _core.adopt(address) is _core.adopt(other) is value
    del first
    assert _core.adopt(address) is frozen and _core.adopt(other) is value
    assert len(second) == 2


def test_a_freeze_that_fails_has_none() -> None:
    before = _core.count_segments()
    with pytest.raises(_core.NotFreezableError):
        _core.freeze_roots({"x": [[1], iter([])]}, keeps_originals=True)
    assert _core.count_segments() == before
