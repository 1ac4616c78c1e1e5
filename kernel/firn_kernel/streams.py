"""sys.stdout and sys.stderr of the kernel."""

import io
import os
from typing import Any

from . import _kernel, messages

STDOUT, STDERR = 0, 1


class OutputStream(io.TextIOBase):
    """A text stream whose output the C++ half collects and publishes, as output of the request that writes.

    Any thread may write. In a forked child, which has none of the kernel's threads, it writes to the descriptor, which
    is a pipe that the kernel empties.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, which: int) -> None:
        super().__init__()
        self._which = which
        self.name = ("<stdout>", "<stderr>")[which]
        self.mode = "w"
        self._buffer: Any = None

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        data = text.encode("utf-8", "replace")
        if messages.in_child():
            while data:
                data = data[os.write(self.fileno(), data) :]
        else:
            _kernel.write(self._which, data, messages.parent())
        return len(text)

    def flush(self) -> None:
        if not messages.in_child():
            _kernel.flush()

    def fileno(self) -> int:
        return self._which + 1

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    @property
    def buffer(self) -> Any:
        """For bytes: unbuffered, into the descriptor."""
        if self._buffer is None:
            self._buffer = open(self.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115
        return self._buffer

    @property
    def line_buffering(self) -> bool:
        return False
