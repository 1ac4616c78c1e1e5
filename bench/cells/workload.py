"""What a workload is: its data, the cell as a notebook has it, and the same work in pieces for pools."""

from __future__ import annotations

import importlib
import inspect
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PIECES = 8
"""A pool gets so many tasks for each loop: on two workers enough to even out, and few enough to cost nothing."""

SEED = 20260101

type Names = dict[str, Any]
"""Variables of the notebook."""

type Call = Callable[..., list[Any]]
"""Runs all pieces of a loop in a pool, and gives what they gave in order; its keywords are variables that are new."""


def flat(pieces: Sequence[Sequence[Any]]) -> list[Any]:
    """Lists, one behind the other."""
    return [item for piece in pieces for item in piece]


@dataclass(frozen=True)
class Workload:
    """One workload. The cell binds `result`; `whole` does the same in a pool, by `call`, and gives the result.

    `part(items, start, **shared)` is a piece: the items from iteration `start` on, and the other variables by their names.
    Functions in `definitions` are the notebook's own there; pools get them by import, which is quicker.
    """

    name: str
    data: Callable[[random.Random, float], Names]  # the variables, for a share (0 to 1) of the full size
    items: str  # the variable that is looped over
    cell: str
    part: Callable[..., Any]
    merge: Callable[[list[Any]], Any] = flat
    definitions: tuple[Callable[..., Any], ...] = ()
    imports: str = ""
    shared: bool = True  # False: a control
    rounds: Callable[[Call, Names], Any] | None = None  # for cells with several loops, instead of `merge`

    def make(self, size: float) -> Names:
        """The variables, always the same ones."""
        return self.data(random.Random(SEED), size)

    @property
    def setup(self) -> str:
        """The cell that comes before: imports, functions, classes."""
        return "\n\n".join([self.imports, *(inspect.getsource(one) for one in self.definitions)])

    def whole(self, call: Call, names: Names) -> Any:
        return self.merge(call()) if self.rounds is None else self.rounds(call, names)

    def piece(self, names: Mapping[str, Any], start: int, stop: int, fresh: Mapping[str, Any]) -> Any:
        """What one task of a pool does, with the data at hand."""
        shared = {name: value for name, value in names.items() if name != self.items}
        return self.part(names[self.items][start:stop], start, **(shared | dict(fresh)))

    def bounds(self, names: Names) -> list[tuple[int, int]]:
        count = len(names[self.items])
        edges = [count * number // PIECES for number in range(PIECES + 1)]
        return [(start, stop) for start, stop in itertools.pairwise(edges) if stop > start]


SHARED = (
    "archive_search",
    "closures",
    "pagerank",
    "inverted_index",
    "word_count",
    "edit_distance",
    "decision_forest",
    "routes",
    "json_logs",
    "unicode_names",
)
CONTROLS = ("nbody", "pidigits", "mandelbrot")


def workload(name: str) -> Workload:
    found: Workload = importlib.import_module(f"bench.cells.work.{name}").WORKLOAD
    return found
