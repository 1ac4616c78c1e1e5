"""A cell that runs again: it is not analysed again, unless what the notebook's variables say of its names is another."""

from __future__ import annotations

import ast

import firn
import pytest
from firn.analysis import cell as planning
from IPython.core.compilerop import code_name

LOOP = "%%parallel --workers 2\nfor x in range(6):\n    "


@pytest.fixture(autouse=True)
def named_by_text(notebook, monkeypatch):
    """A cell's file is named by its text, as in a kernel; a console's has the cell's number, too."""
    named = code_name
    monkeypatch.setattr(notebook.shell.compile, "get_code_name", lambda raw, _, number: named(raw, 0))


@pytest.fixture
def analysed(monkeypatch):
    """The analyses that took place, by the number of their statements."""
    found: list[int] = []
    plan = planning._planned
    monkeypatch.setattr(planning, "_planned", lambda tree, *rest: [found.append(len(tree.body)), plan(tree, *rest)][1])
    return found


def twice(notebook, setup: str, cell: str, change: str) -> None:
    """Runs a cell, changes the notebook and runs it again."""
    notebook.ok(setup)
    notebook.ok(cell)
    notebook.ok(change)


def test_an_unchanged_cell_is_analysed_once(notebook, analysed):
    for total in (15, 30, 45):
        notebook.ok("total = 0" if total == 15 else "pass")
        notebook.ok(LOOP + "total += x")
        assert notebook["total"] == total and notebook["x"] == 5
        assert firn.last_report().way == "split"
    assert analysed == [1]


def test_other_values_of_the_same_kind_are_no_reason(notebook, analysed):
    twice(notebook, "rows = [1, 2]", "%%parallel\nfound = [r + 1 for r in rows]", "rows = [5, 6, 7]")
    notebook.ok("%%parallel\nfound = [r + 1 for r in rows]")
    assert notebook["found"] == [6, 7, 8] and analysed == [1]


def test_an_option_is_another_cell(notebook, analysed):
    notebook.ok("total = 0")
    notebook.ok(LOOP + "total += x * 2")
    notebook.ok((LOOP + "total += x * 2").replace("2", "1", 1))
    assert notebook["total"] == 60 and len(analysed) == 2


def test_a_builtin_that_is_shadowed_meanwhile(notebook):
    cell = LOOP + "best = max(best, x)"
    twice(notebook, "best = 0", cell, "def max(a, b):\n    return a + b + 1")
    error = notebook.fails(cell)
    assert "best" in str(error) and notebook["best"] == 5


def test_a_function_that_reads_the_variable_meanwhile(notebook):
    cell = LOOP + "total += weigh(x)"
    twice(notebook, "total = 0\ndef weigh(x):\n    return x", cell, "def weigh(x):\n    return x + total")
    assert "weigh()" in str(notebook.fails(cell)) and notebook["total"] == 15


def test_a_variable_of_another_kind_meanwhile(notebook):
    cell = LOOP + "d[x % 2] += x"
    twice(notebook, "d = [0, 0]", cell, "from collections import defaultdict\nfirst, d = d, defaultdict(int)")
    notebook.ok(cell)
    assert notebook["first"] == [6, 9] and notebook["d"] == {0: 6, 1: 9}


def test_a_variable_that_is_gone_meanwhile(notebook):
    cell = LOOP + "total += x"
    twice(notebook, "total = 0", cell, "del total")
    assert isinstance(notebook.fails(cell), NameError)


def test_an_import_that_is_shadowed_meanwhile(notebook):
    cell = "%%parallel\nc = Counter(x % 2 for x in range(6))"
    twice(notebook, "from collections import Counter", cell, "first = c\ndef Counter(found):\n    return sum(found)")
    notebook.ok(cell)
    assert notebook["first"] == {0: 3, 1: 3} and notebook["c"] == 3


def test_another_syntax_tree_of_the_same_text(notebook):
    class Doubling(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant(node.value * 2) if node.value == 3 else node

    cell = "%%parallel\nfound = [x * 3 for x in range(4)]"
    notebook.ok(cell)
    doubling = Doubling()
    notebook.shell.ast_transformers.insert(0, doubling)
    try:
        notebook.ok(cell)
    finally:
        notebook.shell.ast_transformers.remove(doubling)
    assert notebook["found"] == [0, 6, 12, 18]


def test_a_class_of_the_notebook_is_not_kept_alive(notebook):
    notebook.ok("import weakref\nclass Bag(dict):\n    pass\nbag = Bag()")
    notebook.run(LOOP + "bag[x] = x")
    notebook.ok("seen = weakref.ref(Bag)\ndel Bag, bag")
    notebook.ok("import gc, sys\nsys.last_exc = sys.last_value = sys.last_traceback = None\ngc.collect()")
    assert notebook["seen"]() is None


def test_the_last_values_of_one_run_are_not_anothers(notebook):
    cell = "%%parallel\nfor n in range(3):\n    found = (k for k in range(n))"
    notebook.ok(cell)
    notebook.ok("found = None")
    notebook.ok(cell)
    assert "found" not in notebook
