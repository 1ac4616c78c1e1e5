"""--seed: the random numbers of split loops and of --each cells depend on nothing but the seed."""

from __future__ import annotations

import pytest

BODY = """
a = [random.random() for x in range(23)]
b = [draw(x) for x in range(23)]
c = []
for x in range(11):
    values = list(range(5))
    random.shuffle(values)
    c.append((values, random.gauss(0, 1), random.gauss(0, 1)))
"""


@pytest.fixture
def numbers(notebook):
    """Runs the cell with some options and a number of workers; its numbers."""
    notebook.ok("import random\ndef draw(x): return random.randint(0, 1000), random.choice('abcdef')")

    def run(options: str, workers: int = 2) -> tuple[list, list, list]:
        notebook.ok(f"%parallel workers {workers}")
        notebook.ok(f"%%parallel {options}{BODY}")
        assert notebook.report.way == "split" and len(notebook.report.loops) == 3
        return notebook["a"], notebook["b"], notebook["c"]

    yield run
    notebook.ok("%parallel workers 2")


def test_the_numbers_are_the_same_for_any_workers_and_chunks(numbers):
    first = numbers("--seed 7")
    for options, workers in [("--chunk 1", 1), ("--chunk 5", 2), ("", 5), ("--workers 1", 2)]:
        assert numbers(f"--seed 7 {options}", workers) == first
    assert numbers("--seed 8") != first
    assert len(set(first[0])) == 23


def test_two_loops_of_a_cell_draw_different_numbers(notebook):
    notebook.ok("import random")
    notebook.ok("%%parallel --seed 1\na = [random.random() for x in range(5)]\nb = [random.random() for x in range(5)]")
    assert set(notebook["a"]).isdisjoint(notebook["b"])
    a = notebook["a"]
    notebook.ok("%%parallel --seed 1\na = [random.random() for x in range(5)]\nb = [random.random() for x in range(5)]")
    assert notebook["a"] == a


def test_without_it_the_notebooks_generator_decides(notebook, numbers):
    notebook.ok("random.seed(1)")
    first = numbers("")
    assert numbers("") != first
    notebook.ok("random.seed(1)")
    assert numbers("--chunk 2", 5) == first


def test_the_notebooks_own_generator_is_left_alone(notebook, numbers):
    notebook.ok("random.seed(1)\nbefore = random.getstate()")
    numbers("--seed 3")
    assert notebook.ok("random.getstate() == before")


def test_each_worker_draws_its_own_numbers(notebook):
    cell = "%%parallel --seed 5 --gather x\nimport random\nx = random.random()"
    notebook.ok("import random")
    notebook.ok(cell)
    first = notebook["x"]
    notebook.ok(cell)
    assert notebook["x"] == first and len(set(first)) == 2
    notebook.ok("random.seed(3)")
    notebook.ok(cell.replace("--seed 5 ", ""))
    first = notebook["x"]
    notebook.ok("random.seed(3)")
    notebook.ok(cell.replace("--seed 5 ", ""))
    assert notebook["x"] == first


def test_a_seed_is_a_number_from_0_upwards(notebook):
    for wrong in ("x", "-1", "1.5"):
        error = notebook.fails(f"%%parallel --seed {wrong}\na = [x for x in range(3)]")
        assert "--seed" in str(error)
    notebook.ok("import random\nn = 4")
    notebook.ok("%%parallel --seed {n}\na = [random.random() for x in range(3)]")
    a = notebook["a"]
    notebook.ok("%%parallel --seed 4\na = [random.random() for x in range(3)]")
    assert notebook["a"] == a


def test_each_cells_stop_in_time(notebook):
    notebook.ok("import time")
    error = notebook.fails("%%parallel --each --timeout 0.3\nwhile True: time.sleep(0.01)")
    assert isinstance(error, TimeoutError) and "--timeout 0.3" in str(error)
    assert notebook.ok("%%parallel --gather r\nr = parallel.rank") is None and notebook["r"] == [0, 1]


def test_who_gives_a_seed_is_not_told_of_it(notebook):
    notebook.ok("import random")
    notebook.ok("%%parallel\na = [random.random() for x in range(50)]")
    assert "--seed fixes" in str(notebook.report.notes)
    notebook.ok("%%parallel --seed 1\na = [random.random() for x in range(50)]")
    assert "--seed fixes" not in str(notebook.report.notes)
