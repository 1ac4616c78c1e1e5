"""Four rounds of PageRank: the graph stays, the ranks are new in each round, and every worker needs all of them."""

from __future__ import annotations

import random
from operator import truediv

from bench.cells.workload import Call, Names, Workload, flat

ROUNDS = 4

CELL = (
    """
result = ranks
"""
    + """
given = list(map(truediv, result, links))
result = [0.15 / len(links) + 0.85 * sum([given[source] for source in sources]) for sources in incoming]
"""
    * ROUNDS
)


def data(generator: random.Random, size: float) -> Names:
    count = int(75_000 * size)
    incoming: list[list[int]] = [[] for _ in range(count)]
    links = [generator.randint(4, 20) for _ in range(count)]
    for source, number in enumerate(links):
        for _ in range(number):
            incoming[int(count * generator.random() ** 2)].append(source)
    return {"incoming": incoming, "links": links, "ranks": [1 / count] * count}


def part(incoming: list[list[int]], start: int, *, given: list[float], links: list[int], ranks: object) -> list[float]:
    return [0.15 / len(links) + 0.85 * sum([given[source] for source in sources]) for sources in incoming]


def rounds(call: Call, names: Names) -> list[float]:
    result: list[float] = names["ranks"]
    for _ in range(ROUNDS):
        result = flat(call(given=list(map(truediv, result, names["links"], strict=True))))
    return result


WORKLOAD = Workload("PageRank", data, "incoming", CELL, part, rounds=rounds, imports="from operator import truediv")
