"""sys.stdout, sys.stderr and sys.stdin inside a worker."""

from __future__ import annotations

import io
import sys

from firn import _core, errors

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, NoReturn

_WHOLE = 1 << 16


class Stream(io.TextIOBase):
    """A text stream into the notebook: whole lines go out at once, the rest with `flush`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, number: int, name: str) -> None:
        self._number, self.name = number, name
        self._waiting: list[str] = []
        self._size = 0
        self._inside = False  # a line that no newline has ended yet

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._waiting.append(text)
        self._size += len(text)
        self._inside = not text.endswith("\n") if text else self._inside
        if "\n" in text or self._size > _WHOLE:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if not self._waiting:
            return
        text = "".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if not text.isascii():
            text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates
        if text:
            _core.worker_write(self._number, text)

    def end_line(self) -> None:
        """What comes next starts a line."""
        if self._inside:
            self.write("\n")

    @property
    def buffer(self) -> io.BufferedIOBase:
        """Bytes written to it are taken as UTF-8."""
        return _Bytes(self)


class _Bytes(io.BufferedIOBase):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._stream.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)

    def flush(self) -> None:
        self._stream.flush()


class _NoInput(io.TextIOBase):
    """Nobody can answer a worker's question."""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> NoReturn:
        refuse_input()

    def readline(self, size: int | None = -1) -> NoReturn:
        refuse_input()


def refuse_input(*prompt: object) -> NoReturn:
    raise RuntimeError(errors.NO_INPUT)


def refuse_breakpoint(*arguments: object, **words: object) -> NoReturn:
    raise RuntimeError(errors.NO_BREAKPOINT)


def flush() -> None:
    """Sends what waits, whatever user code has put in the streams' place; the notebook ends a line that is not ended."""
    for stream in _streams:
        stream.flush()
        stream._inside = False


def end_line() -> None:
    """What is written to stdout next starts a line, if stdout is still the worker's own."""
    if sys.stdout is _streams[0]:
        _streams[0].end_line()


def install() -> None:
    """Replaces the interpreter's own streams; once per worker."""
    import builtins

    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = _streams  # type: ignore[misc,assignment]
    sys.stdin = sys.__stdin__ = _NoInput()  # type: ignore[misc,assignment]
    builtins.input = refuse_input
    sys.breakpointhook = refuse_breakpoint


_streams = (Stream(1, "<stdout>"), Stream(2, "<stderr>"))
