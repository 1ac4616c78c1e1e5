"""The smallest runtime module of a worker: a setup is the source of a function of (start, stop)."""

import builtins
import pickle
import sys
from collections.abc import Callable
from typing import Any

from firn import _core


class Stopped(BaseException):
    """Raised by the pool, at any point of the code, to stop it."""


class Stream:
    """Writes to the notebook."""

    def __init__(self, number: int) -> None:
        self.number = number

    def write(self, text: str) -> int:
        _core.worker_write(self.number, text)
        return len(text)

    def flush(self) -> None:
        pass


sys.stdout = Stream(1)  # type: ignore[assignment]
sys.stderr = Stream(2)  # type: ignore[assignment]
kept: dict[str, Any] = {}  # what chunks leave for later ones of the same worker


def begin(setup: tuple[str, object]) -> Callable[[int, int], Any]:
    source, data = setup
    namespace = {"__builtins__": builtins, "data": data, "kept": kept, "Stopped": Stopped}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace["run"]  # type: ignore[return-value]


def pack(result: object) -> bytes:
    return pickle.dumps(result, 5)
