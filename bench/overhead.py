"""What a parallel cell costs that has nothing to do, with two warm workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import InterpreterPoolExecutor

from bench.harness import Figure, pair, seconds
from bench.notebook import Notebook

CELL = """%%parallel --quiet --workers 2
for _ in range(2):
    pass
"""


def nothing(_: int) -> None:
    pass


def figures() -> Iterator[Figure]:
    notebook = Notebook()
    with InterpreterPoolExecutor(max_workers=2) as executor:
        for _ in range(5):
            notebook.run(CELL)
            list(executor.map(nothing, range(2)))
        ours, theirs = pair(
            lambda: notebook.run(CELL), lambda: seconds(lambda: list(executor.map(nothing, range(2)))), rounds=51
        )
    yield Figure(
        "an empty parallel cell",
        ours * 1000,
        theirs * 1000,
        "ms",
        "InterpreterPoolExecutor.map",
        "times the time",
        "at most 2 ms",
    )
