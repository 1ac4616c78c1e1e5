"""The notebook about subinterpreters: what it shows of them is so, what it measures keeps the order that it must have, and
it fails in the one cell that means to."""

from collections.abc import Callable
from typing import Any

import pytest

THERE = ("says 42", "RuntimeError: daemon threads are disabled")
"""What another interpreter prints: a stock kernel reads it from the process's output, and may show it too late to be kept."""

PRINTED = (
    "NotShareableError: func not shareable",
    "JSONDecodeError - Expecting",
    "SystemExit: 3 - and this process lives",
    "started - is it running? True\nInterpreterError: interpreter already running",
    "there json.dumps(1) is 'patched', builtins.answer exists: True",
    "here  json.dumps(1) is '1', builtins.answer exists: False",
    "the file:              written there\nworking directory:     moved\nos.environ here:       None\n",
    "a child process of us: set there",
    "int            the same object",
    "pathlib.Path   one each",
    "(True, \"cannot set 'unit' attribute of immutable type 'int'\") False",
    "[21, 22, 23, 24, 25, 26, 27, 28, 29, 30]\nBufferError",
    "the same object: True  at the same address there: True",
    "calls of this interpreter: 2, of all: 2\nthere  calls of this interpreter: 1, of all: 3",
    "os.fork         RuntimeError",
    "subprocess.run  works",
    "interpreters that were not closed: 0",
)


def table(done: Any, words: str) -> dict[str, list[str]]:
    """The cells of each row of a table, by the row's name; rows are split where there are two spaces."""
    rows = (line.strip().split("  ", 1) for line in done.shown(words).splitlines())
    return {row[0]: row[1].split() for row in rows if len(row) == 2}


@pytest.mark.parametrize("kernel", ["firn", pytest.param("python3", marks=pytest.mark.long)])
def test_the_notebook_about_subinterpreters_holds(kernel: str, execute: Callable[..., Any]) -> None:
    done = execute("subinterpreters_and_you", kernel)
    assert [name for name, _ in done.errors()] == ["Unloadable"], done.printed
    assert done.text("stderr") == ""
    printed = done.text()
    expected = PRINTED + THERE if kernel == "firn" else PRINTED
    assert not [words for words in expected if words not in printed], printed
    [report] = [cell["report"] for cell in done.reports]
    assert report["failed"] == "Unloadable"

    crosses = table(done, "crosses")
    assert crosses["'text'"] == ["shareable"] and crosses["[1, 2]"] == ["as", "a", "pickle"]
    assert crosses["an open file"] == ["refused"] and crosses["primes"] == ["as", "its", "code"]
    loads = table(done, "in an interpreter beside the main one")
    for name in ("json", "decimal", "sqlite3", "asyncio"):
        assert loads[name] == ["loads"]
    for name in ("numpy", "pandas", "matplotlib", "zmq", "readline"):
        assert loads[name][0] == "module" and loads[name][-2:] == ["in", "subinterpreters"]
    built = done.shown("single-phase initialisation")
    assert built.count("does not support loading in subinterpreters") == 2 and "tally3" in built

    memory = {name: float(row[0]) for name, row in table(done, "each, MB").items()}
    assert 0 <= memory["thread"] < memory["interpreter"] < memory["process"]
    start = {name: float(row[0]) for name, row in table(done, "start and end, ms").items()}
    assert {"thread", "interpreter", "process, forkserver", "process, spawn"} <= set(start) and min(start.values()) > 0
    speedup = {name: float(row[0]) for name, row in table(done, "times faster than serially").items()}
    assert set(speedup) == {"threads", "interpreters", "processes"} and min(speedup.values()) > 0
    passing = {name: [float(cell) for cell in row] for name, row in table(done, "ms for rows:").items()}
    assert {"firn.share", "interpreters", "processes"} <= set(passing)
    for shown in ("image/png", "PEP 779", "free-threading-python.html"):
        assert shown in done.page, shown
