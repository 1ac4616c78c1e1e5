"""What a parallel cell did and what it saved: the figures, as data and as one line of text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

from firn.readable import count_objects, named, plural, seconds, size

PHASES = ("notebook", "read", "freeze", "share", "start", "run", "wait", "merge")
"""What the wall time of a cell is made of, see `Loop.phases`; "notebook" is all that ran outside its split loops."""

ENDED = {"KeyboardInterrupt": "interrupted", "CancelledError": "cancelled"}
STOPPED = ("KeyboardInterrupt", "ParallelTimeout", "CancelledError")
"""What a loop fails with that was stopped, rather than by one of its iterations."""

SLOWEST = 5  # iterations or chunks that a report names


@dataclass
class Shared:
    """A variable that the workers read. `how` it got there: "frozen" by this cell, "reused" (frozen before), "copied",
    or "shipped" (a function or a class). `bytes` are those of the pickle where it was copied or shipped."""

    name: str
    type: str
    how: str
    bytes: int = 0


@dataclass(slots=True)  # there may be a million of them
class Span:
    """What one worker did: items `start` to `stop` (exclusive) of a loop, in seconds since the cell's start.

    Before `began` come `setup_seconds`, in which the worker loaded what the loop needs, after `ended` `pack_seconds`, in
    which it froze the results. `delay_seconds` of the time between the two it waited for a CPU that others had.
    `lost` is empty, or why nothing came of it: "stopped" before its end, or whole but "unused".
    """

    rank: int
    start: int
    stop: int
    began: float
    ended: float
    setup_seconds: float = 0.0
    pack_seconds: float = 0.0
    delay_seconds: float = 0.0
    lost: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Slow:
    """One of the slowest iterations (`stop` is `start + 1`, `item` the beginning of its item's repr) or chunks."""

    start: int
    stop: int
    seconds: float
    item: str = ""


@dataclass
class Loop:
    """One split loop or one run of the whole cell in every worker. Times are in seconds.

    `workers` is how many took part, `offered` how many could have. `turn_seconds`: until the pool was free, or a worker
    of a pool that had other jobs before. `unmerged_seconds`: how long the results of a background loop were ready before
    the notebook had time for them.
    `slowest_are` "items" when every iteration was timed, else "chunks", whose time is that of many iterations.
    """

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
    offered: int = 0
    turn_seconds: float = 0.0
    unmerged_seconds: float = 0.0
    slowest: list[Slow] = field(default_factory=list)
    slowest_are: str = "chunks"
    gathered: float = 0.0  # when the notebook had all results, in seconds since the cell's start

    @property
    def size(self) -> int:
        """The workers among whom the loop was split, those included that came too late to get anything."""
        return max(1, self.offered, len({span.rank for span in self.spans}))

    def amount(self) -> str:
        """How much there was to do, for a sentence; of a loop that was stopped, how much of it was done."""
        if self.failed not in STOPPED:
            return plural(self.items, "iteration")
        done = sum(span.stop - span.start for span in self.spans if not span.lost)
        return f"{done:,} of {plural(self.items, 'iteration')} done"

    def pieces(self) -> str:
        """In how many chunks, for a sentence; of a loop that did not come to its end, what became of them."""
        if not self.failed:
            return f"in {plural(self.chunks, 'chunk')}"
        lost = len(self.spans) - self.chunks
        ran = [f"{plural(self.chunks, 'chunk')} ran"] * bool(self.chunks)
        return ", ".join(ran + [f"{plural(lost, 'chunk')} stopped or not used"] * bool(lost)) or "none of them began"

    @property
    def delay_seconds(self) -> float:
        """For how long the workers together waited for a CPU while they were at work that counts."""
        return sum(span.delay_seconds for span in self.spans if not span.lost)

    @property
    def first(self) -> float:
        """When the first worker began with the first item; the loop's end if none did."""
        return min((span.began for span in self.spans), default=self.began + self.wall_seconds)

    @property
    def last(self) -> float:
        """When the last result was ready."""
        return max((span.ended + span.pack_seconds for span in self.spans), default=self.began + self.wall_seconds)

    @property
    def waited_for_turn(self) -> float:
        """The part of the wall time before the first item in which the workers were at other cells' work."""
        return min(max(0.0, self.turn_seconds), max(0.0, self.first - self.began - max(0.0, self.read_seconds)))

    def phases(self) -> dict[str, float]:
        """What the wall time of the loop is made of, in seconds; the sum is the wall time.

        In the notebook: read an iterator to its end, freeze, share (find, pickle and hand over what the loop needs), and
        at the end merge (results become the notebook's objects). "start" ends when the first worker begins. From there
        to the last result, "run" is how long the workers were at work, on average over all. "wait" is the rest: they had
        nothing to do or were at other cells' work, or the results waited for the notebook.
        """
        phases: dict[str, float] = {}
        left = max(0.0, self.first - self.began)
        for name, value in (("read", self.read_seconds), ("turn", self.waited_for_turn), ("freeze", self.freeze_seconds),
                            ("share", self.share_seconds)):  # fmt: skip
            phases[name] = min(max(0.0, value), left)
            left -= phases[name]
        if not self.spans:
            phases["share"] += left
            left = 0.0
        window = max(0.0, self.last - self.first)
        phases["start"] = left
        phases["run"] = min(window, sum(span.seconds + span.pack_seconds for span in self.spans) / self.size)
        rest = max(0.0, self.began + self.wall_seconds - self.last)
        phases["merge"] = 0.0 if self.failed else max(0.0, rest - self.unmerged_seconds)
        phases["wait"] = window - phases["run"] + phases.pop("turn") + (rest - phases["merge"])
        return phases


@dataclass
class Pickled:
    """What sending the same variables to every worker by pickle costs: one `dumps` and one `loads` for each worker.

    Seconds are CPU time. `bytes` are the pickle's, `memory_bytes` those of the objects that one worker's `loads` makes,
    `shared_bytes` those of the frozen values, which are there once. `measured` is "full", or "sample" when the figures
    are extrapolated from a part; `sampled` says which part. `cpus` is how many loads can go on at the same time.
    """

    dumps_seconds: float
    loads_seconds: float
    bytes: int
    workers: int
    measured: str
    sampled: str = ""
    memory_bytes: int = 0
    shared_bytes: int = 0
    cpus: int = 1

    @property
    def seconds(self) -> float:
        """The work of the whole transfer: dumps once, loads in each worker."""
        return self.dumps_seconds + self.workers * self.loads_seconds

    @property
    def elapsed_seconds(self) -> float:
        """The time of the whole transfer, the workers loading at the same time as far as there are CPUs."""
        return self.dumps_seconds + ceil(self.workers / max(1, self.cpus)) * self.loads_seconds


@dataclass
class Peer:
    """A split loop over pickled private copies in other workers; `loop` is its place in `Report.loops`. Times are in
    seconds since its own start; before a worker's first chunk comes its `loads` (`Span.setup_seconds`).

    `equal`: whether the results were the same, None where that cannot be told (`note` says why). `problem`: why it could
    not run.
    """

    name: str
    loop: int
    wall_seconds: float = 0.0
    dumps_seconds: float = 0.0
    bytes: int = 0
    spans: list[Span] = field(default_factory=list)
    equal: bool | None = None
    note: str = ""
    problem: str = ""

    @property
    def loads_seconds(self) -> float:
        """What the slowest worker took to load its copy."""
        return max((span.setup_seconds for span in self.spans), default=0.0)


@dataclass(repr=False)
class Report:
    """A parallel cell in figures. `way` is "split", "each" or "serial"; times are in seconds.

    `serial_seconds` is what the cell would have taken serially: the workers' busy time in place of the loops' own,
    without what they waited for CPUs that others had, and all that ran in the notebook (`read_seconds`: reading
    iterators to their end). `why` says why nothing, or not everything, was split.
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
    peers: list[Peer] = field(default_factory=list)

    @property
    def busy_seconds(self) -> float:
        return sum(loop.busy_seconds for loop in self.loops)

    @property
    def delay_seconds(self) -> float:
        return sum(loop.delay_seconds for loop in self.loops)

    @property
    def delay_each(self) -> float:
        """For how long a worker waited for a CPU, on average."""
        return sum(loop.delay_seconds / loop.size for loop in self.loops)

    @property
    def serial_seconds(self) -> float:
        read = sum(loop.read_seconds for loop in self.loops)
        return self._outside + read + max(0.0, self.busy_seconds - self.delay_seconds)

    @property
    def _outside(self) -> float:
        return max(0.0, self.wall_seconds - sum(loop.wall_seconds for loop in self.loops))

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
    def transfer_seconds(self) -> float:
        """What getting the data to the workers took: freezing and sharing. Starting them is no part of it, nor of
        `Pickled`."""
        return self.freeze_seconds + self.share_seconds

    @property
    def saved_seconds(self) -> float | None:
        """What pickled transfer would have taken longer; negative where it would have been quicker."""
        return None if self.pickled is None else self.pickled.elapsed_seconds - self.transfer_seconds

    @property
    def objects(self) -> int:
        return sum(loop.objects for loop in self.loops)

    @property
    def bytes(self) -> int:
        return sum(loop.bytes for loop in self.loops)

    def amount(self) -> str:
        """What was frozen: 1 object, 812 B; 3.1 million objects, 127 MB."""
        return f"{count_objects(self.objects)}, {size(self.bytes)}"

    @property
    def never_began(self) -> bool:
        """Whether the cell failed before any of its loops began: its error says all there is to say."""
        return bool(self.failed) and self.failed not in STOPPED and not any(loop.spans for loop in self.loops)

    @property
    def workers(self) -> int:
        """How many workers took part."""
        return len({span.rank for loop in self.loops for span in loop.spans})

    @property
    def slower(self) -> bool:
        """Whether the cell took clearly longer than it would have serially."""
        return self.way == "split" and not self.failed and self.wall_seconds > 1.1 * self.serial_seconds

    def phases(self) -> dict[str, float]:
        """What the wall time is made of, in seconds, in the order of `PHASES`; the sum is the wall time."""
        total = dict.fromkeys(PHASES, 0.0)
        total["notebook"] = self._outside
        for loop in self.loops:
            for name, value in loop.phases().items():
                total[name] += value
        return total

    def because(self) -> str:
        """Why the cell was slower than serially: what cost most beside the work itself."""
        own = self.busy_seconds - self.delay_seconds
        if own < 0.002:
            what = "loops" if len(self.loops) > 1 else "loop"
            return f"the {what} took {seconds(own)}, too little to be worth handing out"
        phases = self.phases()
        size = max((loop.size for loop in self.loops), default=1)
        turn = sum(loop.waited_for_turn for loop in self.loops)
        unmerged = sum(loop.unmerged_seconds for loop in self.loops)
        idle = phases["wait"] - turn - unmerged
        costs = {
            f"freezing took {seconds(phases['freeze'])}, which later cells that read the same data do not pay": phases[
                "freeze"
            ],
            f"getting ready what the workers need took {seconds(phases['share'])}": phases["share"],
            f"the workers took {seconds(phases['start'])} to start and to load what they need": phases["start"],
            f"bringing the results back took {seconds(phases['merge'])}": phases["merge"],
            f"other programs had the CPUs: the workers waited {seconds(self.delay_each)} for one, each": self.delay_each,
            f"it waited {seconds(turn)} for its turn, for the workers had other cells' work before": turn,
            f"its results were ready {seconds(unmerged)} before the notebook had time for them": unmerged,
            self._waiting(idle, size): idle,
        }
        return max(costs, key=lambda sentence: costs[sentence])

    def _waiting(self, waited: float, size: int) -> str:
        slow = [one for loop in self.loops if loop.slowest_are == "items" for one in loop.slowest]
        worst = max(slow, key=lambda one: one.seconds, default=None)
        if worst is not None and worst.seconds > waited / max(1, size - 1) / 2 and size > 1:
            return f"iteration {worst.start:,} alone took {seconds(worst.seconds)}, and other workers had nothing to do"
        return f"the workers had nothing to do for {seconds(waited)} of it, on average"

    def to_dict(self) -> dict[str, Any]:
        """All figures, derived ones included, as JSON can hold them."""
        data = asdict(self)
        for name in ("busy_seconds", "delay_seconds", "serial_seconds", "speedup", "freeze_seconds", "share_seconds",
                     "transfer_seconds", "saved_seconds", "objects", "bytes", "workers", "slower"):  # fmt: skip
            data[name] = getattr(self, name)
        data["because"] = self.because() if self.slower else ""
        data["phases"] = self.phases()
        for loop, entry in zip(self.loops, data["loops"], strict=True):
            entry["phases"] = loop.phases()
        for peer, entry in zip(self.peers, data["peers"], strict=True):
            entry["loads_seconds"] = peer.loads_seconds
        if self.pickled is not None:
            data["pickled"]["seconds"] = self.pickled.seconds
            data["pickled"]["elapsed_seconds"] = self.pickled.elapsed_seconds
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
        if self.way == "serial" and not self.failed:
            reason = "; ".join(self.why) or "nothing to split"
            return [f"{head}: ran serially in {seconds(self.wall_seconds)}: {reason}"]
        pieces = []
        if self.failed:
            how = ENDED.get(self.failed, "failed")
            why = "" if self.failed in ENDED else f" ({self.failed})"
            pieces.append(f"{head}: {how} after {seconds(self.wall_seconds)}{why}")
            if self.way == "serial":
                return pieces
        elif self.way == "each":
            pieces.append(f"{head}: ran in every worker, {seconds(self.wall_seconds)}")
        elif self.slower:
            pieces.append(
                f"{head}: slower than serially, {seconds(self.wall_seconds)} instead of {seconds(self.serial_seconds)}: "
                f"{self.because()}"
            )
        else:
            pieces.append(
                f"{head}: {seconds(self.wall_seconds)} instead of {seconds(self.serial_seconds)} ({self.speedup:.1f}×)"
            )
        pieces.append(self.split_text())
        if self.objects:
            what = self.names("frozen") or "what the loop runs over"
            pieces.append(f"froze {what} ({self.amount()}) in {seconds(self.freeze_seconds)}")
        pieces += [f"{how} {names}" for how in ("reused", "copied") if (names := self.names(how))]
        if self.pickled is not None:
            taken = seconds(self.pickled.elapsed_seconds)
            by_pickle = taken if self.pickled.measured == "full" else f"at least {taken}, estimated"
            pieces.append(f"shared in {seconds(self.share_seconds)}, by pickle {by_pickle}")
        return [*pieces, *self._compared(), *self.why, *self.notes, *self.keeping()]

    def _compared(self) -> list[str]:
        """What became of the peers, in a few words each."""
        pieces = []
        for number, loop in enumerate(self.loops):
            peers = [peer for peer in self.peers if peer.loop == number]
            words = [f"{peer.name} {'cannot run it' if peer.problem else self._verdict(peer)}" for peer in peers]
            if words:
                pieces.append(f"line {loop.line} elsewhere: {', '.join(words)}")
        return pieces

    @staticmethod
    def _verdict(peer: Peer) -> str:
        return seconds(peer.wall_seconds) + (" with another result" if peer.equal is False else "")

    def keeping(self) -> list[str]:
        """A sentence on what keeps the originals of frozen variables in memory, if anything does."""
        return (
            [f"the originals stay in memory: {', '.join(self.kept)} still hold{'s' * (len(self.kept) == 1)} them"]
            if self.kept
            else []
        )

    def names(self, how: str) -> str:
        """The variables that got to the workers in one way, for a sentence."""
        return named([item.name for item in self.shared if item.how == how])

    def split_text(self) -> str:
        workers = plural(self.workers, "worker")
        if self.way == "each":
            return workers
        on = f" on {workers}" if self.workers else ""
        if len(self.loops) == 1:
            [loop] = self.loops
            return f"{loop.what}{', ' if loop.failed in STOPPED else ' of '}{loop.amount()}{on}"
        items = sum(loop.items for loop in self.loops)
        return f"{len(self.loops) or 'no'} loops of {plural(items, 'iteration')}{on}"
