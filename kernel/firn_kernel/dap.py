"""A client of the Debug Adapter Protocol over TCP (its "Base Protocol")."""

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Message = dict[str, Any]


class Client:
    """One connection. A thread of its own reads; any thread may ask."""

    def __init__(self, address: tuple[str, int], on_event: Callable[[Message], None]) -> None:
        """Raises OSError where nothing listens."""
        self._socket = socket.create_connection(address, timeout=10)
        self._socket.settimeout(None)
        self._on_event = on_event
        self._lock = threading.Lock()  # of what follows, and of writing
        self._number = 0
        self._waiting: dict[int, Future[Message]] = {}
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="firn-debugger", daemon=True)
        untraced(self._reader)
        self._reader.start()

    def send(self, command: str, arguments: Message | None = None) -> Future[Message]:
        """The response is to come; ConnectionError when the debugger goes away before."""
        response: Future[Message] = Future()
        with self._lock:
            if self._closed:
                raise ConnectionError("the debugger is gone")
            self._number += 1
            self._waiting[self._number] = response
            request = {"seq": self._number, "type": "request", "command": command, "arguments": arguments or {}}
            body = json.dumps(request).encode()
            self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return response

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
        self._reader.join(5)
        self._socket.close()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as stream:
                while message := _next_message(stream):
                    if message["type"] == "event":
                        self._on_event(message)
                    elif message["type"] == "response":
                        with self._lock:
                            response = self._waiting.pop(message["request_seq"], None)
                        if response is not None:
                            response.set_result(message)
        except OSError, ValueError:
            pass  # cut off in the middle of a message
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, {}
        for response in waiting.values():
            response.set_exception(ConnectionError("the debugger is gone"))


def untraced(thread: threading.Thread | None) -> None:
    """Keeps debugpy from tracing or stopping a thread of the kernel's."""
    if thread is None:
        return  # history is off
    thread.pydev_do_not_trace = True  # type: ignore[attr-defined]
    thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]


def _next_message(stream: Any) -> Message | None:
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(stream.read(length)) if length else None
