"""More bad input: depth and memory without end, what loops do to their own sequence and names, odd cells and results,
interrupts while freezing, two front ends, many workers. After each, a plain and a parallel cell still work.

`bad_input.toml` lists every kind of bad input with its tests.
"""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import threading
import time
import tomllib
import tracemalloc
from pathlib import Path

import firn
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.usefixtures("goes_on")


# ---- depth and memory


@pytest.mark.parametrize(
    "definition",
    [
        "def down(x):\n    return down(x + 1)",
        "class Down:\n    def __repr__(self):\n        return repr(self)\ndef down(x):\n    return repr(Down())",
        "class Down:\n    def __eq__(self, other):\n        return [self] == [other]\ndef down(x):\n    return Down() == Down()",
        "def down(x):\n    return sorted([x, x], key=down)",
    ],
    ids=["calls", "repr", "eq", "through C"],
)
def test_recursion_without_end(notebook, definition):
    notebook.ok(definition)
    error = notebook.fails("%%parallel\nout = [down(x) for x in range(4)]")
    assert isinstance(error, RecursionError) and "out" not in notebook


def test_recursion_10000_deep(notebook):
    notebook.ok("def down(n):\n    return 1 + down(n - 1) if n else 0")
    error = notebook.fails("%%parallel\nout = [down(x) for x in [10_000]]")
    assert isinstance(error, RecursionError)
    before = sys.getrecursionlimit()
    notebook.ok("import sys\nsys.setrecursionlimit(12_000)")
    try:
        notebook.ok("%%parallel\nout = [down(x) for x in [10_000, 10_001]]")
    finally:
        sys.setrecursionlimit(before)
    assert notebook["out"] == [10_000, 10_001]


def test_data_10000_deep(notebook):
    notebook.ok("""
deep = []
for _ in range(10_000):
    deep = [deep]
def depth(value):
    n = 0
    while value:
        value, n = value[0], n + 1
    return n
""")
    notebook.ok("%%parallel\nout = [depth(deep) + x for x in range(3)]")
    assert notebook["out"] == [10_000, 10_001, 10_002]


def test_one_object_that_no_memory_holds(notebook):
    error = notebook.fails("%%parallel\nout = [[x] * 10 ** 15 for x in range(4)]")
    assert isinstance(error, MemoryError) and error.worker_error.index == 0


MEMORY = """
import resource, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.run_line_magic("load_ext", "firn")
shell.run_cell("%%parallel\\nout = [x for x in range(100)]").raise_error()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), resource.RLIM_INFINITY))
shell.run_cell('''def grow(x):
    found = []
    while True:
        found.append(bytes(1 << 20))
''')
result = shell.run_cell("%%parallel\\nout = [grow(x) for x in range(4)]")
assert type(result.error_in_exec) is MemoryError, result
shell.run_cell("%%parallel\\nagain = [x * 2 for x in range(100)]").raise_error()
assert shell.user_ns["again"] == [x * 2 for x in range(100)] and shell.user_ns["out"] == list(range(100))
print("lives")
"""


def test_memory_without_end_ends_in_a_memory_error():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=240)
    assert done.stdout.endswith("lives\n"), done.stdout[-2000:] + done.stderr[-2000:]


# ---- what lies beside the data that is shipped

BESIDE = """def helper(x): return x
class Odd:
    def __init__(self, n): self.n = n
    def __reduce__(self): return helper(Odd), (self.n,)
class Even:
    def __init__(self, n): self.n = n
    def twice(self): return 2 * self.n
evens, odds = [Even(i) for i in range(10)], [Odd(i) for i in range(10)]"""


def test_a_class_that_the_shipped_values_do_not_need_may_be_broken(notebook):
    notebook.ok(BESIDE)
    notebook.ok("%%parallel\nsums = [even.n + odd.n for even, odd in zip(evens, odds)]")
    notebook.ok("del helper")
    notebook.ok("%%parallel\ntwice = [even.twice() for even in evens]")
    assert notebook["twice"] == list(range(0, 20, 2))
    assert "reused evens" in str(notebook.report)
    notebook.ok(
        "import collections\nfirst = evens[0]\nmore = {'all': [[evens]], 'kinds': collections.defaultdict(Even)}"
    )
    notebook.ok("%%parallel --workers 1\nout = [(len(more['all'][0][0]), first.n) for _ in range(2)]")
    assert notebook["out"] == [(10, 0)] * 2
    frozen = notebook["more"]
    notebook.ok("%%parallel --workers 1\nout = [type(more['all']).__name__ for _ in range(2)]")
    assert notebook["more"] is frozen  # and is not frozen again


@pytest.mark.parametrize("value", ["odds", "[[odds[3]]]", "{1: {'a': (odds[0],)}}", "[Odd]", "made", "held"])
def test_a_broken_class_that_they_need_is_refused_before_anything_runs(notebook, value):
    notebook.ok(BESIDE)
    notebook.ok(
        "import collections\nmade = collections.defaultdict(Odd)\nclass Box: pass\nheld = Box()\nheld.odd = odds[2]"
    )
    notebook.ok(f"value = {value}")
    notebook.ok("%%parallel --workers 1\nsums = [(len(evens), str(value)[:0]) for _ in range(2)]")
    notebook.ok("del helper")
    error = notebook.fails("%%parallel --workers 1\nout = [str(value)[:1] for _ in range(2)]")
    assert "the name 'helper', which Odd.__reduce__ reads, is not defined" in str(error)
    assert "out" not in notebook


# ---- tracemalloc

TRACED = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.run_line_magic("load_ext", "firn")
import firn, time, tracemalloc
from firn.session import SESSION
assert tracemalloc.is_tracing() and SESSION.pool is None
data = firn.freeze([{"a": [n, str(n)]} for n in range(50_000)])  # on several threads
result = shell.run_cell("%%parallel\\nout = [x for x in range(100)]")
assert "tracemalloc.stop()" in str(result.error_in_exec), result
assert SESSION.pool is None
tracemalloc.stop()
shell.run_cell("%%parallel\\nout = [x for x in range(100)]").raise_error()
while any(worker["state"] != "idle" for worker in SESSION.pool.workers()):  # one may still be starting
    time.sleep(0.01)
tracemalloc.start()
print("ends")
"""


def test_no_worker_starts_while_tracemalloc_traces():
    command = [sys.executable, "-X", "tracemalloc", "-c", TRACED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and done.stdout.endswith("ends\n"), done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture
def traced():
    """A pool that runs already when tracing starts."""
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("options", ["", "--each", "--background job", "--workers 1 --compare full"])
def test_a_parallel_cell_is_refused_while_tracemalloc_traces(notebook, traced, options):
    notebook.ok("rows = [3, 4]\nimport tracemalloc\ntracemalloc.start()")
    error = notebook.fails(f"%%parallel {options}\nseen = 1\nout = [row + 1 for row in rows]")
    assert "tracemalloc is tracing" in str(error) and "tracemalloc.stop()" in str(error) and "line 2" in str(error)
    assert type(notebook["rows"]) is list and "seen" not in notebook
    notebook.ok("%%parallel --serial\nout = [row + 1 for row in rows]")
    assert notebook["out"] == [4, 5]
    notebook.ok("%%parallel --explain\nout = [row + 1 for row in rows]")
    error = notebook.fails("%parallel workers 2")
    assert "tracemalloc.stop()" in str(error)


def test_a_cell_that_starts_tracing_itself_is_refused_at_its_loop(notebook, traced):
    notebook.ok("rows = [3, 4]\nimport tracemalloc")
    error = notebook.fails("%%parallel\ntracemalloc.start()\nout = [row + 1 for row in rows]")
    assert "tracemalloc.stop()" in str(error)
    assert "----> 3" in notebook.shown and type(notebook["rows"]) is list
    notebook.ok("tracemalloc.stop()")


def test_an_executor_takes_no_calls_while_tracemalloc_traces(notebook, traced):
    notebook.ok("import firn, tracemalloc\nexecutor = firn.Executor(1)")
    try:
        assert notebook.ok("executor.submit(abs, -1).result()") == 1
        notebook.ok("tracemalloc.start()")
        error = notebook.fails("executor.submit(abs, -2)")
        assert isinstance(error, RuntimeError) and "tracemalloc.stop()" in str(error)
        notebook.fails("list(executor.map(abs, [-1]))")
        notebook.ok("tracemalloc.stop()")
        assert notebook.ok("executor.submit(abs, -3).result()") == 3
    finally:
        notebook["executor"].shutdown()


# ---- the loop's own sequence and names


@pytest.mark.parametrize(
    "cell",
    [
        "for r in rows:\n    rows.append(r)",
        "for r in rows:\n    rows.remove(r)",
        "for r in rows:\n    del rows[0]",
        "for r in rows:\n    r['n'] = 1",
        "for i, r in enumerate(rows):\n    rows[i] = r",
        "for k in table:\n    table[k + 1] = k",
        "for k in table.keys():\n    table.pop(k)",
        "for r in rows:\n    grow(r)",
        "out = [grow(r) for r in rows]",
        "out = [rows.append(r) for r in rows]",
        "for x in [1, 2]:\n    y = table[x - 1]\n    table = {0: x, 1: x}",
    ],
)
def test_a_loop_that_changes_what_it_runs_over_or_shares_is_refused(notebook, cell):
    notebook.ok("rows = [{'n': 0}, {'n': 1}]\ntable = {0: 'a', 1: 'b'}\ndef grow(r):\n    rows.append(r)")
    error = notebook.fails(f"%%parallel\n{cell}")
    assert "out" not in notebook
    assert notebook["rows"] == [{"n": 0}, {"n": 1}] and notebook["table"] == {0: "a", 1: "b"}
    assert type(notebook["rows"]) is list and ("rows" in str(error) or "table" in str(error) or "'r'" in str(error))


def same_as_serial(notebook, setup: str, cell: str, *names: str) -> None:
    notebook.ok(setup)
    serial = notebook.run(cell)
    expected = [notebook.shell.user_ns.get(name) for name in names], repr(serial.error_in_exec), notebook.out
    notebook.ok("%reset_selective -f ^(" + "|".join(names) + ")$" if names else "None")
    notebook.ok(setup)
    found = notebook.run(f"%%parallel --chunk 1\n{cell}")
    printed = notebook.out
    assert ([notebook.shell.user_ns.get(name) for name in names], repr(found.error_in_exec)) == expected[:2]
    assert serial.error_in_exec is not None or printed == expected[2]


def test_a_body_that_rebinds_a_broadcast(notebook):
    setup = "table = {1: 'a', 2: 'b'}\nout = []"
    same_as_serial(
        notebook, setup, "for x in [1, 2]:\n    table = {x: x * 2}\n    out.append(table[x])", "table", "out"
    )


def test_a_global_is_deleted(notebook):
    same_as_serial(notebook, "rows = [1, 2]", "out = [r for r in rows]\ndel rows", "out", "rows")
    notebook.ok("rows = [1, 2]")
    error = notebook.fails("%%parallel\ndel rows\nout = [r for r in rows]")
    assert isinstance(error, NameError) and "rows" in str(error)
    notebook.ok("gone = 3")
    error = notebook.fails("%%parallel\nfor x in [1, 2]:\n    del gone")
    assert "gone" in str(error)


def test_a_star_import(notebook):
    same_as_serial(notebook, "xs = [4, 9]", "from math import *\nout = [sqrt(x) for x in xs]", "out")
    error = notebook.fails("%%parallel\nfor x in [1, 2]:\n    from math import *")
    assert "import *" in str(error)


@pytest.mark.parametrize("cell", ["%%time\nx = 1", "\n%%time\nx = 1", "# first\n%%bash\necho 1"])
def test_a_cell_magic_inside(notebook, cell):
    error = notebook.fails(f"%%parallel\n{cell}")
    assert "must be the last of a cell's magics" in str(error) and "x" not in notebook


def test_a_cell_magic_in_the_middle(notebook):
    notebook.fails("%%parallel\ny = 1\n%%time\nx = 1")
    assert "x" not in notebook


# ---- results


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("threading.Lock()", "lock"),
        ("(n for n in [x])", "generator"),
        ("open('/dev/null')", "TextIOWrapper"),
        ("sys._getframe()", "frame"),
        ("[1, {'k': threading.Lock()}]", "lock"),
    ],
)
def test_results_that_cannot_leave_a_worker(notebook, expression, word):
    notebook.ok("import sys, threading")
    error = notebook.fails(f"%%parallel\nout = [{expression} for x in range(3)]")
    assert word.lower() in str(error).lower() and "out" not in notebook
    assert "Traceback (most recent call last)" not in str(error)


def test_results_that_alias_each_other(notebook):
    notebook.ok("pair = [[1], [2]]\ndef both(x):\n    y = [x]\n    return y, y\nout = None")
    notebook.ok("%%parallel\nout = [both(x) for x in range(5)]\nsame = [pair[x % 2] for x in range(4)]")
    assert all(a is b for a, b in notebook["out"])
    notebook["out"][0][0].append("seen")
    assert notebook["out"][0][1] == [0, "seen"]
    assert notebook["same"][0] is notebook["same"][2] and notebook["same"][1] is notebook["same"][3]
    notebook.ok("def knot(x):\n    found = [x]\n    found.append(found)\n    return found")
    notebook.ok("%%parallel\nknots = [knot(x) for x in range(3)]")
    assert all(found[1] is found for found in notebook["knots"])


# ---- interrupts, front ends, workers


def test_an_interrupt_while_freezing_leaves_everything_as_it_was(notebook):
    notebook.ok("many = [{'n': i, 's': str(i)} for i in range(400_000)]")
    pressed = 0
    for delay in (0.02, 0.08, 0.15):
        thread = threading.Thread(target=press, args=(delay,))
        result = None
        thread.start()
        try:
            result = notebook.run("%%parallel\nlengths = [len(many) + x for x in range(2)]")
            thread.join()
        except KeyboardInterrupt:
            pass
        if result is not None and isinstance(result.error_in_exec, KeyboardInterrupt):
            pressed += 1
            assert "lengths" not in notebook
        notebook["many"][0]["n"], len(notebook["many"])
    assert pressed
    notebook.ok("%%parallel\nlengths = [len(many) + x for x in range(2)]")
    assert notebook["lengths"] == [400_000, 400_001] and notebook["many"][5] == {"n": 5, "s": "5"}
    notebook.ok("del many")


def press(delay: float) -> None:
    time.sleep(delay)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def printed_by(client, requests: list[str]) -> dict[str, str]:
    """What each of some requests, of any client, printed until it was done."""
    printed, ended = dict.fromkeys(requests, ""), set[str]()
    while len(ended) < len(requests):
        message = client.get_iopub_msg(timeout=120)
        parent, content = message["parent_header"].get("msg_id"), message["content"]
        assert message["msg_type"] != "error", content
        if parent in printed and message["msg_type"] == "stream":
            printed[parent] += content["text"]
        if parent in printed and content.get("execution_state") == "idle":
            ended.add(parent)
    return printed


def test_two_front_ends_of_one_kernel():
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    clients = [BlockingKernelClient(connection_file=manager.connection_file) for _ in range(2)]  # a session each
    first = manager.client()  # this one waits for the process, where the others would give up without a heartbeat
    try:
        first.start_channels()
        first.wait_for_ready(timeout=60)
        first.stop_channels()
        for client in clients:
            client.load_connection_file()
            client.start_channels()
            client.wait_for_ready(timeout=60)
        setup = "import os; os.environ['FIRN_WORKERS'] = '2'\n%load_ext firn\nrows = list(range(50))"
        printed_by(clients[0], [clients[0].execute(setup)])
        code = "%%parallel --quiet\nout = [x * {0} for x in rows]\nfor x in rows:\n    print({0}, x, len(rows))"
        asked = [client.execute(code.format(number)) for number, client in enumerate(clients * 3)]
        printed = printed_by(clients[0], asked)
        for number, request in enumerate(asked):
            assert printed[request] == "".join(f"{number} {x} 50\n" for x in range(50))
    finally:
        for client in clients:
            client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_64_workers_on_few_cores(notebook):
    try:
        notebook.ok("%parallel workers 64")
        notebook.ok("rows = [{'n': i} for i in range(2000)]\nimport time")
        notebook.ok(
            "%%parallel --chunk 1\ntotal = sum(r['n'] for r in rows)\nout = [time.sleep(0.01) or x for x in range(200)]"
        )
        assert notebook["total"] == sum(range(2000)) and notebook["out"] == list(range(200))
        notebook.ok("%%parallel --gather ranks\nranks = parallel.rank, len(rows)")
        assert notebook["ranks"] == [(rank, 2000) for rank in range(64)]
        error = notebook.fails("%%parallel\nout = [1 // (x - 30) for x in range(64)]")
        assert isinstance(error, ZeroDivisionError) and error.worker_error.index == 30
    finally:
        notebook.ok("%parallel workers 2")
    assert firn.last_report() is not None


def test_each_kind_of_bad_input_has_its_tests():
    here = Path(__file__).parent
    for kinds in tomllib.loads((here / "bad_input.toml").read_text()).values():
        for kind, tests in kinds.items():
            assert tests, kind
            for test in tests:
                module, _, name = test.partition("::")
                body = ast.parse((here / f"{module}.py").read_text()).body
                assert name in {node.name for node in body if isinstance(node, ast.FunctionDef)}, (kind, test)


def test_a_best_with_an_order_of_its_own(notebook, goes_on):
    notebook.ok(
        "class Odd:\n    def __gt__(self, other):\n        return other % 2 == 0\n    __lt__ = __gt__\n"
        "rows, best = [{'x': x} for x in (9, 7, 5, 3, 1)], {'x': Odd()}"
    )
    error = notebook.fails("%%parallel --chunk 5\nfor row in rows:\n    if row['x'] > best['x']:\n        best = row")
    assert "an Odd that 'best' stands for" in str(error) and "may depend on the order" in str(error)


def test_values_of_a_list_that_only_their_class_tells_apart(notebook, goes_on):
    notebook.ok(
        "class Loud(str):\n    __hash__ = lambda self: 5\nxs = ['a', Loud('a'), 'b']\nout, old = [], [Loud('b')]"
    )
    cell = "%%parallel\nfor x in xs:\n    if x not in out:\n        out.append(x)"
    assert "type Loud" in str(notebook.fails(cell)) and notebook["out"] == []
    assert "'old' holds values" in str(notebook.fails(cell.replace("out", "old")))
    notebook.ok("xs = [1, [2]]")
    assert "a list has none" in str(notebook.fails(cell)) and notebook["out"] == []
