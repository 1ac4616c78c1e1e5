"""Subshells (JEP 91): further cell runners beside the main one, each in a thread of its own."""

import signal
import threading
import uuid
from typing import Any

from . import _kernel
from .runner import CellRunner

_FAREWELL = 1.0  # seconds that a running cell has to end when the kernel stops


class Subshells:
    """Opens and closes them. answer() is called by the control thread, the rest by the main thread."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._running: dict[str, tuple[CellRunner, threading.Thread]] = {}
        self._open: dict[str, None] = {}  # a deleted one still runs while its last cell does

    def answer(self, request: _kernel.Request, content: dict[str, Any]) -> dict[str, Any]:
        match request.type:
            case "create_subshell_request":
                return {"status": "ok", "subshell_id": self._create()}
            case "delete_subshell_request":
                return self._delete(content["subshell_id"])
            case _:
                return {"status": "ok", "subshell_id": list(self._open)}

    def interrupt(self) -> None:
        """Stops the cells that run in subshells; their kernel has one interrupt for all."""
        for runner, _ in list(self._running.values()):
            runner.interrupt()

    def close(self) -> None:
        """Ends all of them with the kernel; a cell that does not stop is left behind."""
        running = list(self._running.items())
        for subshell, (runner, _) in running:
            _kernel.close_inbox(subshell)
            runner.interrupt()
        for _, (_, thread) in running:
            thread.join(_FAREWELL)

    def _create(self) -> str:
        subshell = uuid.uuid4().hex
        runner = CellRunner(self._kernel, _kernel.open_inbox(subshell))
        # A daemon: the process does not wait for a cell that goes on.
        thread = threading.Thread(target=self._run, args=(subshell, runner), name="firn-subshell", daemon=True)
        self._running[subshell] = runner, thread
        self._open[subshell] = None
        thread.start()
        return subshell

    def _delete(self, subshell: str) -> dict[str, Any]:
        if not _kernel.close_inbox(subshell):
            evalue = f"the kernel has no subshell {subshell}"
            return {"status": "error", "ename": "NoSuchSubshell", "evalue": evalue, "traceback": []}
        del self._open[subshell]
        return {"status": "ok"}

    def _run(self, subshell: str, runner: CellRunner) -> None:
        # The control thread, which has started this one, blocks nearly all, and child processes inherit that: they could
        # not be terminated. Interrupts are the main thread's.
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
        try:
            runner.run()
        finally:
            del self._running[subshell]
