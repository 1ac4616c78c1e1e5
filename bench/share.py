"""From the start of a cell to the first item that a worker reads, for little data and for much."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import InterpreterPoolExecutor

from bench import data
from bench.harness import Figure, pair
from bench.notebook import Notebook

CELL = """%%parallel --quiet
seen = [(rows[0]["name"], time.perf_counter()) for _ in range(2)]
"""


def first_item(rows: list[dict[str, object]]) -> tuple[object, float]:
    return rows[0]["name"], time.perf_counter()


def figures() -> Iterator[Figure]:
    notebook = Notebook({"time": time})
    ours_by_size = {}
    with InterpreterPoolExecutor(max_workers=1) as executor:
        for megabytes, rounds in {1: 15, 300: 5}.items():
            plain = data.rows(megabytes)
            notebook.names["rows"] = plain
            notebook.run(CELL)  # freezes the rows: a notebook pays that once, whatever number of cells reads them

            def shared() -> float:
                began = time.perf_counter()
                notebook.run(CELL)
                return min(when for _, when in notebook.names["seen"]) - began

            def pickled() -> float:
                began = time.perf_counter()
                return executor.submit(first_item, plain).result()[1] - began  # noqa: B023

            ours, theirs = pair(shared, pickled, rounds)
            ours_by_size[megabytes] = ours
            yield Figure(
                f"share {megabytes} MB with a worker", ours * 1000, theirs * 1000, "ms", "InterpreterPoolExecutor"
            )
    yield Figure(
        "share 300 MB, against 1 MB",
        ours_by_size[300] * 1000,
        ours_by_size[1] * 1000,
        "ms",
        "firn, 1 MB",
        "times the time",
        "does not depend on the size",
    )
