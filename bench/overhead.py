"""What parallel cells cost that is no work: a cell that has nothing to do, one more chunk, items that are hardly any work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import InterpreterPoolExecutor

from bench.harness import Figure, pair, quickest_pair
from bench.notebook import Notebook

CELL = """%%parallel --quiet --workers 2
for _ in range(2):
    pass
"""

CHUNKS = """%%parallel --quiet --workers 2 --chunk 1
for _ in range({count}):
    pass
"""
FEW, MANY = 2, 1002

ITEMS = 1_000_000
TRIVIAL = {
    "for loop that adds them up": "total = 0\nfor x in {items}:\n    total += x",
    "for loop that adds up floats": "total = 0.0\nfor x in {items}:\n    total += x * 0.5",
    "comprehension": "found = [x + 1 for x in {items}]",
    "comprehension of floats": "found = [x * 0.5 for x in {items}]",
    "comprehension of pairs": "found = [(x, x + 1) for x in {items}]",
    "sum of a generator": "total = sum(x for x in {items})",
    "maximum of floats": "found = max(x * 0.5 for x in {items})",
}


def nothing(_: int) -> None:
    pass


def figures() -> Iterator[Figure]:
    notebook = Notebook()
    with InterpreterPoolExecutor(max_workers=2) as executor:
        for _ in range(5):
            notebook.run(CELL)
            list(executor.map(nothing, range(2)))
        for when, rest in (("", 0.0), (", after a rest of 100 ms", 0.1)):
            ours, theirs = pair(
                lambda: _after(rest, lambda: notebook.run(CELL)),  # noqa: B023
                lambda: _after(rest, lambda: list(executor.map(nothing, range(2)))),  # noqa: B023
                rounds=51,
            )
            yield Figure(
                f"an empty parallel cell{when}",
                ours * 1000,
                theirs * 1000,
                "ms",
                "InterpreterPoolExecutor.map",
                "times the time",
                "" if rest else "at most 2 ms",
            )
    with InterpreterPoolExecutor(max_workers=2) as executor:
        ours, theirs = _slopes(notebook, executor)
    yield Figure(
        "one more chunk", ours * 1e6, theirs * 1e6, "µs", "a task of that executor", "times the time", "at most 30 µs"
    )
    yield from _trivial(notebook)


def _after(rest: float, action: Callable[[], object]) -> float:
    """Seconds that an action takes. After a rest the caches are cold and the CPUs asleep, as between a user's cells."""
    time.sleep(rest)
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _slopes(notebook: Notebook, executor: InterpreterPoolExecutor) -> tuple[float, float]:
    """Seconds that one more chunk costs, and one more task of an executor, with two workers."""
    for count in (FEW, MANY):
        notebook.run(CHUNKS.format(count=count))
        list(executor.map(nothing, range(count)))
    few, theirs_few = quickest_pair(
        lambda: notebook.run(CHUNKS.format(count=FEW)), lambda: list(executor.map(nothing, range(FEW))), rounds=15
    )
    many, theirs_many = quickest_pair(
        lambda: notebook.run(CHUNKS.format(count=MANY)), lambda: list(executor.map(nothing, range(MANY))), rounds=15
    )
    return (many - few) / (MANY - FEW), (theirs_many - theirs_few) / (MANY - FEW)


def _trivial(notebook: Notebook) -> Iterator[Figure]:
    """A million items that are hardly any work, on one worker and in the plain cell, over a list that is not frozen."""
    notebook.names.update(items=list(range(ITEMS)), plain=list(range(ITEMS)))
    for name, cell in TRIVIAL.items():
        split = "%%parallel --quiet --workers 1\n" + cell.format(items="items")
        serial = cell.format(items="plain")
        notebook.run(split)
        ours, theirs = quickest_pair(lambda: notebook.run(split), lambda: notebook.run(serial), rounds=15)  # noqa: B023
        yield Figure(
            f"{ITEMS:,} trivial items, a {name}",
            ours * 1000,
            theirs * 1000,
            "ms",
            "the plain cell, serial",
            "times the time",
            "at most 1.3, on one worker",
        )
