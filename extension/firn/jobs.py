"""One job of the pool, from the first event to the last: output in its order, results, failures, interrupts, time limits."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

from firn import _core, errors, showing
from firn.progress import Progress
from firn.raised import Failure, Found
from firn.shipping import unpack

GRACE = 2.0  # seconds that a stopped worker gets before it is abandoned
START = 0.25  # seconds that workers have for their start, which takes 0.04, before data is frozen
BEGUN = 1.0  # seconds after which a job's workers have surely begun


@dataclass(slots=True)  # there may be a million of them
class Done:
    """A chunk that ended: when it ran (time.perf_counter's clock), and its effects, if it came back. `lost`: as a Span's."""

    start: int
    stop: int
    rank: int
    began: float
    ended: float
    setup_seconds: float
    pack_seconds: float = 0.0
    delay_seconds: float = 0.0
    slowest: tuple[tuple[float, int], ...] = ()  # (seconds, iteration), if its iterations were timed
    effects: Any = None
    lost: str = ""


class Gathering:
    """Chunks as they come. Those at the job's beginning are made one as soon as none is missing between them, by
    `gathered`, until that says that it cannot."""

    def __init__(self, gathered: Callable[[Any, Any], Any] | None) -> None:
        self._gathered = gathered
        self._first: Done | None = None
        self._others: dict[int, Done] = {}  # by where they start

    def add(self, chunk: Done) -> None:
        if chunk.start == 0:
            self._first = chunk
        else:
            self._others[chunk.start] = chunk
        first = self._first
        while first is not None and self._gathered is not None and first.stop in self._others:
            both = self._gathered(first.effects, self._others[first.stop].effects)
            if both is None:
                self._gathered = None
            else:
                first.effects, first.stop = both, self._others.pop(first.stop).stop

    def before(self, stop: int) -> list[Done]:
        """Those that start before an iteration, in their order."""
        found = [*([self._first] if self._first is not None else ()), *self._others.values()]
        return sorted((chunk for chunk in found if chunk.start < stop), key=lambda chunk: chunk.start)


@dataclass
class Outcome:
    """All that a job brought: its chunks in iteration order (those that were gathered as one), and the exception that the
    cell has to raise, if any. In `spans` are all chunks as they ran, also those that brought nothing."""

    chunks: list[Done] = field(default_factory=list)
    error: BaseException | None = None
    abandoned: list[int] = field(default_factory=list)
    spans: list[Done] = field(default_factory=list)


class Deadline(Exception):
    """The cell's time is over."""


@contextmanager
def interruptible() -> Iterator[None]:
    """The first Ctrl-C raises KeyboardInterrupt here, also where a kernel would only cancel the cell's task."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler or before is None or before is signal.SIG_IGN:
        yield
        return
    others = getattr(before, "others", None)  # the firn kernel's: what runs in other threads stops as well

    def stop(number: int, frame: types.FrameType | None) -> None:
        if others is not None:
            others()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def let_start(pool: _core.Pool) -> bool:
    """Whether workers were starting: gives as many as have a CPU the time for it.

    A worker that loads its modules needs the notebook's GIL again and again, for CPython begins to load those that are
    written in C in the main interpreter; and freezing does not let go of it.
    """
    pool.warm()
    wanted = min(pool.size, _core.cpu_count())
    deadline = time.monotonic() + START
    states = [worker["state"] for worker in pool.workers()]
    were = "starting" in states
    while "starting" in states and len(states) - states.count("starting") < wanted and time.monotonic() < deadline:
        time.sleep(0.0005)
        states = [worker["state"] for worker in pool.workers()]
    return were


def run(
    job: _core.Job,
    *,
    decided: Callable[[Any], bool],
    deadline: float | None,
    write: Callable[[str, int, str], None],
    failed: Callable[[_core.Event], BaseException],
    place: Callable[..., str] = errors.in_iteration,
    find: Callable[[int], Found] | None = None,
    progress: Progress | None = None,
    skipped: int = 0,
    gathered: Callable[[Any, Any], Any] | None = None,
    begun: Callable[[], object] = lambda: None,
) -> Outcome:
    """Drives a job to its end. `write(stream, rank, text)` gets the output; `failed(event)` names a failure of firn's own,
    `place(index, others, variable)` says for the user where an exception came from, `find(index)` what that iteration
    was about; `progress` is told what is done, and closed; `skipped` iterations came before the job's first.
    `gathered(effects, effects)` makes one chunk's effects of two neighbours' while the workers run, or returns None.
    `begun` is called when the workers have surely begun, and at the end.

    Raises nothing of the user's: what the cell must raise is in the outcome. KeyboardInterrupt and a time limit stop
    the job (workers that do not stop in time are abandoned) and come back as the outcome's error.
    """
    outcome = Outcome()
    gathering = Gathering(gathered)
    progress = progress or Progress(None, "", 0)
    failures: list[tuple[int, int, Failure | BaseException]] = []  # with the start of their chunk and the worker
    needed = sys.maxsize  # chunks from here on are not needed: an earlier one failed
    settled = sys.maxsize  # chunks from here on do not matter: an earlier one decided the result
    try:
        with interruptible():
            for event in _uncollected(_events(job, deadline, progress, begun)):
                if event.kind == "output":
                    progress.step_aside(event.text)
                    write(event.stream, event.rank, event.text)
                    continue
                progress.add(event.stop - event.start)
                if event.kind == "failed":
                    result: Any = ("failed", failed(event))
                else:
                    result = unpack(event.result) if event.pickled else event.result
                    outcome.spans.append(_done(event, result))
                    if result[0] == "stuck":
                        result = ("failed", errors.cannot_leave(event.rank, result[1]))
                if event.start >= min(needed, settled):
                    continue
                if result[0] == "ok":
                    if decided(result[1]):
                        settled = event.stop
                        job.truncate(settled)
                    chunk = _done(event, result)
                    chunk.effects = result[1]
                    gathering.add(chunk)
                else:
                    failure = result[1] if result[0] == "failed" else Failure(result[1] + skipped, *result[2:])
                    failures.append((event.start, event.rank, failure))
                    needed = event.start
                    job.truncate(event.stop)  # what the failing chunk has printed is wanted, when its turn comes
    except BaseException as error:
        outcome.error = error
        progress.close()
        outcome.abandoned = _stop(job)
        with suppress(Exception, KeyboardInterrupt):
            _write_the_rest(job, write)
        return outcome
    finally:
        begun()
        progress.close()
        outcome.spans += _lost(job)
        job.close()
    outcome.chunks = gathering.before(settled)
    outcome.error = _lowest(sorted(failures, key=lambda found: found[0]), settled, place, find)
    return outcome


def _done(event: _core.Event, result: tuple[Any, ...]) -> Done:
    return Done(
        event.start,
        event.stop,
        event.rank,
        event.began,
        event.ended,
        event.setup_seconds,
        event.freeze_seconds,
        event.delay_seconds,
        result[2] if result[0] == "ok" and len(result) > 2 else (),
    )


def _lost(job: _core.Job) -> Iterator[Done]:
    """The work that brought no event."""
    for start, stop, rank, began, ended, setup, pack, delay, whole in job.lost:
        yield Done(start, stop, rank, began, ended, setup, pack, delay, lost="unused" if whole else "stopped")


def _events(
    job: _core.Job, deadline: float | None, progress: Progress, begun: Callable[[], object]
) -> Iterator[_core.Event]:
    waiting: Callable[[], object] | None = begun
    surely = time.monotonic() + BEGUN
    # An interrupt wakes the main thread from its wait; in another it is raised between two looks.
    look = None if threading.current_thread() is threading.main_thread() else 0.05
    while True:
        left = look
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Deadline
            left = left if look is None else min(left, look)
        if waiting is not None:
            left = BEGUN if left is None else min(left, BEGUN)
        event = job.next(progress.wait(left))
        if waiting is not None and (event is not None or time.monotonic() >= surely):
            waiting()
            waiting = None
        progress.look()
        if event is not None:
            yield event
        elif job.done:
            return


def _uncollected(events: Iterator[_core.Event]) -> Iterator[_core.Event]:
    """The events, and no garbage collection while one is taken in. A chunk's result is made of new containers, most of
    which are gone when it has been joined to the others'; to search them for cycles meanwhile takes longer than that.

    Only where the cell itself waits: beside a loop in the background the user's code runs, which may ask for collections
    or turn them off."""
    waits = threading.current_thread() is threading.main_thread()
    for event in events:
        if not (waits and gc.isenabled()):
            yield event
            continue
        gc.disable()
        try:
            yield event
        finally:
            gc.enable()


def _lowest(
    failures: list[tuple[int, int, Failure | BaseException]],
    settled: int,
    place: Callable[..., str],
    find: Callable[[int], Found] | None,
) -> BaseException | None:
    """The exception of the lowest iteration; the failures come in the order of their chunks."""
    match [(rank, failure) for start, rank, failure in failures if start < settled]:
        case []:
            return None
        case [(rank, Failure() as first), *others]:
            found = find(first.index) if find is not None else None
            shown = (found.shown,) if found is not None else ()
            return first.rebuild(place(first.index, len(others), *shown), rank, found)
        case [(_, BaseException() as error), *_]:
            return error
    raise AssertionError


def _write_the_rest(job: _core.Job, write: Callable[[str, int, str], None]) -> None:
    """What a stopped job had printed, as far as its turn had come."""
    while (event := job.next(0)) is not None:
        if event.kind == "output":
            write(event.stream, event.rank, event.text)


def _stop(job: _core.Job) -> list[int]:
    try:
        return list(job.cancel(GRACE))
    except KeyboardInterrupt:
        return list(job.cancel(0.0))


def to_notebook(stream: str, _rank: int, text: str) -> None:
    """Writes what an iteration printed to the notebook's own stream, or displays what it showed."""
    if stream == "display":
        showing.publish(text)
        return
    target: TextIO = sys.stdout if stream == "stdout" else sys.stderr
    target.write(text)


class Labelled:
    """Output of several workers at once: whole lines, each headed by its worker."""

    def __init__(self) -> None:
        self._rest: dict[tuple[str, int], str] = {}

    def __call__(self, stream: str, rank: int, text: str) -> None:
        if stream == "display":
            self._finish_line("stdout", rank)
            for message in text.splitlines(keepends=True):
                to_notebook("stdout", rank, f"[{rank}]\n")
                to_notebook(stream, rank, message)
            return
        lines = (self._rest.pop((stream, rank), "") + text).splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            self._rest[stream, rank] = lines.pop()
        for line in lines:
            to_notebook(stream, rank, f"[{rank}] {line}")

    def flush(self) -> None:
        """Writes the last lines, which no newline ended."""
        for stream, rank in sorted(self._rest):
            self._finish_line(stream, rank)

    def _finish_line(self, stream: str, rank: int) -> None:
        if text := self._rest.pop((stream, rank), ""):
            to_notebook(stream, rank, f"[{rank}] {text}\n")


class Grouped(Labelled):
    """The same, one worker's after the other's when all have ended."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[int, list[tuple[str, str]]] = {}

    def __call__(self, stream: str, rank: int, text: str) -> None:
        if stream == "display" and showing.clears(text):
            self._kept[rank] = []
            return
        self._kept.setdefault(rank, []).append((stream, text))

    def flush(self) -> None:
        for rank in sorted(self._kept):
            for stream, text in self._kept.pop(rank):
                super().__call__(stream, rank, text)
            super().flush()


def own_failure(what: str, line: int) -> Callable[[_core.Event], BaseException]:
    """How a failure of the runtime itself is named."""
    return lambda event: errors.worker_failed(what, line, event.rank, event.error)
