"""%%parallel --share: variables that code reads in ways that no analysis sees."""

from __future__ import annotations

import pytest

SETUP = """
import sys
table_a, table_b, LIMIT, word = {"x": 1}, {"x": 2}, [3], "hi"
def by_eval(k):
    return eval(f"table_{k}")["x"]
def by_globals(k):
    return globals()["table_" + k]["x"]
def by_main(k):
    return getattr(sys.modules["__main__"], "table_" + k)["x"]
"""


@pytest.fixture(autouse=True)
def setup(notebook):
    notebook.ok(SETUP)


@pytest.mark.parametrize("function", ["by_eval", "by_globals", "by_main"])
def test_globals_by_name(notebook, function):
    notebook.ok(f"%%parallel --share table_a,table_b\nout = [{function}(k) for k in 'abab']")
    assert notebook["out"] == [1, 2, 1, 2]
    assert notebook.report.names("frozen") == "table_a, table_b"
    assert type(notebook["LIMIT"]) is list


@pytest.mark.parametrize("function", ["by_eval", "by_main"])
def test_without_it_the_error_says_what_to_do(notebook, function):
    error = notebook.fails(f"%%parallel\nout = [{function}(k) for k in 'abab']")
    assert isinstance(error, (NameError, AttributeError))
    assert "%%parallel --share table_a" in notebook.shown


def test_the_hint_is_only_for_what_the_notebook_has(notebook):
    notebook.ok("def f(x):\n    return eval('nowhere')")
    notebook.fails("%%parallel\nout = [f(k) for k in 'abab']")
    assert "--share" not in notebook.shown


def test_an_unknown_name(notebook):
    error = notebook.fails("%%parallel --share table_c\nout = [by_eval(k) for k in 'ab']")
    assert "--share table_c" in str(error) and "did you mean table_" in str(error)
    assert "out" not in notebook and type(notebook["table_a"]) is dict


def test_a_name_that_the_cell_makes_first(notebook):
    notebook.ok(
        "%%parallel --share late\nlate = [1, 2]\ndef f(k):\n    return len(eval('late'))\nout = [f(k) for k in 'ab']"
    )
    assert notebook["out"] == [2, 2]


def test_a_name_that_the_cell_changes_afterwards_travels_as_a_copy(notebook):
    notebook.ok("def size():\n    return len(eval('LIMIT'))")
    notebook.ok("%%parallel --share LIMIT\nout = [size() for k in 'ab']\nLIMIT.append(4)")
    assert notebook["out"] == [1, 1] and notebook["LIMIT"] == [3, 4]
    notebook.ok("%%parallel --share LIMIT --copy LIMIT\nout = [size() for k in 'ab']")
    assert notebook["out"] == [2, 2] and type(notebook["LIMIT"]) is list


@pytest.mark.parametrize("code", ["for x in [1, 2]:\n    total += x", "for total in [1, 2]:\n    pass"])
def test_what_the_loop_changes_cannot_be_shared(notebook, code):
    notebook.ok("total = 0")
    error = notebook.fails(f"%%parallel --share total\n{code}")
    assert "line 2" in str(error) and "'total'" in str(error) and "--share" in str(error)


def test_with_each(notebook):
    notebook.ok("%parallel reset")
    notebook.ok("%%parallel --gather got --share table_a\ngot = by_eval('a')")
    assert notebook["got"] == [1, 1]


def test_functions_and_modules(notebook):
    notebook.ok(
        "import math\ndef helper(x):\n    return x + LIMIT[0]\ndef call(name, x):\n    return globals()[name](x)"
    )
    notebook.ok("%%parallel --share helper,math\nout = [call('helper', x) for x in [1, 2]]")
    assert notebook["out"] == [4, 5]
