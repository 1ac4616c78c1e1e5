"""A control: digits of pi by Gibbons's spigot, in integers that grow."""

from __future__ import annotations

import random

from bench.cells.workload import Names, Workload

CELL = """
result = [digits(count) for count in counts]
"""


def digits(count):
    found = []
    q, r, t, k, n, l = 1, 0, 1, 1, 3, 3
    while len(found) < count:
        if 4 * q + r - t < n * t:
            found.append(n)
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, n, k, l = (
                q * k,
                (2 * q + r) * l,
                t * l,
                (q * (7 * k + 2) + r * l) // (t * l),
                k + 1,
                l + 2,
            )
    return "".join(map(str, found))


def data(generator: random.Random, size: float) -> Names:
    return {"counts": [generator.randint(int(640 * size) + 5, int(680 * size) + 6) for _ in range(64)]}


def part(counts: list[int], start: int) -> list[str]:
    return [digits(count) for count in counts]


WORKLOAD = Workload("pidigits", data, "counts", CELL, part, definitions=(digits,), shared=False)
