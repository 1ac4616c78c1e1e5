"""The process's pool of workers: made late, warmed early, used by one cell at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from firn import _core, config, tracing


class Session:
    """Owns the pool. Used from every thread that runs cells; a cell that splits something holds the pool until it is done."""

    def __init__(self) -> None:
        self._turn = threading.RLock()  # it knows its owner, also when an interrupt comes just then
        self._making = threading.Lock()
        self._pool: _core.Pool | None = None
        self.workers = config.default_workers()
        self.apart = 0  # cells that go on in the background

    @property
    def pool(self) -> _core.Pool | None:
        """The pool if there is one already."""
        return self._pool

    def warm(self) -> None:
        """Starts the workers without waiting for them; while tracemalloc is tracing, the first cell after that does."""
        if not tracing.is_on():
            self._made().warm()

    @contextmanager
    def turn(self) -> Iterator[_core.Pool]:
        """The pool, for one job at a time: a cell of another thread waits here. Raises Refused while tracemalloc is
        tracing."""
        tracing.check()
        try:
            while not self._turn.acquire(timeout=0.1):
                pass  # an interrupt of this cell is raised here
            yield self._made()
        finally:
            with suppress(RuntimeError):  # the interrupt came before the turn
                self._turn.release()

    @contextmanager
    def idle(self) -> Iterator[bool]:
        """Whether no cell works; if so, none gets the pool before the end of the block. Does not wait."""
        free = not self.apart and self._turn.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._turn.release()

    def resize(self, workers: int) -> None:
        tracing.check()
        with self._turn:
            self.workers = workers
            if self._pool is not None:
                self._pool.resize(workers)

    def restart(self) -> None:
        """Closes all workers, with everything in them, and starts new ones."""
        tracing.check()
        with self._turn:
            self._close()
            self._made().warm()

    def close(self) -> None:
        with self._turn:
            self._close()

    def _made(self) -> _core.Pool:
        with self._making:
            if self._pool is None:
                self._pool = _core.Pool(self.workers)
            return self._pool

    def _close(self) -> None:
        with self._making:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


SESSION = Session()
BACKGROUND = Session()
"""The workers of background cells: others, so that no cell has to wait for one."""
