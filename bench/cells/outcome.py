"""What came out: tables of ratios to firn, the targets, and the figures for build/bench.json."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.cells.processes import Times
from bench.cells.workload import CONTROLS, workload
from bench.harness import Figure

type Measure = Callable[[Times], float]
"""Seconds of one peer."""

MEASURES: dict[str, Measure] = {
    "first cell": lambda times: times.first,
    "first cell, workers up": lambda times: times.first - times.start,
    "later cells": lambda times: times.quickest,
}
EXPLAINED = {
    "first cell": "bringing up the workers, giving them the data, the result; quickest of the processes",
    "first cell, workers up": "the same without what it takes to bring up workers, where that is apart from giving "
    "them the data",
    "later cells": "the same cell again, all in place; quickest of the runs",
}


@dataclass
class Row:
    """One workload, and what each peer took."""

    key: str
    times: list[Times]

    @property
    def name(self) -> str:
        return workload(self.key).name

    @property
    def control(self) -> bool:
        return self.key in CONTROLS

    def of(self, title: str) -> Times:
        return next(times for times in self.times if times.title == title)

    @property
    def firn(self) -> Times:
        return self.of("firn")

    @property
    def pools(self) -> list[Times]:
        """All that run in parallel but firn."""
        return [times for times in self.times if times.title not in ("firn", "serial")]

    def next_best(self, measure: Measure) -> Times:
        return min(self.pools, key=measure)


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """A table for each measure, in lines: times of firn's time; then the targets."""
    titles = [times.title for times in rows[0].times if times.title != "firn"]
    for name, measure in MEASURES.items():
        yield ""
        yield f"  {name} ({EXPLAINED[name]}), as multiples of firn's time"
        yield f"  {'':16}{'firn':>9}" + "".join(f"{title.replace('processes, ', ''):>18}" for title in titles)
        for row in rows:
            ours = measure(row.firn)
            ratios = "".join(f"{measure(row.of(title)) / ours:>18.2f}" for title in titles)
            yield f"  {row.name:16}{ours * 1000:>6.0f} ms{ratios}"
    yield ""
    for line in targets(rows):
        yield f"  {line}"


def targets(rows: Sequence[Row]) -> Iterator[str]:
    """What is wanted, and in how many rows it holds."""
    shared, controls = [row for row in rows if not row.control], [row for row in rows if row.control]
    first, later = MEASURES["first cell"], MEASURES["later cells"]

    def holds(rows: Sequence[Row], condition: Callable[[Row], bool]) -> str:
        missed = [row.name for row in rows if not condition(row)]
        return f"{len(rows) - len(missed)} of {len(rows)}" + (f" (not: {', '.join(missed)})" if missed else "")

    yield "later cells, shared data: firn first: " + holds(
        shared, lambda row: later(row.firn) <= later(row.next_best(later))
    )
    kept = "processes, fork (kept)"
    yield "  or within 5 % of a pool that was forked before and kept: " + holds(
        shared,
        lambda row: all(later(row.firn) <= later(pool) * (1.05 if pool.title == kept else 1) for pool in row.pools),
    )
    yield "  at least 3 times faster than the next (target: half of them): " + holds(
        shared, lambda row: 3 * later(row.firn) <= later(row.next_best(later))
    )
    yield "first cell, shared data: ahead of every peer that copies or pickles: " + holds(
        shared, lambda row: all(first(row.firn) < first(pool) for pool in row.pools if pool.copies)
    )
    yield "  within 1.5 times of a fork that inherits: " + holds(
        shared, lambda row: all(first(row.firn) <= 1.5 * first(pool) for pool in row.pools if not pool.copies)
    )
    yield "later cells, controls: within 5 % of the best: " + holds(
        controls, lambda row: later(row.firn) <= 1.05 * later(row.next_best(later))
    )


def figures(rows: Sequence[Row]) -> Iterator[Figure]:
    """Each workload beside the next best, on the first cell and on later ones."""
    for row in rows:
        for name in ("first cell", "later cells"):
            measure = MEASURES[name]
            best = row.next_best(measure)
            yield Figure(f"{row.name}, {name}", measure(row.firn), measure(best), "s", f"{best.title}, the next best")
