"""Which parts of a value stand for all of it, when all of it would take too long."""

from __future__ import annotations

import gc
import random
from collections.abc import Collection
from itertools import islice
from typing import Any, Final

import firn
from firn import _core

SMALL: Final = 1_000
"""What leads to fewer objects is small."""

_WEIGHED: Final = 5_000_000  # objects a second that are counted
_LOOK: Final = 64  # so many neighbours are looked at for a way to smaller parts
_FAR: Final = 4096  # where these are in a mapping or a set, at most: one gets there by iterating only
_DEEP: Final = 100  # steps to a small part
_APART: Final = 61  # entries between two of a mapping's or a set's sample, at most, for the same reason
_GOLDEN: Final = (5**0.5 - 1) / 2


def is_large(value: object) -> bool:
    """Whether it leads to many objects. What is not frozen counts as small: all of it has just been copied anyway."""
    return _core.weigh([value], SMALL)[0] >= SMALL


def size(value: object, budget: float, sharers: int) -> tuple[int, int]:
    """The objects that a frozen value leads to, and their bytes. Of more than can be counted: its part of all that was frozen
    with it, of which so many large values take the same."""
    limit = round(SMALL + budget / 2 * _WEIGHED)
    weight = _core.weigh([value], limit)
    if weight[0] < limit:
        return weight
    wanted = _core.segments_of([value])
    segments = [segment for segment in _core.segments() if segment["id"] in wanted]
    objects, size = (sum(segment[what] for segment in segments) // sharers for what in ("objects", "bytes"))
    return max(weight[0], objects), max(weight[1], size)


def count_large(values: Collection[object]) -> int:
    """How many of these take a part of their segment that cannot be told otherwise."""
    limit = max(4 * SMALL, 20 * SMALL // max(1, len(values)))
    return sum(_core.weigh([value], limit)[0] >= limit for value in values)


def sample(value: object, part: int, length: int) -> object:
    """`part` items of a container as an ordinary container of the same kind."""
    items = [firn.thaw(item) for item in picked(value, part, length)]
    if isinstance(value, dict):
        step = _step(part, length)
        return dict(zip(islice(value, 0, part * step, step), items, strict=True))
    return items if isinstance(value, list) else tuple(items) if isinstance(value, tuple) else set(items)


def picked(value: object, part: int, length: int) -> list[Any]:
    """`part` of the items, or of a mapping's values, evenly spread (of a mapping or a set nearer to its start)."""
    if isinstance(value, (list, tuple)):
        # Even, and in step with nothing that repeats in the data.
        return [value[int(length * (index * _GOLDEN % 1))] for index in range(part)]
    assert isinstance(value, (dict, set, frozenset))
    step = _step(part, length)
    return list(islice(value.values() if isinstance(value, dict) else value, 0, part * step, step))


def _step(part: int, length: int) -> int:
    return min(length // part, _APART)


def small_parts(value: object, generator: random.Random) -> list[object]:
    """Some of what a large value leads to: not large themselves, and neighbours."""
    for _ in range(_DEEP):
        parts: list[object] = []
        objects, large = 0, None
        for one in _some_items(value, generator):
            its = _core.weigh([one], SMALL)[0]
            if its >= SMALL:
                large = one
                break
            if its:
                objects += its
                parts.append(one)
            if objects >= SMALL:
                break
        if large is None:
            return parts
        value = large
    return []


def _some_items(value: object, generator: random.Random) -> list[Any]:
    """Neighbours among a container's items, or all that an instance has, in no order."""
    if isinstance(value, (list, tuple)):
        start = generator.randrange(max(1, len(value) - _LOOK))
        items = list(value[start : start + _LOOK])
    elif isinstance(value, (dict, set, frozenset)):
        start = generator.randrange(max(1, min(len(value), _FAR) - _LOOK))
        items = list(islice(value.values() if isinstance(value, dict) else value, start, start + _LOOK))
    else:
        items = gc.get_referents(_core.shallow(value))
    generator.shuffle(items)
    return items
