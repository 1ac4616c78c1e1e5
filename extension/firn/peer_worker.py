"""The workers' side of `--compare full`: a loop over a pickled private copy of all that it reads, in whatever pool.

`run` is what the executors of concurrent.futures call; `begin`, `pack` and `Stopped` make the module a runtime of firn's
own pool. All that is printed goes nowhere: the cell's own run has printed it.
"""

from __future__ import annotations

import io
import marshal
import os
import pickle
import sys
import time
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from firn import items
from firn.analysis.chunk import define
from firn.rebuild import Stopped

__all__ = ["Stopped", "begin", "pack", "run", "warm"]


class Answer(NamedTuple):
    """What `run` gives for a chunk: which worker it was, when it loaded the data (0 for the later chunks), when it began
    and ended, by time.perf_counter's clock, and its effects or what went wrong."""

    worker: int
    load_seconds: float
    began: float
    ended: float
    effects: Any
    error: str = ""


class Loop(NamedTuple):
    """A loop with its own data; `bounds` are those of the chunks in which it is to run."""

    chunk: Callable[[Any, int], Any]
    plan: items.Plan
    bounds: list[tuple[int, int]]

    def run(self, start: int, stop: int) -> Any:
        return self.chunk(items.slice_items(self.plan, start, stop), start)


_loaded: dict[str, Loop] = {}


def load(path: str) -> Loop:
    """The loop in the file at `path`, ready to run: its data belongs to this interpreter alone."""
    with open(path, "rb") as file:
        header = pickle.load(file)
        sys.path[:] = header["path"]
        if header["quiet_process"]:
            _silence_descriptors()
        sys.stdout = sys.stderr = _Nowhere()
        # Code that the notebook's definitions need is theirs by name, as in the notebook.
        module = types.ModuleType("__main__")
        if header["definitions"]:
            sys.modules["__main__"] = module
        values, sources = pickle.load(file)
    names = module.__dict__
    names.update(values)
    for name, imported in header["modules"].items():
        __import__(imported)
        names[name] = sys.modules[imported]
    chunk = define(marshal.loads(header["code"]), names)
    plan = items.with_sources(header["items"], sources)
    return Loop(chunk, plan, header["chunks"])


def _silence_descriptors() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def warm(seconds: float) -> int:
    """Keeps a worker busy, so that the executor starts the others too."""
    time.sleep(seconds)
    return _worker()


def _worker() -> int:
    import _interpreters

    number = int(_interpreters.get_current()[0])
    return number or os.getpid()


def run(path: str, start: int, stop: int) -> Answer:
    """A chunk in a worker of an executor."""
    asked = time.perf_counter()
    try:
        loading = path not in _loaded
        if loading:
            _loaded[path] = load(path)
        began = time.perf_counter()
        effects = _loaded[path].run(start, stop)
        return Answer(_worker(), began - asked if loading else 0.0, began, time.perf_counter(), effects)
    except BaseException as error:  # pools differ in what they make of it, and all of them may print it
        return Answer(_worker(), 0.0, asked, asked, None, f"{type(error).__name__}: {error}")


def begin(path: str) -> Callable[[int, int], bytes]:
    """As a runtime of firn's pool, whose items are the chunks."""
    loop = load(path)

    def run(number: int, _: int) -> bytes:
        return pack(loop.run(*loop.bounds[number]))

    return run


def pack(effects: object) -> bytes:
    """Effects as a pickle; instances of the notebook's classes by value, where their names do not lead to them."""
    try:
        return pickle.dumps(effects, 5)
    except Exception:
        import cloudpickle  # type: ignore[import-untyped]

        packed: bytes = cloudpickle.dumps(effects, 5)
        return packed
