"""A real kernel behind a real jupyter_client, and a raw ZeroMQ client for what jupyter_client would never send.

The kernel is firn, or what --kernel names: then only the tests of rows.toml's rows for all kernels run, for the others are
about what firn alone has, and its inner life (`make compare-kernels`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.session import Session

sys.path.insert(0, str(Path(__file__).parent))  # mutations.py is imported by its tests
TIMEOUT = 60
PARTS = tomllib.loads((Path(__file__).parent / "rows.toml").read_text()).values()
ROWS = [row for part in PARTS for row in part["rows"]]
OF_FIRN = {row for part in PARTS if "of_firn" in part for row in part["rows"]}
FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernels")
    group.addoption("--kernel", metavar="SPEC", help="the kernelspec of another kernel to run the rows' tests against")
    group.addoption("--patience", type=float, metavar="SECONDS", help="how long a test waits for a message at most")
    group.addoption("--outcomes", metavar="FILE", help="append a line of JSON for each test of a row that has run")


def chosen(config: pytest.Config) -> str:
    return config.getoption("--kernel", None) or "firn"


def row_of(item: pytest.Item) -> str | None:
    """The row that a test shows. Its name may hold a parameter's: "{interrupt} in a cell"."""
    marker = item.get_closest_marker("row")
    if marker is None:
        return None
    row = marker.args[0].format(**(item.callspec.params if hasattr(item, "callspec") else {}))
    if row not in ROWS:
        raise pytest.UsageError(f"{item.nodeid} names a row that rows.toml lacks: {row!r}")
    return row


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in here:
        row_of(item)
        suite = getattr(item, "cls", None)
        if suite is not None and hasattr(suite, "kernel_name"):
            suite.kernel_name = chosen(config)
    if chosen(config) != "firn":
        others = [item for item in here if row_of(item) in (None, *OF_FIRN)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    if (file := item.config.getoption("--outcomes", None)) and (report.when == "call" or report.failed):
        line = {"row": row_of(item), "test": item.nodeid, "passed": report.passed, "why": str(report.longrepr or "")}
        with open(file, "a") as out:
            out.write(json.dumps(line) + "\n")
    return report


@dataclass
class Outcome:
    """What one request brought: its reply, and its messages on iopub from busy to idle."""

    reply: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    def text(self, name: str = "stdout") -> str:
        return "".join(content["text"] for content in self.of("stream") if content["name"] == name)

    @property
    def status(self) -> str:
        return self.reply["content"]["status"]

    @property
    def result(self) -> str:
        (content,) = self.of("execute_result")
        return content["data"]["text/plain"]


class RunningKernel:
    """A kernel process and a client of it."""

    def __init__(self, spec: str = "firn", patience: float | None = None, **options: Any) -> None:
        """Options: of KernelManager.start_kernel(); `transport` and `transport_encryption`: of the manager."""
        manager = {name: options.pop(name) for name in ("transport", "transport_encryption") if name in options}
        self.manager = KernelManager(kernel_name=spec, **manager)
        # ipykernel leaves the descriptors alone when it sees this.
        options.setdefault("env", {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"})
        self.manager.start_kernel(**options)
        self.client: BlockingKernelClient = self.manager.client()
        if patience is not None:
            for name in ("get_shell_msg", "get_iopub_msg", "get_stdin_msg", "get_control_msg"):
                setattr(self.client, name, at_most(patience, getattr(self.client, name)))
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=TIMEOUT)
        except RuntimeError:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self.manager.provisioner.pid

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.pid)

    @property
    def connection(self) -> dict[str, Any]:
        return json.loads(Path(self.manager.connection_file).read_text())

    def run(self, code: str, **options: Any) -> Outcome:
        return self.finish(self.client.execute(code, **options))

    def finish(self, message_id: str, reply: str = "shell") -> Outcome:
        """Waits for the reply to a request, and for its idle."""
        outcome = Outcome(self.reply(message_id))
        outcome.messages = self.published(message_id)
        return outcome

    def reply(self, message_id: str) -> dict[str, Any]:
        end = time.monotonic() + TIMEOUT
        while True:
            message = self.client.get_shell_msg(timeout=max(0, end - time.monotonic()))
            if message["parent_header"].get("msg_id") == message_id:
                return message

    def published(self, message_id: str) -> list[dict[str, Any]]:
        """Everything on iopub with this parent, up to its idle."""
        messages = []
        end = time.monotonic() + TIMEOUT
        while True:
            message = self.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
            if message["parent_header"].get("msg_id") != message_id:
                continue
            messages.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return messages

    def wait_for_text(self, text: str) -> None:
        """Waits until a stream message contains the text."""
        end = time.monotonic() + TIMEOUT
        while True:
            message = self.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
            if message["msg_type"] == "stream" and text in message["content"]["text"]:
                return

    def control(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        message = self.client.session.msg(kind, content)
        self.client.control_channel.send(message)
        end = time.monotonic() + TIMEOUT
        while True:
            reply = self.client.get_control_msg(timeout=max(0, end - time.monotonic()))
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return reply

    def interrupt(self, by_message: bool) -> None:
        """The stop button, or Ctrl-C at the kernel's terminal."""
        if by_message:
            assert self.control("interrupt_request", {})["content"]["status"] == "ok"
        else:
            os.kill(self.pid, signal.SIGINT)

    def shell(self, kind: str, content: dict[str, Any], **parts: Any) -> str:
        """Sends any message on the shell channel."""
        message = self.client.session.msg(kind, content)
        message.update(parts)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def stop(self) -> None:
        """Once, or more often."""
        self.client.stop_channels()
        with contextlib.suppress(Exception):
            self.manager.shutdown_kernel(now=not self.manager.is_alive())
        self.manager.cleanup_resources()


def at_most(patience: float, receive: Callable[..., Any]) -> Callable[..., Any]:
    """Like `receive`, but not as patient."""
    return lambda timeout=patience, **options: receive(timeout=min(timeout, patience), **options)


class RawClient:
    """A DEALER socket on one of the kernel's ports, for frames of any shape."""

    def __init__(self, connection: dict[str, Any], port: str = "shell_port") -> None:
        self.session = Session(key=connection["key"].encode(), signature_scheme=connection["signature_scheme"])
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(f"{connection['transport']}://{connection['ip']}:{connection[port]}")

    def frames(self, kind: str, content: dict[str, Any]) -> list[bytes]:
        """A well-formed, signed message."""
        return self.session.serialize(self.session.msg(kind, content))

    def signed(self, parts: list[bytes]) -> list[bytes]:
        return [b"<IDS|MSG>", self.session.sign(parts), *parts]

    def send(self, frames: list[bytes]) -> None:
        self.socket.send_multipart(frames)

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message, or None when there is none in that time."""
        if not self.socket.poll(int(seconds * 1000)):
            return None
        _, parts = self.session.feed_identities(self.socket.recv_multipart())
        return self.session.deserialize(parts)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="session", autouse=True)
def private_ipython(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The person's own IPython profile and history stay out of the tests."""
    before = os.environ.get("IPYTHONDIR")
    os.environ["IPYTHONDIR"] = str(tmp_path_factory.mktemp("ipython"))
    yield
    if before is None:
        del os.environ["IPYTHONDIR"]
    else:
        os.environ["IPYTHONDIR"] = before


@pytest.fixture(scope="session")
def kernel_name(request: pytest.FixtureRequest) -> str:
    """The kernelspec of the kernel that is tested."""
    return chosen(request.config)


@pytest.fixture(scope="module")
def start_kernel(private_ipython: None, request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningKernel]]:
    """Starts kernels that live until the module's end, or until somebody stops them. `spec`: a certain one's kernelspec."""
    kernels: list[RunningKernel] = []

    def start(**options: Any) -> RunningKernel:
        patience = request.config.getoption("--patience", None)
        spec = options.pop("spec", chosen(request.config))
        kernels.append(RunningKernel(spec, patience, **options))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.stop()


@pytest.fixture(scope="module")
def shared_kernel() -> list[RunningKernel]:
    """The module's kernel, once there is one."""
    return []


@pytest.fixture
def kernel(
    shared_kernel: list[RunningKernel], start_kernel: Callable[..., RunningKernel], request: pytest.FixtureRequest
) -> Iterator[RunningKernel]:
    """The module's kernel, with nothing left over from the test before; a new one after a test that failed."""
    if not shared_kernel:
        shared_kernel.append(start_kernel())
    (kernel,) = shared_kernel
    for channel in (kernel.client.iopub_channel, kernel.client.shell_channel):
        while channel.msg_ready():
            channel.get_msg(timeout=0)
    yield kernel
    if request.node.stash.get(FAILED, False):
        shared_kernel.clear()
        kernel.stop()


@pytest.fixture
def new_kernel(start_kernel: Callable[..., RunningKernel]) -> Iterator[Callable[..., RunningKernel]]:
    """Starts kernels that are the test's own."""
    kernels: list[RunningKernel] = []

    def start(**options: Any) -> RunningKernel:
        kernels.append(start_kernel(**options))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.stop()


@pytest.fixture
def raw(kernel: RunningKernel) -> Iterator[Callable[..., RawClient]]:
    clients: list[RawClient] = []

    def connect(port: str = "shell_port", to: RunningKernel = kernel) -> RawClient:
        clients.append(RawClient(to.connection, port))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
