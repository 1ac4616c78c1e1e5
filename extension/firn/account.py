"""Writes down what the report of one cell tells: who did what and when, what was shared, and what else is to be said."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import firn
from firn import errors, slowest
from firn.analysis import CellPlan
from firn.compare import Comparison
from firn.items import Items
from firn.jobs import Outcome
from firn.options import Options
from firn.readable import seconds
from firn.report import Loop, Report, Shared, Span
from firn.shipping import Shipment

RANDOM = "each iteration draws random numbers of its own, which random.seed() or --seed fixes: not the serial cell's"
NO_PEERS = "--compare full runs split loops in other pools; a cell that runs whole in every worker has none"
BUDGET = 0.02  # the part of a cell's time that measuring its pickled transfer may take


@dataclass
class Account:
    """Of one execution of a cell; `began` is when its clock started, which stands still during comparisons."""

    report: Report = field(default_factory=Report)
    began: float = field(default_factory=time.perf_counter)
    _runs: int = 1
    _split_already: set[int] = field(default_factory=set)
    _shared: dict[str, object] = field(default_factory=dict)
    _sharers: int = 0

    @property
    def now(self) -> float:
        """Seconds since the cell began."""
        return time.perf_counter() - self.began

    def note(self, text: str) -> None:
        if text not in self.report.notes:
            self.report.notes.append(text)

    def enter(self, line: int, what: str, source: str, way: str, index: int = 0) -> Loop:
        """A new entry for the loop with this index, or for a whole cell. What runs again (%%timeit) starts the report anew,
        which is then about the last run of the cell."""
        report = self.report
        if index in self._split_already:
            self._runs += 1
            self._split_already.clear()
            report.loops.clear()
            report.shared.clear()
            report.peers.clear()
            self.began = time.perf_counter()
        self._split_already.add(index)
        entry = Loop(line, what, source, began=self.now)
        report.way = way
        report.loops.append(entry)
        return entry

    def leave(self, entry: Loop) -> None:
        entry.wall_seconds = self.now - entry.began

    def was_short(self, entry: Loop) -> None:
        """Takes a loop that ran in the notebook out of the report's split ones, and says so."""
        report = self.report
        report.why.append(errors.too_short(entry.line, entry.items, seconds(self.now - entry.began)))
        report.loops = [loop for loop in report.loops if loop is not entry]
        if not report.loops:
            report.way = "serial"

    def add_shipment(
        self,
        shipment: Shipment,
        entry: Loop,
        namespace: Mapping[str, object],
        options: Options,
        copied: Collection[str],
        read: Collection[str] = (),
    ) -> None:
        """What was frozen, reused, copied and shipped; `copied` are the variables of which the workers get copies, `read`
        the names that what is run over has."""
        figures = shipment.figures
        entry.objects, entry.bytes, entry.freeze_seconds = figures.objects, figures.bytes, figures.seconds
        for how, sizes in (("frozen", dict.fromkeys(figures.frozen, 0)), ("reused", dict.fromkeys(figures.reused, 0)),
                           ("copied", figures.copied), ("shipped", figures.shipped)):  # fmt: skip
            for name, size in sizes.items():
                self._add_shared(
                    name, namespace.get(name), "copied" if how == "frozen" and name in copied else how, size
                )
                if how in ("frozen", "reused"):
                    self._shared[name] = namespace.get(name)
        known = {item.name for item in self.report.shared}
        for name in sorted(read):
            value = namespace.get(name)
            if name not in known and not isinstance(value, str | bytes | int | float | None) and firn.is_frozen(value):
                self._add_shared(name, value, "frozen" if name in shipment.frozen else "reused")
                self._shared[name] = value
        if figures.holders:
            self.note(errors.hold_frozen(figures.holders))
        if figures.random and options.seed is None:
            self.note(RANDOM)
        self.report.kept += [place for place in figures.kept if place not in self.report.kept]

    def _add_shared(self, name: str, value: object, how: str, size: int = 0) -> None:
        if all(item.name != name for item in self.report.shared):
            self.report.shared.append(Shared(name, value.__class__.__name__, how, size))

    def add_outcome(self, entry: Loop, outcome: Outcome, prepare_seconds: float) -> None:
        """Who did what, and when; `prepare_seconds` is what it took until the pool had the job."""
        for done in outcome.spans:
            span = Span(
                done.rank,
                done.start,
                done.stop,
                done.began - self.began,
                done.ended - self.began,
                done.setup_seconds,
                done.pack_seconds,
                done.delay_seconds,
                done.lost,
            )
            entry.spans.append(span)
        used = [done for done in outcome.spans if not done.lost]
        entry.busy_seconds += sum(done.ended - done.began for done in used)
        entry.chunks = len(used)
        entry.workers = len({done.rank for done in outcome.spans})
        self._sharers = max(self._sharers, entry.workers)
        entry.share_seconds = max(0.0, prepare_seconds - entry.freeze_seconds)
        slowest.find(entry, used)
        for rank in outcome.abandoned:
            self.note(f"worker {rank} did not stop and was replaced: its work may go on for a while")

    def add_items(self, entry: Loop, items: Items | None, skipped: int) -> None:
        """What the slowest iterations were about; `items` are those after the `skipped` first ones, which ran here."""
        entry.gathered = self.now
        slowest.describe(entry, items)
        for slow in entry.slowest:
            slow.start, slow.stop = slow.start + skipped, slow.stop + skipped

    def loop_failed(self, entry: Loop, error: BaseException) -> None:
        entry.failed = type(error).__name__
        self.report.failed = self.report.failed or entry.failed

    def cell_ended(self, error: BaseException | None) -> None:
        """How the whole cell ended, which may have caught what a loop raised, or have failed beside its loops."""
        report = self.report
        if error is None and report.failed:
            self.note(f"the cell caught the {report.failed} that its loop raised")
            report.failed = ""
        elif error is not None and not report.failed:
            report.failed = type(error).__name__

    def close(
        self, options: Options, plan: CellPlan | None, together: Collection[str], comparison: Comparison
    ) -> Report:
        """The report at the cell's end: the wall time, then the comparison within its budget. `together` are variables that
        have objects in common with others that were copied."""
        report = self.report
        report.wall_seconds = self.now
        changed = plan.mutated_later if plan is not None else set()
        known = changed or (plan is not None and any(loop.besides for loop in plan.loops))
        others = "what the cell changes after the loop" if known else "what --copy names"
        for names, why in (
            (changed, ", for the cell changes it after the loop"),
            (together, f", for objects that it has in common with {others}"),
        ):
            if copied := [item.name for item in report.shared if item.how == "copied" and item.name in names]:
                self.note(f"the workers got a copy of {', '.join(copied)}{why}")
        if self._runs > 1:
            self.note(f"the cell ran {self._runs} times; the figures are those of the last")
        if plan is not None:
            report.why += [note for note in plan.notes if note not in report.why]
        if report.way == "each" and options.compare == "full":
            self.note(NO_PEERS)
        if report.way != "serial" and options.compare != "off" and not report.failed:
            budget = None if options.compare == "full" else BUDGET * report.wall_seconds
            report.pickled = comparison.measure(self._shared, max(1, self._sharers), budget=budget)
            if comparison.unknown:
                self.note(f"no figure for pickled transfer: {comparison.unknown}")
        self._shared.clear()  # a run that is remembered needs no data
        return report
