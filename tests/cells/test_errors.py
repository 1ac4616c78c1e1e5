"""What is told of an exception of a worker: index, item, rank, traceback; whatever its class does."""

from __future__ import annotations

import copy
import io
import pdb
import pickle
import sys
import traceback

import firn
import pytest

SETUP = """
rows = [{"id": i, "v": i - 5} for i in range(10)]
def invert(row):
    inside = row["v"] * 1
    return 1 / inside
def go(error, *arguments):
    raise error(*arguments)
"""


@pytest.fixture(autouse=True)
def setup(notebook):
    notebook.ok(SETUP)


def test_the_details_are_an_attribute_of_the_original(notebook):
    error = notebook.fails("%%parallel --chunk 1\nout = [invert(row) for row in rows]")
    assert type(error) is ZeroDivisionError
    details = error.worker_error
    assert type(details) is firn.WorkerError and details.worker_error is details
    assert details.index == 5 and details.item is notebook["rows"][5] and details.rank in (0, 1)
    assert details.__cause__ is error
    assert "in invert\n    return 1 / inside" in details.traceback
    assert "ZeroDivisionError: division by zero" in details.traceback and "firn/" not in details.traceback


def test_the_loop_variables_value_is_shown(notebook):
    notebook.fails("%%parallel\nout = [invert(row) for row in rows]")
    assert "(in iteration 5, counted from 0, where row = {'id': 5, 'v': 0}" in notebook.shown
    notebook.fails("%%parallel\nfor number, row in enumerate(rows):\n    invert(row)")
    assert "where (number, row) = (5, {'id': 5, 'v': 0}" in notebook.shown
    notebook.fails("%%parallel\nout = [1 // 0 for x in ['long ' * 100_000]]")
    assert "where x = 'long long" in notebook.shown and len(notebook.shown) < 2000


def test_a_value_whose_repr_fails_is_left_out(notebook):
    notebook.ok("class Odd:\n    def __repr__(self):\n        raise SystemExit(7)\nodd = [Odd(), Odd()]")
    error = notebook.fails("%%parallel\nout = [1 // 0 for x in odd]")
    assert type(error) is ZeroDivisionError and error.worker_error.index == 0


def test_failures_of_other_iterations_are_counted(notebook, tmp_path):
    notebook.ok(f"import os, time\nsign = {str(tmp_path / 'sign')!r}")
    notebook.fails("""%%parallel --chunk 1
for x in range(2):
    if x:
        open(sign, "w").close()
    while not os.path.exists(sign):
        time.sleep(0.01)
    time.sleep(0.3 * (1 - x))
    1 // 0
""")
    assert "where x = 0; 1 later iteration failed as well)" in notebook.shown
    assert notebook.shown.count("ZeroDivisionError: ") == 1


def test_what_a_failing_chunk_has_printed_waits_for_its_turn(notebook):
    cell = "%%parallel --workers 2 --chunk 2\nfor n in range(4):\n    time.sleep(0.3 * (n == 0))\n    print(n)\n    print(1 // (n - 3))"
    notebook.ok("import time")
    assert type(notebook.fails(cell)) is ZeroDivisionError
    assert notebook.shown.startswith("0\n-1\n1\n-1\n2\n-1\n3\n---")


def test_an_exception_that_stays_in_its_worker(notebook):
    notebook.ok("class Mine(Exception):\n    def __init__(self, x):\n        self.x, self.own = x, (n for n in [x])\n")
    error = notebook.fails("%%parallel\nout = [go(Mine, x) for x in rows]")
    assert type(error) is firn.WorkerError and error.worker_error is error and error.__cause__ is None
    assert error.index == 0 and error.item is notebook["rows"][0] and error.rank in (0, 1)
    assert "Mine" in str(error) and "raise error(*arguments)" in error.traceback


def test_each_has_a_rank_and_no_index(notebook):
    error = notebook.fails("%%parallel --each\n1 // (parallel.rank - 1)")
    assert (error.worker_error.rank, error.worker_error.index, error.worker_error.item) == (1, None, None)


def test_an_exception_with_details_can_be_copied_and_pickled(notebook):
    error = notebook.fails("%%parallel\nout = [invert(row) for row in rows]")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is ZeroDivisionError and other.worker_error.index == 5


def test_the_exceptions_own_attributes_stay(notebook):
    notebook.ok("class Mine(Exception):\n    index = 'mine'\n    def __init__(self, x):\n        self.item = x")
    error = notebook.fails("%%parallel\nout = [go(Mine, x) for x in [7, 8]]")
    assert (error.index, error.item) == ("mine", 7) and error.worker_error.index == 0


def debug(trace, *commands: str) -> str:
    """What a debugger prints that looks at a traceback."""
    printed = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("".join(f"{command}\n" for command in (*commands, "quit"))), stdout=printed)
    debugger.reset()
    debugger.interaction(None, trace)
    return printed.getvalue()


def test_a_debugger_can_look_around(notebook, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    error = notebook.fails("%%parallel\nfor row in rows:\n    many = [1, 2]\n    text = 'abc'\n    invert(row)")
    shown = debug(error.__traceback__, "p inside, row['id']", "list", "up", "p text, row", "p many", "p rows[2]")
    assert "(0, 5)" in shown and "return 1 / inside" in shown
    assert "('abc', {'id': 5, 'v': 0})" in shown and "<list of 2, in its worker>" in shown
    assert "{'id': 2, 'v': -3}" in shown


def test_the_traceback_has_the_cell_once_on_the_line_that_failed(notebook):
    error = notebook.fails("%%parallel\nout = []\nfor row in rows:\n    text = 'abc'\n    invert(row)")
    assert notebook.shown.count("-> 5 ") == 1 and "-> 3 " not in notebook.shown
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)]
    assert lines[-2:] == [5, 4] and 3 not in lines[1:]
    assert "'abc'" in debug(sys.last_traceback, "up", "p text")


@pytest.mark.parametrize("cell", ["for row in rows:\n    invert(row)", "1 / 0", "if True print(3)", "print(nowhere)"])
def test_the_magics_line_is_shown_as_it_was_written(notebook, cell):
    notebook.fails(f"%%parallel --chunk 1\n{cell}")
    assert "#" not in notebook.shown
    if "print" not in cell:
        assert "1 %%parallel --chunk 1\n" in notebook.shown
    notebook.fails("# %%parallel\n1 / 0")
    assert "1 # %%parallel\n" in notebook.shown


def test_the_variables_of_a_deep_stack(notebook):
    notebook.ok("def down(n):\n    return down(n - 1) if n else 1 // n")
    error = notebook.fails("%%parallel\nout = [down(x) for x in [300]]")
    assert "(Pdb) 0" in debug(error.__traceback__, "p n")


MISBEHAVING = {
    "str without end": "def __str__(self):\n        while True: pass",
    "str raises": "def __str__(self): raise ValueError(1)",
    "str is no text": "def __str__(self): return 3",
    "str exits": "def __str__(self): raise SystemExit(3)",
    "repr raises": "def __repr__(self): raise ValueError(1)",
    "reduce without end": "def __reduce__(self):\n        while True: pass",
    "reduce exits": "def __reduce__(self): raise SystemExit(3)",
    "reduce is nothing": "def __reduce__(self): return None",
    "reduce is something else": "def __reduce__(self): return (int, ())",
    "init with other arguments": "def __init__(self, a, b=2, *, c=3): super().__init__('other', a, b)",
    "init raises for what it passed on": "def __init__(self, a):\n        super().__init__()\n        a['id']",
    "setattr raises": "def __setattr__(self, name, value): raise RuntimeError('no')",
    "getattribute raises": "def __getattribute__(self, name): raise RuntimeError('never')",
    "add_note raises": "def add_note(self, note): raise RuntimeError('no notes')",
    "hash raises": "def __hash__(self): raise TypeError('no')",
    "eq raises": "__hash__ = None\n    def __eq__(self, other): raise TypeError('no')",
}


@pytest.mark.parametrize(("name", "body"), MISBEHAVING.items(), ids=MISBEHAVING)
def test_whatever_the_class_does_the_error_is_raised_and_shown(notebook, name, body):
    notebook.ok(f"class Odd(Exception):\n    {body}")
    notebook.ok("""%%parallel
try:
    out = [go(Odd, row) for row in rows]
except Exception as error:
    caught = type(error)
""")
    assert notebook["caught"] in (notebook["Odd"], firn.WorkerError)
    assert (notebook["caught"] is firn.WorkerError) == (
        name in ("str without end", "getattribute raises", "setattr raises")
    )
    notebook.fails("%%parallel\nout = [go(Odd, row) for row in rows]")
    if name != "str exits":  # IPython shows nothing of such an exception, wherever it comes from
        assert "Odd" in notebook.shown and "raise error(*arguments)" in notebook.shown
    assert "firn/" not in notebook.shown and "out" not in notebook
    notebook.ok("%%parallel\nout = [x for x in range(3)]")


DEFAULTS = """
def count(row, seen=[], *, found={}):
    if row["id"] % 2:
        found[row["id"]] = row
    else:
        seen.append(row)
    return len(seen)
class Adder:
    def add(self, row, known=set()):
        ours = known
        ours.add(row["id"])
        return len(ours)
def reads(row, seen=[]):
    row["id"] = len(seen)
"""


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        ("[count(r) for r in rows]", ["seen, a default value of count(), is frozen: it is one list for all calls", "Write seen=None",
                                      "seen = [] in the body"]),
        ("[count(r) for r in rows[1:]]", ["found, a default value of count(), is frozen: it is one dict", "found = {} in the body"]),
        ("[Adder().add(r) for r in rows]", ["known, a default value of Adder.add(), is frozen: it is one set", "known = set() in the body"]),
    ],
)  # fmt: skip
def test_a_write_to_a_default_value_is_told_as_such(notebook, loop, words):
    notebook.ok(DEFAULTS)
    error = notebook.fails(f"%%parallel\nout = {loop}")
    assert type(error) is TypeError and "is frozen" in str(error)
    for word in [*words, "functools.cache", "in iteration 0"]:
        assert word in notebook.shown


@pytest.mark.parametrize("loop", ["[count(r, rows) for r in rows]", "[reads(r) for r in rows]"])
def test_a_write_to_something_else_is_not(notebook, loop):
    notebook.ok(DEFAULTS)
    error = notebook.fails(f"%%parallel\nout = {loop}")
    assert type(error) is TypeError and "is frozen" in str(error)
    assert "default value" not in notebook.shown


CHANGING = """
import functools
rows = [{"tags": [n]} for n in range(100)]
class Settings:
    lists = [[1], [2]]
def add(held, n):
    held.append(n)
def add_to(row, settings=Settings):
    settings.lists.append(row)
"""


@pytest.mark.parametrize("before", ["", "rows = firn.thaw(rows)"])
@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("%%parallel\nfor n in range(100):\n    add(rows, n)", "'rows' is frozen: the %%parallel cell ["),
        ("%%parallel --copy rows\nfor n in range(100):\n    add(rows, n)", "'rows' is frozen: the %%parallel cell ["),
        ("%%parallel\nout = [add_to(r) for r in rows]", "'Settings.lists'"),
        ("%%parallel --each\nrows.append(1)", "'rows' is frozen: the %%parallel cell ["),
    ],
)
def test_a_write_in_a_worker_advises_what_helps_there(notebook, cell, named, before):
    notebook.ok(CHANGING)
    notebook.ok("%%parallel\nlengths = [len(r) for r in rows]")
    notebook.ok(before)
    error = notebook.fails(cell)
    assert type(error) is TypeError and named in str(error)
    assert str(error).endswith(
        " with the workers, and so it would be after firn.thaw() or with --copy. Collect in the loop (or return) what is to "
        "change, and change it afterwards in the notebook."
    )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("out[0]['new'] = 1", "out"),
        ("out[1]['tags'].append(1)", "out"),
        ("del out[0]['tags']", "out"),
        ("by_number[3]['tags'] += [1]", "by_number"),
        ("for row in out:\n    row['new'] = 1", "out"),
        ("for n, row in enumerate(out):\n    for tags in row.values():\n        tags.append(n)", "out"),
        ("[row.update(new=1) for row in out]", "out"),
        ("def change(row):\n    row['new'] = 1\nfor n in range(2):\n    change(out[n])", "out"),
        ("add(by_number[3]['tags'], 1)", "by_number"),
        ("first = out[0]\nfirst['new'] = 1", "first"),
        ("(lambda row: row.clear())(first)", "first"),
        ("row = 0\nlist(map(lambda row: row.clear(), out))", "out"),
        ("def change():\n    row = out[0]\n    row['new'] = 1\nchange()", "out"),
        ("%time out[0]['new'] = 1", "out"),
    ],
)
@pytest.mark.parametrize("thawed", [False, True])
def test_the_advice_names_the_variable_that_the_line_uses(notebook, change, name, thawed):
    notebook.ok(CHANGING)
    notebook.ok("%%parallel\nout = [r for r in rows if r['tags'][0] % 2]")
    notebook.ok("first = out[0]\nby_number = {n: row for n, row in enumerate(out)}")
    if thawed:
        notebook.ok("rows = firn.thaw(rows)")
    error = notebook.fails(change)
    assert "shares 'rows', to which it belongs," in str(error)
    assert str(error).endswith(f"{name} = firn.thaw({name}) gives a copy that can be changed.")
    assert ("holds it" in str(error)) == (name != "first")
    notebook.ok(
        f"{name} = firn.thaw({name})\n{change}" if not change.startswith("first") else "first = firn.thaw(first)"
    )


@pytest.mark.parametrize(
    "change", ["rows.append(1)", "rows[0]['tags'].append(1)", "for row in rows:\n    row['new'] = 1", "change()",
               "functools.partial(add, rows)(1)"]
)  # fmt: skip
def test_the_advice_for_a_frozen_variable_itself(notebook, change):
    notebook.ok(CHANGING + "def change():\n    row = rows[0]\n    row['new'] = 1")
    notebook.ok("%%parallel\nlengths = [len(r) for r in rows]")
    error = notebook.fails(change)
    assert str(error).startswith("'rows' is frozen: ") and "rows = firn.thaw(rows) gives a copy" in str(error)
    notebook.ok(f"rows = firn.thaw(rows)\n{change}")


def test_the_advice_is_no_loop_variable(notebook):
    """A copy of what a loop variable is bound to would be changed, and gone."""
    notebook.ok(CHANGING + "class Box: pass\nbox = Box()\ndef all_of():\n    yield from box.rows")
    notebook.ok("%%parallel\nlengths = [len(r) for r in rows]")
    notebook.ok("box.rows = list(rows)\nrow = rows[0]")
    error = notebook.fails("for row in all_of():\n    row['new'] = 1")
    assert "row = firn.thaw(row)" not in str(error) and "rows = firn.thaw(rows) gives a copy" in str(error)


def test_attributes_of_frozen_instances(notebook):
    notebook.ok("class Ride:\n    def __init__(self, n):\n        self.tags = [n]\nrides = [Ride(n) for n in range(9)]")
    notebook.ok("%%parallel\nout = [r for r in rides if r.tags[0] % 2]")
    for change, what in [("out[0].n = 1", "this Ride"), ("out[0].tags.append(1)", "this value"),
                         ("rides[0].n = 1", "'rides'")]:  # fmt: skip
        error = notebook.fails(change)
        assert str(error).startswith(f"{what} is frozen: ")
        assert ("out = firn.thaw(out)" if "this" in what else "rides = firn.thaw(rides)") in str(error)


def test_what_leads_there_is_named_where_the_line_names_nothing(notebook):
    notebook.ok(CHANGING)
    notebook.ok("%%parallel\nout = [r for r in rows if r['tags'][0] % 2]")
    notebook.ok("rows = firn.thaw(rows)\ndef change(row=out[0]):\n    row['new'] = 1")
    assert "'out' holds it: out = firn.thaw(out) gives" in str(notebook.fails("change()"))


@pytest.mark.parametrize(
    "change", ["total += x", "found.append(x)", "best = max(best, x)", "counts[x] = counts.get(x, 0) + 1"]
)
def test_a_forgotten_variable_ends_the_loop_where_it_is_first_changed(notebook, change):
    name = change.split()[0].split(".")[0].split("[")[0]
    cell = f"%%parallel --chunk 1\nimport time\nfor x in range(100_000):\n    time.sleep(0.001)\n    {change}"
    error = notebook.fails(cell)
    assert type(error) is NameError and str(error) == f"name '{name}' is not defined" and error.name == name
    assert "-> 5 " in notebook.shown and "-> 3 " not in notebook.shown
    [loop] = firn.last_report().loops
    assert sum(span.stop - span.start for span in loop.spans if not span.lost) < 1000  # of the 100,000


def test_a_variable_that_nobody_changes_need_not_be_there(notebook):
    notebook.ok("%%parallel\nfor x in range(1000):\n    if x < 0:\n        absent.append(x)\n    last = x")
    assert notebook["last"] == 999
    error = notebook.fails(
        "%%parallel\nfor x in range(1000):\n    1 / (900 - x)\n    if x > 950:\n        absent.append(x)"
    )
    assert type(error) is ZeroDivisionError


NESTED = """
class Stays(Exception):
    def __init__(self):
        super().__init__()
        self.own = (n for n in [1])
def fail(row, first):
    try:
        raise first()
    except Exception:
        raise KeyError(row["id"])
def hide(row):
    try:
        1 / 0
    except ZeroDivisionError:
        raise KeyError(row["id"]) from None
"""


def test_what_was_handled_when_it_was_raised_is_shown(notebook):
    notebook.ok(NESTED)
    notebook.fails("%%parallel\nout = [fail(row, OSError) for row in rows]")
    assert "OSError" in notebook.shown and "raise first()" in notebook.shown
    assert "During handling of the above exception" in notebook.shown and "firn/" not in notebook.shown
    notebook.fails("%%parallel\nout = [hide(row) for row in rows]")
    assert "KeyError: 0" in notebook.shown and "division by zero" not in notebook.shown


def test_a_context_that_stays_in_its_worker_is_left_out(notebook):
    notebook.ok(NESTED)
    error = notebook.fails("%%parallel\nout = [fail(row, Stays) for row in rows]")
    assert type(error) is KeyError and error.__context__ is None
    assert "Stays" in error.worker_error.traceback


def test_the_traceback_of_a_group_has_the_functions(notebook):
    notebook.ok("def fail(row):\n    raise ExceptionGroup('all', [ValueError(1)])")
    error = notebook.fails("%%parallel\nout = [fail(row) for row in rows]")
    assert type(error) is ExceptionGroup
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-2:] == ["<module>", "fail"]


def test_what_the_loop_runs_over_fails_after_the_iterations_before(notebook):
    notebook.ok("def numbers():\n    yield from range(3)\n    raise OSError('no more')")
    error = notebook.fails("%%parallel --chunk 1\nfor x in numbers():\n    print(x)\n    t = x")
    assert type(error) is OSError and notebook.out.startswith("0\n1\n2\n") and "t" not in notebook
    assert "raise OSError" in notebook.shown and "firn/" not in notebook.shown
    error = notebook.fails("%%parallel --chunk 1\nout = [1 // (1 - x) for x in numbers()]")
    assert type(error) is ZeroDivisionError and error.worker_error.index == 1


def test_an_iterator_is_left_where_the_loop_ended(notebook):
    notebook.ok("numbers, pairs = (n for n in range(-3, 4)), enumerate(range(-3, 4))")
    for name, item in (("numbers", "n"), ("pairs", "n[1]")):
        notebook.fails(f"%%parallel --chunk 1\nfor n in {name}:\n    print(1 / {item})")
        assert len(notebook.ok(f"list({name})")) == 3
    assert type(notebook["pairs"]) is enumerate
    notebook.ok("import threading\nlock, numbers = threading.Lock(), iter(range(3))")
    notebook.fails("%%parallel\nout = [lock.locked() for n in numbers]")
    assert notebook.ok("list(numbers)") == [0, 1, 2]  # nothing ran


def test_a_failure_that_the_cell_catches_is_none_of_the_cells(notebook):
    notebook.ok("rows = [*range(40)]")
    notebook.ok(
        "%%parallel\ntry:\n    found = [1 // (n - 2) for n in rows]\nexcept ZeroDivisionError:\n    found = None"
    )
    assert not notebook.report.failed and "caught the ZeroDivisionError" in str(notebook.report.notes)


def test_a_failure_beside_the_loops_is_the_cells(notebook):
    notebook.ok("rows = [*range(40)]")
    error = notebook.fails("%%parallel\ntotal = sum(n for n in rows)\ntotal[0]")
    assert type(error) is TypeError and notebook.report.failed == "TypeError"
    assert "failed" in str(notebook.report)


def test_the_details_say_nothing_of_an_exception_that_came_across(notebook):
    notebook.ok("rows = [*range(40)]")
    error = notebook.fails("%%parallel\nfound = [1 // (n - 2) for n in rows]")
    assert error.worker_error.__cause__ is error and "stays in its worker" not in str(vars(error.worker_error))


@pytest.mark.parametrize("before", ["import numpy as np", "import numpy as np\nprint('before')"])
def test_modules_that_no_worker_loads_are_refused_before_anything_runs(notebook, before):
    loop = "roots = [float(np.sqrt(n)) for n in range(40)]"
    notebook.ok(f"%%parallel --explain\n{before}\n{loop}")
    assert "numpy does not load in a worker" in str(notebook.reports)
    error = notebook.fails(f"%%parallel\n{before}\n{loop}")
    assert "numpy does not load in a worker" in str(error) and "outside the loop" in str(error)
    assert "np" not in notebook and "before" not in notebook.shown
    notebook.ok(before.partition("\n")[0])
    error = notebook.fails(f"%%parallel\nprint('before')\n{loop}")
    assert error.line == 3 and "before" not in notebook.shown.partition("firn")[0].replace("print('before')", "")
    notebook.ok(f"%%parallel\nimport math as np\n{loop}")
    assert notebook["roots"][4] == 2.0
