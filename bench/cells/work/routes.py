"""The length of the cheapest way for each of many trips over a grid of fields that cost differently."""

from __future__ import annotations

import random
from heapq import heappop, heappush

from bench.cells.workload import Names, Workload

CELL = """
result = [cheapest(grid, start, goal) for start, goal in trips]
"""


def cheapest(grid, start, goal):
    height = len(grid)
    width = len(grid[0])
    known = {start: 0}
    queue = [(0, start)]
    while queue:
        cost, place = heappop(queue)
        if place == goal:
            return cost
        if cost > known[place]:
            continue
        row, column = place
        for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= near[0] < height and 0 <= near[1] < width:
                total = cost + grid[near[0]][near[1]]
                if total < known.get(near, 1_000_000_000):
                    known[near] = total
                    heappush(queue, (total, near))
    return None


def data(generator: random.Random, size: float) -> Names:
    side = 1_000
    grid = [generator.choices((1, 1, 2, 3, 9), k=side) for _ in range(side)]
    trips = []
    for _ in range(int(190 * size) + 1):
        row, column = generator.randrange(side - 40), generator.randrange(side - 40)
        trips.append(((row, column), (row + generator.randint(5, 39), column + generator.randint(5, 39))))
    return {"grid": grid, "trips": trips}


def part(trips: list[tuple[tuple[int, int], tuple[int, int]]], start: int, *, grid: list[list[int]]) -> list[int]:
    return [cheapest(grid, one, other) for one, other in trips]


WORKLOAD = Workload(
    "routes on a grid",
    data,
    "trips",
    CELL,
    part,
    definitions=(cheapest,),
    imports="from heapq import heappop, heappush",
)
