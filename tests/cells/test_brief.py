"""Short loops that only print or display run in the notebook, and nothing that a user can see differs but the report."""

from __future__ import annotations

import ast
import traceback

import pytest
from firn import brief
from firn.analysis import analyze


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine even a short loop may take long."""
    monkeypatch.setattr(brief, "BUDGET", 5.0)


def test_a_short_loop_is_not_split_and_freezes_nothing(notebook):
    notebook.ok("from collections import Counter\ncounts = Counter('hello world')")
    notebook.ok(
        "%%parallel\nfor x, n in counts.most_common(3):\n    part = n / 11\n    print(f'{x:>3}', round(part, 2))"
    )
    assert notebook.out == "  l 0.27\n  o 0.18\n  h 0.09\n"
    assert type(notebook["counts"]).__name__ == "Counter" and notebook.report.way == "serial"
    assert "line 2: a loop that only shows something ran in the notebook (3 iterations" in str(notebook.report)
    assert notebook["x"] == "h" and notebook["n"] == 1 and notebook["part"] == 1 / 11


def test_other_loops_of_the_cell_are_split(notebook):
    notebook.ok("%%parallel\nsquares = [i * i for i in range(10)]\nfor s in squares:\n    print(s)")
    assert notebook.out == "".join(f"{i * i}\n" for i in range(10))
    assert notebook.report.way == "split" and len(notebook.report.loops) == 1
    assert "line 3: a loop that only shows" in str(notebook.report)


@pytest.mark.parametrize("options", ["--chunk 1", "--workers 2"])
def test_a_cell_that_says_how_is_split(notebook, options):
    notebook.ok(f"%%parallel {options}\nfor s in range(3):\n    print(s)")
    assert notebook.report.way == "split" and notebook.out == "0\n1\n2\n"


def test_when_it_takes_longer_the_workers_get_the_rest(notebook, monkeypatch):
    for budget in (0.0, 1e-9):
        monkeypatch.setattr(brief, "BUDGET", budget)
        notebook.ok("%%parallel\nlast = None\nfor i in range(300):\n    last = i\n    print(i, last)")
        assert notebook.report.way == "split"
        assert notebook.out == "".join(f"{i} {i}\n" for i in range(300))
        assert notebook["last"] == notebook["i"] == 299


def test_an_error_after_the_hand_over_has_its_iteration(notebook, monkeypatch):
    monkeypatch.setattr(brief, "BUDGET", 1e-9)
    error = notebook.fails("%%parallel\nfor i in range(300):\n    print(1 // (i - 40))")
    assert type(error) is ZeroDivisionError and (error.worker_error.index, error.worker_error.item) == (40, 40)
    assert "(in iteration 40, counted from 0, where i = 40" in notebook.shown
    assert notebook.shown.count("-1\n") == 40


def test_an_error_in_the_notebook_is_told_like_a_workers(notebook):
    notebook.ok("i = 'before'")
    error = notebook.fails("%%parallel\nfor i in [2, 1, 0]:\n    print(2 // i)")
    assert type(error) is ZeroDivisionError and notebook["i"] == "before"
    assert (error.worker_error.index, error.worker_error.item, error.worker_error.rank) == (2, 0, None)
    assert notebook.shown.startswith("1\n2\n") and "(in iteration 2, counted from 0, where i = 0)" in notebook.shown
    assert "print(2 // i)" in notebook.shown and "firn/" not in notebook.shown
    assert "brief" not in error.worker_error.traceback
    assert notebook.shown.count("%%parallel") == 1 and "----> 3     print(2 // i)" in notebook.shown
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert frames[-1].f_locals["i"] == 0 and frames[-1].f_code.co_name == "<module>"
    assert not notebook.reports  # no loop has begun: the error says it all


def test_nothing_of_it_stays_in_the_notebook(notebook):
    notebook.ok("%%parallel\nfor i in range(3):\n    print(i)")
    assert [name for name in notebook.shell.user_ns if name.startswith("__firn")] == ["__firn__"]
    notebook.fails("%%parallel\nfor i in range(3):\n    print(1 // i)")
    assert [name for name in notebook.shell.user_ns if name.startswith("__firn")] == ["__firn__"]


def test_last_values_that_could_not_leave_a_worker_stay(notebook):
    notebook.ok("import threading\nlocks = [threading.Lock(), threading.Lock()]")
    notebook.ok("%%parallel\nfor lock in locks:\n    print(type(lock).__name__)")
    assert notebook["lock"] is notebook["locks"][1] and type(notebook["locks"]) is list


def shows(body: str) -> bool:
    tree = ast.parse(f"for x in xs:\n    {body}")
    [loop] = analyze(tree, source="", filename="c", namespace={"xs": [], "f": shows, "rows": []}).loops
    return loop.shows


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("print(x)", True),
        ("display(x)", True),
        ("print(f'{x.name:>10} {rows[0]!r}', ', '.join(x).upper(), sep='')", True),
        ("a, b = x\n    if a: print(a)\n    else: continue", True),
        ("y = x + 1", False),
        ("print(f(x))", False),
        ("print([y for y in x])", False),
        ("print(x.compute())", False),
        ("print(x)\n    while x: pass", False),
        ("total += x\n    print(x)", False),
        ("out.append(x)\n    print(x)", False),
        ("import math\n    print(math.sqrt(x))", False),
    ],
)
def test_which_loops_only_show_something(body, expected):
    assert shows(body) is expected


def test_explain_says_so(notebook):
    notebook.ok("%%parallel --explain\nfor i in range(3):\n    print(i)")
    assert "a short one runs in the notebook" in notebook.reports[0]["text/plain"]


PEEKS = {
    "{k: len(v) for k, v in groups.items()}": {0: 34, 1: 33, 2: 33},
    "[g[:2] for g in groups.values() if g[0] > 0]": [[1, 4], [2, 5]],
    "sum(len(g) for g in groups.values())": 100,
    "{len(g) for g in groups.values()}": {33, 34},
}
GROUPS = "%%parallel\ngroups = {}\nfor n in range(100):\n    groups.setdefault(n % 3, []).append(n)\n"


@pytest.mark.parametrize("peek", PEEKS)
def test_a_last_look_at_what_the_cell_has_made_leaves_it_as_it_is(notebook, peek):
    assert notebook.ok(GROUPS + peek) == PEEKS[peek]
    assert notebook.report.way == "split" and "line 5" in str(notebook.report)
    notebook.ok(f"{GROUPS}print({peek})")
    assert notebook.out == f"{PEEKS[peek]}\n"
    notebook.ok("groups[0].append(7)")


def test_a_look_that_takes_longer_is_handed_out(notebook, monkeypatch):
    monkeypatch.setattr(brief, "BUDGET", 1e-9)
    assert notebook.ok(f"{GROUPS}[g[0] * n for n, g in groups.items()]") == [0, 1, 4]
    assert len(notebook.report.loops) == 2
    error = notebook.fails(f"{GROUPS}[g[40 - n] for n, g in groups.items()]")
    assert type(error) is IndexError


def test_an_error_of_a_look_is_told_like_a_workers(notebook):
    error = notebook.fails(f"{GROUPS}[1 // (n - 1) for n, g in groups.items()]")
    assert type(error) is ZeroDivisionError and error.worker_error.index == 1
    assert "groups" in notebook.shell.user_ns


APPLYING = {
    "drop = [k for k in d if d[k] > 2]\nfor k in drop: del d[k]": "d",
    "gone = [x for x in xs if x % 2]\nfor x in gone:\n    xs.remove(x)": "xs",
    "new = [x * 2 for x in xs]\nfor r, n in zip(rows, new): r['n'] = n": "rows",
    "new = [x * 2 for x in xs]\nfor x in new: out.write(f'{x}\\n')": "out",
    "sums = [x * x for x in xs]\nfor i in range(1, len(sums)):\n    sums[i] = sums[i] + sums[i - 1]": "sums",
    "n = [r['k'] for r in rows]\nfor r in rows:\n    if r['k'] > 1: r['big'] = True": "rows",
}
STATE = "import io\nd = {i: i for i in range(6)}\nxs = [*range(9)]\nrows = [{'k': n} for n in range(9)]\nout = io.StringIO()\n"


@pytest.mark.parametrize("cell", APPLYING)
def test_a_loop_that_applies_what_another_has_found_is_left_serial(notebook, cell):
    names = ("d", "xs", "rows", "new", "sums", "n", "drop", "gone")
    shown = f"[{', '.join(f'globals().get({name!r})' for name in names)}, out.getvalue()]"
    expected = notebook.ok(f"{STATE}{cell}\n{shown}")
    notebook.ok(f"{STATE}\nfor name in {names[3:]!r}: globals().pop(name, None)")
    notebook.ok(f"%%parallel --chunk 1\n{cell}")
    assert repr(notebook.ok(shown)) == repr(expected)
    assert notebook.report.way == "split"


def test_by_itself_it_is_refused(notebook):
    notebook.ok(STATE)
    assert "'rows'" in str(notebook.fails("%%parallel\nfor r in rows: rows[0]['n'] = 1"))
    error = notebook.fails("%%parallel\nn = [x for x in xs]\nfor r in rows:\n    r['n'] = sorted(xs)[0]")
    assert "'r'" in str(error)
