"""The C++ half of the firn kernel: sockets, wire format, streams (kernel/src)."""

from collections.abc import Sequence
from typing import Any

class Request:
    """The request that a runner works on; immutable, shared by threads."""

    @property
    def type(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def received(self) -> str:
        """When its runner took it up, ISO 8601 in UTC."""
    @property
    def metadata(self) -> str:
        """JSON text, as `header`."""
    @property
    def header(self) -> str: ...

def run(connection_file: str, handler: Any) -> None:
    """Binds the sockets, calls handler.run() and, when that returns, sends the rest and closes them.

    Raises RuntimeError when the file cannot be used or an address is taken, ValueError for an unknown signature scheme.
    """

def inbox_fd(inbox: str) -> int:
    """Readable when something has arrived in the inbox; "" is the main thread's."""

def clear_event(inbox: str) -> None: ...
def dispatch_next(inbox: str) -> bool:
    """Handles the next request of the inbox; False when there is none or the kernel stops."""

def publish(kind: str, parent: Request | None, metadata: bytes, content: bytes, buffers: Sequence[Any]) -> None: ...
def write(stream: int, text: bytes, parent: Request | None) -> None:
    """Collects stream text: 0 is stdout, 1 stderr. Waits while more is unsent than the kernel wants to keep."""

def flush() -> None: ...
def set_descriptor_parent(request: Request) -> None:
    """Whose output it is that child processes and C code write from now on."""

def capture_descriptors() -> int:
    """Leads descriptors 1 and 2 into pipes; a descriptor of what stderr was before."""

def ask_input(request: Request, content: bytes) -> None: ...
def take_input() -> str | None:
    """The answer, or None after a while without one."""
