"""`%%parallel --background NAME`: a cell whose split loops go on while other cells run, and the handle on it.

The cell runs as a coroutine of the notebook's own thread. Up to its first split loop it runs at once, and what that loop
reads is frozen; then the cell returns its handle. When the loop is done, its effects are merged and the statements after
it run: between two cells, or when the handle is asked (`done()`, `result()`, `await`), never in the middle of another
cell's code. Its workers are not those of other cells, which therefore need not wait for it.
"""

from __future__ import annotations

import ast
import contextvars
import inspect
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

from firn import each, errors, jobs
from firn.analysis.cellfacts import CellFacts
from firn.analysis.scopes import global_uses, loaded, stored
from firn.analysis.type_calls import asking_in
from firn.kept_reports import Kept
from firn.names import BUILTINS
from firn.raised import without_firn
from firn.readable import seconds
from firn.session import BACKGROUND, SESSION

if TYPE_CHECKING:
    import asyncio
    from types import CodeType

    from firn.driver import Run, Started
    from firn.report import Report

ACTIVE: Final[list[BackgroundJob]] = []
"""The jobs that have not ended, oldest first."""


class Watched:
    """A split loop in the workers, and the thread that waits for it; what the cell's coroutine awaits."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.outcome: jobs.Outcome | None = None
        self.ended_at = 0.0  # time.perf_counter's clock
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        threading.Thread(
            target=contextvars.copy_context().run, args=(self._watch,), name="firn-background", daemon=True
        ).start()

    def __await__(self) -> Generator[Watched, None, jobs.Outcome]:
        yield self
        assert self.outcome is not None
        return self.outcome

    def _watch(self) -> None:
        self.outcome = self.started.run()
        self.ended_at = time.perf_counter()
        with self._lock:
            self._ended.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, timeout: float | None) -> bool:
        """Waits until the workers are done with it, or for so many seconds; whether they are."""
        return self._ended.wait(timeout)

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Calls back from the waiting thread, or at once."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(callback)
                return
        callback()


def _cancelled(name: str) -> BaseException:
    from concurrent.futures import CancelledError

    return CancelledError(errors.cancelled(name))


class BackgroundJob:
    """A `%%parallel` cell that goes on in the background. Its methods may be called from any thread of the notebook."""

    def __init__(self, name: str, run: Run, ended: Callable[[Run], Kept], between_cells: Callable[[], object]) -> None:
        self.name = name
        self._run: Run | None = run  # until the end: it has the cell's code, and the data
        self._kept = Kept(run.report)
        self._ended = ended
        self._between_cells = between_cells
        self.thread = threading.get_ident()  # whose cells its own parts stand between
        self._coroutine: Coroutine[Any, None, None] | None = None
        self._watched: Watched | None = None
        self._state = "running"
        self._value: Any = None
        self._error: BaseException | None = None
        self._seconds = 0.0
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._stepper = 0  # the thread that runs a part of the cell
        self._progress = (0, 0)
        self._context = contextvars.copy_context()
        self._loop: asyncio.AbstractEventLoop | None = None
        import asyncio  # late: loading it takes longer than a first cell

        with suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Runs the cell up to its first split loop, even if that is done at once; raises what that part of it raises."""
        ACTIVE.append(self)
        SESSION.apart += 1
        with self._stepping():
            self._step()
        if self._error is not None:
            raise self._error

    # ---- the user's side

    def done(self) -> bool:
        """Whether the cell has ended, also by an exception or `cancel`. Merges what there is to merge."""
        self.proceed()
        return self._state != "running"

    def cancelled(self) -> bool:
        return self._state == "cancelled"

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the cell and merges it; the value of its last expression, or None. Raises what the cell raised,
        TimeoutError after `timeout` seconds (the cell goes on), CancelledError after `cancel`."""
        __tracebackhide__ = True
        self._wait(timeout)
        return self._outcome()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the cell and merges it; what it raised, or None. Raises as `result`, but for that."""
        __tracebackhide__ = True
        self._wait(timeout)
        if self._state == "cancelled":
            raise _cancelled(self.name)
        return self._error

    def cancel(self) -> bool:
        """Stops the cell's loop, of which nothing is merged; whether there was anything to stop. Does not wait."""
        with self._lock:
            if self._state != "running" or self._stepper:
                return False
            self._state = "cancelled"
            self.report.failed = "CancelledError"
            watched = self._watched
            if watched is not None and not watched.ended:
                watched.started.job.truncate(0)
            if self._coroutine is not None:
                with self._stepping():
                    self._coroutine.close()
            self._end()
            return True

    @property
    def report(self) -> Report:
        """The cell's figures, complete when it has ended."""
        return self._kept.report

    @property
    def at_work(self) -> bool:
        """Whether a loop of it has the workers, or waits for them."""
        watched = self._watched
        return watched is not None and not watched.ended

    @property
    def progress(self) -> tuple[int, int]:
        """(iterations done, all iterations) of the loop that runs, or of the last one."""
        watched = self._watched
        return self._progress if watched is None else watched.started.done_and_all

    def __await__(self) -> Generator[Any, None, Any]:
        return self._await().__await__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        from firn.twin_parts import Refused  # late: what freezes asks, and has it

        raise Refused(errors.job_in_worker(self.name))

    def __repr__(self) -> str:
        return f"<background job {self.name!r}: {self._describe()}>"

    def _describe(self) -> str:
        if self._state != "running":
            failed = f": {type(self._error).__name__}: {self._error}" if self._error is not None else ""
            return f"{self._state} after {seconds(self._seconds)}{failed}"
        done, total = self.progress
        for_now = f"{done:,} of {total:,} iterations after {seconds(time.monotonic() - self._began)}"
        if self._watched is not None and self._watched.ended:
            return f"{for_now}; merged before the next cell, or by {self.name}.result()"
        return f"running, {for_now}"

    # ---- how it goes on

    def proceed(self) -> None:
        """Merges the loop that has ended, if one has, and runs the cell up to its next one."""
        with self._lock:
            if self._stepper:
                return
            with self._stepping():
                while self._state == "running" and (self._watched is None or self._watched.ended):
                    self._step()

    @contextmanager
    def _stepping(self) -> Generator[None]:
        """While the cell's own code runs, in this thread."""
        with self._lock:
            self._stepper = threading.get_ident()
            try:
                yield
            finally:
                self._stepper = 0

    def _step(self) -> None:
        run = self._run
        assert run is not None and run.code is not None
        space, code = run.namespace, run.code
        try:
            if self._coroutine is not None:
                watched = self._context.run(self._coroutine.send, None)
            elif code.co_flags & inspect.CO_COROUTINE:
                self._coroutine = coroutine = eval(code, space)
                watched = self._context.run(coroutine.send, None)
            else:  # nothing in it is split
                self._context.run(exec, code, space)
                raise StopIteration
        except StopIteration:
            self._value = space.pop(value_name(run.number), None)
            self._state = "done"
            self._end()
        except BaseException as error:
            self._error = without_firn(error)
            self._state = "failed"
            self._end()
        else:
            self._watched = watched
            if self._loop is not None:
                watched.when_ended(self._call_loop)

    def _end(self) -> None:
        self._seconds = time.monotonic() - self._began
        ACTIVE.remove(self)
        SESSION.apart -= 1
        self._progress = self.progress
        # IPython keeps the handle for ever, as the cell's output: no more of the session than it needs.
        self._coroutine = self._watched = self._loop = None
        self._context = contextvars.Context()
        run, self._run = self._run, None
        assert run is not None
        self._kept = self._ended(run)

    def _call_loop(self) -> None:
        context, loop = self._context, self._loop  # in this order: _end() empties them in the other
        if loop is not None:
            with suppress(RuntimeError):  # it is closed: the next cell's start will do
                loop.call_soon_threadsafe(self._between_cells, context=context.copy())

    def _wait(self, timeout: float | None) -> None:
        __tracebackhide__ = True
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with jobs.interruptible():
                while not self.done():
                    self._refuse_to_wait_for_itself()
                    watched = self._watched
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    if watched is not None and not watched.wait(left):
                        raise errors.not_done(self.name, timeout or 0.0)
        except KeyboardInterrupt as interrupt:
            raise interrupt.with_traceback(None) from None  # where firn waited is of no interest

    async def _await(self) -> Any:
        __tracebackhide__ = True
        import asyncio

        try:
            await self._awaited()
        except (KeyboardInterrupt, asyncio.CancelledError) as interrupt:
            raise interrupt.with_traceback(None) from None
        return self._outcome()

    async def _awaited(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        while not self.done():
            self._refuse_to_wait_for_itself()
            if (watched := self._watched) is not None:
                ended = asyncio.Event()
                watched.when_ended(lambda ended=ended: loop.call_soon_threadsafe(ended.set))  # type: ignore[misc]
                await ended.wait()

    def _refuse_to_wait_for_itself(self) -> None:
        if self._stepper == threading.get_ident():
            raise errors.waits_for_itself(self.name)

    def _outcome(self) -> Any:
        __tracebackhide__ = True
        if self._state == "cancelled":
            raise _cancelled(self.name)
        if self._error is not None:
            raise self._error
        return self._value


def check(tree: ast.Module, source: str) -> None:
    """Refuses what a cell cannot do in the background."""
    if not tree.body:
        raise errors.refused(None, "There is nothing to run in the background: the cell has no code.", "")
    for node in ast.walk(tree):
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)) and each.at_top(tree, node):
            raise errors.background_await(node.lineno, source)


_NOTEBOOKS = frozenset({"In", "Out", "get_ipython", "exit", "quit", "display", "firn"})


def check_name(name: str, tree: ast.Module, run: Run) -> None:
    """Refuses a handle's name that means something else to the cell, or to a function that it may call: it is bound at the
    cell's first split loop, while the rest of the cell still has to run."""
    if name in BUILTINS or name in _NOTEBOOKS:
        raise errors.background_builtin(name, "the notebook's" if name in _NOTEBOOKS else "Python's own")
    for node in ast.walk(tree):
        names = node.names if isinstance(node, ast.Global) else [getattr(node, "id", "")]
        if name in names:
            raise errors.background_name(name, getattr(node, "lineno", None), "", run.source)
    if name in stored(*tree.body):  # by an import, a def, a class, a match
        raise errors.background_name(name, None, "", run.source)
    facts = CellFacts(tree, run.filename, run.namespace)
    for _, code in facts.functions(sorted(loaded(*tree.body))):
        if any(name in found for found in global_uses(code)):
            raise errors.background_name(name, None, code.co_qualname, run.source)


def value_name(number: int) -> str:
    """The variable that holds the value of a cell's last expression while it runs."""
    return f"__firn_value_{number}__"


def compiled(tree: ast.Module, run: Run) -> CodeType:
    """A background cell's code: a coroutine when it has split loops, whose last expression's value is kept."""
    body = list(tree.body)
    match body[-1]:
        case ast.Expr(value=value) as last:
            target = ast.copy_location(ast.Name(value_name(run.number), ast.Store()), value)
            body[-1] = ast.copy_location(ast.Assign([target], value), last)
    module = asking_in(run.namespace, ast.fix_missing_locations(ast.Module(body, tree.type_ignores)))
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = compile(module, run.filename, "exec", flags=flags, dont_inherit=True)
    return code


def merge_what_has_ended() -> None:
    """Lets the jobs of this thread go on whose loop has ended; called between two of its cells."""
    for job in [job for job in ACTIVE if job.thread == threading.get_ident()]:
        before = job._state
        job.proceed()
        if before == "running" and job._state == "failed" and job._error is not None:
            print(errors.background_failed(job.name, job._error), file=sys.stderr)


def at_work() -> bool:
    """Whether a job has the workers, of which a new one then gets none at once."""
    return any(job.at_work for job in ACTIVE)


def pool_session() -> Any:
    """Whose turn it is to hand out background work: one pool for all jobs, the oldest of which gets its workers first."""
    if BACKGROUND.pool is None:
        BACKGROUND.workers = SESSION.workers
    return BACKGROUND
