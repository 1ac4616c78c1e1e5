"""Arrays: freezing them against a pickle round trip; calculating with them in a worker, where NumPy cannot load, against
NumPy in the notebook and against lists of floats."""

from __future__ import annotations

import concurrent.interpreters as interpreters
import pickle
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import firn
from firn import _core

from bench.harness import Figure, pair, timed_pair

MEGABYTES = 300
SIDE = 1000  # the arrays have SIDE * SIDE elements: 8 MB

# What a cell would write: with an array (x, flat; grid, square), and with a list of floats (x) or of rows (grid).
# A list of floats is its own tolist().
ACTIONS: dict[str, tuple[str, str]] = {
    "sum": ("x.sum()", "sum(x)"),
    "mean": ("x.mean()", "sum(x) / len(x)"),
    "max": ("x.max()", "max(x)"),
    "sum along axis 0": ("grid.sum(0)", "[sum(column) for column in zip(*grid)]"),
    "sum along axis 1": ("grid.sum(1)", "[sum(row) for row in grid]"),
    "max along axis 0": ("grid.max(0)", "[max(column) for column in zip(*grid)]"),
    "max along axis 1": ("grid.max(1)", "[max(row) for row in grid]"),
    "x * 2 + 1": ("x * 2 + 1", "[value * 2 + 1 for value in x]"),
    "sqrt": ("np.sqrt(x)", "[math.sqrt(value) for value in x]"),
    "x[x > 0.5]": ("x[x > 0.5]", "[value for value in x if value > 0.5]"),
    "10,000 slices of 100": (
        "[x[n : n + 100] for n in range(0, 1_000_000, 100)]",
        "[x[n : n + 100] for n in range(0, 1_000_000, 100)]",
    ),
    "10,000 elements": ("[x[n] for n in range(0, 1_000_000, 100)]", "[x[n] for n in range(0, 1_000_000, 100)]"),
    "iterate": ("sum(1 for value in x)", "sum(1 for value in x)"),
    "tolist": ("x.tolist()", ""),
}


def fastest(expression: str, names: dict[str, Any], times: int = 5) -> float:
    """Seconds of the fastest of some runs."""
    run: Callable[[], object] = eval(f"lambda: {expression}", names)
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        kept = run()
        taken.append(time.perf_counter() - began)
        del kept
    return min(taken)


def in_worker(address: int, expression: str) -> float:
    """Seconds in the interpreter that calls this, where the array at the address is a firn.Array."""
    import firn.arrays

    grid = _core.adopt(address)
    return fastest(expression, {"grid": grid, "x": grid.reshape(-1), "np": firn.arrays})


def freezing(np: ModuleType) -> Iterator[Figure]:
    array = np.random.default_rng(1).random(MEGABYTES * 1_000_000 // 8)

    def round_trip() -> object:
        return pickle.loads(pickle.dumps(array, protocol=5))

    ours, theirs = timed_pair(lambda: firn.freeze(array), round_trip)
    name = f"freeze an ndarray of {MEGABYTES} MB"
    speed = MEGABYTES / 1000
    yield Figure(name, speed / ours, speed / theirs, "GB/s", "pickle 5, dumps + loads", "times the rate")


def figures() -> Iterator[Figure]:
    import math

    import numpy as np

    yield from freezing(np)
    grid = np.random.default_rng(2).random((SIDE, SIDE))
    rows = grid.tolist()
    arrays = {"grid": grid, "x": grid.ravel(), "np": np}
    lists = {"grid": rows, "x": grid.ravel().tolist(), "math": math}
    address = _core.address(firn.freeze(grid))
    worker = interpreters.create()
    for name, (with_array, with_list) in ACTIONS.items():

        def ours(expression: str = with_array) -> float:
            return worker.call(in_worker, address, expression)  # type: ignore[no-any-return]

        took, numpys = pair(ours, lambda: fastest(with_array, arrays), rounds=3)  # noqa: B023
        yield Figure(f"in a worker: {name}", took * 1e3, numpys * 1e3, "ms", "NumPy, notebook", "times the time")
        if with_list:
            took, listed = pair(ours, lambda: fastest(with_list, lists), rounds=3)  # noqa: B023
            yield Figure(f"in a worker: {name}", took * 1e3, listed * 1e3, "ms", "a list of floats")
    worker.close()
