"""The debugger (messaging protocol, "Debug request"): debugpy in this process, and what Jupyter adds to its protocol.

debug_request carries requests of the Debug Adapter Protocol. Most go to debugpy as they are; those that debugpy does
not know (debugInfo, dumpCell, inspectVariables ...) are answered here. Called by the control thread, so that it answers
while a cell runs or stands still at a breakpoint. Cells run in this process are debugged, not the workers of a
parallel cell.
"""

import ast
import asyncio
import contextlib
import functools
import operator
import os
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import IPython
from IPython.core.inputtransformer2 import leading_empty_lines

from . import cell_files, messages
from .dap import Client, Message, untraced
from .variables import Tree, is_shown

_PATIENCE = 5.0  # seconds for an answer of debugpy; the control thread waits, and must get to interrupts again


class Debugger:
    """A debugging session after the other. Handlers take a request's arguments and give the response's body."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._client: Client | None = None
        self._strips_empty_lines: int | None = None  # where that stood among the shell's transformations
        self._address: tuple[str, int] | None = None  # debugpy listens once a process
        self._initialized = threading.Event()
        self._breakpoints: dict[str, list[Any]] = {}
        self._stopped: set[int] = set()
        self._tree = Tree(shell)
        self._handlers: dict[str, Callable[[Message], Message]] = {
            "debugInfo": self._debug_info,
            "dumpCell": self._dump_cell,
            "source": self._source,
            "inspectVariables": self._inspect_variables,
            "richInspectVariables": self._rich_inspect_variables,
            "initialize": self._initialize,
            "attach": self._attach,
            "configurationDone": self._configuration_done,
            "setBreakpoints": self._set_breakpoints,
            "stackTrace": self._stack_trace,
            "variables": self._variables,
            "copyToGlobals": self._copy_to_globals,
            "continue": self._continue,
            "disconnect": self._disconnect,
        }

    def answer(self, request: Message) -> Message:
        """The response to a request; what goes wrong is a response, too."""
        command = request.get("command", "")
        response = {"type": "response", "request_seq": request.get("seq", 0), "command": command}
        arguments = request.get("arguments") or {}
        try:
            handler = self._handlers.get(command)
            body = handler(arguments) if handler else self._ask(command, arguments)
        except _Refused as refused:
            return {**response, "success": False, "message": str(refused), "body": {}}
        except KeyError as missing:
            return {**response, "success": False, "message": f"{command} lacks {missing}", "body": {}}
        return {**response, "success": True, "body": body}

    def close(self) -> None:
        """With the kernel: what stands still goes on."""
        self._disconnect({})
        cell_files.remove_all()

    def lets_go(self, frame: types.FrameType | None) -> bool:
        """Whether the main thread is inside debugpy, which swallows a KeyboardInterrupt; then the cell goes on, to its
        next step, which raises it. Called by SIGINT's handler.
        """
        if not _is_inside_debugpy(frame):
            return False
        _interrupt_next_step()
        if self._client is not None:
            for thread in list(self._stopped):
                with contextlib.suppress(OSError):
                    self._client.send("continue", {"threadId": thread})
        return True

    # debugpy

    def _ask(self, command: str, arguments: Message) -> Message:
        return self._result(command, self._send(command, arguments))

    def _send(self, command: str, arguments: Message) -> Future[Message]:
        if self._client is None:
            raise _Refused(f"{command}: the debugger is not started")
        try:
            return self._client.send(command, arguments)
        except OSError as error:
            raise _Refused(f"{command}: {error}") from error

    def _result(self, command: str, response: Future[Message]) -> Message:
        try:
            message = response.result(_PATIENCE)
        except TimeoutError:
            raise _Refused(f"{command}: debugpy did not answer within {_PATIENCE:.0f} s") from None
        except OSError as error:
            raise _Refused(f"{command}: {error}") from error
        if not message["success"]:
            raise _Refused(message.get("message", f"debugpy refused {command}"))
        body: Message = message.get("body") or {}
        return body

    def _on_event(self, event: Message) -> None:
        """In the client's thread."""
        body = event.get("body") or {}
        match event["event"]:
            case "initialized":
                self._initialized.set()
            case "stopped":
                self._stopped.add(body["threadId"])
            case "continued":
                self._goes_on(body)
            case "terminated":
                self._stopped.clear()
        messages.publish("debug_event", event)

    def _goes_on(self, body: Message) -> None:
        if body.get("allThreadsContinued", True):
            self._stopped.clear()
        else:
            self._stopped.discard(body.get("threadId"))

    # The session

    def _initialize(self, arguments: Message) -> Message:
        if self._client is None:
            for thread in (threading.current_thread(), self._shell.history_manager.save_thread):
                untraced(thread)
            self._client = Client(self._listening(), self._on_event)
            # Breakpoints count the lines of the cell as it is.
            transforms = self._shell.input_transformer_manager.cleanup_transforms
            if leading_empty_lines in transforms:
                self._strips_empty_lines = transforms.index(leading_empty_lines)
                del transforms[self._strips_empty_lines]
        return self._ask("initialize", arguments)

    def _listening(self) -> tuple[str, int]:
        if self._address is None:
            try:
                import debugpy
            except ImportError as error:
                raise _Refused("the debugger needs debugpy: pip install debugpy") from error
            try:
                self._address = debugpy.listen(("127.0.0.1", 0))
            except Exception as error:
                raise _Refused(f"debugpy does not start: {error}") from error
        return self._address

    def _attach(self, arguments: Message) -> Message:
        """debugpy answers only when it is configured; the front end has nothing to add."""
        host, port = self._listening()
        packages = {os.path.dirname(package) for package in (__file__, IPython.__file__, asyncio.__file__)}
        rules = [{"path": os.path.join(package, "**"), "include": False} for package in sorted(packages)]
        self._initialized.clear()
        response = self._send("attach", {**arguments, "connect": {"host": host, "port": port}, "rules": rules})
        if not self._initialized.wait(_PATIENCE):
            raise _Refused(f"attach: debugpy was not ready within {_PATIENCE:.0f} s")
        self._ask("configurationDone", {})
        return self._result("attach", response)

    def _configuration_done(self, arguments: Message) -> Message:
        return {}  # attach has said so

    def _disconnect(self, arguments: Message) -> Message:
        if self._client is None:
            return {}
        try:
            self._ask("disconnect", {**arguments, "terminateDebuggee": False, "restart": False})
        except _Refused:
            pass  # it has gone already
        self._client.close()
        self._client = None
        self._breakpoints.clear()
        self._stopped.clear()
        if self._strips_empty_lines is not None:
            transforms = self._shell.input_transformer_manager.cleanup_transforms
            transforms.insert(self._strips_empty_lines, leading_empty_lines)
            self._strips_empty_lines = None
        return {}

    def _debug_info(self, arguments: Message) -> Message:
        return {
            "isStarted": self._client is not None,
            "hashMethod": cell_files.HASH_METHOD,
            "hashSeed": cell_files.HASH_SEED,
            "tmpFilePrefix": cell_files.PREFIX,
            "tmpFileSuffix": cell_files.SUFFIX,
            "breakpoints": [{"source": path, "breakpoints": lines} for path, lines in self._breakpoints.items()],
            "stoppedThreads": sorted(self._stopped),
            "richRendering": True,
            "exceptionPaths": ["Python Exceptions"],
            "copyToGlobals": True,
        }

    # Source and breakpoints

    def _dump_cell(self, arguments: Message) -> Message:
        return {"sourcePath": cell_files.write(arguments["code"])}

    def _source(self, arguments: Message) -> Message:
        path = arguments["source"]["path"]
        try:
            with open(path, encoding="utf-8") as file:
                return {"content": file.read()}
        except (OSError, ValueError) as error:
            raise _Refused(f"the source of {path} cannot be read: {error}") from error

    def _set_breakpoints(self, arguments: Message) -> Message:
        body = self._ask("setBreakpoints", arguments)
        # Where debugpy has put them: not every line has code.
        self._breakpoints[arguments["source"]["path"]] = [{"line": point["line"]} for point in body["breakpoints"]]
        return body

    # What stands still

    def _stack_trace(self, arguments: Message) -> Message:
        """Without what runs the cell: the frames below its own are IPython's and the kernel's."""
        body = self._ask("stackTrace", arguments)
        frames = body["stackFrames"]
        cells = [i for i, frame in enumerate(frames) if frame["source"].get("path", "").startswith(cell_files.PREFIX)]
        return {"stackFrames": frames[: cells[-1] + 1] if cells else frames, "totalFrames": len(frames)}

    def _continue(self, arguments: Message) -> Message:
        """What goes on is counted off beforehand: the next stop's event may come before this answer is read."""
        stood = set(self._stopped)
        self._goes_on({**arguments, "allThreadsContinued": not arguments.get("singleThread", False)})
        try:
            return self._ask("continue", arguments)
        except _Refused:
            self._stopped |= stood
            raise

    # Variables

    def _inspect_variables(self, arguments: Message) -> Message:
        self._tree = Tree(self._shell)
        return {"variables": self._tree.top()}

    def _variables(self, arguments: Message) -> Message:
        if self._stopped:
            body = self._ask("variables", arguments)
            return {**body, "variables": [each for each in body["variables"] if is_shown(each["name"])]}
        try:
            return {"variables": self._tree.parts(arguments["variablesReference"])}
        except KeyError:
            raise _Refused("variables: inspectVariables comes first") from None

    def _rich_inspect_variables(self, arguments: Message) -> Message:
        name = arguments["variableName"]
        nothing: Message = {"data": {}, "metadata": {}}
        if not name.isidentifier():
            return nothing  # a heading of debugpy's, such as "special variables"
        if not self._stopped:
            result = self._shell.user_expressions({name: name})[name]
            if result["status"] != "ok":
                return nothing
            return {"data": result["data"], "metadata": result["metadata"]}
        expression = f"get_ipython().display_formatter.format({name})"
        asked = {"expression": expression, "frameId": arguments["frameId"], "context": "clipboard"}
        try:
            data, metadata = ast.literal_eval(self._ask("evaluate", asked)["result"])
        except (ValueError, SyntaxError) as error:
            raise _Refused(f"{name} has no representation that can be shown here") from error
        return {"data": data, "metadata": {kind: value for kind, value in metadata.items() if kind in data}}

    def _copy_to_globals(self, arguments: Message) -> Message:
        source, target = arguments["srcVariableName"], arguments["dstVariableName"]
        if not source.isidentifier() or not target.isidentifier():
            raise _Refused("copyToGlobals: srcVariableName and dstVariableName must be names of variables")
        asked = {"expression": f"globals()[{target!r}]", "value": source, "frameId": arguments["srcFrameId"]}
        return self._ask("setExpression", asked)


def _is_inside_debugpy(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if _is_of_debugpy(frame.f_code):
            return True
        frame = frame.f_back
    return False


def _is_of_debugpy(code: types.CodeType) -> bool:
    debugpy = sys.modules.get("debugpy")
    return debugpy is not None and code.co_filename.startswith(os.path.dirname(str(debugpy.__file__)))


def _interrupt_next_step() -> None:
    """Raises KeyboardInterrupt in this thread, once it is out of debugpy."""
    monitoring, thread = sys.monitoring, threading.get_ident()
    tool = next((each for each in range(5, -1, -1) if monitoring.get_tool(each) is None), None)
    if tool is None:
        return  # every one is taken; the user presses again

    def step(code: types.CodeType, *where: Any) -> None:
        if threading.get_ident() == thread and not _is_inside_debugpy(sys._getframe(1)):
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)
            raise KeyboardInterrupt

    monitoring.use_tool_id(tool, "firn_kernel")
    events = monitoring.events
    steps = (events.LINE, events.PY_START, events.PY_RETURN, events.JUMP)
    for event in steps:
        monitoring.register_callback(tool, event, step)
    monitoring.set_events(tool, functools.reduce(operator.or_, steps))


class _Refused(Exception):
    """The request cannot be served; the text is for the user."""
