"""IPython's persistent history, written without holding anybody up."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.history import HistoryManager

from .runner import in_one_piece

_COLLECTING = 0.25  # seconds

Lines = list[tuple[Any, ...]]

# What a fault of the thread's own raises, and the real-time ones, by which firn's heap stops all threads, are let in.
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
_OF_OTHERS = {each for each in signal.valid_signals() if each < signal.SIGRTMIN} - _FAULTS


@contextmanager
def _leaving_signals_to_others() -> Iterator[None]:
    """Threads that are started meanwhile take none: the system hands a signal to another thread while the main one has a
    second one waiting, and an interrupt that comes in this way may come late, in the next cell."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_OTHERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class KernelHistory(HistoryManager):
    """A history whose file is written beside the cells.

    IPython's writer holds the lock of the cache while the disk works, so that the next cell waits for the last one's line
    to be on disk. Here the writer takes the lines and lets go; lines of cells that follow each other closely are written
    together. Lines that the disk has no room for stay, and are tried again with the next cell's.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._writing = threading.RLock()  # one writer at a time, so that lines stay in order
        self._failing = False
        with _leaving_signals_to_others():
            super().__init__(*arguments, **options)

    # An interrupt that left one of the cache's locks taken would be the end of all cells.

    @in_one_piece
    def store_inputs(self, *arguments: Any, **options: Any) -> None:
        super().store_inputs(*arguments, **options)

    @in_one_piece
    def store_output(self, *arguments: Any, **options: Any) -> None:
        super().store_output(*arguments, **options)

    def _restart_thread_if_stopped(self) -> None:
        """After a fork."""
        with _leaving_signals_to_others():
            super()._restart_thread_if_stopped()

    @in_one_piece
    def writeout_cache(self, conn: Any = None) -> None:
        """Writes what is there; its errors are logged. Any thread."""
        if not self.enabled:
            return
        import sqlite3

        self._collect()
        with self._writing:
            with self.db_input_cache_lock, self.db_output_cache_lock:
                inputs, self.db_input_cache = self.db_input_cache, []
                outputs, self.db_output_cache = self.db_output_cache, []
            if not inputs and not outputs:
                return
            try:
                self._write(conn or self.db, inputs, outputs)
                self._failing = False
            except sqlite3.Error as error:
                with self.db_input_cache_lock, self.db_output_cache_lock:
                    self.db_input_cache[:0], self.db_output_cache[:0] = inputs, outputs
                if not self._failing:
                    self.log.error("The history file %s cannot be written: %s", self.hist_file, error)
                self._failing = True

    def _collect(self) -> None:
        """Lets the thread that writes wait for more lines; it goes on at once when it has to end."""
        thread = self.save_thread
        if thread is None or thread is not threading.current_thread():
            return
        end = time.monotonic() + _COLLECTING
        while not thread._stop_now and (left := end - time.monotonic()) > 0:
            thread.save_flag.wait(left)
            thread.save_flag.clear()
        if thread._stop_now:
            thread.save_flag.set()  # the thread's own loop shall see it, too; a fork waits for its end

    def _write(self, conn: Any, inputs: Lines, outputs: Lines) -> None:
        import sqlite3

        try:
            self._insert(conn, inputs, outputs)
        except sqlite3.IntegrityError:  # somebody has begun the file anew
            self.new_session(conn)
            self._insert(conn, inputs, outputs)

    def _insert(self, conn: Any, inputs: Lines, outputs: Lines) -> None:
        session = self.session_number
        with conn:
            conn.executemany("INSERT INTO history VALUES (?, ?, ?, ?)", [(session, *line) for line in inputs])
            conn.executemany("INSERT INTO output_history VALUES (?, ?, ?)", [(session, *line) for line in outputs])
