"""A worker's runtime: its streams, its errors, its namespace, and cells that run whole in every worker."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import firn
import pytest
from firn import rebuild, worker
from firn.spmd import Parallel

from .conftest import Failed


def failure(notebook: Any, body: str, cell: str = "", items: Any = range(4)) -> Failed:
    notebook.cell(cell)
    with pytest.raises(Failed) as caught:
        notebook.loop(body, items, chunk=4)
    return caught.value


def test_an_error_tells_its_iteration_and_the_notebooks_lines(notebook: Any) -> None:
    error = failure(notebook, "f(x)", "def g(x):\n    return 1 // (x - 2)\ndef f(x):\n    return g(x)\n")
    assert (error.iteration, error.type_name, error.message) == (2, "ZeroDivisionError", "division by zero")
    assert 'File "<cell 1>", line 2, in g\n    return 1 // (x - 2)' in error.traceback
    assert "in <module>\n    found.append(f(x))" in error.traceback
    assert "__firn_chunk__" not in error.traceback and "/firn/" not in error.traceback
    assert type(error.original()) is ZeroDivisionError


@pytest.mark.parametrize("items", [range(4), [0, 1, 2, 3], "abcd", {n: n for n in range(4)}])
def test_the_failing_iteration_is_known_for(items: Any, notebook: Any) -> None:
    notebook.cell("seen = [n for n in range(9)]\n")
    assert failure(notebook, "[1, 1, 1][list(z).index(x)]", f"z = {items!r}\n", items).iteration == 3


EXCEPTIONS = {
    "own class": ("class E(Exception): pass\n", "E('a')", ("a",)),
    "other arguments": ("class E(Exception):\n    def __init__(self, a, b):\n        super().__init__(a)\n        self.b = b\n", "E(1, 2)", (1,)),
    "keyword arguments": ("class E(Exception):\n    def __init__(self, *, code):\n        super().__init__()\n        self.code = code\n", "E(code=3)", ()),
    "a message made of the arguments": (
        "class E(Exception):\n    def __init__(self, a, b='b'):\n        super().__init__(f'{a}:{b}')\n", "E(1, 'c')", ("1:c",),
    ),
    "arguments that init forgets": ("class E(Exception):\n    def __init__(self, a, b):\n        self.a = a\n", "E(1, 2)", (1, 2)),
    "own OSError": ("class E(OSError):\n    def __init__(self, path): super().__init__(2, 'gone', path)\n", "E('p')", (2, "gone")),
    "notes": ("def E():\n    e = KeyError('k')\n    e.add_note('see below')\n    return e\n", "E()", ("k",)),
    "OSError": ("def E(): return FileNotFoundError(2, 'gone', 'file')\n", "E()", (2, "gone")),
    "group": ("def E(): return ExceptionGroup('g', [ValueError(1), TypeError(2)])\n", "E()", None),
    "SystemExit": ("import sys\ndef E(): sys.exit(3)\n", "E()", (3,)),
    "KeyboardInterrupt": ("def E(): return KeyboardInterrupt()\n", "E()", ()),
}  # fmt: skip


@pytest.mark.parametrize("what", EXCEPTIONS)
def test_the_original_exception_is_rebuilt(what: str, notebook: Any) -> None:
    cell, made, arguments = EXCEPTIONS[what]
    error = failure(notebook, "throw()", f"{cell}def throw(): raise {made}\n")
    original = error.original()
    assert type(original).__name__ == error.type_name
    if arguments is not None:
        assert original.args == arguments
    if what == "own class":
        assert type(original) is notebook["E"]
    if what == "other arguments":
        assert original.b == 2  # type: ignore[attr-defined]
    if what == "own OSError":
        assert (original.errno, original.filename) == (2, "p")  # type: ignore[attr-defined]
    if what == "notes":
        assert original.__notes__ == ["see below"] and "see below" in error.traceback
    if what == "group":
        assert [type(one) for one in original.exceptions] == [ValueError, TypeError]  # type: ignore[attr-defined]


def test_a_cause_crosses_with_its_message(notebook: Any) -> None:
    cell = "class E(Exception):\n    def __init__(self, a, b='b'): super().__init__(f'{a}:{b}')\n"
    error = failure(notebook, "throw()", cell + "def throw(): raise E(1) from E(2, 'c')\n")
    assert str(error.original()) == "1:b" and str(error.original().__cause__) == "2:c"


def test_the_cause_crosses(notebook: Any) -> None:
    error = failure(
        notebook,
        "throw()",
        "def throw():\n    try: 1 / 0\n    except ZeroDivisionError as e: raise ValueError('v') from e\n",
    )
    assert isinstance(error.original().__cause__, ZeroDivisionError)
    assert "direct cause" in error.traceback


STUBBORN = {
    "argument does not pickle": "import threading\ndef E(): return ValueError(threading.Lock())\n",
    "reduce lies": "class E(Exception):\n    def __reduce__(self): return (int, ('x',))\n",
    "reduce raises": "class E(Exception):\n    def __reduce__(self): raise RuntimeError\n    __reduce_ex__ = lambda self, v: self.__reduce__()\n    __new__ = lambda cls: object.__new__(cls) if False else Exception.__new__(cls)\n",
    "str raises": "class E(Exception):\n    def __str__(self): raise RuntimeError('worse')\n",
    "repr and str raise": "class E(Exception):\n    def __str__(self): raise SystemExit\n    __repr__ = __str__\n",
    "local class": "def E():\n    class Local(Exception): pass\n    return Local('a')\n",
    "str is no str": "class E(Exception):\n    def __str__(self): return 5\n",
    "new needs arguments": "class E(Exception):\n    def __new__(cls, *a, need=None):\n        if need is None: raise RuntimeError('new')\n        return super().__new__(cls)\n    def __init__(self, **k): pass\ndef make(): return E(need=1)\n",
    "endless cause": "def E():\n    a, b = ValueError('a'), ValueError('b')\n    a.__cause__, b.__cause__ = b, a\n    return a\n",
    "deep": "def E():\n    e = ValueError('d')\n    for _ in range(5000):\n        o = ValueError('d')\n        o.__cause__ = e\n        e = o\n    return e\n",
}  # fmt: skip


@pytest.mark.parametrize("what", STUBBORN)
def test_whatever_an_exception_does_it_is_told(what: str, notebook: Any) -> None:
    make = "make()" if "def make" in STUBBORN[what] else "E()"
    error = failure(notebook, "throw()", f"{STUBBORN[what]}def throw(): raise {make}\n")
    assert error.type_name in ("E", "ValueError", "Local")
    assert error.type_name in error.traceback
    assert notebook.loop("x") == [0, 1, 2, 3]
    if error.pickled is not None:
        assert type(error.original()).__name__ == error.type_name


def test_recursion_and_memory_errors_are_survived(notebook: Any) -> None:
    assert failure(notebook, "f(x)", "def f(x): return f(x) + 1\n").type_name == "RecursionError"
    assert failure(notebook, "f(x)", "def f(x): return b'x' * (1 << 62)\n").type_name == "MemoryError"
    assert notebook.loop("x") == [0, 1, 2, 3]


def test_prints_arrive_whole_and_in_order(notebook: Any) -> None:
    notebook.cell(
        "import sys\ndef f(x):\n    print('a', x, sep='-', end='|')\n    print('b', file=sys.stderr)\n    sys.stdout.write('c\\n')\n"
    )
    notebook.loop("f(x)", range(6), chunk=2)
    text = "".join(text for stream, text in notebook.output if stream == "stdout")
    assert text == "".join(f"a-{x}|c\n" for x in range(6))
    assert "".join(text for stream, text in notebook.output if stream == "stderr") == "b\n" * 6


def test_streams_take_what_a_terminal_takes(notebook: Any) -> None:
    notebook.cell(
        "import sys\ndef f(x):\n    print('é\\ud800€', flush=True)\n    sys.stdout.buffer.write('ü'.encode())\n"
        "    sys.stdout.writelines(['1', '2'])\n    print(sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.writable())\n"
        "    try: sys.stdout.fileno()\n    except OSError: print('no file')\n    sys.__stdout__.write('end')\n"
    )
    notebook.loop("f(x)", range(1))
    text = "".join(text for _, text in notebook.output)
    assert text == "é\\ud800€\nü12utf-8 False True\nno file\nend"


@pytest.mark.parametrize(
    "body", ["input('name? ')", "sys.stdin.readline()", "sys.stdin.read()", "next(iter(sys.stdin))"]
)
def test_nobody_answers_a_workers_question(body: str, notebook: Any) -> None:
    error = failure(notebook, body, "import sys\n")
    assert error.type_name == "RuntimeError" and "cannot ask from a worker" in error.message


def test_a_breakpoint_is_refused(notebook: Any) -> None:
    assert "--serial" in failure(notebook, "breakpoint()").message


def test_shipped_code_runs_as_main(notebook: Any) -> None:
    notebook.cell(
        "import pickle, sys\nclass P:\n    def __eq__(self, o): return type(o) is P\ndef name(): return __name__\n"
    )
    body = "(name(), P.__module__, sys.modules['__main__'].P is P, pickle.loads(pickle.dumps(P())) == P())"
    assert notebook.loop(body)[0] == ("__main__", "__main__", True, True)


def test_nothing_of_an_earlier_loop_is_left(notebook: Any) -> None:
    notebook.cell("secret = [1]\n")
    notebook.loop("secret", range(2), chunk=1)
    assert (
        notebook.loop("('secret' in globals(), sorted(n for n in globals() if n[:2] != '__'))", range(2), chunk=1)
        == [(False, [])] * 2
    )


def test_each_runs_whole_in_every_worker(notebook: Any) -> None:
    notebook.cell("rows = list(range(10))\n")
    found = notebook.each(
        "mine = parallel.split(rows)\nrank, size = parallel.rank, parallel.size\n", gather=("mine", "rank", "size")
    )
    assert [one["rank"] for one in found] == [0, 1] and {one["size"] for one in found} == {2}
    assert [value for one in found for value in one["mine"]] == list(range(10))


def test_names_that_each_assigns_stay_until_the_reset(notebook: Any) -> None:
    notebook.cell("a = 'notebook'\ndef f(): return a\n")
    notebook.each("a = parallel.rank\nb = a + 1\n")
    found = notebook.each("c = (a, b, f())\n", gather=("c",), remembered={"a", "b"})
    assert [one["c"] for one in found] == [(0, 1, 0), (1, 2, 1)]
    assert notebook.loop("a") == ["notebook"] * 4
    fresh = notebook.each("c = (a, 'b' in globals())\n", gather=("c",), generation=1)
    assert [one["c"] for one in fresh] == [("notebook", False)] * 2


def test_each_tells_errors_by_rank(notebook: Any) -> None:
    with pytest.raises(Failed) as caught:
        notebook.each("x = 1\ny = 1 // (1 - parallel.rank)\n")
    assert caught.value.iteration == 1 and "line 2, in <module>" in caught.value.traceback


def test_a_gathered_name_must_exist(notebook: Any) -> None:
    with pytest.raises(Failed) as caught:
        notebook.each("x = 1\n", gather=("nowhere",))
    assert caught.value.type_name == "NameError" and "nowhere" in caught.value.message


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_make_up_the_whole(length: int, size: int) -> None:
    for whole in (list(range(length)), range(length), tuple(range(length)), "x" * length):
        shares = [Parallel(rank, size).split(whole) for rank in range(size)]
        assert [item for share in shares for item in share] == list(whole)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    shares = [Parallel(rank, size).split({n: n for n in range(length)}) for rank in range(size)]  # type: ignore[type-var]
    assert [item for share in shares for item in share] == list(range(length))


def test_results_that_do_not_freeze_come_back(notebook: Any) -> None:
    notebook.cell("class P: pass\nrows = [[1]]\ndef mine(): return 5\n")
    made = notebook.loop("(P(), [P(), rows], [P, {3}], mine, lambda: 6)[x]", range(5), chunk=1)
    assert type(made[0]) is notebook["P"] and made[1][1] is notebook["rows"] and made[2] == [notebook["P"], {3}]
    assert made[3]() == 5 and made[4]() == 6


def test_attributes_that_a_reduction_in_c_leaves_out_come_back(notebook: Any) -> None:
    notebook.cell(
        "import collections, datetime\n"
        "class Groups(collections.defaultdict): pass\n"
        "class Day(datetime.date): pass\n"
        "def named(value):\n    value.name = [1]\n    return value\n"
    )
    groups, day = notebook.loop("(named(Groups(list, a=[x])), named(Day(2026, 1, 2)))[x]", range(2), chunk=1)
    assert type(groups) is notebook["Groups"] and groups == {"a": [0]} and groups["b"] == []
    assert type(day) is notebook["Day"] and day == notebook["Day"](2026, 1, 2)
    assert groups.name == day.name == [1]


def test_copies_that_come_back_are_the_notebooks_own(notebook: Any) -> None:
    notebook.cell(
        "MISSING = object()\nclass C:\n    def __init__(self, n): self.n = n\n"
        "many, byname, config = [C(0), C(1)], {'a': C(2)}, C(3)\ndef f(): pass\n"
    )
    (found,) = notebook.loop("(MISSING, many[1], byname['a'], config, f, C(4))", [0])
    names = notebook.names
    own = (names["MISSING"], names["many"][1], names["byname"]["a"], names["config"], names["f"])
    assert [one is other for one, other in zip(found, own, strict=False)] == [True] * 5
    assert type(found[5]) is names["C"]


def test_items_that_come_back_are_the_notebooks_own(notebook: Any) -> None:
    notebook.cell("import firn\nclass C:\n    def __init__(self, n): self.n = n\n")
    notebook.cell(
        "items = [C(n) for n in range(50)]\nothers = [C(n) for n in range(50)]\nfirn.set_freezable(others[3], False)"
    )
    found = notebook.loop("{x.n: x}", notebook["items"], chunk=7)
    assert firn.is_frozen(notebook["items"])
    assert all(one[n] is notebook["items"][n] for n, one in enumerate(found))
    found = notebook.loop("{x.n: x}", notebook["others"], chunk=7)
    assert not firn.is_frozen(notebook["others"])
    assert [n for n, one in enumerate(found) if one[n] is not notebook["others"][n]] == []


def test_a_worker_starts_light() -> None:
    heavy = "{'cloudpickle', 'IPython', 'traceback', 'linecache', 'asyncio', 'typing', 'dataclasses', 'numpy'}"
    code = f"import sys; before = set(sys.modules); import firn.worker; print(sorted((set(sys.modules) - before) & {heavy}))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() in ("[]", "['typing']"), done.stdout + done.stderr


def test_a_job_that_outlives_its_time_leaves_the_next_one_alone() -> None:
    before = rebuild.borrowed
    try:
        rebuild.borrowed = rebuild.Lent(-1, {}, {})
        old = worker.Job(worker.Space(), lambda start, stop: ())
        rebuild.borrowed = following = rebuild.Lent(-2, {}, {})
        del old
        assert rebuild.borrowed is following
        last = worker.Job(worker.Space(), lambda start, stop: ())
        del last
        assert rebuild.borrowed is None
    finally:
        rebuild.borrowed = before
