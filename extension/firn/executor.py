"""`firn.Executor`: concurrent.futures' interface to workers of its own.

It is the standard library's ThreadPoolExecutor (queue, futures, shutdown, exit of the process) whose threads hand each
call to an interpreter of their own and wait for it without the GIL. Its workers are not those of `%%parallel` cells: an
initializer and what calls leave behind belong to one executor, and neither ever waits for the other.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import pickle
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from threading import Lock
from types import TracebackType
from typing import Any, Final

from firn import _core, calls, config, errors, jobs, modules, raised, settings, shipping, tracing
from firn.functions import freeze
from firn.worker import in_worker

_names: Final = itertools.count()


class BrokenWorkers(BrokenThreadPool):
    """An executor whose initializer failed, or a call whose worker is gone: it was stopped, or could not be started."""


class Executor(ThreadPoolExecutor):
    """A concurrent.futures.Executor that runs calls on all cores, in interpreters of this process.

    `max_workers`: as many as %%parallel uses by default; they start when they are needed. `initializer(*initargs)` runs
    once in each worker, before its first call. `thread_name_prefix` names the threads that wait for the workers.

    Functions and classes of the notebook cross by value, those of modules are imported. The globals that they read,
    arguments and results are copied, except what is frozen: `firn.share` (or a %%parallel cell) freezes a value once, and
    from then on it crosses as a pointer, at any depth of other values, and comes back as the very same object. Everything
    is packed when `submit` is called, so that later changes do no harm; `map` packs its function once.

    As an asyncio loop's default executor it also runs what asyncio.to_thread gets, but for the values of context variables:
    these belong to the notebook's interpreter.

    An exception of a call has the worker's frames in its traceback. Output of calls appears where they were submitted.
    Leaving a `with` block by Ctrl-C, or because an asyncio task is cancelled, stops running calls.

    >>> rows = firn.share(rows)
    >>> with firn.Executor() as executor:
    ...     found = list(executor.map(search, itertools.repeat(rows), words))

    Raises ValueError for less than one worker, RuntimeError inside a worker.
    """

    BROKEN = BrokenWorkers  # what ThreadPoolExecutor raises

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if in_worker:
            raise errors.executor_in_worker()
        if max_workers is None:
            max_workers = config.default_workers()
        name = thread_name_prefix or f"firn.Executor-{next(_names)}"
        self._made: weakref.WeakSet[_Worker] = weakref.WeakSet()
        super().__init__(max_workers, name, initializer, initargs, made=self._made)  # type: ignore[call-overload]

    def __reduce__(self) -> Any:
        raise TypeError(
            "a firn.Executor stays where it was made: submit from an ordinary cell, and give the loop the results"
        )

    @classmethod
    def prepare_context(  # type: ignore[override]
        cls, initializer: Callable[..., object] | None, initargs: tuple[Any, ...], made: weakref.WeakSet[_Worker]
    ) -> tuple[Callable[[], _Worker], Callable[..., _Call]]:
        """How ThreadPoolExecutor's threads get their workers, and what it queues for a `submit` of its own."""
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        first = None if initializer is None else _Call(_Function(initializer).pack(tuple(initargs), {}))
        return lambda: _Worker(first, made), _Call.resolve

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if tracing.is_on():
            raise errors.executor_while_tracing()
        function = fn if isinstance(fn, _Function) else _Function(_without_context(fn))
        return super().submit(_Call(function.pack(args, kwargs)))  # type: ignore[arg-type]

    def map[T](
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """As the standard library's; `chunksize` items go to a worker at a time.

        When a call of a chunk fails, the results before it still come.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        options = {"timeout": timeout} if buffersize is None else {"timeout": timeout, "buffersize": buffersize}
        if chunksize == 1:
            return super().map(_Function(fn), *iterables, **options)  # type: ignore[arg-type]
        chunks = itertools.batched(zip(*iterables, strict=False), chunksize, strict=False)
        return _each_of(super().map(_Function(fn, chunked=True), chunks, **options))  # type: ignore[arg-type]

    def terminate_workers(self) -> None:
        """Stops running calls, whose futures get BrokenWorkers, and cancels those that wait; then it is shut down.

        Workers in C code that does not return within 2 s are left behind.
        """
        self.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._made):
            worker.stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Ctrl-C, also as asyncio has it: who waits here is cancelled, and wants to go.
        if kind is not None and not issubclass(kind, Exception):
            self.terminate_workers()
        try:
            with jobs.interruptible():
                self.shutdown()
        except KeyboardInterrupt:
            self.terminate_workers()
            raise


def share[T](obj: T) -> T:
    """A frozen copy of `obj`, deep, which crosses to the workers of a `firn.Executor` as a pointer.

    It does so as an argument, inside other arguments, in a functools.partial, as a global that a function reads, and in
    results, which hold the very same object. It reads as the original and raises TypeError when it is written to;
    what is frozen already is returned as it is, at once. A function gets its globals and captured variables frozen. Arrays
    and other buffers share their memory; each worker has an object of its own for it (a firn.Array where the notebook has
    a numpy.ndarray), and in results they are copies.

    It is `firn.freeze` by the name under which users of executors look for it. Keep it in a variable: what no variable
    of the notebook holds moves to a file, from where it still can be read, but not as fast.
    Raises NotFreezableError with the path of the first value that cannot be frozen; then nothing has been frozen.
    """
    return freeze(obj)


def _without_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """What asyncio.to_thread wants to run in a copy of its task's context, which cannot leave its interpreter."""
    if type(function) is not functools.partial or not function.args:
        return function
    run = function.func
    if type(getattr(run, "__self__", None)) is not contextvars.Context or run.__name__ != "run":
        return function
    called, *arguments = function.args
    return functools.partial(called, *arguments, **function.keywords)


class _Function:
    """A callable of one `submit` or `map`, packed when the first call is."""

    def __init__(self, function: Callable[..., Any], chunked: bool = False) -> None:
        self._function, self._chunked = function, chunked
        self._packed: calls.Function | None = None

    def pack(self, arguments: tuple[Any, ...], words: dict[str, Any]) -> calls.Packed:
        try:
            if self._packed is None:
                self._packed = calls.Function(self._function)
        except Exception as error:
            return calls.Packed.failed(error)
        return self._packed.chunk(*arguments) if self._chunked else self._packed.call(arguments, words)


class _Call:
    """What waits in the executor's queue: a packed call, and the context that its output belongs to."""

    def __init__(self, packed: calls.Packed) -> None:
        self.packed = packed
        self.context = contextvars.copy_context()

    @staticmethod
    def resolve(call: _Call, arguments: tuple[()], words: dict[str, Any]) -> _Call:
        return call


class _Worker:
    """One interpreter, and the thread that waits for it (a worker context of ThreadPoolExecutor)."""

    def __init__(self, first: _Call | None, made: weakref.WeakSet[_Worker]) -> None:
        self._first = first
        self._pool: _core.Pool | None = None
        self._job: _core.Job | None = None
        self._stopped = False
        self._lock = Lock()
        made.add(self)

    def initialize(self) -> None:
        self._pool = _core.Pool(1, "firn.call_worker")
        try:
            self._compute(("settings", pickle.dumps(settings.settings(), 5), (), None, ()), contextvars.copy_context())
            if self._first is not None:
                self.run(self._first)
        except BrokenWorkers:
            if not self._stopped:
                raise

    def run(self, call: _Call) -> Any:
        """The result of a call; raises what it raised."""
        __tracebackhide__ = True
        if call.packed.error is not None:
            raise call.packed.error
        return self._compute(call.packed.setup, call.context)

    def finalize(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def stop(self) -> None:
        """Stops what runs, from any thread; does not wait for it."""
        with self._lock:
            self._stopped = True
            if self._job is not None:
                self._job.truncate(0)

    def _compute(self, setup: tuple[Any, ...], context: contextvars.Context) -> Any:
        __tracebackhide__ = True
        assert self._pool is not None
        try:
            with self._lock:
                if self._stopped:
                    raise errors.worker_stopped(BrokenWorkers)
                if tracing.is_on():  # by now
                    raise errors.executor_while_tracing()
                self._job = job = self._pool.submit(setup, 1)
            result = self._wait(job, context)
        except RuntimeError as error:
            if isinstance(error, BrokenWorkers | errors.WorkerError):
                raise
            raise BrokenWorkers(str(error)) from None
        finally:
            self._job = None
        match result:
            case ("ok", value):
                return value
            case ("error", *description):
                raise _rebuilt(description)
        return result

    @staticmethod
    def _wait(job: _core.Job, context: contextvars.Context) -> Any:
        result: Any = None
        while True:
            event = job.next()
            if event is None:
                break
            if event.kind == "output":
                context.run(jobs.to_notebook, event.stream, event.rank, event.text)
            elif event.kind == "failed":
                raise errors.call_failed(event.error)
            else:
                result = shipping.unpack(event.result) if event.pickled else event.result
        if result is None:
            raise errors.worker_stopped(BrokenWorkers)
        return result


def _rebuilt(description: Iterable[Any]) -> BaseException:
    error = raised.Failure(0, *description).rebuild(errors.IN_EXECUTOR)
    if isinstance(error, ImportError) and modules.REFUSES in str(error):
        error.add_note(errors.NO_SUBINTERPRETERS)
    return error


def _each_of(chunks: Iterator[Any]) -> Iterator[Any]:
    """The values of chunks; at the end of one that failed, its exception."""
    for _, values, failure in chunks:
        values.reverse()
        while values:  # no reference to what was passed on
            yield values.pop()
        if failure is not None:
            raise _rebuilt(failure)
