"""`--compare full`: a split loop once more over pickled private copies, in firn's own workers, in an InterpreterPoolExecutor
and in a ProcessPoolExecutor, with the same chunks, and whether the results are the same.

Each gets its best: its workers are started before the clock runs, the data is pickled once, into a file that each worker
reads once, and chunks travel as two numbers. What a peer cannot run, it says why.
"""

from __future__ import annotations

import marshal
import pickle
import re
import sys
import tempfile
import time
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, InterpreterPoolExecutor, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import firn
from firn import _core, peer_worker
from firn.analysis import SplitLoop
from firn.items import Items
from firn.modules import REFUSES
from firn.report import Peer, Span

PATIENCE: Final = 20
"""A peer may take so many times as long as the loop's own work, and 30 s more."""

RUNTIME: Final = "firn.peer_worker"


class CannotRun(Exception):
    """Why a peer cannot run a loop."""


@dataclass
class Task:
    """A loop that has run: what it needs, its chunks with their effects, how much work it was, whether it draws random
    numbers, and its place in the report."""

    loop: SplitLoop
    items: Items
    namespace: Mapping[str, Any]
    chunks: Sequence[tuple[int, int, Any]]
    workers: int
    busy_seconds: float
    random: bool
    place: int
    values: dict[str, Any] = field(init=False)
    sources: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        """The values are ordinary ones, as code that shares nothing would have them; thawing them is not counted."""
        names = [name for name in sorted(self.loop.names) if name in self.namespace]
        values = {name: self.namespace[name] for name in names if type(self.namespace[name]) is not types.ModuleType}
        self.values, self.sources = firn.thaw((values, self.items.sources))

    @property
    def limit(self) -> float:
        """Seconds that a peer may take."""
        return 30 + PATIENCE * self.busy_seconds

    def header(self, definitions: bool, process: bool) -> bytes:
        """The first part of the file (see `firn.peer_worker.load`)."""
        modules = {name: self.namespace[name].__name__ for name in self.loop.names & self.namespace.keys()
                   if name not in self.values}  # fmt: skip
        return pickle.dumps(
            {
                "path": list(sys.path),
                "code": marshal.dumps(self.loop.code),
                "items": self.items.numbered(range(len(self.sources))),
                "modules": modules,
                "chunks": [(start, stop) for start, stop, _ in self.chunks],
                "definitions": definitions,
                "quiet_process": process,
            }
        )


def compare(task: Task) -> list[Peer]:
    """Runs a loop in all peers, one after the other."""
    with tempfile.TemporaryDirectory(prefix="firn-compare-") as folder:
        return [
            _measured(task, "firn with pickled copies", partial(_in_pool, task, Path(folder, "pool"))),
            _measured(
                task, "InterpreterPoolExecutor", partial(_in_executor, task, Path(folder, "interpreters"), False)
            ),
            _measured(task, "ProcessPoolExecutor", partial(_in_executor, task, Path(folder, "processes"), True)),
        ]


def _measured(task: Task, name: str, run: Callable[[Peer], list[Any]]) -> Peer:
    peer = Peer(name, task.place)
    try:
        effects = run(peer)
    except CannotRun as reason:
        peer.problem = str(reason)
    except Exception as error:  # whatever a pool makes of code that it was not made for
        peer.problem = f"cannot run this loop: {type(error).__name__}: {error}"
    else:
        if task.random:
            peer.note = "it draws other random numbers"
        else:
            peer.equal = _same_effects(effects, [chunk[2] for chunk in task.chunks])
    return peer


def _in_executor(task: Task, path: Path, processes: bool, peer: Peer) -> list[Any]:
    if definition := _own_definition(task):
        raise CannotRun(
            f"cannot run this loop: {definition} is defined in the notebook, where no worker can import it from"
        )
    with _executor(task.workers, processes) as executor:
        started = [executor.submit(peer_worker.warm, 0.1) for _ in range(task.workers)]
        for one in started:
            one.result(task.limit)
        began = time.perf_counter()
        _dump(task, path, peer, pickle.dumps, process=processes)
        futures = [executor.submit(peer_worker.run, str(path), start, stop) for start, stop, _ in task.chunks]
        answers = _gather(futures, task.limit)
        peer.wall_seconds = time.perf_counter() - began
    _count(peer, began, [(answer, chunk[:2]) for answer, chunk in zip(answers, task.chunks, strict=True)])
    return [answer.effects for answer in answers]


@contextmanager
def _executor(workers: int, processes: bool) -> Iterator[Executor]:
    """An executor that does not keep us when it is left before its end."""
    # Processes are forked from a clean one: a fork of this one would have firn's threads' locks in it.
    executor: Executor = (
        ProcessPoolExecutor(workers, get_context("forkserver")) if processes else InterpreterPoolExecutor(workers)
    )
    main = sys.modules["__main__"]
    bare = not hasattr(main, "__spec__")  # after %reset; multiprocessing asks for it
    if bare:
        main.__spec__ = None
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        if isinstance(executor, ProcessPoolExecutor):
            executor.kill_workers()
        raise
    finally:
        if bare:
            del main.__spec__
    executor.shutdown()


def _gather(futures: list[Future[peer_worker.Answer]], limit: float) -> list[peer_worker.Answer]:
    """The answers in order; the first error ends it."""
    deadline = time.monotonic() + limit
    left = set(futures)
    while left:
        done, left = wait(left, timeout=min(0.2, max(0.0, deadline - time.monotonic())), return_when=FIRST_COMPLETED)
        for future in done:
            if error := future.result().error:
                raise CannotRun(f"cannot run this loop: {_in_short(error, error)}")
        if not done and time.monotonic() >= deadline:
            raise CannotRun(f"was not done after {limit:.0f} s, and was given up")
    return [future.result() for future in futures]


def _in_short(error: str, otherwise: str) -> str:
    """What a worker said, without a module's page of advice when it does not load there."""
    found = re.search(rf"module (\w+)[\w.]* {REFUSES}", error)
    return f"{found[1]} does not load in subinterpreters" if found else otherwise


def _in_pool(task: Task, path: Path, peer: Peer) -> list[Any]:
    """Firn's scheduler and workers, but with a private copy in each. Definitions of the notebook travel by value."""
    import cloudpickle  # type: ignore[import-untyped]

    pool = _core.Pool(task.workers, RUNTIME)
    try:
        pool.warm()
        deadline = time.monotonic() + task.limit
        while any(worker["state"] == "starting" for worker in pool.workers()) and time.monotonic() < deadline:
            time.sleep(0.005)
        began = time.perf_counter()
        _dump(task, path, peer, cloudpickle.dumps, definitions=True)
        job = pool.submit(str(path), len(task.chunks), chunk=1, workers=task.workers)
        try:
            effects = dict(_results(task, job, peer, began))
        finally:
            job.close()
        peer.wall_seconds = time.perf_counter() - began
    finally:
        pool.close()
    return [effects[number] for number in range(len(task.chunks))]


def _results(task: Task, job: _core.Job, peer: Peer, began: float) -> Iterator[tuple[int, Any]]:
    """The chunks' numbers and effects, as they come."""
    deadline = time.monotonic() + task.limit
    while (event := job.next(max(0.0, deadline - time.monotonic()))) is not None:
        if event.kind == "failed":
            raise CannotRun(f"cannot run this loop: {_in_short(event.error, event.error.strip().splitlines()[-1])}")
        if event.kind == "chunk":
            start, stop, _ = task.chunks[event.start]
            peer.spans.append(
                Span(event.rank, start, stop, event.began - began, event.ended - began, event.setup_seconds)
            )
            yield event.start, pickle.loads(event.result)
    if not job.done:
        raise CannotRun(f"was not done after {task.limit:.0f} s, and was given up")


def _count(peer: Peer, began: float, answers: list[tuple[peer_worker.Answer, tuple[int, int]]]) -> None:
    """Writes down which worker did what, and when."""
    ranks: dict[int, int] = {}
    for answer, (start, stop) in sorted(answers, key=lambda pair: pair[0].began):
        rank = ranks.setdefault(answer.worker, len(ranks))
        span = Span(rank, start, stop, answer.began - began, answer.ended - began, answer.load_seconds)
        peer.spans.append(span)


def _dump(
    task: Task,
    path: Path,
    peer: Peer,
    dumps: Callable[..., bytes],
    *,
    definitions: bool = False,
    process: bool = False,
) -> None:
    """Writes the file that the workers load."""
    header = task.header(definitions, process)
    began = time.perf_counter()
    try:
        data = dumps((task.values, task.sources), protocol=5)
    except Exception as error:
        raise CannotRun(f"cannot run this loop: what it reads does not pickle ({error})") from None
    with open(path, "wb") as file:
        file.write(header)
        file.write(data)
    peer.dumps_seconds, peer.bytes = time.perf_counter() - began, len(data)


def _own_definition(task: Task) -> str:
    """A function or class of the notebook that the loop needs, if there is one."""
    for name, value in task.values.items():
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
            return name
    return ""


def same(one: Any, other: Any) -> bool:
    """Whether two results are the same, types and order included; NaN is the same as NaN. Frozen values are what they
    read as. Raises RecursionError, and what the values' own comparisons raise."""
    if one is other:
        return True
    kind = one.__class__
    if kind is not other.__class__:
        return False
    if issubclass(kind, (list, tuple)) or kind is deque:
        return len(one) == len(other) and all(map(same, one, other, strict=True))
    if issubclass(kind, dict):
        return len(one) == len(other) and all(map(same, one.items(), other.items(), strict=True))
    if kind is float:
        return bool(one == other or (one != one and other != other))
    if kind.__eq__ is object.__eq__ and hasattr(one, "__dict__"):
        return same(vars(one), vars(other))
    return bool(one == other)


def _same_effects(one: list[Any], other: list[Any]) -> bool | None:
    """As `same`; None where it cannot be told."""
    try:
        return same(one, other)
    except Exception:
        return None
