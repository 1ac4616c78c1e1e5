"""Rows classified by a forest of decision trees, which are dicts in dicts."""

from __future__ import annotations

import random

from bench.cells.workload import Names, Workload

CELL = """
result = [vote(forest, row) for row in rows]
"""

FIELDS = ("age", "income", "distance", "visits", "balance", "score")
TREES, DEPTH = 24, 9


def vote(forest, row):
    votes = 0
    for tree in forest:
        while "label" not in tree:
            tree = tree["below" if row[tree["field"]] < tree["limit"] else "above"]
        votes += tree["label"]
    return votes


def grow(generator: random.Random, depth: int) -> dict[str, object]:
    if not depth:
        return {"label": generator.randint(-3, 3)}
    return {
        "field": generator.choice(FIELDS),
        "limit": generator.random(),
        "below": grow(generator, depth - 1),
        "above": grow(generator, depth - 1),
    }


def data(generator: random.Random, size: float) -> Names:
    rows = [{field: generator.random() for field in FIELDS} for _ in range(int(36_000 * size))]
    return {"rows": rows, "forest": [grow(generator, DEPTH) for _ in range(TREES)]}


def part(rows: list[dict[str, float]], start: int, *, forest: list[dict[str, object]]) -> list[int]:
    return [vote(forest, row) for row in rows]


WORKLOAD = Workload("decision forest", data, "rows", CELL, part, definitions=(vote,))
