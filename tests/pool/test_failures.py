"""Exceptions, exits and recursion in workers, runtimes that do not load."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from firn import _core

type Run = Callable[..., list[_core.Event]]


def failure(events: list[_core.Event]) -> str:
    assert [event.kind for event in events] == ["failed"]
    return events[0].error


@pytest.mark.parametrize(
    "body, line",
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("exit()", "SystemExit: None"),
        ("bytearray(1 << 62)", "MemoryError"),
        ("raise ValueError('\\ud800')", "ValueError: \ud800"),
        ("raise ExceptionGroup('several', [ValueError(1), TypeError(2)])", "ExceptionGroup: several"),
    ],
)
def test_what_run_raises_comes_back_as_text(run: Run, body: str, line: str) -> None:
    text = failure(run(f"def run(start, stop):\n    {body}", 1))
    assert line in text
    assert 'File "<cell>", line 2, in run' in text


def test_what_begin_raises_comes_back_as_text(run: Run) -> None:
    assert "ZeroDivisionError" in failure(run("1 / 0", 1))


def test_what_pack_raises_comes_back_as_text(run: Run) -> None:
    assert "pickle" in failure(run("import threading\ndef run(start, stop): return threading.Lock()", 1))


def test_an_exception_whose_text_fails(run: Run) -> None:
    source = """
class Nasty(Exception):
    def __str__(self): raise RuntimeError
def run(start, stop): raise Nasty
"""
    assert "Nasty" in failure(run(source, 1))


RECURSION = {
    "a function": "def deep(): deep()\ndef run(start, stop): deep()",
    "a method": "class A:\n def __getattr__(self, name): return getattr(self, name + '_')\ndef run(start, stop): A().x",
    "repr": "def run(start, stop):\n x = []\n for _ in range(10 ** 6): x = [x]\n repr(x)",
    "json": "import json\ndef run(start, stop):\n x = []\n for _ in range(10 ** 6): x = [x]\n json.dumps(x)",
    "json.loads": "import json\ndef run(start, stop): json.loads('[' * 10 ** 6)",
    "compile": "def run(start, stop): compile('(' * 5000 + ')' * 5000, 'x', 'eval'); compile('-' * 10 ** 6 + '1', 'x', 'eval')",
    "comparison": "def run(start, stop):\n x, y = [], []\n for _ in range(10 ** 6): x, y = [x], [y]\n x == y",
    "sort key": "def key(x): return sorted([x], key=key)\ndef run(start, stop): sorted([1], key=key)",
    "pickle": "import pickle\ndef run(start, stop):\n x = []\n for _ in range(10 ** 6): x = [x]\n pickle.dumps(x)",
}


@pytest.mark.parametrize("kind", RECURSION)
def test_recursion_without_end_is_an_exception_and_no_crash(run: Run, kind: str) -> None:
    text = failure(run(RECURSION[kind], 1))
    assert any(name in text for name in ("RecursionError", "MemoryError", "SyntaxError")), text
    assert [event.result for event in run("def run(start, stop): return start", 1)] == [0]


def test_a_pattern_that_recurses_in_re(run: Run) -> None:
    source = r"""
import re
def run(start, stop):
    nested = "(" * 5000 + "a" + ")" * 5000
    try:
        re.compile(nested)
    except RecursionError:
        pass
    return bool(re.match(r"(?:a|b)*c", "ab" * 500_000 + "c"))
"""
    assert [event.result for event in run(source, 1)] == [True]


def test_the_recursion_limit_may_be_raised(run: Run) -> None:
    source = """
import sys
def deep(n): return deep(n - 1) if n else 0
def run(start, stop):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 ** 6)
    try:
        return deep(100_000)
    finally:
        sys.setrecursionlimit(limit)
"""
    assert [event.result for event in run(source, 1)] == [0]


def test_a_runtime_that_does_not_exist() -> None:
    pool = _core.Pool(2, "no_such_runtime")
    job = pool.submit(None, 1)
    with pytest.raises(RuntimeError, match=r"no worker could be started(.|\n)*No module named 'no_such_runtime'"):
        job.next()
    pool.close()


def test_a_runtime_that_is_mended_is_loaded_at_the_next_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "mended_runtime.py"
    file.write_text("1 / 0")
    pool = _core.Pool(1, "mended_runtime")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        pool.submit(None, 1).next()
    while pool.workers():
        pass
    file.write_text("from pool_runtime import *  # which is another")
    job = pool.submit(("def run(start, stop): return 'fine'", None), 1)
    event = job.next()
    assert event is not None
    assert event.result == "fine"
    pool.close()
