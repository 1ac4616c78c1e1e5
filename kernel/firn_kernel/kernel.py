"""The Python half of the kernel: what the C++ half calls, and the order in which it starts and ends."""

import asyncio
import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any

from . import _kernel, about, messages
from .inference import KeptInference
from .runner import Cell, CellRunner, Done, cell_here, install_interrupt_handler, interruptible, runner_here
from .streams import STDERR, STDOUT, OutputStream

_MAGICS = ("parallel", "frozen", "thaw")
_NAMES_FIRN = ("firn", *_MAGICS, "magic")  # %lsmagic shows what there is
_WITHOUT_CODE = {"complete_request", "kernel_info_request", "history_request", "usage_request"}
"""Requests that run no code of the user's; a completion may run properties, and knows what they gave."""
_WITHOUT_SHELL = {"kernel_info_request": about.kernel_info, "usage_request": about.usage}


class Kernel:
    """The object that the C++ half calls. run(), execute() and receive() belong to the main thread."""

    def __init__(self) -> None:
        self.shell: Any = None
        self.inference = KeptInference()
        self._runner: Any = None  # the main thread's
        self._subshells: Any = None
        self._answers: Any = None
        self._debugger: Any = None
        self._firn_loaded = False
        self._loading = threading.RLock()  # of subshells, too
        self._log = 2  # the descriptor of the terminal or file that the kernel was started with

    # Called by the C++ half, or by a runner

    def run(self) -> None:
        """Lives from the sockets' being bound until the kernel stops."""
        self._log = _kernel.capture_descriptors()
        self._runner = CellRunner(self, _kernel.main_inbox())
        faulthandler.enable(self._log)
        sys.stdout, sys.stderr = OutputStream(STDOUT), OutputStream(STDERR)
        try:
            self._start_shell()
            install_interrupt_handler(self._runner, self._subshells.interrupt, self._held)
            self._runner.run()
        finally:
            if self._subshells is not None:
                self._subshells.close()
            if self._debugger is not None:
                self._debugger.close()
            signal.signal(signal.SIGINT, lambda number, frame: None)
            if self.shell is not None:
                self.shell._atexit_once()
            sys.stdout.flush()
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            faulthandler.enable(2)

    def stop(self) -> None:
        """Ends the kernel. Any thread."""
        self._runner.stop()

    @property
    def execution_count(self) -> int:
        return self.shell.execution_count

    def execute(
        self,
        request: _kernel.Request,
        code: str,
        silent: bool,
        store_history: bool,
        allow_stdin: bool,
        user_expressions: str,
        done: Done,
    ) -> None:
        self.inference.forget()
        if _names_firn(code):
            self._load_firn()
        options = {
            "allow_stdin": allow_stdin,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": json.loads(user_expressions),
        }
        stored = store_history and not silent and bool(code.strip())
        count = self.shell.count_cell() if stored else self.shell.execution_count
        runner_here().execute(Cell(request, code, count, options, done))

    def answer(self, request: _kernel.Request, content: str) -> bytes:
        if request.type not in _WITHOUT_CODE:
            self.inference.forget()
        token = messages.current.set(request)
        try:
            return messages.encode(self._answer(request, json.loads(content)), lenient=True)
        finally:
            messages.current.reset(token)

    def receive(self, request: _kernel.Request, content: str, buffers: list[bytes]) -> None:
        self.inference.forget()
        token = messages.current.set(request)
        latest = messages.latest()
        messages.set_latest(request)  # also what the handler's threads and child processes write
        try:
            self._receive(request, content, buffers)
        finally:
            if latest is not None:
                messages.set_latest(latest)
            messages.current.reset(token)

    # Called by the shell

    def show_error(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        """Publishes an exception; in a cell it becomes the reply's as well."""
        cell = cell_here.get()
        name, value = etype.__name__, str(evalue)
        if cell is not None and cell.interrupted and issubclass(etype, asyncio.CancelledError):
            name, value = "KeyboardInterrupt", ""
            stb = [line.replace("CancelledError", "KeyboardInterrupt") for line in stb]
        error = {"ename": name, "evalue": value, "traceback": list(stb)}
        if cell is not None:
            cell.error = error
        messages.publish("error", error)

    def get_parent(self, channel: str = "shell") -> dict[str, Any]:
        """The request whose code runs, as a message; widget libraries ask for it by this name."""
        request = messages.parent()
        return {} if request is None else {"header": json.loads(request.header)}

    # The rest

    def _start_shell(self) -> None:
        from . import comms, stdin
        from .answers import Answers
        from .application import KernelApplication
        from .subshells import Subshells

        application = KernelApplication.instance()
        self.shell = application.create_shell(self)
        stdin.install()
        self._subshells = Subshells(self)
        comms.install()
        self._answers = Answers(self.shell, self.inference, self._runner)
        _open_the_notebooks_folder()
        for magic in _MAGICS:  # for code that nobody has seen before it runs: startup files, %run
            self.shell.magics_manager.register_lazy(magic, "firn")
        application.run_users_startup()

    def _load_firn(self) -> None:
        """%%parallel, without an import. Where it cannot load, the kernel says so and is a plain one.

        A session that never names it does not pay for it: its modules and workers are a third of such a kernel's memory.
        """
        with self._loading:
            if self._firn_loaded:
                return
            self._firn_loaded = True
            try:
                with _notebooks_folder_closed():
                    self.shell.extension_manager.load_extension("firn")
            except Exception:
                os.write(self._log, traceback.format_exc().encode("utf-8", "replace"))
                self.shell.showtraceback()

    @interruptible
    def _answer(self, request: _kernel.Request, content: dict[str, Any]) -> dict[str, Any]:
        try:
            if request.type in _WITHOUT_SHELL:
                return _WITHOUT_SHELL[request.type]()
            if request.type.endswith("_subshell_request"):
                return self._subshells.answer(request, content)
            if request.type == "debug_request":
                return self._debug(content)
            code = content.get("code", "")
            if _names_firn(code) or (request.type == "complete_request" and "%" in code):
                self._load_firn()
            return self._answers.answer(request, content)
        except BaseException as error:
            return {"status": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": []}

    def _debug(self, content: dict[str, Any]) -> dict[str, Any]:
        if self._debugger is None:
            from .debugger import Debugger  # most sessions never do

            self._debugger = Debugger(self.shell)
        return self._debugger.answer(content)

    def _held(self, frame: types.FrameType | None) -> bool:
        return self._debugger is not None and self._debugger.lets_go(frame)

    @interruptible
    def _receive(self, request: _kernel.Request, content: str, buffers: list[bytes]) -> None:
        from . import comms

        try:
            comms.receive(request, content, buffers)
        except BaseException:
            self.shell.showtraceback()


def _names_firn(code: str) -> bool:
    """Whether this code, or a module that was imported before, may need %%parallel and its companions."""
    return "firn" in sys.modules or any(name in code for name in _NAMES_FIRN)


def _open_the_notebooks_folder() -> None:
    """Makes sys.path and sys.argv what an interactive interpreter has.

    The kernelspec starts Python with -P, so that a module beside the notebook cannot break the start; for the user's
    code, modules beside the notebook are there.
    """
    if not sys.flags.safe_path and sys.path and sys.path[0] == os.getcwd():
        sys.path[0] = ""
    elif "" not in sys.path:
        sys.path.insert(0, "")
    sys.argv[:] = [""]


@contextlib.contextmanager
def _notebooks_folder_closed() -> Iterator[None]:
    """A `firn.py` or `shutil.py` beside the notebook is the user's, not ours."""
    opened = sys.path[:1] == [""]
    if opened:
        del sys.path[0]
    try:
        yield
    finally:
        if opened:
            sys.path.insert(0, "")


def start(connection_file: str) -> int:
    """Runs a kernel until it is shut down; the process's exit status."""
    kernel = Kernel()
    try:
        _kernel.run(connection_file, kernel)
    except (RuntimeError, ValueError) as error:
        if kernel.shell is not None:
            raise
        print(f"firn_kernel: {error}", file=sys.stderr)
        return 1
    return 0
