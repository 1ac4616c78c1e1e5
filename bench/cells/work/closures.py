"""All that a package needs, directly or not, for each package: the transitive closures of a graph in a dict."""

from __future__ import annotations

import random

from bench.cells.work.texts import vocabulary
from bench.cells.workload import Names, Workload, flat

CELL = """
result = {name: len(closure(depends, name)) for name in names}
"""


def closure(depends, name):
    found = set()
    left = [name]
    while left:
        for other in depends[left.pop()]:
            if other not in found:
                found.add(other)
                left.append(other)
    return found


def data(generator: random.Random, size: float) -> Names:
    names = vocabulary(generator, int(25_000 * size))
    depends = {
        name: [names[int(number * generator.random())] for _ in range(generator.choice((1, 1, 2, 2, 3)))]
        if number
        else []
        for number, name in enumerate(names)
    }
    return {"names": names, "depends": depends}


def part(names: list[str], start: int, *, depends: dict[str, list[str]]) -> list[tuple[str, int]]:
    return [(name, len(closure(depends, name))) for name in names]


WORKLOAD = Workload(
    "closures", data, "names", CELL, part, merge=lambda pieces: dict(flat(pieces)), definitions=(closure,)
)
