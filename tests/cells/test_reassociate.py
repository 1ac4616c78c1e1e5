"""--reassociate: numbers with a fraction are added up in the workers, in parts that the loop's length alone fixes."""

from __future__ import annotations

import math

import pytest

SETUP = """
import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
random.seed(3)
numbers = [random.choice((1, -1)) * random.random() * 10 ** random.randint(-9, 9) for n in range(3000)]
keys = [n % 7 for n in range(3000)]
"""

CELL = """
plain = sum(x for x in numbers)
begun = sum((x for x in numbers), 0.5)
total = 0.0
product = 1
less = 10.0
of = {}
by = defaultdict(lambda: defaultdict(float))
stats = {}
for x, k in zip(numbers, keys):
    total += x
    product *= 1 + x / 1e10
    less = less - x
    of[k] = of.get(k, 0) + x
    by[k % 2][k] += x
    if k not in stats:
        stats[k] = {"n": 0, "sum": 0.0}
    stats[k]["n"] += 1
    stats[k]["sum"] += x
"""

NAMES = ("plain", "begun", "total", "product", "less", "of", "by", "stats")


@pytest.fixture
def sums(notebook):
    """Runs the cell with some options and a number of workers; its sums."""
    notebook.ok(SETUP)

    def run(options: str, workers: int = 2) -> list:
        notebook.ok(f"%parallel workers {workers}")
        notebook.ok(f"%%parallel {options}{CELL}" if options is not None else CELL)
        return [notebook[name] for name in NAMES]

    yield run
    notebook.ok("%parallel workers 2")


def near(one, other):
    if isinstance(one, dict):
        return list(one) == list(other) and all(near(one[key], other[key]) for key in one)
    return type(one) is type(other) and math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-3)


def test_the_sums_are_near_the_serial_ones_and_the_same_for_any_workers(notebook, sums):
    notebook.ok(CELL)
    serial = [notebook[name] for name in NAMES]
    first = sums("--reassociate")
    assert notebook.report.way == "split" and len(notebook.report.loops) == 3
    assert near(dict(enumerate(serial)), dict(enumerate(first)))
    assert first != serial  # else the cell shows nothing
    for workers in (1, 3, 5):
        assert sums("--reassociate", workers) == first
    assert sums("--workers 2") == serial
    assert near(dict(enumerate(serial)), dict(enumerate(sums("--reassociate --chunk 1000"))))


@pytest.mark.parametrize("start", ["0", "0.0", "True", "Fraction(1, 3)", "Decimal(2)", "[]", "''", "()"])
@pytest.mark.parametrize(
    "values",
    [
        "[n for n in range(40)]",
        "[n % 2 == 0 for n in range(40)]",
        "[Fraction(n, 3) for n in range(40)]",
        "[Decimal(n) / 7 for n in range(40)]",
        "[[n] for n in range(40)]",
        "[str(n) for n in range(40)]",
        "[(n,) for n in range(40)]",
        "[]",
        "[10 ** 400, 0.5]",
        "[-0.0] * 3",
    ],
)
def test_everything_else_is_what_the_serial_cell_gives(notebook, values, start):
    notebook.ok("from fractions import Fraction\nfrom decimal import Decimal")
    notebook.ok(f"items = {values}")

    def run(head: str) -> object:
        found = notebook.run(f"{head}\ntotal = {start}\nfor item in items:\n    total += item")
        if found.error_in_exec is not None:
            return type(found.error_in_exec)
        return repr(notebook["total"]), notebook["total"].__class__.__name__

    serial = run("")
    assert run("%%parallel --reassociate --chunk 7") == serial
    assert run("%%parallel --reassociate") == serial


def test_it_is_seen_beforehand_and_in_the_background(notebook, sums):
    notebook.ok(f"%%parallel --explain --reassociate{CELL}")
    assert "an augmented assignment, in parts" in str(notebook.reports)
    first = sums("--reassociate")
    notebook.ok(f"%%parallel --background job --reassociate{CELL}")
    notebook.ok("job.result()")
    assert [notebook[name] for name in NAMES] == first


@pytest.mark.parametrize("other", ["--each", "--serial"])
def test_it_needs_split_loops(notebook, other):
    error = notebook.fails(f"%%parallel --reassociate {other}\nx = 1")
    assert "--reassociate" in str(error) and other in str(error)


def test_the_serial_cell_takes_no_seed(notebook):
    assert "--seed" in str(notebook.fails("%%parallel --serial --seed 0\nx = 1"))


def test_what_the_background_reads_unseen_is_shared(notebook):
    notebook.ok("hidden = 3\ndef look(name): return globals()[name]")
    notebook.ok("%%parallel --background job --share hidden\nfound = [look('hidden') * n for n in range(40)]")
    notebook.ok("job.result()")
    assert notebook["found"] == [3 * n for n in range(40)]
