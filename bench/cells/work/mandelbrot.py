"""A control: the Mandelbrot set, one row of points an iteration."""

from __future__ import annotations

import random

from bench.cells.workload import Names, Workload

CELL = """
result = [row_of(y, width) for y in heights]
"""


def row_of(y, width):
    row = []
    for column in range(width):
        c = complex(3.0 * column / width - 2.0, y)
        z = 0j
        for count in range(60):  # noqa: B007
            if z.real * z.real + z.imag * z.imag > 4.0:
                break
            z = z * z + c
        row.append(count)
    return row


def data(generator: random.Random, size: float) -> Names:
    side = int(500 * size) + 4
    return {"heights": [2.0 * number / side - 1.0 for number in range(side)], "width": side}


def part(heights: list[float], start: int, *, width: int) -> list[list[int]]:
    return [row_of(y, width) for y in heights]


WORKLOAD = Workload("mandelbrot", data, "heights", CELL, part, definitions=(row_of,), shared=False)
