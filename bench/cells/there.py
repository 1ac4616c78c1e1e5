"""What runs in the workers of pools: the data is loaded once into each, and tasks come as numbers."""

from __future__ import annotations

import pickle
from typing import Any

from bench.cells.workload import Names, workload

_names: Names = {}
_fresh: tuple[bytes, Names] = (b"", {})
_loaded = ""


def load(path: str) -> None:
    """Reads the pickled variables; what initializers of pools call."""
    with open(path, "rb") as file:
        put(pickle.load(file))


def unpickle(data: bytes) -> None:
    put(pickle.loads(data))


def put(names: Names) -> None:
    _names.clear()
    _names.update(names)


def ready(_: object = None) -> bool:
    """A task that has nothing to do: the worker has started."""
    return True


def piece(name: str, start: int, stop: int, fresh: bytes) -> Any:
    """One task; `fresh` are the pickled variables that are new in this loop, read once by each worker."""
    return piece_with(_names, name, start, stop, fresh)


def piece_loading(path: str, name: str, start: int, stop: int, fresh: bytes) -> Any:
    """The same for pools without initializers: the first task in a worker loads the data."""
    global _loaded
    if _loaded != path:
        load(path)
        _loaded = path
    return piece(name, start, stop, fresh)


def piece_with(names: Names, name: str, start: int, stop: int, fresh: bytes) -> Any:
    """The same where the pool hands over the data that is already there."""
    global _fresh
    if _fresh[0] != fresh:
        _fresh = fresh, pickle.loads(fresh)
    return workload(name).piece(names, start, stop, _fresh[1])
