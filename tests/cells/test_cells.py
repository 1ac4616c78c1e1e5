"""A %%parallel cell gives the serial cell's results, and reads like any other cell."""

from __future__ import annotations

import sys
import warnings

import firn
import pytest

ROWS = """
rows = [{"name": f"p{i}", "size": i % 97, "tags": [str(i % 3)]} for i in range(5000)]
"""


def test_list_comprehension_over_a_frozen_list(notebook):
    notebook.ok(ROWS)
    notebook.ok("%%parallel\nhits = [r['name'] for r in rows if r['size'] > 90]")
    assert notebook["hits"] == [f"p{i}" for i in range(5000) if i % 97 > 90]
    assert type(notebook["hits"]) is list
    assert firn.is_frozen(notebook["rows"])
    assert notebook.report.way == "split"
    assert notebook.report.loops[0].items == 5000


def test_both_workers_take_part(notebook):
    notebook.ok(ROWS)
    notebook.ok("%%parallel --chunk 50\nhits = [sum(range(2000)) for r in rows]")
    assert {span.rank for loop in notebook.report.loops for span in loop.spans} == {0, 1}


def test_several_loops_with_reductions(notebook):
    notebook.ok(ROWS + "from collections import Counter")
    notebook.ok("""%%parallel
total = sum(r["size"] for r in rows)
by_size = Counter()
biggest = 0
for r in rows:
    by_size[r["size"]] += 1
    biggest = max(biggest, r["size"])
names = sorted(r["name"] for r in rows)[:3]
""")
    rows = firn.thaw(notebook["rows"])
    assert notebook["total"] == sum(r["size"] for r in rows)
    assert notebook["by_size"] == {s: sum(r["size"] == s for r in rows) for s in range(97)}
    assert notebook["biggest"] == 96
    assert notebook["names"] == ["p0", "p1", "p10"]
    assert notebook["r"] == rows[-1]


def test_last_expression_is_the_cells_value_and_underscore(notebook):
    notebook.ok("data = list(range(1000))")
    assert notebook.ok("%%parallel\nsum(x * x for x in data)") == sum(x * x for x in range(1000))
    assert notebook.ok("_") == sum(x * x for x in range(1000))


def test_magics_shell_commands_and_await_work_in_the_cell(notebook):
    notebook.ok("data = list(range(100))")
    notebook.ok("""%%parallel
import asyncio
await asyncio.sleep(0)
files = !echo one
%who_ls int
out = [x + 1 for x in data]
""")
    assert notebook["files"] == ["one"]
    assert notebook["out"] == list(range(1, 101))


def test_functions_of_the_notebook_and_what_they_read(notebook):
    notebook.ok("""
import math
table = {i: math.sqrt(i) for i in range(100)}
def root(i):
    return table[i] + offset()
def offset():
    return 1
data = list(range(100))
""")
    notebook.ok("%%parallel\nout = [root(i) for i in data]")
    assert notebook["out"] == [i**0.5 + 1 for i in range(100)]
    notebook.ok("def offset():\n    return 2")
    notebook.ok("%%parallel\nout = [root(i) for i in data]")
    assert notebook["out"] == [i**0.5 + 2 for i in range(100)]


def test_aliases_and_parts_are_rebound_to_the_same_frozen_objects(notebook):
    notebook.ok(ROWS + "same = rows\nfirst = rows[0]\nbox = {'rows': rows}")
    notebook.ok("%%parallel\nn = sum(len(r['tags']) for r in rows)")
    assert notebook["same"] is notebook["rows"]
    assert notebook["first"] is notebook["rows"][0]
    assert type(notebook["box"]) is dict


def test_frozen_variables_are_reused(notebook):
    notebook.ok(ROWS)
    notebook.ok("%%parallel\na = [r['size'] for r in rows]")
    assert notebook.report.names("frozen") == "rows"
    assert notebook.report.objects > 5000
    notebook.ok("%%parallel\nb = [r['size'] for r in rows]")
    assert notebook.report.names("reused") == "rows"
    assert notebook.report.objects == 0
    assert notebook["a"] == notebook["b"]


def test_copy_leaves_the_notebooks_variable_alone(notebook):
    notebook.ok(ROWS)
    notebook.ok("%%parallel --copy rows\na = [r['size'] for r in rows]")
    assert type(notebook["rows"]) is list
    notebook["rows"].append(1)


def test_what_the_cell_changes_later_is_copied_and_the_report_says_so(notebook):
    notebook.ok("%%parallel\nseen = [1, 2, 3]\nout = [len(seen) + x for x in range(4)]\nseen.append(4)")
    assert notebook["out"] == [3, 4, 5, 6] and notebook["seen"] == [1, 2, 3, 4]
    assert type(notebook["seen"]) is list
    assert "copy of seen" in str(notebook.report) and notebook.report.names("copied") == "seen"


@pytest.mark.parametrize(
    "scores",
    [
        ["1", 2, 3, 4],  # a text is in no order with numbers
        [1, {2}, {3}, 4],  # sets are in none with each other
        [1, 2, None, 4],
    ],
)
def test_a_comparison_that_fails_where_that_is_caught_is_refused(notebook, scores):
    cell = """for score in scores:
    try:
        found = {"score": score}
        if best is None or found["score"] > best["score"]:
            best = found
    except TypeError:
        pass"""
    notebook.ok(f"scores, best = {scores}, None\n{cell}")
    expected = notebook["best"]
    for chunk in (1, 2, 4):
        notebook.ok(f"scores, best = {scores}, None")
        result = notebook.run(f"%%parallel --chunk {chunk}\n{cell}")
        if result.error_in_exec is None:
            assert notebook["best"] == expected
        else:
            assert type(result.error_in_exec).__name__ in ("NotMergeable", "Refused") and notebook["best"] is None


@pytest.mark.parametrize(
    "search",
    [
        "best is None or found['score'] > best['score']: best = found",
        "x % 3 not in by or found['score'] > by[x % 3]['score']: by[x % 3] = found",
    ],
)
def test_a_best_that_gets_worse_is_no_silent_loss(notebook, search):
    cell = f"for x in range(40):\n    found = {{'score': x}}\n    if {search}\n    found['score'] -= 2 * (x == 38)"
    notebook.ok("best, by = None, {}")
    error = notebook.fails(f"%%parallel --chunk 5\n{cell}")
    assert "changed after that" in str(error) and "(score, found)" in str(error)
    assert notebook["best"] is None and notebook["by"] == {}


@pytest.mark.parametrize(
    "loop",
    [
        "out = [seen for x in range(3)]",
        "out = {}\nfor x in range(3):\n    out[x] = seen if x else None",
        "out = []\nfor x in range(3):\n    out.append((x, seen))",
    ],
)
def test_a_container_that_is_collected_and_changed_later(notebook, loop):
    notebook.ok(f"%%parallel\nseen = [1]\n{loop}\nseen.append(4)")
    seen, out = notebook["seen"], notebook["out"]
    assert seen == [1, 4] and type(seen) is list
    last = out[2]
    assert (last[1] if type(last) is tuple else last) is seen
    notebook.ok(f"%%parallel\nseen = 1\n{loop}\nseen += 4")
    assert notebook["seen"] == 5


@pytest.mark.parametrize(
    "source, values",
    [
        ("[]", []),
        ("[7]", [7]),
        ("range(3)", [0, 1, 2]),
        ("{'a': 1, 'b': 2}", ["a", "b"]),
        ("{'a': 1, 'b': 2}.items()", [("a", 1), ("b", 2)]),
        ("'xyz'", ["x", "y", "z"]),
        ("enumerate('xy')", [(0, "x"), (1, "y")]),
        ("zip([1, 2, 3], 'ab')", [(1, "a"), (2, "b")]),
        ("(i * i for i in range(4))", [0, 1, 4, 9]),
        ("map(str, range(3))", ["0", "1", "2"]),
    ],
)
def test_what_a_loop_runs_over(notebook, source, values):
    notebook.ok(f"%%parallel\nout = [x for x in {source}]")
    assert notebook["out"] == values


def test_an_iterator_is_read_first_and_the_report_says_so(notebook):
    notebook.ok("%%parallel\nout = [x for x in map(str, range(3))]")
    assert any("read to the end" in note for note in notebook.report.notes)


def test_output_comes_in_the_serial_order(notebook):
    notebook.ok("%%parallel --chunk 3\nfor i in range(50):\n    print('line', i)")
    assert notebook.out == "".join(f"line {i}\n" for i in range(50))


def test_the_report_follows_the_output(notebook):
    notebook.ok("data = list(range(10))")
    notebook.ok("%%parallel\nout = [x for x in data]")
    assert len(notebook.reports) == 1
    assert "10 iterations" in notebook.reports[0]["text/plain"]
    assert notebook.reports[0]["text/html"].startswith("<style>")
    notebook.ok("%%parallel --quiet\nout = [x for x in data]")
    assert notebook.reports == []


def test_nothing_to_split_runs_once_and_says_why(notebook):
    notebook.ok("%%parallel\nx = 1 + 1")
    assert notebook["x"] == 2
    assert notebook.report.way == "serial"
    assert "serially" in notebook.reports[0]["text/plain"]


@pytest.mark.parametrize("body", ["", "# nothing here\n", "\n\n"])
def test_a_cell_without_code(notebook, body):
    notebook.ok(f"%%parallel\n{body}")
    assert notebook.report.way == "serial"


def test_serial_and_traced_cells_run_in_the_notebook(notebook):
    notebook.ok("import sys\ndata = list(range(10))")
    notebook.ok("%%parallel --serial\nout = [x for x in data]")
    assert notebook.report.way == "serial" and "--serial" in str(notebook.report)
    assert type(notebook["data"]) is list
    notebook.ok("sys.settrace(lambda *a: None)")
    try:
        notebook.ok("%%parallel\nout = [x for x in data]")
    finally:
        notebook.ok("sys.settrace(None)")
    assert notebook.report.way == "serial" and "settrace" in str(notebook.report)


def test_inside_other_magics(notebook):
    notebook.ok("data = list(range(100))")
    notebook.ok("%%time\n%%parallel\nout = [x + 1 for x in data]")
    assert notebook["out"] == list(range(1, 101))
    assert notebook.report.way == "split"
    notebook.ok("%%capture shown\n%%parallel\nfor x in data[:3]:\n    print(x)")
    assert notebook.ok("shown.stdout") == "0\n1\n2\n"
    notebook.ok("%%timeit -n 3 -r 2\n%%parallel\nout = [x + 1 for x in data]")
    assert "6 times" in str(notebook.report) and len(notebook.report.loops) == 1
    error = notebook.fails("%%prun\n%%parallel\nout = [x + 1 for x in data]")
    assert "magic" in str(error)
    error = notebook.fails("%%parallel\n%%time\nout = [x + 1 for x in data]")
    assert "%%time" in str(error)


def test_loading_twice_and_unloading(notebook, shell):
    before = len(shell.ast_transformers)
    firn.load_ipython_extension(shell)
    assert len(shell.ast_transformers) == before
    notebook.ok("%%parallel\nys = [x for x in range(3)]")
    firn.unload_ipython_extension(shell)
    assert len(shell.ast_transformers) == before - 2
    assert not [finder for finder in sys.meta_path if type(finder).__module__ == "firn.settings"]
    notebook.run("%%parallel\nx = 1")
    assert "`%%parallel` not found" in notebook.shown
    firn.load_ipython_extension(shell)
    notebook.ok("%%parallel\nx = 1")


def test_the_module_has_its_name_in_the_notebook_where_that_is_free(notebook, shell):
    shell.user_ns.pop("firn", None)
    firn.unload_ipython_extension(shell)
    assert "firn" not in notebook
    firn.load_ipython_extension(shell)
    assert notebook.ok("firn.is_frozen(1)") is True and "firn" not in notebook.ok("%who_ls")
    firn.unload_ipython_extension(shell)
    assert "firn" not in notebook
    notebook.ok("firn = 'old snow'")
    firn.load_ipython_extension(shell)
    notebook.ok("%%parallel\nlong = [len(firn) for n in range(3)]")
    firn.unload_ipython_extension(shell)
    assert notebook["firn"] == "old snow" and notebook["long"] == [8, 8, 8]
    del shell.user_ns["firn"]
    firn.load_ipython_extension(shell)


def test_the_module_has_its_name_again_after_a_reset(notebook):
    notebook.ok("%reset -f")
    assert isinstance(notebook.ok("firn.reports()"), list)
    notebook.ok("firn = 'old snow'")
    assert notebook.ok("firn") == "old snow"
    notebook.ok("del firn")
    assert isinstance(notebook.ok("firn.reports()"), list) and "firn" not in notebook.ok("%who_ls")


def test_variables_after_a_failed_loop_are_what_they_were(notebook):
    notebook.ok("out = 'before'\ntotal = 5\ndata = list(range(100))")
    error = notebook.fails("""%%parallel
first = 1
for x in data:
    total += 10 // (x - 60)
out = 'after'
""")
    assert isinstance(error, ZeroDivisionError)
    assert notebook["out"] == "before" and notebook["total"] == 5 and notebook["first"] == 1


def test_the_manual_and_the_completion(notebook, shell):
    found = shell.find_cell_magic("parallel").__doc__
    assert "--workers" in found and "%frozen" in found
    _, matches = shell.complete("--ti", "%%parallel --ti", len("%%parallel --ti"))
    assert "--timeout" in matches


def test_random_numbers_follow_the_seed_and_the_report_says_whose_they_are(notebook):
    cell = "%%parallel --chunk {chunk}\n{name} = [rnd() + random.randint(0, 9) for x in range(20)]"
    for name, chunk in (("a", 3), ("b", 20)):
        notebook.ok("import random\nfrom random import random as rnd\nrandom.seed(7)")
        notebook.ok(cell.format(name=name, chunk=chunk))
        assert "draws random numbers of its own" in str(notebook.report)
    assert notebook["a"] == notebook["b"] and len(set(notebook["a"])) == 20
    notebook.ok("%%parallel\nc = [random.Random(x).random() for x in range(20)]")
    assert notebook["c"] == notebook.ok("[random.Random(x).random() for x in range(20)]")
    assert "draws random numbers" not in str(notebook.report)


WARNING = """
import warnings
def warn(x):
    warnings.warn("same")
    return x
"""


def test_a_warning_is_shown_as_often_as_by_the_serial_cell(notebook):
    notebook.ok(WARNING)
    for loops in ("[warn(x) for x in range(9)]", "[warn(x) for x in range(9)] + [warn(x) for x in range(9)]"):
        for magic in ("", "%%parallel --chunk 1"):
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("default")
                notebook.ok(f"{magic}\nout = {loops}")
            assert [str(one.message) for one in found] == ["same"] and found[0].lineno == 3


def test_the_notebooks_own_way_of_showing_warnings_is_used(notebook):
    notebook.ok(WARNING + "def show(message, *more, **words):\n    seen.append(str(message))\nseen = []")
    hook = "warnings.simplefilter('always')\nwarnings.showwarning = {}"
    with warnings.catch_warnings():
        notebook.ok(hook.format("show"))
        notebook.ok("%%parallel --chunk 1\nout = [warn(x) for x in range(5)]")
        assert notebook["seen"] == ["same"] * 5 and not notebook.err
        notebook.ok("def refuse(*more, **words):\n    raise OSError('shown nowhere')\n" + hook.format("refuse"))
        error = notebook.fails("%%parallel --chunk 1\nfound = [warn(x) for x in range(5)]")
        assert type(error) is OSError and "found" not in notebook and "firn/" not in notebook.shown


def test_a_warning_that_cannot_leave_its_worker_is_shown_as_text(notebook):
    notebook.ok("import warnings\nclass Stays(UserWarning):\n    def __reduce__(self): raise OSError")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        notebook.ok("%%parallel --chunk 1\nout = [warnings.warn('told', Stays) for x in range(5)]")
    assert notebook.err.count("Stays: told") == 5


def test_data_that_answers_with_another_class_is_refused(notebook):
    notebook.ok("class Proxy:\n    @property\n    def __class__(self):\n        return int\nones = [Proxy(), Proxy()]")
    error = notebook.fails("%%parallel\nout = [isinstance(one, int) for one in ones]")
    assert "an instance of Proxy answers with another __class__" in str(error) and "out" not in notebook
    assert type(notebook["ones"]) is list and "firn/" not in notebook.shown


SETS = """first = [{7, 15, 23 + x} for x in numbers]
second = {x: frozenset([15, 7, x]) for x in numbers}
texts = ["".join(map(str, odd ^ {x})) for x in numbers]
table = {}
for x in numbers:
    table.setdefault(x % 2, set()).add(x * 8)"""


def test_sets_come_back_in_their_order(notebook):
    """Numbers that collide in a set's table stand in the order in which they came."""
    setup = "numbers = [3, 1, 4, 1, 5, 9, 2, 6]\nodd = {7, 15, 23}"
    notebook.ok(f"{setup}\n{SETS}")
    expected = repr([notebook[name] for name in ("first", "second", "texts", "table")])
    for head in ("", " --chunk 1", " --workers 1"):
        notebook.ok(setup)
        notebook.ok(f"%%parallel{head}\n{SETS}")
        assert repr([notebook[name] for name in ("first", "second", "texts", "table")]) == expected
