"""How long each iteration of a chunk takes, where asking the clock is cheap beside it; of quick ones only the chunk's
time is known. One stopwatch belongs to one job in one worker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from heapq import nlargest
from time import perf_counter

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

FEW: Final = 8
"""So many iterations are timed however quick they are."""

WORTH: Final = 20e-6
"""Seconds: from here on the 0.1 µs of a look at the clock does not matter."""

KEPT: Final = 5
"""The slowest iterations of a chunk that the notebook is told of."""


class Stopwatch:
    """Times the iterations of a chunk. Between two chunks it remembers how quick the last one's were."""

    def __init__(self) -> None:
        self._typical = 0.0
        self._began = 0.0
        self._times: list[float] = []

    def watched(self, items: Iterator[Any], length: int) -> Iterator[Any]:
        """The items of the next chunk, timed if that is cheap. A single one is not: its time is the chunk's."""
        self._times = []
        self._began = perf_counter()
        return self._timed(items) if 1 < length <= FEW or (length > 1 and self._typical >= WORTH) else items

    def _timed(self, items: Iterator[Any]) -> Iterator[Any]:
        note = self._times.append
        for item in items:
            note(perf_counter())
            yield item

    def slowest(self, start: int, length: int) -> tuple[tuple[float, int], ...]:
        """(seconds, index) of the slowest iterations of the chunk that has just ended; empty if they were not timed."""
        ended = perf_counter()
        self._typical = (ended - self._began) / length
        times = self._times
        if not times:
            return ()
        times.append(ended)
        taken = [after - before for before, after in itertools.pairwise(times)]
        return tuple(nlargest(KEPT, zip(taken, range(start, start + length), strict=False)))
