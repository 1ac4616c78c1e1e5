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

class Inbox:
    """The requests that wait for one cell runner."""

    def fileno(self) -> int:
        """Readable when something has arrived."""
    def clear_event(self) -> None: ...
    def dispatch_next(self) -> bool:
        """Handles the next request; False when there is none or the runner is to stop."""
    @property
    def stopped(self) -> bool: ...
    busy: bool
    """Whether its runner runs a cell: then the control thread answers what needs no runner."""

def main_inbox() -> Inbox: ...
def open_inbox(subshell: str) -> Inbox:
    """From now on requests to this subshell wait in the inbox."""

def close_inbox(subshell: str) -> bool:
    """No further request reaches the subshell, and its runner stops when it has answered those that wait."""

def interrupt_thread(thread: int, cell: object) -> bool:
    """Raises KeyboardInterrupt in a thread while cell.running holds; False when it does not."""

def nudge_after_interrupts() -> None:
    """From now on SIGINT ends a call that sleeps also where it comes just before the call. Stays until a handler is set."""

def no_more_nudges() -> None:
    """Python has seen the signal: no call that comes now is broken off."""

def give_back_memory() -> None:
    """Returns the pages that malloc() holds and nobody uses to the system; some milliseconds."""

def publish(kind: str, parent: Request | None, metadata: bytes, content: bytes, buffers: Sequence[Any]) -> None: ...
def write(stream: int, text: bytes, parent: Request | None) -> None:
    """Collects stream text: 0 is stdout, 1 stderr. Waits while more is unsent than the kernel wants to keep."""

def flush() -> None: ...
def set_descriptor_parent(request: Request) -> None:
    """Whose output it is that child processes and C code write from now on."""

def capture_descriptors() -> int:
    """Leads descriptors 1 and 2 into pipes; a descriptor of what stderr was before."""

def murmur2(data: bytes, seed: int) -> int: ...
def ask_input(request: Request, content: bytes) -> None: ...
def take_input() -> str | None:
    """The answer, or None after a while without one."""
