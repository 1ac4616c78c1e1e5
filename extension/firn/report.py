"""What a parallel cell did and what it saved: the figures, as data and as one line of text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Shared:
    """A variable that the workers read. `how` it got there: "frozen" by this cell, "reused" (frozen before), "copied",
    or "shipped" (a function or a class). `bytes` are those of the pickle where it was copied or shipped."""

    name: str
    type: str
    how: str
    bytes: int = 0


@dataclass
class Span:
    """What one worker did: items `start` to `stop` (exclusive) of a loop, in seconds since the cell's start."""

    rank: int
    start: int
    stop: int
    began: float
    ended: float


@dataclass
class Loop:
    """One split loop or one run of the whole cell in every worker. Times are in seconds."""

    line: int
    what: str
    source: str
    items: int = 0
    workers: int = 0
    chunks: int = 0
    began: float = 0.0
    wall_seconds: float = 0.0
    read_seconds: float = 0.0
    busy_seconds: float = 0.0
    objects: int = 0
    bytes: int = 0
    freeze_seconds: float = 0.0
    share_seconds: float = 0.0
    merge_seconds: float = 0.0
    spans: list[Span] = field(default_factory=list)
    failed: str = ""


@dataclass
class Pickled:
    """What sending the same variables to every worker by pickle costs: one `dumps` and one `loads` for each worker.

    `measured` is "full", or "sample" when the figures are extrapolated from a part; `sampled` says which part.
    """

    dumps_seconds: float
    loads_seconds: float
    bytes: int
    workers: int
    measured: str
    sampled: str = ""

    @property
    def seconds(self) -> float:
        """The whole transfer: dumps once, loads in each worker."""
        return self.dumps_seconds + self.workers * self.loads_seconds


@dataclass(repr=False)
class Report:
    """A parallel cell in figures. `way` is "split", "each" or "serial"; times are in seconds.

    `serial_seconds` is what the cell would have taken serially: the workers' busy time in place of the loops' own,
    and all that ran in the notebook (`read_seconds`: reading iterators to their end). `why` says why nothing, or not everything, was split.
    """

    cell: int | None = None
    way: str = "serial"
    wall_seconds: float = 0.0
    loops: list[Loop] = field(default_factory=list)
    shared: list[Shared] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    pickled: Pickled | None = None
    why: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: str = ""

    @property
    def busy_seconds(self) -> float:
        return sum(loop.busy_seconds for loop in self.loops)

    @property
    def serial_seconds(self) -> float:
        outside = max(0.0, self.wall_seconds - sum(loop.wall_seconds for loop in self.loops))
        return outside + sum(loop.read_seconds for loop in self.loops) + self.busy_seconds

    @property
    def speedup(self) -> float:
        return self.serial_seconds / self.wall_seconds if self.wall_seconds > 0 else 1.0

    @property
    def freeze_seconds(self) -> float:
        return sum(loop.freeze_seconds for loop in self.loops)

    @property
    def share_seconds(self) -> float:
        return sum(loop.share_seconds for loop in self.loops)

    @property
    def objects(self) -> int:
        return sum(loop.objects for loop in self.loops)

    @property
    def bytes(self) -> int:
        return sum(loop.bytes for loop in self.loops)

    @property
    def workers(self) -> int:
        """How many workers took part."""
        return len({span.rank for loop in self.loops for span in loop.spans})

    @property
    def slower(self) -> bool:
        """Whether the cell took clearly longer than it would have serially."""
        return self.way == "split" and self.wall_seconds > 1.1 * self.serial_seconds + 0.002

    def to_dict(self) -> dict[str, Any]:
        """All figures, derived ones included, as JSON can hold them."""
        data = asdict(self)
        for name in ("busy_seconds", "serial_seconds", "speedup", "freeze_seconds", "share_seconds", "objects"):
            data[name] = getattr(self, name)
        data["bytes"], data["workers"], data["slower"] = self.bytes, self.workers, self.slower
        if self.pickled is not None:
            data["pickled"]["seconds"] = self.pickled.seconds
        data["text"] = str(self)
        return data

    def __str__(self) -> str:
        return " · ".join(self.parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from firn.report_html import render

        return render(self)

    def parts(self) -> list[str]:
        """The pieces of the line of text."""
        head = f"firn [{self.cell}]" if self.cell is not None else "firn"
        if self.way == "serial":
            reason = "; ".join(self.why) or "nothing to split"
            return [f"{head}: ran serially in {seconds(self.wall_seconds)}: {reason}"]
        pieces = []
        if self.failed:
            pieces.append(f"{head}: failed after {seconds(self.wall_seconds)} ({self.failed})")
        elif self.way == "each":
            pieces.append(f"{head}: ran in every worker, {seconds(self.wall_seconds)}")
        elif self.slower:
            pieces.append(
                f"{head}: slower than serially, {seconds(self.wall_seconds)} instead of {seconds(self.serial_seconds)}"
            )
        else:
            pieces.append(
                f"{head}: {seconds(self.wall_seconds)} instead of {seconds(self.serial_seconds)} ({self.speedup:.1f}×)"
            )
        pieces.append(self.split_text())
        if self.objects:
            what = f"froze {self.names('frozen')}".rstrip()
            pieces.append(
                f"{what} ({count(self.objects)} objects, {size(self.bytes)}) in {seconds(self.freeze_seconds)}"
            )
        pieces += [f"{how} {names}" for how in ("reused", "copied") if (names := self.names(how))]
        if self.pickled is not None:
            label = "" if self.pickled.measured == "full" else ", estimated"
            pieces.append(f"shared in {seconds(self.share_seconds)}, by pickle {seconds(self.pickled.seconds)}{label}")
        return [*pieces, *self.why, *self.notes, *self.keeping()]

    def keeping(self) -> list[str]:
        """A sentence on what keeps the originals of frozen variables in memory, if anything does."""
        return (
            [f"the originals stay in memory: {', '.join(self.kept)} still hold{'s' * (len(self.kept) == 1)} them"]
            if self.kept
            else []
        )

    def names(self, how: str) -> str:
        """The variables that got to the workers in one way, for a sentence."""
        found = [item.name for item in self.shared if item.how == how]
        return ", ".join(found) if len(found) <= 4 else f"{', '.join(found[:3])} and {len(found) - 3} more"

    def split_text(self) -> str:
        workers = f"{self.workers} worker{'s' if self.workers != 1 else ''}"
        if self.way == "each":
            return workers
        on = f" on {workers}" if self.workers else ""
        items = sum(loop.items for loop in self.loops)
        loops = f"{len(self.loops)} loops" if len(self.loops) > 1 else self.loops[0].what if self.loops else "no loop"
        return f"{loops} of {items:,} iteration{'s' if items != 1 else ''}{on}"


def seconds(value: float) -> str:
    """A time as a reader wants it: 35 µs, 1.2 ms, 0.38 s, 12.5 s, 3 min 5 s."""
    if value < 0.9995e-3:
        return f"{value * 1e6:.0f} µs"
    if value < 0.0995:
        return f"{value * 1e3:.1f} ms" if value < 0.00995 else f"{value * 1e3:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def size(value: float) -> str:
    """A size in memory, in powers of ten: 812 B, 3.4 kB, 127 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def count(value: int) -> str:
    """A number of objects: 812, 70,735, 3.1 million."""
    return f"{value:,}" if value < 1_000_000 else f"{value / 1e6:.1f} million"
