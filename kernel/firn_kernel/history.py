"""IPython's persistent history, written without holding anybody up."""

import threading
import time
from typing import Any

from IPython.core.history import HistoryManager

_COLLECTING = 0.25  # seconds

Lines = list[tuple[Any, ...]]


class KernelHistory(HistoryManager):
    """A history whose file is written beside the cells.

    IPython's writer holds the lock of the cache while the disk works, so that the next cell waits for the last one's line
    to be on disk. Here the writer takes the lines and lets go; lines of cells that follow each other closely are written
    together. Lines that the disk has no room for stay, and are tried again with the next cell's.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._writing = threading.RLock()  # one writer at a time, so that lines stay in order
        self._failing = False
        super().__init__(*arguments, **options)

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
