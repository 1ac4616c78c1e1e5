"""Whole cells in firn and in its peers, from data in memory to the result: `python -m bench cells`.

Ten workloads read shared data, three controls share nothing. Every peer runs each of them in a process of its own, and
gets the data in its best way (`bench.cells.peers` says which). Two things are measured:

- *The first cell*: the data is in memory, nothing else is there. Bringing up the workers and giving them the data count.
- *Later cells*: the same cell again; workers and data are in place.

The peers take turns, and of each one's runs the quickest counts: what else the machine does meets all of them some day.

A pool that was forked when the data existed inherits it, and later cells find it there, for nothing. Such a pool sees
nothing that the notebook has bound or defined since. It is measured twice: kept, which is the best that processes can do
as long as nothing is new, and forked again for each cell, which is what a notebook needs whose next cell has a new function.

To the pools' advantage, their functions come from modules that workers import. What a notebook defines has no such module:
pools that pickle by name cannot run it at all. firn runs the cell as it stands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.cells import outcome
from bench.cells.plot import draw
from bench.cells.processes import measure
from bench.cells.workload import CONTROLS, SHARED
from bench.harness import Figure

QUICK = ("pagerank",)
"""What the smoke run measures: the one that gives its pools something new in each round."""


def figures(quick: int = 0, plot: str = "") -> Iterator[Figure]:
    """All workloads, or with `quick` a small one; draws the plot into the file `plot`."""
    size, rounds, firsts = (0.02, 1, 1) if quick else (1.0, 8, 2)
    rows = []
    for key in QUICK if quick else SHARED + CONTROLS:
        print(f"  {key} ...", file=sys.stderr, flush=True)
        rows.append(outcome.Row(key, measure(key, size, rounds, firsts)))
    print("\n".join(outcome.tables(rows)), flush=True)
    if plot:
        draw(rows, Path(plot))
    yield from outcome.figures(rows)
