"""Bad input: a clear message or the right result, variables that are what they were, a shell that goes on."""

from __future__ import annotations

import gc
import signal
import threading
import time
import traceback

import firn
import pytest

pytestmark = pytest.mark.usefixtures("goes_on", "no_callbacks")


@pytest.fixture
def no_callbacks():
    """An interrupt that arrives inside a callback of the garbage collector is lost in any CPython; hypothesis has one."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = callbacks


def interrupt_after(seconds: float) -> None:
    """Presses Ctrl-C once, later."""

    def press() -> None:
        time.sleep(seconds)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def test_syntax_error(notebook):
    notebook.fails("%%parallel\nx = 1\ny = (2\nz = 3")
    assert "SyntaxError" in notebook.shown and "line 3" in notebook.shown
    assert "x" not in notebook


def test_return_outside_a_function(notebook):
    notebook.fails("%%parallel\nx = 1\nreturn 2")
    assert "SyntaxError" in notebook.shown and "outside function" in notebook.shown


@pytest.mark.parametrize(
    "line, words",
    [
        ("--worker 2", ["--worker", "did you mean --workers?"]),
        ("--workers none", ["--workers: none is not a whole number"]),
        ("--workers 0", ["--workers: 0 is not a whole number from 1 upwards"]),
        ("--workers", ["--workers: its value is missing"]),
        ("--seed -1", ["--seed: -1 is not a whole number from 0 upwards"]),
        ("--timeout soon", ["--timeout: soon is not a time in seconds"]),
        ("--compare never", ["--compare", "sample"]),
        ("rows", ["'rows'"]),
        ("--timeout -1", ["--timeout"]),
        ("--copy rwos", ["rwos", "did you mean rows?"]),
        ("--serial --each", ["--serial", "--each"]),
        ("--serial --timeout 2", ["--serial", "--timeout", "the notebook runs the cell"]),
        ("--serial --chunk 5", ["--serial", "--chunk"]),
        ("--serial --workers 2", ["--serial", "--workers"]),
        ("--copy 'a", ["quotation"]),
    ],
)
def test_options_that_do_not_fit(notebook, line, words):
    notebook.ok("rows = [1]")
    error = notebook.fails(f"%%parallel {line}\nx = [r for r in rows]")
    for word in words:
        assert word in str(error)
    assert "x" not in notebook
    assert type(notebook["rows"]) is list
    assert "Traceback" not in notebook.shown


@pytest.mark.parametrize(
    "cell",
    [
        "%%parallel --copy opne\nx = [n for n in n5]",
        "%%parallel --each --gather opne\nx = 1",
        "%frozen opne",
        "%thaw opne",
    ],
)
def test_nobody_meant_a_name_of_ipythons_own(notebook, cell):
    notebook.ok("n5 = [1]")
    error = notebook.fails(cell)
    assert str(error).endswith(("has no variable 'opne'", "--each cell binds 'opne'"))
    notebook.ok("open = [1]")
    assert "did you mean open?" in str(notebook.fails("%frozen opne"))


def test_a_name_that_exists_nowhere(notebook):
    notebook.ok("values = [1, 2]")
    error = notebook.fails("%%parallel\ndone = 1\nout = [v + valeus[0] for v in values]")
    assert isinstance(error, NameError)
    assert "valeus" in str(error) and "values" in str(error)
    assert "site-packages" not in notebook.shown and "firn/" not in notebook.shown
    assert "out" not in notebook


def test_a_loop_that_cannot_be_split(notebook):
    notebook.ok("values = [1, 2]")
    error = notebook.fails("%%parallel\nbefore = 1\nlast = 0\nfor v in values:\n    last = last * 2 + v\n")
    assert "line 5" in str(error) and "last" in str(error)
    assert "before" not in notebook
    assert "last * 2 + v" in notebook.shown
    assert "Traceback" not in notebook.shown and "firn/" not in notebook.shown


def test_a_value_that_cannot_be_frozen(notebook):
    notebook.ok("import threading\nlock = threading.Lock()\nrows = [1, {'l': lock}]")
    error = notebook.fails("%%parallel\nout = [len(rows) for i in range(10)]")
    assert "rows" in str(error) and "lock" in str(error)
    assert "firn/" not in notebook.shown
    assert type(notebook["rows"]) is list and notebook["rows"][1]["l"] is notebook["lock"]


def test_a_file(notebook, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo\nthree\n")
    notebook.ok(f"file = open({str(path)!r})")
    notebook.ok("%%parallel\nout = [line.strip() for line in file]")
    assert notebook["out"] == ["one", "two", "three"]
    assert notebook.ok("file.read()") == ""
    notebook.ok("file.close()")


def test_a_generator_and_one_that_fails(notebook):
    notebook.ok("def numbers(n):\n    for i in range(n):\n        yield 10 // (3 - i)")
    notebook.ok("%%parallel\nout = [n for n in numbers(3)]")
    assert notebook["out"] == [3, 5, 10]
    error = notebook.fails("%%parallel\nout = [n for n in numbers(5)]")
    assert isinstance(error, ZeroDivisionError)
    assert "yield 10 // (3 - i)" in notebook.shown and "firn/" not in notebook.shown
    assert notebook["out"] == [3, 5, 10]


def test_an_endless_iterator_can_be_interrupted(notebook):
    notebook.ok("import itertools\ncounter = (n for n in itertools.count())")
    interrupt_after(0.5)
    error = notebook.fails("%%parallel\nout = [n for n in counter]")
    assert isinstance(error, KeyboardInterrupt)
    assert "out" not in notebook


def test_what_surely_has_no_end_is_refused(notebook):
    error = notebook.fails("%%parallel\nfrom itertools import count\nout = [n for n in count()]")
    assert type(error) is OverflowError and "has no end" in str(error) and "out" not in notebook


def test_what_was_read_of_an_endless_iterator_is_given_back(notebook):
    notebook.ok("""
import gc, itertools
class Item:
    made = gone = 0
    def __init__(self):
        Item.made += 1
    def __del__(self):
        Item.gone += 1
items = (Item() for _ in itertools.count())
""")
    interrupt_after(0.5)
    assert isinstance(notebook.fails("%%parallel\nout = [1 for _ in items]"), KeyboardInterrupt)
    notebook.ok("gc.collect()")
    assert notebook["Item"].made > 0 and notebook["Item"].made == notebook["Item"].gone


@pytest.mark.parametrize("sequence", ["[]", "()", "''", "{}", "range(0)", "iter([])", "set()"])
def test_an_empty_sequence(notebook, sequence):
    notebook.ok("n = 5")
    notebook.ok(f"%%parallel\nout = [x for x in {sequence}]\nfor x in {sequence}:\n    n += 1")
    assert notebook["out"] == [] and notebook["n"] == 5 and "x" not in notebook


def test_huge_integers(notebook):
    notebook.ok("big = 10 ** 6000\nbigs = [big, -big, big + 1]")
    notebook.ok("%%parallel\nout = [b + big for b in bigs]\ntotal = 0\nfor b in bigs:\n    total += b")
    big = 10**6000
    assert notebook["out"] == [2 * big, 0, 2 * big + 1]
    assert notebook["total"] == big + 1


def test_a_huge_range(notebook):
    error = notebook.fails("%%parallel\nout = [i for i in range(10 ** 30)]")
    assert isinstance(error, (OverflowError, MemoryError))


def test_a_lone_surrogate(notebook):
    notebook.ok(r"text = 'a\ud800b'; texts = [text, '\udfff']")
    notebook.ok("%%parallel\nout = [t + text for t in texts]\nfor t in texts:\n    print(ascii(t))")
    assert notebook["out"] == ["a\ud800ba\ud800b", "\udfffa\ud800b"]
    assert notebook.out == "'a\\ud800b'\n'\\udfff'\n"
    notebook.ok("%%parallel\nfor t in texts:\n    print(t)")
    assert "a" in notebook.out


def test_an_exception_of_the_notebooks_own_class(notebook):
    notebook.ok(
        "class Mine(Exception):\n    pass\ndef f(x):\n    if x == 7:\n        raise Mine('seven', x)\n    return x"
    )
    error = notebook.fails("%%parallel\nout = [f(x) for x in range(10)]")
    assert type(error) is notebook["Mine"] and error.args == ("seven", 7)


def test_an_exception_shows_the_notebooks_own_lines(notebook):
    notebook.ok("def invert(x):\n    return 1 / x")
    error = notebook.fails("%%parallel\nnumbers = [2, 1, 0]\nout = [invert(x) for x in numbers]")
    assert isinstance(error, ZeroDivisionError)
    assert error.__cause__ is None and notebook.shown.count("Traceback") == 1
    assert "(in iteration 2, counted from 0" in error.__notes__[0]
    assert [entry.name for entry in traceback.extract_tb(error.__traceback__)][-1] == "invert"
    assert "return 1 / x" in notebook.shown
    assert "out = [invert(x) for x in numbers]" in notebook.shown
    assert "firn/" not in notebook.shown


def test_an_exception_keeps_its_own_cause(notebook):
    notebook.ok("""
def read(x):
    try:
        return {}[x]
    except KeyError as missing:
        raise ValueError("no entry") from missing
""")
    error = notebook.fails("%%parallel\nout = [read(x) for x in range(3)]")
    assert isinstance(error, ValueError) and isinstance(error.__cause__, KeyError)
    assert "return {}[x]" in notebook.shown and "raise ValueError" in notebook.shown


def test_an_exception_can_be_caught_in_the_cell(notebook):
    notebook.ok("""%%parallel --chunk 1
try:
    out = [1 // x for x in [1, 0, 2]]
except ZeroDivisionError as error:
    caught = str(error)
""")
    assert "zero" in notebook["caught"] and "out" not in notebook


def test_an_exception_that_does_not_pickle(notebook):
    notebook.ok("""
class Strange(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.lock = __import__("threading").Lock()
def f(x):
    raise Strange(x, lambda: x)
""")
    error = notebook.fails("%%parallel\nout = [f(x) for x in [1, 2]]")
    assert isinstance(error, firn.WorkerError)
    assert "Strange" in notebook.shown and "raise Strange" in notebook.shown


def test_the_lowest_failing_iteration_wins(notebook):
    error = notebook.fails("%%parallel --chunk 1\nout = [1 // (x % 10 - 5) for x in range(100)]\n")
    assert isinstance(error, ZeroDivisionError)
    assert "iteration 5" in notebook.shown


def test_sys_exit_in_a_worker(notebook):
    notebook.ok("import sys")
    error = notebook.fails("%%parallel\nfor x in range(10):\n    if x == 3:\n        sys.exit(4)")
    assert isinstance(error, SystemExit) and error.code == 4


def test_ten_megabytes_of_output(notebook):
    notebook.ok("%%parallel\nfor i in range(1000):\n    print(str(i).zfill(10_239))")
    assert len(notebook.out) == 10_240_000
    assert notebook.out == "".join(f"{str(i).zfill(10_239)}\n" for i in range(1000))


@pytest.mark.long
def test_a_hundred_megabytes_of_output(notebook):
    for options in ("", "--each", "--group"):
        notebook.ok(f"%%parallel {options}\nfor i in range(1000):\n    print(str(i).zfill(102_399))")
        copies = 2 if options else 1
        assert len(notebook.out) == copies * (102_400_000 + 4 * 1000 * (copies - 1))
        for rank in range(copies):
            head = f"[{rank}] " if options else ""
            own = [line for line in notebook.out.splitlines() if line.startswith(head)]
            assert own == [head + str(i).zfill(102_399) for i in range(1000)]


@pytest.mark.long
def test_a_result_of_one_gigabyte(notebook):
    notebook.ok("%%parallel\nout = [bytes([i]) * 10_000_000 for i in range(100)]")
    assert len(notebook["out"]) == 100
    assert all(notebook["out"][i] == bytes([i]) * 10_000_000 for i in range(0, 100, 9))
    notebook.ok("del out")


def test_an_endless_loop_is_interrupted_at_the_first_press(notebook):
    notebook.ok("total = 5")
    interrupt_after(0.7)
    began = time.monotonic()
    error = notebook.fails("%%parallel\nfor x in range(4):\n    while True:\n        pass\n    total += x")
    assert isinstance(error, KeyboardInterrupt)
    assert time.monotonic() - began < 5
    assert notebook["total"] == 5 and "x" not in notebook
    assert "firn/" not in notebook.shown


def test_timeout(notebook):
    notebook.ok("import time")
    error = notebook.fails("%%parallel --timeout 0.4\nout = [time.sleep(0.2) for x in range(1000)]")
    assert isinstance(error, TimeoutError) and "--timeout 0.4" in str(error)
    assert "out" not in notebook


@pytest.mark.parametrize("numbers", ["(time.sleep(0.01) for _ in iter(int, 1))", "iter(int, 1)"])
def test_timeout_while_an_iterator_without_end_is_read(notebook, numbers):
    notebook.ok("import time")
    began = time.monotonic()
    error = notebook.fails(f"%%parallel --timeout 0.4\nout = any(x for x in {numbers})")
    assert isinstance(error, TimeoutError) and "--timeout 0.4" in str(error) and "firn/" not in notebook.shown
    assert time.monotonic() - began < 2 and "out" not in notebook


def test_recursion_without_end_in_a_worker(notebook):
    notebook.ok("def down(x):\n    return down(x + 1)")
    error = notebook.fails("%%parallel\nout = [down(x) for x in range(4)]")
    assert isinstance(error, RecursionError)


def test_writing_to_a_frozen_variable_says_what_to_do(notebook):
    notebook.ok("rows = [1, 2, 3]")
    notebook.ok("%%parallel\nout = [x for x in rows]")
    error = notebook.fails("rows.append(4)")
    assert isinstance(error, TypeError)
    assert "firn.thaw(rows)" in str(error) and "--copy rows" in str(error)
    notebook.ok("%thaw rows")
    notebook.ok("rows.append(4)")
    assert notebook["rows"] == [1, 2, 3, 4]


def test_a_module_that_no_worker_can_load(notebook):
    pytest.importorskip("numpy")
    notebook.ok("import numpy as np")
    error = notebook.fails("%%parallel\nout = [np.sqrt(x) for x in range(10)]")
    assert "numpy" in str(error)
    assert "out" not in notebook


@pytest.mark.parametrize(
    ("cell", "seen"),
    [
        ("for x in range(3):\n    import numpy as np\n    y = np.sqrt(x)", True),
        ("for x in range(3):\n    from numpy import sqrt\n    y = sqrt(x)", True),
        ("for x in range(3):\n    if x == 2:\n        import numpy", False),
        ("out = [root(x) for x in range(3)]", False),
    ],
)
def test_a_module_that_no_worker_can_load_is_imported_there(notebook, cell, seen):
    pytest.importorskip("numpy")
    notebook.ok("def root(x):\n    import numpy as np\n    return np.sqrt(x)")
    error = notebook.fails(f"%%parallel\n{cell}")
    assert isinstance(error, ImportError) and "numpy does not load in a worker" in str(error)
    assert "Do the array's part outside" in notebook.shown and "numpy" in notebook.shown.splitlines()[0]
    assert len(notebook.shown.splitlines()) < 8
    assert hasattr(error, "worker_error") != seen  # then no worker has begun
    notebook.ok(f"%%parallel --explain\n{cell}")
    assert ("numpy does not load" in notebook.reports[0]["text/plain"]) == seen


def test_a_lost_effect_shows_the_line_of_the_function(notebook):
    notebook.ok("n = 0\ndef count(x):\n    global n\n    n += x\n    return n")
    error = notebook.fails("%%parallel\n# one\n# two\nout = [count(x) for x in range(3)]")
    assert "count()" in str(error) and "'n'" in str(error)
    assert "n += x" in notebook.shown
    assert notebook["n"] == 0 and "out" not in notebook


def test_the_message_of_a_frozen_value_names_the_variable(notebook):
    notebook.ok("sizes = {'a': 1, 'b': 2}")
    notebook.ok("%%parallel\nout = [sizes[k] for k in ['a', 'b']]")
    error = notebook.fails("sizes['c'] = 3")
    assert "'sizes' is frozen" in str(error) and "sizes = firn.thaw(sizes)" in str(error)


def test_input_in_a_loop_is_refused(notebook):
    error = notebook.fails("%%parallel\nout = [input() for x in range(3)]")
    assert "input" in str(error)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("firn.freeze({'a': [open('/dev/null')]})", "obj['a'][0]: cannot freeze _io.TextIOWrapper"),
        ("firn.freeze(threading.Lock())", "leave it out of the data"),
        ("firn.release('nothing_here')", "no notebook has a variable 'nothing_here'"),
        ("firn.release([1])", "is not frozen"),
    ],
)
def test_what_firn_refuses_outside_of_cells_is_shown_without_its_own_frames(notebook, code, words):
    notebook.ok("import threading, firn")
    notebook.fails(code)
    assert words in notebook.shown and code in notebook.shown
    assert "/firn/" not in notebook.shown and "direct cause" not in notebook.shown


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("threading.Lock()", ["data: a _thread.lock", "Leave data out: what the loop adds up"]),
        (
            "[1, {'l': threading.Lock()}]",
            ["data[1]['l']: a _thread.lock", "no lock is needed to read them: leave it out."],
        ),
        ("[open('/dev/null')]", ["data[0]: a _io.TextIOWrapper", "Read its content into a string"]),
    ],
)
def test_what_cannot_be_sent_has_a_way_out_of_its_own(notebook, data, words):
    notebook.ok(f"import threading\ndata = {data}")
    notebook.fails("%%parallel\nsame = [data is None for n in range(3)]")
    assert all(word in notebook.shown for word in words), notebook.shown
    assert not notebook.reports  # nothing began: there is nothing to report


def test_items_that_cannot_be_sent_and_have_no_name(notebook):
    notebook.fails("%%parallel\nimport re\nfound = [match.group() for match in re.finditer('a', 'banana')]")
    assert "the loop runs over a re.Match, which can neither be frozen nor copied" in notebook.shown
    assert "make a list of what it needs of each item" in notebook.shown


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("total += n\n    out.append(total)", "itertools.accumulate"),
        ("if n in seen:\n        out.append(n)\n    seen.add(n)", "list(first.values())"),
        ("if n in counts:\n        counts[n] += 1", "counts[k] += v"),
    ],
)
def test_what_the_loop_changes_and_reads_has_the_way_out_that_fits(notebook, body, words):
    notebook.ok("total, out, seen, counts = 0, [], set(), {}")
    error = notebook.fails(f"%%parallel\nfor n in range(10):\n    {body}")
    assert "and reads it here" in str(error) and words in str(error)
