"""The kernel's IPython shell.

It derives from IPython's InteractiveShell rather than from xeus-python-shell's XPythonShell: that one's run_cell_async
takes a callback and starts a task of its own (a cell is our task, so that it can be interrupted), keeps errors for
later (ours are published with the output around them), and imports urllib3; what remains to be shared is one hook.
"""

import os
import sys
import threading
from typing import Any, Literal

from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.builtin_trap import BuiltinTrap
from IPython.core.display_trap import DisplayTrap
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell, InteractiveShellABC
from IPython.core.payload import PayloadManager
from traitlets import Any as AnyTrait
from traitlets import Instance, Type, default

from . import completer, messages
from .cell_files import CellCompiler
from .history import KernelHistory

_KERNEL = os.path.dirname(__file__) + os.sep


class KernelDisplayPublisher(DisplayPublisher):
    """display(), update_display() and clear_output()."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        messages.publish("update_display_data" if update else "display_data", content)

    def clear_output(self, wait: bool = False) -> None:
        messages.publish("clear_output", {"wait": wait})


class KernelDisplayHook(DisplayHook):
    """The value of a cell's last expression, as execute_result. Threads that run cells show theirs at the same time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._here = threading.local()
        super().__init__(*arguments, **options)

    @property
    def exec_result(self) -> Any:
        """The result of the cell that runs in this thread."""
        return getattr(self._here, "exec_result", None)

    @exec_result.setter
    def exec_result(self, result: Any) -> None:
        self._here.exec_result = result

    @property
    def prompt_count(self) -> int:
        result = self.exec_result
        if result is not None and result.execution_count is not None:
            return int(result.execution_count)
        return int(super().prompt_count)

    def start_displayhook(self) -> None:
        self._here.data, self._here.metadata = {}, {}

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self._here.data, self._here.metadata = format_dict, md_dict

    def finish_displayhook(self) -> None:
        data, metadata = self._here.data, self._here.metadata
        content = {"execution_count": self.prompt_count, "data": data, "metadata": metadata or {}}
        if data:
            messages.publish("execute_result", content)


class KernelPayloads(PayloadManager):
    """What a cell's reply brings along (the pager's text, the next cell's). Each thread that runs cells has its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._here = threading.local()
        super().__init__(*arguments, **options)

    @property
    def _payload(self) -> list[Any]:
        if not hasattr(self._here, "payload"):
            self._here.payload = []
        return self._here.payload  # type: ignore[no-any-return]

    @_payload.setter
    def _payload(self, payload: list[Any]) -> None:
        self._here.payload = payload


# IPython puts its builtins and its displayhook in place for each cell, and takes them out after the last one of those
# that run. It counts these in two steps: cells of several threads would leave with what others still need. A kernel has
# no other use for sys.displayhook and `exit`; here they stay.


class KernelBuiltins(BuiltinTrap):
    def __enter__(self) -> BuiltinTrap:
        return self

    def __exit__(self, *exception: Any) -> Literal[False]:
        return False


class KernelDisplay(DisplayTrap):
    is_active = True

    def __enter__(self) -> DisplayTrap:
        self.set()  # a cell may have changed it
        return self

    def __exit__(self, *exception: Any) -> Literal[False]:
        return False


class _Counter(threading.local):
    """The counter as one thread sees it."""

    count: int | None = None  # while the thread runs a cell that has a number
    counted = True  # False until IPython has counted that cell


class ZMQInteractiveShell(InteractiveShell):
    """IPython's shell with the front end as its terminal. It has the name of ipykernel's (`recognised` says why)."""

    kernel = AnyTrait()
    display_pub_class = Type(KernelDisplayPublisher)
    displayhook_class = Type(KernelDisplayHook)
    compiler_class = Type(CellCompiler)
    exiter = Instance(ZMQExitAutocall)
    keepkernel_on_exit: bool | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._counting = threading.Lock()
        self._count = 1  # the next cell's number
        self._here = _Counter()
        super().__init__(*arguments, **options)

    # IPython reads the counter and adds one to it in two steps. Cells of several threads would get the same number, so
    # each takes its own beforehand.

    def count_cell(self) -> int:
        """The number of the cell that this thread is about to run; until end_count() the thread sees a counter of its own."""
        with self._counting:
            number = self._count
            self._count += 1
        self._here.count, self._here.counted = number, False
        return number

    def end_count(self) -> None:
        """The cell has ended."""
        self._here.count, self._here.counted = None, True

    @property
    def execution_count(self) -> int:
        return self._here.count or self._count

    @execution_count.setter
    def execution_count(self, count: int) -> None:
        if self._here.count is not None:
            self._here.count = count
        if self._here.counted:
            self._count = count
        self._here.counted = True

    @default("exiter")
    def _default_exiter(self) -> ZMQExitAutocall:
        return ZMQExitAutocall(self)

    def init_environment(self) -> None:
        # Colour where it can be shown, and no pager that waits for keys.
        os.environ.update(
            TERM="xterm-color",
            CLICOLOR="1",
            FORCE_COLOR="1",
            CLICOLOR_FORCE="1",
            PAGER="cat",
            GIT_PAGER="cat",
        )

    def init_virtualenv(self) -> None:
        pass  # the kernelspec names the interpreter

    def init_builtins(self) -> None:
        super().init_builtins()
        self.builtin_trap = KernelBuiltins(shell=self)
        self.builtin_trap.activate()

    def init_display_trap(self) -> None:
        self.display_trap = KernelDisplay(hook=self.displayhook)

    def init_history(self) -> None:
        self.history_manager = KernelHistory(shell=self, parent=self)
        self.configurables.append(self.history_manager)

    def init_completer(self) -> None:
        super().init_completer()
        completer.quicken(self.Completer)

    def init_payload(self) -> None:
        self.payload_manager = KernelPayloads(parent=self)
        self.configurables.append(self.payload_manager)

    def init_hooks(self) -> None:
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(self._page), 99)

    def _page(self, text: Any, start: int = 0, screen_lines: int = 0, pager_cmd: Any = None) -> None:
        data = text if isinstance(text, dict) else {"text/plain": text}
        self.payload_manager.write_payload({"source": "page", "data": data, "start": max(0, start)})

    def set_next_input(self, text: str, replace: bool = False) -> None:
        self.payload_manager.write_payload({"source": "set_next_input", "text": text, "replace": replace})

    def ask_exit(self) -> None:
        self.exit_now = not self.keepkernel_on_exit
        self.payload_manager.write_payload({"source": "ask_exit", "keepkernel": self.keepkernel_on_exit})

    def enable_gui(self, gui: str | None = None) -> None:
        """GUI event loops do not run in this kernel; `%matplotlib inline` asks for none."""
        if gui not in (None, "inline", "asyncio"):
            from IPython.core.error import UsageError

            raise UsageError(
                f"the firn kernel has no event loop for {gui}; use %matplotlib inline or %matplotlib widget"
            )

    def get_parent(self) -> dict[str, Any]:
        """The request whose code runs, as ipykernel's shell gives it."""
        return self.kernel.get_parent()

    def showtraceback(self, exc_tuple: Any = None, *arguments: Any, **options: Any) -> None:
        error = exc_tuple[1] if exc_tuple is not None else sys.exception()
        if isinstance(error, KeyboardInterrupt):
            _end_where_it_came(error)
        super().showtraceback(exc_tuple, *arguments, **options)

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.kernel.show_error(etype, evalue, stb)


def _end_where_it_came(interrupt: KeyboardInterrupt) -> None:
    """Cuts the kernel's signal handler, which raises it, off an interrupt's traceback."""
    last, at = None, interrupt.__traceback__
    while at is not None:
        if not at.tb_frame.f_code.co_filename.startswith(_KERNEL):
            last = at
        at = at.tb_next
    if last is not None:
        last.tb_next = None


InteractiveShellABC.register(ZMQInteractiveShell)
