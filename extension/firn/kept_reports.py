"""The session's reports. All but the newest are kept packed: a report has a hundred objects, which are 8 kB, and 1 kB packed."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firn.report import Report

_LOOSE = 20
_SMALL = 1000  # spans; packing more of them would be felt


class KeptReports:
    """The last reports, `limit` of them at most, oldest first."""

    def __init__(self, limit: int) -> None:
        self._older: deque[bytes | Report] = deque(maxlen=limit - _LOOSE)
        self._newest: deque[Report] = deque()

    def __len__(self) -> int:
        return len(self._older) + len(self._newest)

    def __iter__(self) -> Iterator[Report]:
        yield from (pickle.loads(each) if isinstance(each, bytes) else each for each in tuple(self._older))
        yield from tuple(self._newest)

    def append(self, report: Report) -> None:
        self._newest.append(report)
        if len(self._newest) > _LOOSE:
            self._older.append(_packed(self._newest.popleft()))

    def last(self) -> Report | None:
        return self._newest[-1] if self._newest else None


def _packed(report: Report) -> bytes | Report:
    spans = [loop.spans for loop in report.loops] + [peer.spans for peer in report.peers]
    if sum(map(len, spans)) > _SMALL:
        return report
    return pickle.dumps(report, pickle.HIGHEST_PROTOCOL)
