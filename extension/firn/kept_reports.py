"""The session's reports. All but the newest are kept packed: a report has a hundred objects, which are 8 kB, and 1 kB packed."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from firn.report import Report

_LOOSE = 20
_SMALL = 1000  # spans; packing more of them would be felt


class Kept:
    """A report that somebody may ask for: the list of all, or the handle on a cell in the background."""

    __slots__ = ("_report",)

    def __init__(self, report: Report) -> None:
        self._report: Report | bytes = report

    @property
    def report(self) -> Report:
        return pickle.loads(self._report) if isinstance(self._report, bytes) else self._report

    def pack(self) -> None:
        report = self._report
        if isinstance(report, bytes):
            return
        spans = [loop.spans for loop in report.loops] + [peer.spans for peer in report.peers]
        if sum(map(len, spans)) <= _SMALL:
            self._report = pickle.dumps(report, pickle.HIGHEST_PROTOCOL)


class KeptReports:
    """The last reports, `limit` of them at most, oldest first."""

    def __init__(self, limit: int) -> None:
        self._all: deque[Kept] = deque(maxlen=limit)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Report]:
        for kept in tuple(self._all):
            yield kept.report

    def append(self, report: Report) -> Kept:
        kept = Kept(report)
        self._all.append(kept)
        if len(self._all) > _LOOSE:
            self._all[-_LOOSE - 1].pack()
        return kept

    def last(self) -> Report | None:
        return self._all[-1].report if self._all else None
