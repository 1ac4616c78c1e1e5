"""A cell runner: an asyncio loop in one thread, fed by one inbox of the C++ half."""

import asyncio
import contextvars
import functools
import json
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Sequence, Set
from typing import Any

from . import _kernel, messages, sources, stdin

Done = Callable[[bytes], None]

_REPLY_IS_READ = 0.5  # seconds
_FAREWELL = 1.0  # seconds that background tasks have to end when the kernel stops
_TIDYING = 5.0  # seconds from one time that memory is given back to the next


class Cell:
    """A cell that runs: its request, and what has happened to it."""

    def __init__(self, request: _kernel.Request, code: str, count: int, options: dict[str, Any], done: Done) -> None:
        self.request, self.code, self.count, self.options, self._done = request, code, count, options, done
        self.error: dict[str, Any] | None = None
        self.interrupted = False  # by cancelling its task
        self.running = False  # while an interrupt may stop it
        self.put_off = False  # an interrupt came where it must not stop anything
        self.over = False  # its code has ended, and what runs after cells begins
        self.task: asyncio.Task[None] | None = None

    def reply(self, content: dict[str, Any]) -> None:
        """Sends the reply and idle, in the C++ half."""
        content["firn"] = {"started": self.request.received, "execution_count": self.count}
        self._done(messages.encode(content, lenient=True))


# The cell whose code runs, for errors that are shown in it. Threads have none.
cell_here: contextvars.ContextVar[Cell | None] = contextvars.ContextVar("firn_kernel_cell", default=None)


def in_one_piece[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """For what a cell calls without knowing, and that takes locks: an interrupt waits for its end.

    It may come between a lock's being taken and the start of the `with` block that lets it go, and no cell would get that
    lock again.
    """

    @functools.wraps(function)
    def whole(*arguments: P.args, **options: P.kwargs) -> R:
        cell = cell_here.get()
        if cell is None or not cell.running:
            return function(*arguments, **options)
        cell.running = False
        try:
            return function(*arguments, **options)
        finally:
            cell.running = True
            if cell.put_off:
                cell.put_off = False
                raise KeyboardInterrupt

    return whole


class CellRunner:
    """Runs the cells of one inbox, one after the other, each as a task of the thread's event loop.

    Lives in the thread that calls run(). Only stop() and interrupt() may be called from another.
    """

    def __init__(self, kernel: Any, inbox: _kernel.Inbox) -> None:
        self._kernel, self._inbox = kernel, inbox
        self._cell: Cell | None = None
        self._stopped = False
        self._pid = os.getpid()
        self._thread = 0
        self._tidying: asyncio.TimerHandle | None = None  # from a cell's end until memory is given back
        self._watched = 0  # descriptors, of the kernel's own
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        _here.runner = self
        self._thread = threading.get_ident()
        asyncio.set_event_loop(self.loop)
        self.loop.add_reader(self._inbox.fileno(), self._arrived)
        self._watched = _descriptors(self.loop)
        self.loop.call_soon(self._work_off)
        while not self._stopped:
            try:
                self.loop.run_forever()
            except KeyboardInterrupt:
                continue  # it has stopped a callback of the user's
        self._close()

    def stop(self) -> None:
        if self._stopped:
            return  # a second loop.stop() would end the loop that waits for background tasks
        self._stopped = True
        self.loop.call_soon_threadsafe(self.loop.stop)

    def alone(self, others: Sequence[Any], threads: Set[Any]) -> bool:
        """Whether only requests to this runner can run code of the user's: nothing of theirs waits in the loop, and there is
        no thread of theirs. `others`: whose methods, besides the runner's, are the kernel's own; so are `threads`. In the
        runner's thread, which is the main one."""
        if self._cell is not None or threading.active_count() > 1 + sum(t in threads for t in threading.enumerate()):
            return False
        loop: Any = self.loop
        ours = (self, loop, *others)
        try:
            for handle in (*loop._scheduled, *loop._ready):
                of = getattr(handle._callback, "__self__", None)
                if not handle.cancelled() and not any(of is one for one in ours):
                    return False
        except Exception:  # another Python's loop, or a callback of the user's that has no such attribute
            return False
        return not asyncio.all_tasks(loop) and _descriptors(loop) == self._watched

    def _close(self) -> None:
        if tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=_FAREWELL))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        asyncio.set_event_loop(None)

    def _arrived(self) -> None:
        self._inbox.clear_event()
        self._work_off()

    def _work_off(self) -> None:
        """Dispatches what is in the inbox until a cell runs or nothing is left."""
        try:
            while self._cell is None and not self._stopped and self._inbox.dispatch_next():
                pass
            if self._inbox.stopped:
                self.stop()
            elif self._tidying is not None and self._tidying.when() <= self.loop.time():
                self._tidy()  # a cell ran when it was time to
        except KeyboardInterrupt:
            self.loop.call_soon(self._work_off)

    def _tidy(self) -> None:
        """Gives back memory that cells took, when nothing else waits.

        The C library keeps the gaps between what lives; completions leave many of them. So does Python's own allocator,
        whose gaps firn's extension knows, where it is loaded.
        """
        if self._cell is None and self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
            sources.forget_cells()
            if give_back := getattr(sys.modules.get("firn._core"), "give_back_pools", None):
                give_back()
            _kernel.give_back_memory()

    # A cell

    def execute(self, cell: Cell) -> None:
        """Starts a cell; its reply is sent when it has ended. Called by the C++ half inside dispatch_next()."""
        _kernel.nudge_after_interrupts()  # the cell before may have set a handler, and put ours back
        self._cell, self._inbox.busy = cell, True
        messages.set_latest(cell.request)
        context = contextvars.copy_context()
        context.run(messages.current.set, cell.request)
        context.run(cell_here.set, cell)
        context.run(stdin.allowed.set, cell.options["allow_stdin"])
        if not cell.options["silent"]:
            context.run(messages.publish, "execute_input", {"code": cell.code, "execution_count": cell.count})
        cell.task = self.loop.create_task(self._run_cell(cell), context=context)

    async def _run_cell(self, cell: Cell) -> None:
        shell = self._kernel.shell
        reply: dict[str, Any]
        try:
            cell.put_off, cell.running = False, True
            success, error = await self._run_code(cell)
            cell.running = False
            if success:
                reply = {"status": "ok", "user_expressions": self._user_expressions(cell)}
            else:
                reply = {"status": "error", **(cell.error or _described(error))}
        except BaseException as raised:  # also KeyboardInterrupt, SystemExit and CancelledError
            cell.running = False
            if cell.error is None:
                shell.showtraceback()
            reply = {"status": "error", **(cell.error or _described(raised))}
        if os.getpid() != self._pid:
            _leave_forked_child(reply)
        reply["payload"] = shell.payload_manager.read_payload()
        shell.payload_manager.clear_payload()
        try:
            cell.reply(reply)
        finally:
            shell.end_count()
            self._cell = cell.task = None  # the task's context refers to the cell
            self._inbox.busy = False
            if self._tidying is None:
                self._tidying = self.loop.call_later(_TIDYING, self._tidy)
            self.loop.call_soon(self._work_off)
            if shell.exit_now:
                # A console that finds its kernel gone does not look for the reply, which tells it to exit, too.
                self.loop.call_later(_REPLY_IS_READ, self._kernel.stop)

    async def _run_code(self, cell: Cell) -> tuple[bool, BaseException | None]:
        shell, silent = self._kernel.shell, cell.options["silent"]
        transformed, failure = cell.code, None
        try:
            transformed = shell.transform_cell(cell.code)
        except Exception:
            failure = sys.exc_info()
        result = await shell.run_cell_async(
            cell.code,
            store_history=cell.options["store_history"],
            silent=silent,
            transformed_cell=transformed,
            preprocessing_exc_tuple=failure,
            cell_id=json.loads(cell.request.metadata).get("cellId"),
        )
        cell.over = True
        shell.events.trigger("post_execute")
        if not silent:
            shell.events.trigger("post_run_cell", result)
        return result.success, result.error_before_exec or result.error_in_exec

    def _user_expressions(self, cell: Cell) -> dict[str, Any]:
        expressions = cell.options["user_expressions"]
        return self._kernel.shell.user_expressions(expressions) if expressions else {}

    # Interrupts

    def on_sigint(self, number: int, frame: types.FrameType | None) -> None:
        """Stops what the user waits for, and nothing else; when idle, nothing happens. Main thread."""
        cell = self._cell
        if _on_stack(frame, _INTERRUPTIBLE):
            self._kernel.inference.forget()  # it may be what is broken off
            raise KeyboardInterrupt
        if cell is None:
            if _in_users_callback(frame):
                raise KeyboardInterrupt  # a background task that does not give way
        elif cell.running:
            # Raised only where the cell's own code runs. current_task() does not tell: after the coroutine has yielded,
            # the task still calls the event loop's methods, and an exception there would lose the task.
            if _on_stack(frame, _CELL):
                if cell.over and _tidies_up(frame):
                    return
                raise KeyboardInterrupt
            if cell.interrupted and _in_users_callback(frame):
                raise KeyboardInterrupt  # pressed again: a background task keeps the cell's cancellation waiting
            self._cancel(cell)
        else:
            cell.put_off = True

    def interrupt(self) -> None:
        """What on_sigint() does, from the main thread for the runner of another. What blocks in C goes on until it ends."""
        cell = self._cell
        if cell is None:
            return
        if not cell.running:
            cell.put_off = True
        elif _on_stack(frame := sys._current_frames().get(self._thread), _CELL):
            if not (cell.over and _tidies_up(frame)):
                _kernel.interrupt_thread(self._thread, cell)
        else:
            self._cancel(cell)

    def _cancel(self, cell: Cell) -> None:
        cell.interrupted = True
        assert cell.task is not None
        self.loop.call_soon_threadsafe(cell.task.cancel)


def _descriptors(loop: Any) -> int:
    """How many the loop watches; 0 where it does not say."""
    selector = getattr(loop, "_selector", None)
    return 0 if selector is None else len(selector.get_map())


_here = threading.local()


def runner_here() -> CellRunner:
    """The runner of this thread."""
    return _here.runner  # type: ignore[no-any-return]


def interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a function whose run an interrupt may end at any point; it must catch the KeyboardInterrupt."""
    _INTERRUPTIBLE.add(function.__code__)
    return function


_INTERRUPTIBLE: set[types.CodeType] = set()
_CELL = {CellRunner._run_cell.__code__}
_CALLBACK = asyncio.Handle._run.__code__
_ASYNCIO = os.path.dirname(asyncio.__file__)
_KERNEL = os.path.dirname(__file__)


def _on_stack(frame: types.FrameType | None, codes: set[types.CodeType]) -> bool:
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


def _tidies_up(frame: types.FrameType | None) -> bool:
    """Whether firn's extension looks after frozen data when a cell is over, with locks taken: IPython would show an interrupt
    as an error of the extension's, and the next cell might find a lock taken."""
    extension = sys.modules.get("firn.notebook")
    return extension is not None and _on_stack(frame, getattr(extension, "AFTER_A_CELL", set()))


def _in_users_callback(frame: types.FrameType | None) -> bool:
    """Whether the event loop runs a callback or task that is neither its own nor the kernel's."""
    outermost = None
    while frame is not None and frame.f_code is not _CALLBACK:
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            outermost = frame
        frame = frame.f_back
    return frame is not None and outermost is not None and not outermost.f_code.co_filename.startswith(_KERNEL)


def _described(error: BaseException | None) -> dict[str, Any]:
    return {"ename": type(error).__name__, "evalue": str(error), "traceback": []}


def _leave_forked_child(reply: dict[str, Any]) -> None:
    """Ends a child that the cell has forked and let run into the kernel's code, where it would take over its inbox."""
    sys.stdout.flush()
    os._exit(0 if reply["status"] == "ok" or reply.get("ename") == "SystemExit" else 1)


def install_interrupt_handler(
    runner: CellRunner, others: Callable[[], None], held: Callable[[types.FrameType | None], bool]
) -> None:
    """SIGINT stops what runs in the main thread, and `others` what runs elsewhere; SIGTERM ends the kernel as well, in order:
    the cell gets its reply, history is written, exit handlers run.

    held: whether a debugger holds the main thread at this frame; it then lets it go, and raises the KeyboardInterrupt.
    """

    def handle(number: int, frame: types.FrameType | None) -> None:
        _kernel.no_more_nudges()
        others()
        if not held(frame):
            runner.on_sigint(number, frame)

    pid = os.getpid()

    def end(number: int, frame: types.FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # for a cell that does not stop: the next one ends the process
        if os.getpid() != pid:
            os.kill(os.getpid(), number)  # a forked child, which multiprocessing ends in this way
        runner.stop()
        handle(number, frame)

    # Between the loop's last look at signals and its waiting, one that comes would be seen only when something else wakes
    # the loop up: Python's own C code writes to this pipe, which the loop reads.
    seen, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    runner.loop.add_reader(seen, os.read, seen, 4096)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    handle.others = others  # type: ignore[attr-defined]  # for who puts a handler of its own in this one's place
    signal.signal(signal.SIGINT, handle)
    _kernel.nudge_after_interrupts()
    signal.signal(signal.SIGTERM, end)
