"""An IPython shell with the extension, for the benches of whole cells, without a kernel's latency around it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from IPython.core.interactiveshell import InteractiveShell


class Notebook:
    """Runs cells as a notebook does; their reports and last values stay unseen."""

    def __init__(self, names: Mapping[str, object] | None = None) -> None:
        self.shell = InteractiveShell.instance()
        self.shell.run_line_magic("load_ext", "firn")
        self.names = self.shell.user_ns
        self.names.update(names or {})

    def run(self, cell: str) -> float:
        """Seconds of wall time; raises what the cell raises."""
        began = time.perf_counter()
        outcome = self.shell.run_cell(cell, store_history=False)
        ended = time.perf_counter()
        outcome.raise_error()
        return ended - began
