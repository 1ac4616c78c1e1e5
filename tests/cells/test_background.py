"""%%parallel --background: the handle, when effects are merged, errors, cancelling, restarts, the end of the process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from firn import background


@pytest.fixture
def gate(notebook, tmp_path):
    """Loops of `wait(x)` go on when this file is there. Nothing of a test is left running."""
    path = tmp_path / "gate"
    notebook.ok(
        f"import os, time\ngate = {str(path)!r}\n"
        "def wait(x):\n    while not os.path.exists(gate):\n        time.sleep(0.01)\n    return x\n"
    )
    yield path
    path.touch()
    for job in background.ACTIVE.copy():
        job.cancel()
    assert not background.ACTIVE


def watched(notebook, name: str = "job") -> None:
    """Waits until the workers are done with the job's loop, without asking the handle."""
    assert notebook[name]._watched.wait(30)


def test_a_cell_returns_at_once_and_its_result_comes_later(notebook, gate):
    job = notebook.ok("%%parallel --background job\nfound = [wait(x) + 1 for x in range(10)]\nlen(found)")
    assert notebook["job"] is job and "running, 0 of 10 iterations" in repr(job)
    assert "found" not in notebook and not job.done() and job.progress == (0, 10)
    gate.touch()
    assert notebook.ok("job.result()") == 10
    assert notebook["found"] == list(range(1, 11)) and job.done() and not job.cancelled()
    assert repr(job).startswith("<background job 'job': done after") and job.progress == (10, 10)
    assert notebook.ok("job.result()") == 10 and job.exception() is None
    assert job.report.way == "split" and notebook.report is job.report


def test_effects_are_merged_before_the_next_cell_and_not_earlier(notebook, gate):
    notebook.ok("total = 100")
    notebook.ok("%%parallel --background job\nfor x in range(10):\n    total += wait(x)\nafter = total")
    gate.touch()
    watched(notebook)
    assert notebook["total"] == 100 and "after" not in notebook
    assert "merged before the next cell" in repr(notebook["job"])
    notebook.ok("seen = total, after")
    assert notebook["seen"] == (145, 145)


def test_a_variable_must_be_there_when_its_loop_begins(notebook, gate):
    notebook.ok("%%parallel --background job\nfor x in range(1000):\n    later.append(wait(x))")
    notebook.ok("later = []")
    gate.touch()
    error = notebook["job"].exception()
    assert type(error) is NameError and str(error) == "name 'later' is not defined" and len(error.__notes__) == 1
    assert notebook["later"] == []


def test_a_loop_that_is_done_at_once_is_not_merged_in_its_cell(notebook, monkeypatch):
    class AtOnce(background.Watched):
        def __init__(self, started):
            super().__init__(started)
            assert self.wait(30)

    monkeypatch.setattr(background, "Watched", AtOnce)
    notebook.ok("%%parallel --background job\nfor x in range(10):\n    last = x\n1 / (last - 9)")
    assert "the background job 'job' failed: ZeroDivisionError: division by zero" in notebook.err
    assert type(notebook["job"].exception()) is ZeroDivisionError


def test_garbage_collection_is_the_users(notebook, gate):
    """Loops in the background end while his code runs; they do not touch what that says of collections."""
    notebook.ok("import gc\ndata = [(i % 50, str(i)) for i in range(4000)]")
    for name in ("first", "second"):
        loop = f"{name} = {{}}\nfor k, s in data:\n    {name}.setdefault(wait(k), []).append(s)"
        notebook.ok(f"%%parallel --background job_{name} --chunk 4\n{loop}")
    gate.touch()
    seen = "seen = set()\nwhile job_first.progress[0] < 4000:\n    seen.add(gc.isenabled())\n    time.sleep(0)"
    notebook.ok(seen)
    notebook.ok("job_first.result()\njob_second.result()")
    assert notebook["seen"] <= {True} and gc.isenabled() and notebook["first"] == notebook["second"]


def test_what_happened_meanwhile_is_not_lost(notebook, gate):
    notebook.ok("total, found = 0, []")
    notebook.ok("%%parallel --background job\nfor x in range(4):\n    total += wait(x)\n    found.append(x)")
    notebook.ok("total += 1000\nfound.append('mine')")
    gate.touch()
    notebook.ok("job.result()")
    assert notebook["total"] == 1006 and notebook["found"] == ["mine", 0, 1, 2, 3]


def test_what_the_loop_reads_is_what_it_was_at_the_start(notebook, gate):
    notebook.ok("data, factor = [1, 2, 3], 10")
    notebook.ok("%%parallel --background job\nfound = [wait(x) * factor for x in data]")
    notebook.ok("factor, data = 0, None")
    gate.touch()
    notebook.ok("job.result()")
    assert notebook["found"] == [10, 20, 30]


def test_several_loops_and_statements_between_them_run_in_their_order(notebook, gate):
    job = notebook.ok("""%%parallel --background job
before = 1
a = [wait(x) for x in range(5)]
middle = sum(a) + before
b = [x * middle for x in a]
print('end', middle)
(lambda: sum(b))()""")
    assert notebook["before"] == 1 and "middle" not in notebook
    gate.touch()
    assert notebook.ok("job.result(30)") == 110 and "end 11" in notebook.out
    assert len(job.report.loops) == 2


def test_other_cells_and_jobs_run_meanwhile(notebook, gate):
    notebook.ok("%%parallel --background one\na = [wait(x) for x in range(4)]")
    notebook.ok("%%parallel --background two\nb = [-wait(x) for x in range(4)]")
    notebook.ok("%%parallel\nsquares = [x * x for x in range(1000)]")
    assert notebook["squares"][-1] == 998001 and notebook.report.way == "split"
    notebook.ok("%parallel")
    assert notebook.out.count("in the background:") == 2 and "'two'" in notebook.out
    gate.touch()
    notebook.ok("two.result(), one.result()")
    assert notebook["a"] == [0, 1, 2, 3] and notebook["b"] == [0, -1, -2, -3]


def test_await_gives_the_result_and_other_tasks_run(notebook, gate):
    notebook.ok(
        "%%parallel --background job\nfound = [wait(x) for x in range(4)]\nmore = [x for x in found]\nsum(more)"
    )
    notebook.ok("""
import asyncio, pathlib
async def open_gate():
    await asyncio.sleep(0.05)
    pathlib.Path(gate).touch()
result, _ = await asyncio.gather(job, open_gate())
again = await job
""")
    assert notebook["result"] == 6 and notebook["again"] == 6 and notebook["found"] == [0, 1, 2, 3]


def test_a_cell_without_loops_runs_at_once(notebook):
    job = notebook.ok("%%parallel --background job\nx = 3\nx + 1")
    assert job.done() and notebook.ok("job.result()") == 4 and notebook["x"] == 3


# ---- errors


def test_an_exception_of_the_loop_is_raised_by_the_handle(notebook, gate):
    notebook.ok("found = []")
    notebook.ok("%%parallel --background job\nfor x in range(10):\n    found.append(1 // (wait(x) - 5))")
    gate.touch()
    watched(notebook)
    notebook.ok("pass")
    assert "'job' failed: ZeroDivisionError" in notebook.err and notebook["found"] == []
    error = notebook.fails("job.result()")
    assert isinstance(error, ZeroDivisionError) and any("iteration 5" in note for note in error.__notes__)
    assert "found.append(1 // (wait(x) - 5))" in notebook.shown
    assert notebook.ok("job.exception()") is error and "failed after" in repr(notebook["job"])


def test_an_exception_after_the_loop_is_raised_by_the_handle(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]\nfound[10]")
    gate.touch()
    assert isinstance(notebook.fails("job.result()"), IndexError)
    assert notebook["found"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("--background job\nfor x in data:\n    y = x - y", ["line 3", "y"]),
        ("--background job\nawait thing()", ["line 2", "await"]),
        ("--background job", ["no code"]),
        ("--background job --each\nx = 1", ["--background", "--each"]),
        ("--background job --serial\nx = 1", ["--background", "--serial"]),
        ("--background job\nx = parallel.rank", ["--background", "parallel.rank"]),
        ("--background job --compare full\nx = 1", ["--background", "--compare full"]),
        ("--background 1x\nx = 1", ["--background", "1x"]),
        ("--background if\nx = 1", ["--background", "if"]),
        ("--background data\nfound = [x for x in data]", ["line 2", "'data'", "--background data_job"]),
        ("--background found\nfound = [x for x in data]", ["line 2", "'found'", "another name"]),
        ("--background math\nfound = [x for x in data]\nimport math", ["'math'", "another name"]),
        ("--background x\nfound = [x for x in data]", ["line 2", "'x'"]),
        ("--background y\nfound = [with_y(x) for x in data]", ["with_y(), which the cell may call", "'y'"]),
        ("--background print\nfound = [x for x in data]", ["--background print", "Python's own print"]),
        ("--background job\nfound = [nowhere(x) for x in data]", ["nowhere"]),
        ("--background job\n1 / 0", ["division"]),
    ],
)
def test_what_is_wrong_with_a_cell_is_said_at_once(notebook, cell, words):
    notebook.ok("data, y = [1, 2, 3], 0\ndef with_y(x): return x + y")
    notebook.fails(f"%%parallel {cell}")
    assert all(word in notebook.shown for word in words), notebook.shown
    assert "job" not in notebook and not background.ACTIVE


@pytest.mark.parametrize(
    "cell", ["[job.done() for x in y]", "[jobs['job'].result() for x in y]", "[j.done() for j in [job]]"]
)
def test_a_job_cannot_be_used_in_a_loop(notebook, gate, cell):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    notebook.ok("jobs, y = {'job': job}, [1, 2, 3]")
    notebook.fails(f"%%parallel\nz = {cell}")
    assert "no worker can ask it: take its result first (value = job.result())" in notebook.shown
    gate.touch()
    notebook.ok("job.result(30)")
    notebook.fails(f"%%parallel\nz = {cell}")
    assert "take its result first" in notebook.shown


# ---- the end


def test_a_cancelled_job_merges_nothing(notebook, gate):
    notebook.ok("found = []")
    job = notebook.ok("%%parallel --background job\nfor x in range(10):\n    found.append(wait(x))\nafter = 1")
    loop = job._watched
    assert notebook.ok("job.cancel()") is True and job.cancelled() and job.done()
    assert isinstance(notebook.fails("job.result()"), concurrent.futures.CancelledError)
    assert "'job' was cancelled" in notebook.shown and "background.py" not in notebook.shown
    assert isinstance(notebook.fails("await job"), concurrent.futures.CancelledError)
    gate.touch()
    assert loop.wait(30)
    notebook.ok("pass")
    assert notebook["found"] == [] and "after" not in notebook and not job.cancel()
    assert "cancelled" in repr(job)


def test_a_cancelled_endless_loop_leaves_its_workers_to_others(notebook, gate):
    notebook.ok("def spin(x):\n    while True: pass")
    notebook.ok("%%parallel --background job\nfound = [spin(x) for x in range(4)]")
    notebook.ok("job.cancel()")
    gate.touch()
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    notebook.ok("job.result(30)")
    assert notebook["found"] == [0, 1, 2, 3]


def test_waiting_has_a_limit_and_can_be_interrupted(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    assert isinstance(notebook.fails("job.result(timeout=0.05)"), TimeoutError)
    notebook.ok("""
import signal, threading
def interrupt():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
""")
    error = notebook.fails("threading.Thread(target=interrupt).start()\njob.result()")
    assert isinstance(error, KeyboardInterrupt) and not notebook["job"].done()
    assert "2 job.result()" in notebook.shown
    assert not re.search(r"background\.py|jobs\.py|threading\.py", notebook.shown)
    gate.touch()
    notebook.ok("job.result(30)")
    assert notebook["found"] == [0, 1, 2, 3]


def test_awaiting_it_can_be_interrupted(notebook, gate):
    """A kernel cancels the cell's task."""
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]\nlen(found)")
    notebook.ok("import asyncio")
    error = notebook.fails("asyncio.get_running_loop().call_later(0.1, asyncio.current_task().cancel)\nawait job")
    assert isinstance(error, asyncio.CancelledError) and not notebook["job"].done()
    assert "2 await job" in notebook.shown
    assert not re.search(r"background\.py|locks\.py", notebook.shown)
    gate.touch()
    assert notebook.ok("await job") == 4


def test_a_job_behind_another_says_that_it_waited_for_its_turn(notebook):
    notebook.ok("import time")
    notebook.ok("%%parallel --background first --chunk 1\na = [time.sleep(0.1) for n in range(16)]")
    notebook.ok("%%parallel --background second --chunk 1\nb = [time.sleep(0.1) for n in range(4)]")
    notebook.ok("second.result(30)\nfirst.result(30)")
    report = notebook["second"].report
    assert report.slower and report.because().startswith("it waited ")
    phases = report.phases()
    assert phases["wait"] > 0.3 > phases["start"] and sum(phases.values()) == pytest.approx(report.wall_seconds)
    assert notebook["first"].report.loops[0].turn_seconds == 0


def test_what_waits_for_the_notebook_is_no_merging(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    gate.touch()
    watched(notebook)
    time.sleep(0.3)
    notebook.ok("job.result()")
    phases = notebook["job"].report.phases()
    assert phases["wait"] > 0.25 > phases["merge"]


def test_an_interrupt_of_another_cell_leaves_it_alone(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    notebook.ok("""
import signal, threading
def interrupt():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
def spin(x):
    while True: pass
""")
    error = notebook.fails("%%parallel\nthreading.Thread(target=interrupt).start()\na = [spin(x) for x in range(4)]")
    assert isinstance(error, KeyboardInterrupt)
    gate.touch()
    notebook.ok("job.result(30)")
    assert notebook["found"] == [0, 1, 2, 3]


def test_its_time_is_limited(notebook, gate):
    notebook.ok("%%parallel --background job --timeout 0.3\nfound = [wait(x) for x in range(4)]")
    error = notebook.fails("job.result(30)")
    assert isinstance(error, TimeoutError) and "--timeout 0.3" in str(error) and "found" not in notebook


def test_a_restart_of_the_workers_ends_it(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    notebook.ok("%parallel restart")
    assert "restarted" in str(notebook.fails("job.result(30)"))
    gate.touch()
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]")
    notebook.ok("job.result(30)")
    assert notebook["found"] == [0, 1, 2, 3]


def test_the_handle_may_be_asked_from_other_threads(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]\nsum(found)")
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(notebook["job"].result(30))) for _ in range(3)]
    for thread in threads:
        thread.start()
    gate.touch()
    for thread in threads:
        thread.join(30)
    assert results == [6, 6, 6] and notebook["found"] == [0, 1, 2, 3]


def test_a_job_cannot_wait_for_itself(notebook, gate):
    notebook.ok("%%parallel --background job\nfound = [wait(x) for x in range(4)]\nglobals()['job'].result()")
    gate.touch()
    error = notebook.fails("job.result(30)")
    assert isinstance(error, RuntimeError) and "its own end" in str(error)


def test_a_seed_gives_the_same_numbers(notebook):
    notebook.ok("import random")
    notebook.ok("%%parallel --seed 3\na = [random.random() for x in range(9)]")
    notebook.ok("%%parallel --seed 3 --background job\nb = [random.random() for x in range(9)]")
    notebook.ok("job.result(30)")
    assert notebook["a"] == notebook["b"]


def test_the_process_does_not_wait_for_it(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_cell('%load_ext firn')\n"
        "shell.run_cell('def spin(x):\\n    while True: pass')\n"
        "shell.run_cell('%%parallel --background job\\na = [spin(x) for x in range(4)]').raise_error()\n"
        "shell.run_cell('import time; time.sleep(0.5); print(\"bye\")')\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "bye" in done.stdout and done.stderr == "", done
    assert time.monotonic() - began < 50


def test_the_example_of_the_readme_runs(notebook):
    blocks = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)
    notebook.ok(blocks[0])
    (example,) = [block for block in blocks if "--background" in block]
    notebook.ok(example)
    notebook.ok("job.result(60)")
    hits = [row for row in notebook["rows"] if len(row["text"].split()) > 90]
    assert notebook["hits"] == hits and len(hits) > 1000


@pytest.mark.parametrize("name", ["firn", "In", "get_ipython", "sum"])
def test_a_handle_hides_nothing_that_all_cells_have(notebook, name):
    error = notebook.fails(f"%%parallel --background {name}\nx = [n for n in range(9)]")
    assert f"would hide {'Python' if name == 'sum' else 'the notebook'}'s" in str(error)


def test_the_report_of_a_cancelled_cell_says_so(notebook):
    notebook.ok("import time")
    notebook.ok("%%parallel --background job\nfor n in range(4000):\n    time.sleep(0.01)")
    notebook.ok("job.cancel()\nreport = job.report")
    assert "cancelled after" in str(notebook["report"]) and "failed" not in str(notebook["report"])
