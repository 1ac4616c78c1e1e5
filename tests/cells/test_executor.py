"""firn.Executor and firn.share in a notebook: what crosses how, errors, interrupts, asyncio, the end of the process."""

from __future__ import annotations

import concurrent.futures
import itertools
import subprocess
import sys
import time
import traceback
from pathlib import Path

import firn
import pytest


def run_script(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """A script of its own process, with a `__main__` that is a file."""
    path = tmp_path / "script.py"
    path.write_text(script)
    return subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)


@pytest.fixture
def executor(notebook):
    notebook.ok("import firn, itertools, functools\nexecutor = firn.Executor(2)")
    yield notebook["executor"]
    notebook["executor"].shutdown()


# ---- what crosses


def test_functions_of_the_notebook_follow_their_definitions_and_globals(notebook, executor):
    notebook.ok("scale = 3\ndef helper(x): return x * scale\ndef work(x): return helper(x) + 1")
    assert notebook.ok("executor.submit(work, 5).result()") == 16
    notebook.ok("scale = 10")
    assert notebook.ok("executor.submit(work, 5).result()") == 51
    notebook.ok("def helper(x): return -x")
    assert notebook.ok("[f.result() for f in [executor.submit(work, 5) for _ in range(4)]]") == [-4] * 4
    assert notebook.ok("executor.submit(lambda: helper(2)).result()") == -2


def test_a_name_that_hid_a_builtin_is_gone_with_the_notebooks(notebook, executor):
    notebook.ok("max = 3\ndef work(): return max")
    assert notebook.ok("[executor.submit(work).result() for _ in range(3)]") == [3] * 3
    notebook.ok("del max")
    assert notebook.ok("all(executor.submit(lambda: max(1, 2)).result() == 2 for _ in range(4))")


def test_instances_are_of_the_notebooks_own_classes_on_both_sides(notebook, executor):
    notebook.ok("""
class Point:
    made = []
    def __init__(self, x): self.x = x
    def moved(self, by): return Point(self.x + by)
def kind(point): return isinstance(point, Point), type(point).__name__
""")
    point = notebook.ok("executor.submit(Point(3).moved, 4).result()")
    assert type(point) is notebook["Point"] and point.x == 7
    assert notebook.ok("executor.submit(kind, Point(1)).result()") == (True, "Point")


def test_arguments_are_packed_when_they_are_submitted(notebook, executor):
    notebook.ok("""
import time
blockers = [executor.submit(time.sleep, 0.2) for _ in range(2)]
values = [1, 2]
future = executor.submit(sum, values)
values.append(100)
""")
    assert notebook.ok("future.result()") == 3


def test_arguments_are_fresh_in_each_call_and_globals_are_a_workers_own(notebook):
    notebook.ok("""
import firn
seen = []
def remember(x, bag):
    seen.append(x)
    bag.append(x)
    return list(seen), bag
bag = []
with firn.Executor(1) as executor:
    found = [executor.submit(remember, x, bag).result() for x in range(3)]
    same = executor.submit(lambda bag: bag is seen, seen).result()
""")
    assert notebook["found"] == [([0], [0]), ([0, 1], [1]), ([0, 1, 2], [2])]
    assert notebook["seen"] == [] and notebook["bag"] == [] and notebook["same"] is False


def test_an_initializer_runs_once_in_each_worker_and_what_it_binds_stays(notebook):
    notebook.ok("""
import firn, time, _interpreters
model = None
def start(name):
    global model, runs
    model = name
    runs = globals().get("runs", 0) + 1
def work(_):
    time.sleep(0.05)
    return model, runs, _interpreters.get_current()[0]
with firn.Executor(2, initializer=start, initargs=("m",)) as executor:
    found = list(executor.map(work, range(8)))
""")
    assert {entry[:2] for entry in notebook["found"]} == {("m", 1)}
    assert len({entry[2] for entry in notebook["found"]}) == 2 and notebook["model"] is None


def test_an_initializer_that_fails_breaks_the_executor(notebook):
    notebook.ok(
        "import firn\ndef start(): raise ValueError('not today')\nexecutor = firn.Executor(1, initializer=start)"
    )
    error = notebook.fails("executor.submit(int).result()")
    assert isinstance(error, concurrent.futures.BrokenExecutor)
    assert isinstance(notebook.fails("executor.submit(int)"), concurrent.futures.BrokenExecutor)


def test_definitions_of_modules_are_imported(notebook, executor, tmp_path, monkeypatch):
    (tmp_path / "some_library.py").write_text("STATE = []\ndef count():\n    STATE.append(1)\n    return len(STATE)\n")
    monkeypatch.syspath_prepend(tmp_path)
    notebook.ok("import some_library, firn")
    assert notebook.ok(
        "with firn.Executor(1) as own: found = [own.submit(some_library.count).result() for _ in 'ab']\nfound"
    ) == [1, 2]
    assert notebook["some_library"].STATE == []


def test_a_class_that_lies_beside_the_frozen_values_of_a_call_may_be_broken(notebook, executor):
    notebook.ok("""
import firn, threading
class Even:
    def __init__(self, n): self.n = n
    def twice(self): return 2 * self.n
class Odd(Even): pass
data = firn.share([[Even(i) for i in range(10)], [Odd(i) for i in range(10)]])
evens, odds = data
def total(values): return sum(value.twice() for value in values)
def named(): return total(evens)
assert list(executor.map(total, data)) == [90, 90]
Odd.locks = [threading.Lock()]
""")
    assert notebook.ok("executor.submit(total, evens).result()") == 90
    assert notebook.ok("list(executor.map(total, [evens] * 3, chunksize=2))") == [90] * 3
    assert notebook.ok("executor.submit(named).result()") == 90
    for call in ("total, odds", "total, data", "lambda: len(odds)"):
        assert "lock" in str(notebook.fails(f"executor.submit({call}).result()"))


# ---- firn.share


def test_shared_values_are_the_very_same_objects_everywhere(notebook, executor):
    notebook.ok("rows = firn.share([{'n': n, 'tags': ('a', str(n) * 50)} for n in range(100)])")
    notebook.ok("ask = lambda *a, **k: executor.submit(*a, **k).result()\ndef same(x): return x")
    assert notebook.ok("ask(same, rows) is rows")
    assert notebook.ok("ask(same, (1, [rows[7]], {'k': rows}))[1][0] is rows[7]")
    assert notebook.ok("ask(functools.partial(same, rows)) is rows")
    assert notebook.ok("ask(same, x=rows[3]['tags']) is rows[3]['tags']")
    assert notebook.ok("ask(lambda: rows[5]) is rows[5]")
    assert notebook.ok("ask(lambda *, default=rows: default) is rows")
    assert (
        notebook.ok("[row is rows[i] for i, row in enumerate(executor.map(rows.__getitem__, range(4)))]") == [True] * 4
    )
    assert notebook.ok("list(executor.map(lambda r, i: r[i]['n'], itertools.repeat(rows), range(5), chunksize=2))") == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_shared_values_cross_as_pointers_not_as_copies(notebook, executor):
    notebook.ok("big = firn.share([str(n) for n in range(200_000)])")
    before = firn._core.count_segments()
    from firn import calls

    raw, pointers, _ = calls.pack_plain((((notebook["big"], 1),), {}))  # type: ignore[misc]
    assert len(raw) < 100 and pointers == (notebook["big"],)
    assert notebook.ok("executor.submit(len, big).result()") == 200_000
    assert firn._core.count_segments() == before


def test_shared_instances_come_with_their_classes(notebook, executor):
    notebook.ok("""
from dataclasses import dataclass
@dataclass
class Town:
    name: str
    def loud(self): return self.name.upper()
towns = firn.share([Town("a"), Town("b")])
def loud(town): return town.loud(), isinstance(town, Town)
""")
    assert notebook.ok("executor.submit(loud, towns[1]).result()") == ("B", True)
    assert notebook.ok("list(executor.map(loud, towns, chunksize=2))") == [("A", True), ("B", True)]
    assert notebook.ok("executor.submit(lambda: towns[0]).result() is towns[0]")


def test_errors_are_shown_without_firns_own_frames(notebook, executor):
    notebook.ok("import threading\nlock = threading.Lock()\ndef f(x):\n    return 1 / x\ndef g(x):\n    return lock")
    for call, name in (("executor.submit(f, 0)", "ZeroDivisionError"), ("executor.submit(g, 0)", "TypeError")):
        assert type(notebook.fails(f"{call}.result()")).__name__ == name
        assert "return 1 / x" in notebook.shown or "a worker needs lock" in notebook.shown
        assert "executor.py" not in notebook.shown and "calls.py" not in notebook.shown


def test_shared_arrays_cross_as_memory(notebook, executor):
    notebook.ok("import numpy, array\ndef look(x): return type(x).__name__, float(sum(x)), x")
    notebook.ok("numbers, bag = firn.share(numpy.arange(1000.0)), firn.share(bytearray(b'abc'))")
    from firn import calls

    raw, pointers, kept = calls.pack_plain(((notebook["numbers"], [notebook["bag"]]), {}))  # type: ignore[misc]
    assert len(raw) < 100 and pointers == () and kept == [notebook["numbers"], notebook["bag"]]
    assert notebook.ok("executor.submit(look, numbers).result()[:2]") == ("Array", 499500.0)
    assert notebook.ok("executor.submit(lambda: float(numbers.mean())).result()") == 499.5
    assert notebook.ok("executor.submit(look, bag).result()") == ("bytearray", 294.0, b"abc")
    assert notebook.ok("(executor.submit(look, numbers).result()[2] == numbers).all()")
    notebook.ok("class Box:\n    def __init__(self, x): self.x = x\ndef unbox(box): return float(box.x[3])")
    assert notebook.ok("executor.submit(unbox, Box(numbers)).result()") == 3.0
    error = notebook.fails("executor.submit(look, numpy.arange(3)).result()")
    assert isinstance(error, TypeError) and "firn.share(array)" in str(error)


def test_a_shared_function_keeps_what_it_read(notebook, executor):
    notebook.ok("scale = 3\ndef work(x): return x * scale\nwork = firn.share(work)\nscale = 10")
    assert notebook.ok("executor.submit(work, 2).result()") == 6


def test_what_cannot_be_shared_says_where_it_stands(notebook):
    notebook.ok("import firn, threading\nrows = [{'lock': threading.Lock()}]")
    error = notebook.fails("firn.share(rows)")
    assert isinstance(error, firn.NotFreezableError) and "[0]['lock']" in str(error)
    assert notebook.ok("rows.append(1)") is None


def test_what_is_not_shared_is_neither_frozen_nor_bound_anew(notebook, executor):
    notebook.ok("table = {'a': [1]}\ndef work(): return table['a'][0]")
    table = notebook["table"]
    assert notebook.ok("executor.submit(work).result()") == 1
    assert notebook["table"] is table and not firn.is_frozen(table)
    notebook.ok("table['a'][0] = 2")
    assert notebook.ok("[executor.submit(work).result() for _ in range(3)]") == [2] * 3


# ---- errors


def test_an_exception_shows_the_workers_lines(notebook, executor):
    notebook.ok("class Odd(Exception): pass\ndef deep(x):\n    raise Odd(x)\ndef work(x):\n    return deep(x)")
    error = notebook.fails("executor.submit(work, 3).result()")
    assert type(error) is notebook["Odd"] and error.args == (3,)
    text = "".join(traceback.format_exception(error))
    assert "raise Odd(x)" in text and "return deep(x)" in text and "firn.Executor" in text
    assert notebook.ok("future = executor.submit(work, 1)\ntype(future.exception()).__name__") == "Odd"


def test_what_cannot_travel_is_the_futures_exception(notebook, executor):
    notebook.ok("import threading")
    error = notebook.fails("executor.submit(str, threading.Lock()).result()")
    assert isinstance(error, TypeError) and "lock" in str(error)
    error = notebook.fails("executor.submit(threading.Lock).result()")
    assert isinstance(error, TypeError) and "lock" in str(error)
    notebook.ok("lock = threading.Lock()\ndef reads(): return lock")
    error = notebook.fails("executor.submit(reads).result()")
    assert isinstance(error, TypeError) and any("lock" in note for note in error.__notes__)
    assert notebook.ok("executor.submit(abs, -1).result()") == 1


def test_a_module_that_does_not_load_in_workers_says_what_to_do(notebook, executor):
    error = notebook.fails("def work():\n    import faulthandler\nexecutor.submit(work).result()")
    assert isinstance(error, ImportError) and any("ProcessPoolExecutor" in note for note in error.__notes__)


def test_a_missing_name_is_an_error_of_the_call(notebook, executor):
    error = notebook.fails("def work(): return nowhere\nexecutor.submit(work).result()")
    assert isinstance(error, NameError) and "nowhere" in str(error)


def test_workers_make_no_executors(notebook, executor):
    error = notebook.fails("def work():\n    import firn\n    return firn.Executor(1)\nexecutor.submit(work).result()")
    assert isinstance(error, RuntimeError) and "inside a worker" in str(error)


# ---- map


def test_results_before_a_failing_item_of_a_chunk_come(notebook, executor):
    notebook.ok("""
found = []
try:
    for value in executor.map(lambda x: 10 // x, [1, 2, 5, 0, 1], chunksize=4):
        found.append(value)
except ZeroDivisionError as error:
    found.append(type(error).__name__)
""")
    assert notebook["found"] == [10, 5, 2, "ZeroDivisionError"]


def test_map_takes_several_iterables_chunks_and_buffers(notebook, executor):
    assert notebook.ok("list(executor.map(pow, range(10), range(7), chunksize=3))") == [n**n for n in range(7)]
    assert notebook.ok(
        "list(itertools.islice(executor.map(str, itertools.count(), chunksize=2, buffersize=2), 5))"
    ) == list("01234")
    assert isinstance(notebook.fails("executor.map(str, [1], chunksize=0)"), ValueError)
    error = notebook.fails("import time\nlist(executor.map(time.sleep, [5, 5], timeout=0.05))")
    assert isinstance(error, TimeoutError)
    notebook.ok("executor.terminate_workers()")


# ---- threads, asyncio, cells


def test_several_threads_submit_at_once(executor):
    def ask(start: int) -> list[int]:
        return [executor.submit(pow, n, 2).result() for n in range(start, start + 20)]

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = list(itertools.chain(*threads.map(ask, range(0, 80, 20))))
    assert found == [n * n for n in range(80)]


def test_asyncio_uses_it(notebook, executor):
    notebook.ok("""
import asyncio
def square(x): return x * x
async def main():
    loop = asyncio.get_running_loop()
    found = await asyncio.gather(*(loop.run_in_executor(executor, square, x) for x in range(5)))
    loop.set_default_executor(firn.Executor(1))
    found.append(await loop.run_in_executor(None, square, 10))
    return found
found = await main()
""")
    assert notebook["found"] == [0, 1, 4, 9, 16, 100]


def test_asyncio_runs_in_it_what_to_thread_gets(notebook):
    notebook.ok("""
import asyncio
def power(x, n=2): return x**n
async def main():
    asyncio.get_running_loop().set_default_executor(firn.Executor(2))
    return await asyncio.gather(
        asyncio.to_thread(power, 3), asyncio.to_thread(power, 2, n=5), asyncio.to_thread(len, "abc")
    )
found = await main()
""")
    assert notebook["found"] == [9, 32, 3]


def test_parallel_cells_and_calls_never_wait_for_each_other(notebook, executor):
    notebook.ok("""
import time
held = [executor.submit(time.sleep, 1.5) for _ in range(4)]
data = list(range(1000))
""")
    notebook.ok("%%parallel --quiet\nsquares = [x * x for x in data]")
    assert notebook["squares"][-1] == 998001 and notebook.report.way == "split"
    assert not notebook["held"][-1].done()
    assert notebook.ok("executor.submit(lambda: data[7] + 1)\nexecutor.submit(lambda: data[7]).result()") == 7


def test_output_appears_in_the_notebook(notebook, executor):
    notebook.ok("list(executor.map(print, ['one', 'two']))")
    assert sorted(notebook.out.splitlines()[:2]) == ["one", "two"]


# ---- the end


def test_running_calls_are_stopped_and_their_futures_broken(notebook):
    notebook.ok("""
import firn, time
def spin():
    while True: pass
executor = firn.Executor(1)
running, waiting = executor.submit(spin), executor.submit(spin)
while not running.running(): time.sleep(0.01)
time.sleep(0.3)
executor.terminate_workers()
""")
    error = notebook.fails("running.result(10)")
    assert isinstance(error, concurrent.futures.BrokenExecutor) and "stopped" in str(error)
    assert notebook["waiting"].cancelled()
    assert isinstance(notebook.fails("executor.submit(int)"), RuntimeError)


@pytest.mark.parametrize("where", ["future.result()", "pass"], ids=["in the block", "at its end"])
def test_an_interrupt_of_a_with_block_stops_its_calls(notebook, where):
    notebook.ok("""
import firn, os, signal, threading, time
def spin():
    while True: pass
def interrupt():
    time.sleep(0.7)
    os.kill(os.getpid(), signal.SIGINT)
""")
    began = time.monotonic()
    error = notebook.fails(f"""
threading.Thread(target=interrupt).start()
with firn.Executor(1) as executor:
    future = executor.submit(spin)
    {where}
""")
    assert isinstance(error, KeyboardInterrupt) and time.monotonic() - began < 30
    assert isinstance(notebook["future"].exception(5), concurrent.futures.BrokenExecutor)


@pytest.mark.parametrize("wait", ["run_in_executor(executor, spin)", "create_task(asyncio.sleep(60))"])
def test_an_interrupt_under_asyncio_stops_its_calls(tmp_path, wait):
    script = tmp_path / "script.py"
    script.write_text(f"""
import asyncio, os, signal, threading, time
import firn
def spin():
    while True: pass
def interrupt():
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)
async def main():
    threading.Thread(target=interrupt).start()
    with firn.Executor(1) as executor:
        executor.submit(spin)
        await asyncio.get_running_loop().{wait}
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted\n", done.stderr


def test_workers_end_with_their_executor(tmp_path):
    done = run_script(
        "import firn, gc, threading, time\n"
        "from pathlib import Path\n"
        "def name(path):\n"
        "    try:\n        return path.read_text().strip()\n"
        "    except OSError:\n        return ''\n"
        "def workers():\n"
        "    return [name(path) for path in Path('/proc/self/task').glob('*/comm')].count('firn-0')\n"
        "def soon(condition):\n"
        "    deadline = time.monotonic() + 20\n"
        "    while not condition() and time.monotonic() < deadline:\n        time.sleep(0.01)\n"
        "    return condition()\n"
        "with firn.Executor(3) as executor:\n"
        "    list(executor.map(abs, range(9)))\n    print(1 <= workers() <= 3)\n"
        "print(soon(lambda: workers() == 0))\n"
        "executor = firn.Executor(1)\nexecutor.submit(int).result()\nprint(workers())\n"
        "del executor\ngc.collect()\nprint(soon(lambda: workers() == 0 and threading.active_count() == 1))\n",
        tmp_path,
    )
    assert done.stdout.split() == ["True", "True", "1", "True"], done


def test_calls_end_before_the_process_does(tmp_path):
    done = run_script(
        "import firn, time\n"
        "def work(x):\n    time.sleep(0.3)\n    print('done', x, flush=True)\n"
        "executor = firn.Executor(2)\n"
        "futures = [executor.submit(work, x) for x in range(3)]\n",
        tmp_path,
    )
    assert done.returncode == 0 and sorted(done.stdout.splitlines()) == ["done 0", "done 1", "done 2"], done
    assert done.stderr == ""


def test_scripts_use_it_like_the_standard_librarys(tmp_path):
    done = run_script(
        "import firn\nfrom concurrent.futures import as_completed, wait\n"
        "STATE = 'unset'\n"
        "def init(x):\n    global STATE\n    STATE = x\n"
        "def get(i): return STATE, i\n"
        "if __name__ == '__main__':\n"
        "    with firn.Executor(2, initializer=init, initargs=('set',)) as executor:\n"
        "        futures = [executor.submit(get, i) for i in range(4)]\n"
        "        print(sorted(f.result() for f in as_completed(futures)), STATE, len(wait(futures).done))\n",
        tmp_path,
    )
    assert done.stdout.strip() == "[('set', 0), ('set', 1), ('set', 2), ('set', 3)] unset 4", done.stderr
