"""Results that hold objects of the notebook's data: they are the notebook's own, as after the serial cell, also where the
workers had copies."""

from __future__ import annotations

import pytest

ROWS = "rows = [{'n': i, 'tags': [i], 'pair': (i, [i]), 'seen': {i}} for i in range(10)]"
POINTS = """class Point:
    def __init__(self, i):
        self.at = [i]
rows = [Point(i) for i in range(10)]"""
CELLS = {
    "parts": (ROWS, "out = [row['tags'] for row in rows]", "row['tags']", "rows[0]['tags'].append(1)"),
    "tuples": (ROWS, "out = [row['pair'] for row in rows]", "row['pair']", "rows[0]['pair'][1].append(1)"),
    "sets": (ROWS, "out = [row['seen'] for row in rows]", "row['seen']", "rows[0]['seen'].add(77)"),
    "of a copy": (ROWS, "out = [{**row}['tags'] for row in rows]", "row['tags']", "rows[0]['tags'].append(1)"),
    "by a function": (
        ROWS + "\ndef tags(row):\n    return row['tags']",
        "out = []\nfor row in rows:\n    out.append(tags(row))",
        "row['tags']",
        "rows[0]['tags'].append(1)",
    ),
    "attributes": (POINTS, "out = [point.at for point in rows]", "row.at", "rows[0].at.append(1)"),
    "instances": (POINTS, "out = [point for point in rows]", "row", "rows[0].at.append(1)"),
    "best": (
        ROWS,
        "out = [max(rows, key=lambda row: (row['n'] == k, 0)) for k in range(10)]",
        "row",
        "rows[0]['n'] = 5",
    ),
    "grouped": (
        ROWS,
        "by = {}\nfor row in rows:\n    by.setdefault(row['n'], []).append(row)\nout = [by[n][0] for n in range(10)]",
        "row",
        "rows[0]['n'] = 5",
    ),
    "namespaces": (
        "from types import SimpleNamespace\nrows = [SimpleNamespace(at=[i]) for i in range(10)]",
        "out = [row for row in rows]",
        "row",
        "rows[0].at.append(1)",
    ),
    "what cannot be frozen": (
        "import firn\nrows = [[[i]] for i in range(10)]\nfirn.set_freezable(rows[5], False)",
        "out = [row[0] for row in rows]",
        "row[0]",
        "rows[0][0].append(1)",
    ),
    "with a state of their own": (
        """import threading
class Locked:
    def __init__(self, i):
        self.at, self.lock = [i], threading.Lock()
    def __getstate__(self):
        return {'at': self.at}
    def __setstate__(self, state):
        self.__dict__.update(state)
rows = [Locked(i) for i in range(10)]""",
        "out = [(row, row.at) for row in rows]\nout = [first for first, _ in out]",
        "row",
        "rows[0].at.append(1)",
    ),
    "arrays": (
        "import numpy as np\nrows = [np.arange(3) for i in range(10)]",
        "out = [row for row in rows]",
        "row",
        "rows[0][0] = 9",
    ),
}


@pytest.mark.parametrize("change", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_results_hold_the_notebooks_own(notebook, name, change):
    setup, loop, part, changes = CELLS[name]
    notebook.ok(setup)
    notebook.ok(f"%%parallel --chunk 3\n{loop}\n{changes if change else ''}")
    assert notebook.report.way == "split"
    notebook.ok(f"same = [found is {part} for found, row in zip(out, rows)]")
    assert notebook["same"] == [True] * 10


def test_the_notebook_keeps_its_objects_with_copy(notebook):
    notebook.ok(ROWS)
    notebook.ok("%%parallel --copy rows --chunk 3\nout = [row['tags'] for row in rows]")
    notebook.ok("rows[2]['tags'].append(99)")
    assert notebook["out"][2] == [2, 99]


def test_the_item_of_a_failure_is_the_notebooks_own(notebook):
    notebook.ok(ROWS)
    error = notebook.fails("%%parallel --chunk 3\nout = [1 / (row['n'] - 4) for row in rows]\nrows[0]['n'] = 5")
    assert error.worker_error.item is notebook["rows"][4] and type(notebook["rows"]) is list


def test_what_a_worker_of_an_executor_changes_comes_back(notebook):
    notebook.ok("""import firn
from types import SimpleNamespace
shared = firn.share([SimpleNamespace(n=1)])
def poke(rows):
    rows[0].n += 1
    return rows[0]
with firn.Executor(1) as executor:
    first = executor.submit(poke, shared).result()""")
    assert notebook["first"].n == 2


SPEAKS = """class Model:
    def __init__(self, n):
        self.n, self.parts = n, [n]
    def __getstate__(self):
        return {'n': self.n, 'parts': self.parts}
    def __setstate__(self, state):
        self.__dict__.update(state)
"""
TWINS = {
    "a namespace": "from types import SimpleNamespace\nmodels = {'a': SimpleNamespace(n=1, parts=[1])}",
    "a namespace that is a variable, too": (
        "from types import SimpleNamespace\nmodel = SimpleNamespace(n=1, parts=[1])\nmodels = {'a': model}"
    ),
    "an instance": SPEAKS + "models = {'a': Model(1)}",
    "an instance that is a variable, too": SPEAKS + "model = Model(1)\nmodels = {'a': model}",
    "frozen by a call": SPEAKS + "import firn\nmodels = firn.freeze({'a': Model(1)})",
    "below": SPEAKS + "below = {'a': Model(1)}\nmodels = {'b': below, 'a': below['a']}",
}
READ = "%%parallel --chunk 1\nseen = [models['a'].n for _ in range(3)]"


@pytest.mark.parametrize("kind", TWINS)
def test_what_the_notebook_changes_in_frozen_data_is_no_silent_difference(notebook, kind):
    notebook.ok(TWINS[kind])
    notebook.ok(READ)
    notebook.ok(READ)
    assert notebook["seen"] == [1, 1, 1]
    notebook.ok("models['a'].n = 2")
    error = notebook.fails(READ)
    assert "changed after it had been frozen" in str(error) and "models = firn.thaw(models)" in str(error)
    assert error.name == "models"
    notebook.ok("import firn\nmodels = firn.thaw(models)\nmodels['a'].n = 3")
    notebook.ok(READ)
    assert notebook["seen"] == [3, 3, 3]


def test_a_change_below_is_seen_and_one_that_is_taken_back_is_none(notebook):
    notebook.ok(SPEAKS + "models = {'a': Model(1)}")
    notebook.ok(READ)
    notebook.ok("models['a'].parts.append(2)")
    notebook.fails(READ)
    notebook.ok("models['a'].parts.pop()")
    notebook.ok(READ)


def test_other_data_that_was_frozen_with_it_is_read(notebook):
    notebook.ok(SPEAKS + "models, other = {'a': Model(1)}, {'b': Model(5)}")
    notebook.ok("%%parallel\nseen = [models['a'].n + other['b'].n for _ in range(3)]")
    notebook.ok("models['a'].n = 2")
    notebook.ok("%%parallel\nseen = [other['b'].n for _ in range(3)]")
    assert notebook["seen"] == [5, 5, 5]


@pytest.mark.parametrize("made", ["SimpleNamespace(n=1)", "Model(1)"])
def test_a_variable_goes_on_being_what_frozen_data_holds(notebook, made):
    notebook.ok(f"from types import SimpleNamespace\n{SPEAKS}\nmodel = {made}\nmodels = {{'a': model}}")
    notebook.ok(READ)
    assert notebook["models"]["a"] is notebook["model"]
    notebook.ok("model.n = 7")
    assert notebook["models"]["a"].n == 7


def test_a_state_that_is_another_one_each_time_is_no_change(notebook):
    notebook.ok("""import time
class Clock:
    n = 1
    def __getstate__(self):
        return {'now': time.perf_counter()}
models = {'a': Clock()}""")
    notebook.ok(READ)
    notebook.ok(READ)
    assert notebook["seen"] == [1, 1, 1]


COPIED = """import firn
rows = [{'p': [i]} for i in range(8)]
rows[5]['q'] = [0]
firn.set_freezable(rows[5]['q'], False)"""


def test_whole_cells_bring_back_what_they_changed(notebook):
    notebook.ok(COPIED)
    notebook.ok(
        "%%parallel --each --workers 2 --gather mine\nrows[1]['p'].append(100 + parallel.rank)\nmine = rows[1]['p']"
    )
    assert notebook["mine"] == [[1, 100], [1, 101]] and notebook["rows"][1] == {"p": [1]}


def test_copies_are_logged_shown_and_raised(notebook):
    notebook.ok(COPIED)
    notebook.ok("import logging")
    notebook.ok(
        "%%parallel\nfor row in rows:\n    logging.getLogger('x').warning('row %s', row)\n    display(row['p'])"
    )
    error = notebook.fails("%%parallel\nfor row in rows:\n    if row['p'] == [3]:\n        raise ValueError(row)")
    assert type(error) is ValueError and error.args == ({"p": [3]},)


@pytest.mark.parametrize(
    "change", ["item.fit(); return item", "item.fit(); return (item, item.coef)", "item.fit(); return {'a': item}"]
)
@pytest.mark.parametrize("base", ["", "deque"])
def test_what_a_worker_changed_is_no_silent_loss(notebook, change, base):
    notebook.ok(f"""from collections import deque
class Item({base}):
    coef = None
    def __init__(self, i=None):
        self.i = i
    def __getstate__(self):
        return {{'i': self.i, 'coef': self.coef}}
    def __setstate__(self, state):
        self.__dict__.update(state)
    def fit(self):
        self.coef = self.i
def work(item):
    {change}
items = [Item(i) for i in range(6)]""")
    result = notebook.run("%%parallel --chunk 3\nout = [work(item) for item in items]")
    if result.error_in_exec is None:  # then the results have what was changed
        found = [
            next(iter(one)) if type(one) is tuple else one["a"] if type(one) is dict else one for one in notebook["out"]
        ]
        assert [item.coef for item in found] == list(range(6))
    else:
        assert "changes" in str(result.error_in_exec)


def test_a_list_of_frozen_namespaces_is_frozen_again(notebook):
    notebook.ok("from types import SimpleNamespace\nrows = [{'c': SimpleNamespace(n=i)} for i in range(8)]")
    notebook.ok("%%parallel\npicked = [row['c'] for row in rows]")
    notebook.ok("%%parallel\nns = [c.n for c in picked]")
    assert notebook["picked"][3] is notebook["rows"][3]["c"]
    notebook.ok("picked[3].n = 77")
    assert notebook["rows"][3]["c"].n == 77
    notebook.fails("%%parallel\nns = [row['c'].n for row in rows]")
    notebook.fails("%%parallel\nns = [c.n for c in picked]")


def test_large_namespaces_are_not_looked_at(notebook):
    notebook.ok("from types import SimpleNamespace\nconfig = SimpleNamespace(table=[[i] for i in range(50_000)], n=1)")
    notebook.ok("%%parallel\nns = [config.n for _ in range(4)]")
    from firn import stale

    assert all(parts is None for _, which, parts in stale._held.values() if which == id(notebook["config"]))
