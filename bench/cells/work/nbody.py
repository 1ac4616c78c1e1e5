"""A control: the energies of small planetary systems after a while, one system an iteration."""

from __future__ import annotations

import random

from bench.cells.workload import Names, Workload

CELL = """
result = [energy(speed, steps) for speed in speeds]
"""


def energy(speed, steps):
    bodies = [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47],
        [4.84, -1.16, -0.10, 0.60, 2.81 * speed, -0.02, 0.037],
        [8.34, 4.12, -0.40, -1.01, 1.82 * speed, 0.008, 0.011],
        [12.89, -15.11, -0.22, 1.08, 0.86 * speed, -0.01, 0.0017],
        [15.37, -25.91, 0.17, 0.97, 0.59 * speed, -0.03, 0.002],
    ]
    pairs = [(one, other) for number, one in enumerate(bodies) for other in bodies[number + 1 :]]
    for _ in range(steps):
        for one, other in pairs:
            x, y, z = one[0] - other[0], one[1] - other[1], one[2] - other[2]
            pull = 0.01 / (x * x + y * y + z * z) ** 1.5
            heavy, light = other[6] * pull, one[6] * pull
            one[3] -= x * heavy
            one[4] -= y * heavy
            one[5] -= z * heavy
            other[3] += x * light
            other[4] += y * light
            other[5] += z * light
        for body in bodies:
            body[0] += 0.01 * body[3]
            body[1] += 0.01 * body[4]
            body[2] += 0.01 * body[5]
    moving = sum(0.5 * body[6] * (body[3] ** 2 + body[4] ** 2 + body[5] ** 2) for body in bodies)
    for one, other in pairs:
        x, y, z = one[0] - other[0], one[1] - other[1], one[2] - other[2]
        moving -= one[6] * other[6] / (x * x + y * y + z * z) ** 0.5
    return moving


def data(generator: random.Random, size: float) -> Names:
    return {"speeds": [0.8 + generator.random() / 4 for _ in range(64)], "steps": int(3_000 * size) + 1}


def part(speeds: list[float], start: int, *, steps: int) -> list[float]:
    return [energy(speed, steps) for speed in speeds]


WORKLOAD = Workload("nbody", data, "speeds", CELL, part, definitions=(energy,), shared=False)
