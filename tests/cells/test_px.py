"""`%%parallel --each` does what ipyparallel's `%%px` is tested for: output, errors, interrupts, workers, results.

`PX` names the cases of ipyparallel that a test here restates, in this project's words; `px_left_out.toml` names every
other one, with the reason. The last test compares both with the cases of the installed ipyparallel.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firn.errors import OptionError

TABLE = tomllib.loads((Path(__file__).parent / "px_left_out.toml").read_text())
LEFT_OUT: dict[str, dict[str, str]] = TABLE["cases"]
PX: dict[str, set[str]] = {module: set() for module in TABLE["modules"]}

GENERATE = """
def generate_output():
    import sys
    from IPython.display import HTML, Math, display
    print("stdout")
    print("stderr", file=sys.stderr)
    display(HTML("<b>bold</b>"))
    print("stdout2")
    print("stderr2", file=sys.stderr)
    display(Math("a=b"))
    return Math("42")
"""


def px(**cases: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Which of ipyparallel's cases a test stands for: module="case case"."""
    for module, names in cases.items():
        PX[module] |= set(names.split())
    return lambda test: test


@pytest.fixture(autouse=True)
def fresh(notebook) -> None:
    notebook.ok("%parallel reset")


@pytest.fixture
def six(notebook) -> Iterator[None]:
    notebook.ok("%parallel workers 6")
    yield
    notebook.ok("%parallel workers 2")


def gathered(notebook, expression: str):
    notebook.ok(f"%%parallel --gather found\nfound = {expression}")
    return notebook["found"]


def of(rank: int, text: str) -> list[str]:
    """The lines of one worker, without its label."""
    label = f"[{rank}] "
    return [line.removeprefix(label) for line in text.splitlines() if line.startswith(label)]


# ---- variables


@px(test_magics="test_px_blocking", test_view="test_execute test_unicode_execute")
def test_variables_are_assigned_and_assigned_again(notebook):
    notebook.ok("%%parallel --each\na = 5\nä = 'é'")
    assert gathered(notebook, "a, ä") == [(5, "é")] * 2
    notebook.ok("%%parallel --each\na = 10")
    assert gathered(notebook, "a") == [10, 10]
    notebook.ok("%%parallel --each\nimport sys\nprint(a); sys.stdout.flush()")
    assert sorted(notebook.out.splitlines()) == ["[0] 10", "[1] 10"]


@px(test_magics="test_px_var_expand test_cell_px_var_expand")
def test_braces_in_options_are_the_notebooks_and_names_in_the_cell_the_workers(notebook):
    notebook.ok("x = 'notebook'\nout_name = 'theoutput'")
    notebook.ok("%%parallel --each\nx = 'worker'")
    notebook.ok("%%parallel --gather {out_name}\ntheoutput = f'{x}'")
    assert notebook["theoutput"] == ["worker", "worker"] and notebook["x"] == "notebook"


@px(test_client="test_clear")
def test_forgetting_the_workers_variables(notebook):
    notebook.ok("%%parallel --each\na = 5")
    notebook.ok("%parallel reset")
    assert isinstance(notebook.fails("%%parallel --each\na"), NameError)


@px(test_view="test_push_pull test_push_pull_function test_push_function_globals test_push_function_defaults")
def test_values_and_functions_cross_both_ways(notebook):
    notebook.ok("data = [1, {'k': (2.5, None)}]\nlimit = 3\ndef f(x, more=data):\n    return x + limit, more")
    assert gathered(notebook, "data, f(1)[0], list(f(1)[1])") == [(notebook["data"], 4, notebook["data"])] * 2
    (first, second) = gathered(notebook, "f")
    assert first(4) == second(4) == (7, notebook["data"])


@px(test_view="test_scatter_gather test_scatter_gather_lazy test_len", test_client="test_targets test_lazy_all_targets")
def test_parts_of_a_sequence_for_each_worker(notebook):
    notebook.ok("data = list(range(64))")
    parts = gathered(notebook, "list(parallel.split(data))")
    assert parts[0] + parts[1] == list(range(64)) and gathered(notebook, "parallel.size") == [2, 2]
    assert isinstance(notebook.fails("%%parallel --gather asdf\npass"), OptionError)


# ---- targets


@px(test_magics="test_pxconfig test_cellpx_targets", test_client="test_view_indexing")
def test_fewer_workers_for_one_cell_and_for_all(notebook, six):
    for cell in ("r = parallel.rank", "r = parallel.rank\n1 / 0"):
        notebook.run(f"%%parallel --each --workers 2\n{cell}")
        assert notebook.report.workers <= 2
    assert gathered(notebook, "parallel.rank, parallel.size") == [(rank, 6) for rank in range(6)]
    assert isinstance(notebook.fails("%%parallel --gather r\npass"), NameError)  # the other four have none
    notebook.ok("%parallel workers 3")
    assert gathered(notebook, "parallel.rank") == [0, 1, 2]


@px(test_magics="test_pxconfig test_cellpx_targets", test_client="test_ids test_iter")
def test_one_worker_by_its_rank(notebook, six):
    notebook.ok("%%parallel --each\nmine = 0\nif parallel.rank in (1, 4):\n    mine = 1")
    assert gathered(notebook, "mine") == [0, 1, 0, 0, 1, 0]


# ---- output


@px(test_magics="test_cellpx_groupby_engine", test_view="test_execute_reply_rich test_execute_reply_stdout")
def test_output_grouped_by_worker(notebook):
    notebook.ok(GENERATE)
    shown = []
    notebook.shell.display_pub.publish = lambda data, metadata=None, **_: shown.append((notebook_text(), data))

    def notebook_text() -> int:
        return len(sys.stdout.getvalue().splitlines())

    notebook.ok("%%parallel --group --quiet\ngenerate_output()")
    assert notebook.out.splitlines() == [
        f"[{rank}]{text}" for rank in (0, 1) for text in (" stdout", "", " stdout2", "", "")
    ]
    assert notebook.err.splitlines() == [f"[{rank}] {text}" for rank in (0, 1) for text in ("stderr", "stderr2")]
    # Each rich object comes below its worker's label, in the order of the cell.
    assert [lines for lines, _ in shown] == [2, 4, 5, 7, 9, 10]
    assert [data.get("text/html", data.get("text/latex")) for _, data in shown] == [
        "<b>bold</b>", "$\\displaystyle a=b$", "$\\displaystyle 42$",
    ] * 2  # fmt: skip


@px(test_magics="test_cellpx_stream", test_view="test_execute_displaypub")
def test_output_as_it_comes(notebook):
    """Worker 1 prints its first line when worker 0 has printed its own, and the notebook sees both before the end."""
    notebook.ok("import firn\nturn = firn.shared_field(0)")
    notebook.ok("""%%parallel --each
import time
for n in range(3):
    while turn.get() != 2 * n + parallel.rank:
        time.sleep(0.001)
    print("line", n)
    turn.set(turn.get() + 1)
[display(i) for i in range(2)];
""")
    lines = [line for line in notebook.out.splitlines() if "line" in line]
    assert sorted(lines) == [f"[{rank}] line {n}" for rank in (0, 1) for n in range(3)]
    for rank in (0, 1):
        assert of(rank, notebook.out)[:3] == ["line 0", "line 1", "line 2"]
    assert sum("text/plain" in report for report in notebook.reports) == 2 * 2 + 1


@px(test_view="test_execute_reply test_execute_result test_execute_silent")
def test_the_last_expression_is_shown_unless_a_semicolon_ends_it(notebook):
    notebook.ok("%%parallel --each\n5")
    assert sorted(notebook.out.splitlines()) == ["[0] 5", "[1] 5"]
    for quiet in ("5;", "5 ;  # five", "x = 5"):
        notebook.ok(f"%%parallel --each\n{quiet}")
        assert notebook.out == ""
    notebook.ok("%%parallel --group\nprint('#;', end='')\n5 # ;")
    assert notebook.out == "[0] #;\n[0] 5\n[1] #;\n[1] 5\n"
    notebook.ok("%%parallel --group\n6")
    assert notebook.out == "[0] 6\n[1] 6\n"


@px(
    test_asyncresult="test_display_empty_streams_single test_display_empty_streams_type "
    "test_display_empty_streams_engine"
)
def test_who_prints_nothing_shows_nothing(notebook):
    for option in ("--each", "--group"):
        notebook.ok(f"%%parallel {option} --quiet\nprint(5555)")
        assert sorted(notebook.out.splitlines()) == ["[0] 5555", "[1] 5555"] and notebook.err == ""
        notebook.ok(f"%%parallel {option} --quiet\na = 5")
        assert notebook.out == "" and notebook.err == "" and not notebook.reports


@px(test_asyncresult="test_display_output_error")
def test_output_before_an_error_is_shown(notebook):
    for option in ("--each", "--group"):
        notebook.fails(f"%%parallel {option} --workers 1\nprint(5555)\n1 / 0")
        assert notebook.out.splitlines()[0] == "[0] 5555"


# ---- errors


@px(
    test_magics="test_cellpx_error_stream test_cellpx_error_no_stream", test_view="test_compositeerror_render_exception"
)
def test_an_error_of_all_workers_is_shown_once_and_counted(notebook, six):
    for option in ("--each", "--group"):
        notebook.ok("import firn\nready = firn.shared_field(0)")
        error = notebook.fails(f"""%%parallel {option}
import time
while True:
    seen = ready.get()
    if ready.compare_and_swap(seen, seen + 1):
        break
while ready.get() < parallel.size:
    time.sleep(0.001)
raise RuntimeError(f'oops! {{parallel.rank}}')""")
        assert type(error) is RuntimeError and str(error) == "oops! 0" and error.worker_error.rank == 0
        assert notebook.shown.count("RuntimeError: ") == 1
        assert notebook.shown.count("Traceback") == 1
        assert re.search(r"\(in worker 0(; \d other workers? failed as well)?\)", notebook.shown)
        assert "raise RuntimeError" in notebook.shown and "firn/" not in notebook.shown


@px(
    test_view="test_execute_raises test_remoteerror_render_exception", test_asyncresult="test_error_engine_info_execute"
)
def test_an_error_of_one_worker_names_it(notebook):
    error = notebook.fails("%%parallel --each\nx = 1 // (1 - parallel.rank)")
    assert isinstance(error, ZeroDivisionError) and error.worker_error.rank == 1
    assert "(in worker 1)" in notebook.shown and "Cell In[" in notebook.shown


@px(test_magics="test_px_matplotlib", test_view="test_magic_pylab")
@pytest.mark.parametrize(
    "cell",
    [
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
        "if parallel.size:\n    import matplotlib.pyplot",
        "draw()",
    ],
)
def test_a_library_that_no_worker_can_load_is_named_with_the_way_out(notebook, cell):
    pytest.importorskip("matplotlib")
    notebook.ok("def draw():\n    import matplotlib.pyplot as plt\n    plt.plot([1, 2])")
    error = notebook.fails(f"%%parallel --each\n{cell}")
    assert isinstance(error, ImportError)
    assert "matplotlib does not load in a worker" in str(error) and "draw them after it" in str(error)
    assert "import matplotlib" in notebook.shown and len(notebook.shown.splitlines()) < 10
    with_fallback = "try:\n    import matplotlib.pyplot\nexcept ImportError:\n    found = 'none'"
    notebook.ok(f"%%parallel --gather found\n{with_fallback}")
    assert notebook["found"] == ["none", "none"]


@px(test_view="test_execute_magic")
def test_a_magic_says_what_to_do_instead(notebook):
    error = notebook.fails("%%parallel --each\na = 5\n%whos")
    assert "line 3" in str(error) and "cell of its own" in str(error)
    notebook.ok("%%parallel --each\na = 5")
    notebook.ok("%parallel")
    assert "variables of the workers: a" in notebook.out


# ---- waiting, interrupts


@px(
    test_magics="test_cellpx_block_args test_cellpx_block test_px_nonblocking",
    test_view="test_abort test_abort_all test_block_kwarg",
)
def test_a_cell_that_does_not_wait(notebook):
    """Of split loops: the workers of --each cells have the variables that the next such cell wants."""
    notebook.ok("%%parallel --background job\na = [x for x in [5]]")
    assert repr(notebook["job"]).startswith("<background job 'job': ") and notebook.out.count("[stdout") == 0
    assert notebook.ok("job.result()\na") == [5]
    notebook.ok("%%parallel --background job\nb = [1 / x for x in [1, 0]]")
    assert isinstance(notebook.fails("job.result()"), ZeroDivisionError)
    notebook.ok("%%parallel --background job\nwhile_true = [[0 for _ in iter(int, 1)] for x in range(2)]")
    notebook.ok("job.cancel()")
    assert type(notebook.fails("job.result()")).__name__ == "CancelledError"
    error = notebook.fails("%%parallel --each --background job\na = 5")
    assert "--each" in str(error) and "--background" in str(error)


@px(test_magics="test_result", test_view="test_get_result")
def test_results_can_be_asked_for_later(notebook):
    notebook.ok("%%parallel --each\na, b = 111, 222")
    for name, value in (("a", 111), ("b", 222)):
        notebook.ok(f"%%parallel --each\n{name}")
        assert sorted(notebook.out.splitlines()) == [f"[0] {value}", f"[1] {value}"]
        assert gathered(notebook, name) == [value, value]


def waits_for_workers() -> bool:
    """Whether the main thread looks for what the workers bring; before that it still writes down what it froze."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and not frame.f_code.co_filename.endswith("firn/jobs.py"):
        frame = frame.f_back
    return frame is not None


@px(
    test_magics="test_cellpx_keyboard_interrupt_default test_cellpx_keyboard_interrupt_SIGINT "
    "test_cellpx_keyboard_interrupt_signal_2",
    test_client="test_signal_engines",
)
@pytest.mark.parametrize("option", ["--each", "--group"])
def test_an_interrupt_stops_all_workers_and_keeps_their_variables(notebook, option):
    notebook.ok("import firn\nready = firn.shared_field(0)\nended = firn.shared_field(0)")
    notebook.ok("%%parallel --each\na = 5")

    def press() -> None:
        limit = time.monotonic() + 60
        while not (notebook["ready"].get() == 2 and waits_for_workers()) and time.monotonic() < limit:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    error = notebook.fails(f"""%%parallel {option}
import time
print('Entering...')
while not ready.compare_and_swap(parallel.rank, parallel.rank + 1):
    time.sleep(0.001)
while True:
    time.sleep(0.01)
ended.set(1)
print('Exiting...')""")
    pressing.join()
    assert isinstance(error, KeyboardInterrupt)
    assert "Exiting..." not in notebook.out and notebook["ended"].get() == 0
    assert [of(rank, notebook.out)[0] for rank in (0, 1)] == ["Entering...", "Entering..."]
    assert gathered(notebook, "a") == [5, 5]


# ---- the tables


def cases_of(module: str) -> set[str]:
    """The cases of one of ipyparallel's test modules that `[modules]` in the data file asks for."""
    package = importlib.util.find_spec("ipyparallel")
    assert package is not None and package.origin is not None
    tree = ast.parse((Path(package.origin).parent / "tests" / f"{module}.py").read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"}
    return {name for name in names if re.fullmatch(TABLE["modules"][module], name)}


@pytest.mark.parametrize("module", PX)
def test_each_of_their_cases_has_a_counterpart_or_a_reason(module):
    left_out = LEFT_OUT.get(module, {})
    assert not PX[module] & left_out.keys()
    assert PX[module] | left_out.keys() == cases_of(module)
    for case, reason in left_out.items():
        kind, _, words = reason.partition(": ")
        assert kind in TABLE["reasons"] and len(words) > 10, (module, case, reason)
