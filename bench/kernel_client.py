"""A kernel's process and a front end that hardly costs anything, so that what is measured is the kernel.

The front end looks for what it waits for in the frames as they are, and makes its own messages by hand: jupyter_client
takes about as long over a message as the kernels do.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import zmq
from jupyter_client import KernelManager
from jupyter_client.session import Session

PATIENCE = 60.0
"""Seconds for what should come at once."""

DEBIANS = "/usr/lib/python3/dist-packages"

IDLE = (b'"idle"', b'"execution_state"')


class Silence(Exception):
    """The kernel does not answer."""


def cell(code: str) -> tuple[str, dict[str, Any]]:
    """The request that runs it."""
    options = {"silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    return "execute_request", {"code": code, "user_expressions": {}, **options}


@dataclass
class Answer:
    """One request's: seconds until the reply and its idle were there, and what came between."""

    seconds: float
    reply: dict[str, Any]
    published: list[tuple[str, bytes]]  # message type and content

    def of(self, kind: str) -> list[Any]:
        return [json.loads(content) for each, content in self.published if each == kind]


class Kernel:
    """A running kernel, by its kernelspec's name."""

    def __init__(self, spec: str, first: str = "", profile: str = "") -> None:
        """`answer` and `ready`: to its first request, kernel_info_request or the cell `first`, and seconds until then.

        profile: IPython's folder, with its history; without one a fresh folder, as at the very first start of all.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="firn-bench-")  # the connection file's
        environment = {**os.environ, "IPYTHONDIR": profile or self._folder.name}
        if spec == "xpython":
            environment["PYTHONPATH"] = DEBIANS  # its shell; IPython is this environment's
        self._manager = KernelManager(kernel_name=spec, connection_file=str(Path(self._folder.name, "kernel.json")))
        self._context = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        began = time.perf_counter()
        try:
            self._manager.start_kernel(env=environment)
            self._session = Session(key=self._manager.session.key)
            self._shell = self._connect(zmq.DEALER, "shell_port")
            self._iopub = self._connect(zmq.SUB, "iopub_port")
            name = self.send(*cell(first)) if first else self.send("kernel_info_request", {})
            answer = self._receive(self._shell, name)
            self.ready = time.perf_counter() - began
            self.answer: dict[str, Any] = json.loads(answer)
            self._process = psutil.Process(self._manager.provisioner.pid)  # type: ignore[union-attr, attr-defined]
            self._wait_for_subscription()
        except BaseException:
            self.stop()
            raise

    def _connect(self, kind: int, port: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.reconnect_ivl = 2  # ms; a kernel that has just bound its sockets is found at once
        socket.rcvhwm = 0
        if kind == zmq.SUB:
            socket.subscribe(b"")
        self._sockets.append(socket)
        info = self._manager.get_connection_info()
        socket.connect(f"tcp://{info['ip']}:{info[port]}")
        return socket

    def _wait_for_subscription(self) -> None:
        """Until what is published arrives."""
        while not self._iopub.poll(50):
            self._receive(self._shell, self.send("kernel_info_request", {}))
        self.quiet()

    def send(self, kind: str, content: dict[str, Any]) -> bytes:
        """The new message's id."""
        name = uuid.uuid4().hex
        header = {"msg_id": name, "session": "bench", "username": "bench", "date": "2026-01-01T00:00:00Z"}
        parts = [
            json.dumps(part).encode() for part in ({**header, "msg_type": kind, "version": "5.4"}, {}, {}, content)
        ]
        self._shell.send_multipart([b"<IDS|MSG>", self._session.sign(parts), *parts])
        return name.encode()

    def ask(self, kind: str, content: dict[str, Any], patience: float = PATIENCE) -> Answer:
        """Sends a request, and waits for its reply and its idle."""
        began = time.perf_counter()
        name = self.send(kind, content)
        published: list[tuple[str, bytes]] = []
        while True:
            parts = self._next(self._iopub, patience)
            if name not in parts[1]:
                continue
            if all(word in parts[3] for word in IDLE):
                break
            published.append((json.loads(parts[0])["msg_type"], parts[3]))
        reply = self._receive(self._shell, name, patience)
        return Answer(time.perf_counter() - began, json.loads(reply), published)

    def run(self, code: str, patience: float = PATIENCE) -> Answer:
        return self.ask(*cell(code), patience)

    def ask_many(self, kind: str, contents: list[dict[str, Any]], wanted: bytes) -> tuple[float, int]:
        """Sends them all, and waits until as many messages of the wanted type are there; seconds, and how many came."""
        began = last = time.perf_counter()
        for content in contents:
            self.send(kind, content)
        came = 0
        try:
            while came < len(contents):
                came += wanted in self._next(self._iopub, 10)[0]
                last = time.perf_counter()
        except Silence:
            pass
        return last - began, came

    def quiet(self, seconds: float = 0.3) -> None:
        """Until nothing more comes."""
        while self._iopub.poll(int(seconds * 1000)):
            self._iopub.recv_multipart()

    def _receive(self, socket: zmq.Socket[bytes], name: bytes, patience: float = PATIENCE) -> bytes:
        while True:
            parts = self._next(socket, patience)
            if name in parts[1]:
                return parts[3]

    def _next(self, socket: zmq.Socket[bytes], patience: float) -> list[bytes]:
        """The next message's header, parent header, metadata and content."""
        end = time.monotonic() + patience
        while not socket.poll(min(1000, max(0, int((end - time.monotonic()) * 1000)))):
            if time.monotonic() >= end or not self._manager.is_alive():
                raise Silence
        frames = socket.recv_multipart()
        first = frames.index(b"<IDS|MSG>") + 2
        return frames[first:]

    # The process

    def memory(self) -> dict[str, float]:
        """MB: resident, proportional to the sharing of pages, and its own alone."""
        info = self._process.memory_full_info()
        return {"RSS": info.rss / 1e6, "PSS": info.pss / 1e6, "private": info.uss / 1e6}

    def threads(self) -> int:
        return self._process.num_threads()

    def stop(self) -> None:
        for socket in self._sockets:
            socket.close()
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        self._context.destroy(linger=0)
        self._folder.cleanup()


def each_in_turn[T](kernels: dict[str, Kernel], rounds: int, measure: Callable[[Kernel], T]) -> dict[str, list[T]]:
    """What a measurement gave, for each kernel: they take turns, so that what else the machine does meets all."""
    taken: dict[str, list[T]] = {name: [] for name in kernels}
    for _ in range(rounds):
        for name, kernel in kernels.items():
            taken[name].append(measure(kernel))
    return taken
