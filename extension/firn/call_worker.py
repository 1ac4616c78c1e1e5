"""The runtime inside each worker of a `firn.Executor`: the pool imports it and calls `begin`, `run` and `pack`.

A worker's globals are its own: what its initializer and its calls bind stays, and comes before what the notebook has
under that name. What nobody bound here follows the notebook.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable

from firn import _core, logged, rebuild, results, streams, worker
from firn.rebuild import Stopped
from firn.settings import Follower

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["Stopped", "begin", "pack"]

type Result = tuple[Any, ...]
"""("ok", value) | ("error", *description) | ("chunk", values, description of the failure that ended it or None). A
description is what `firn.failures.describe` gives."""

_NOTHING: Final = object()


class Globals(worker.Space):
    """A worker's `__main__`, which the functions of the notebook read and write."""

    def __init__(self) -> None:
        super().__init__()
        self._put: dict[str, Any] = {}  # what came from the notebook, by name
        self._data: dict[tuple[bytes, int], Any] = {}  # those of them that are copies, by version and number

    def settle(self, header: dict[str, Any], pointers: tuple[Any, ...]) -> Any:
        """Puts in place what a call brings; the call."""
        sys.modules["__main__"] = self.module
        worker._remember_lines(header["lines"])
        for name in header["absent"]:
            self._take_away(name)
        self.undefine(header["units"], header["definitions"])
        found: list[Any] = []
        data: dict[tuple[bytes, int], Any] = {}
        for number, unit in enumerate(header["units"]):
            if unit[0] == "pickle" and number in header["data"]:
                key = unit[1], header["data"][number]
                if key not in self._data:
                    self._data[key], _ = self._load(("pickle", unit[1], False, *unit[3:]), found, pointers)
                value = data[key] = self._data[key]
            else:
                value, _ = self._load(unit, found, pointers)
            found.append(value)
            if number in header["definitions"]:  # before anything frozen that needs it is looked at
                _core.define(header["definitions"][number], value)
        for name, (kind, what) in header["bindings"].items():
            match kind:
                case "unit":
                    self._bind(name, found[what])
                case "module":
                    self._bind(name, importlib.import_module(what))
                case "value":
                    self._bind(name, what)
                case "refused":
                    self._bind(name, rebuild.Refused(what))
        bound = {id(value) for value in self._put.values()}
        self._data = {key: value for key, value in self._data.items() if key in data or id(value) in bound}
        while len(self._loaded) > worker.KEPT:
            self._loaded.popitem(last=False)
        return found[header["call"]]

    def _bind(self, name: str, value: Any) -> None:
        if self.names.get(name, _NOTHING) is self._put.get(name, _NOTHING):
            self.names[name] = self._put[name] = value

    def _take_away(self, name: str) -> None:
        """A name that the notebook does not have any more."""
        put = self._put.pop(name, _NOTHING)
        if put is not _NOTHING and self.names.get(name) is put:
            del self.names[name]


_globals = Globals()
_follower = Follower()
_sent: object = None
"""The last result that went as a pickle: the frozen values that are but addresses there stay until it has been read."""


def begin(setup: tuple[Any, ...]) -> Callable[[int, int], Result]:
    """What runs a call. Nothing of the notebook's runs here: an exception is to be the call's own."""

    global _sent
    _sent = None

    def run(start: int, stop: int) -> Result:
        logged.travel(True)
        try:
            return _run(*setup)
        except Stopped:
            raise
        except BaseException as error:
            return ("error", *worker.described(error))
        finally:
            logged.travel(False)
            streams.flush()

    return run


def pack(result: object) -> bytes:
    """A result that cannot be frozen as a pickle; where it does not pickle either, that error is the call's."""
    global _sent
    _sent = result
    try:
        return results.dump(result)
    except Stopped:
        raise
    except BaseException as error:
        return results.dump(("error", *worker.described(error)))


def _run(mode: str, raw: bytes, pointers: tuple[Any, ...], given: bytes | None, more: tuple[Any, ...]) -> Result:
    if mode == "settings":
        _follower.follow(pickle.loads(raw))
        return ("ok", None)
    call = _globals.settle(pickle.loads(raw), tuple(pointers))
    if given is not None:
        call = *call, rebuild.UnitLoader(given, _globals.names, list(more)).load()
    function, arguments = call
    del call
    if mode == "call":
        positional, words = arguments
        return ("ok", function(*positional, **words))
    values: list[Any] = []
    try:
        for item in arguments:
            values.append(function(*item))
    except Stopped:
        raise
    except BaseException as error:
        return ("chunk", values, worker.described(error))
    return ("chunk", values, None)
