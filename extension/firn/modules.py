"""Which modules a worker can load.

Whether a module loads in a subinterpreter is tried, once, in one that is made for the purpose and closed again. The
few modules named here only get a better sentence about the way out.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from typing import Final

from firn.names import ShippingRefusal

WAYS_OUT: Final = {
    "numpy": "do the array's part outside the loop, or give the loop plain numbers: values = array.tolist()",
    "pandas": 'do the frame\'s part outside the loop, or give the loop plain rows: rows = frame.to_dict("records")',
    "polars": "do the frame's part outside the loop, or give the loop plain rows: rows = frame.to_dicts()",
    "pyarrow": "do the table's part outside the loop, or give the loop plain rows: rows = table.to_pylist()",
    "torch": "do the tensors' part outside the loop, or give the loop plain numbers: values = tensor.tolist()",
    "matplotlib": "collect the numbers in the loop and draw them after it",
}
REFUSES: Final = "does not support loading in subinterpreters"
_TRY: Final = """
import importlib, io, sys
sys.path[:] = {path!r}
sys.stdout = sys.stderr = io.StringIO()
try:
    importlib.import_module({name!r})
except BaseException as error:
    chain = [error]
    while (error := chain[-1].__cause__ or chain[-1].__context__) is not None and error not in chain:
        chain.append(error)
    told = next((one for one in reversed(chain) if {refuses!r} in str(one)), chain[0])
    raise ImportError(type(told).__name__ + ": " + str(told)) from None
"""

_tried: dict[tuple[str, object], str] = {}


class Unloadable(ShippingRefusal, ImportError):  # type: ignore[misc]
    """A module that the loop needs and that no worker can load."""


def why_not(names: Iterable[str]) -> dict[str, str]:
    """The modules among `names` that no worker can load, each with the reason."""
    reasons: dict[str, str] = {}
    new: list[tuple[str, object]] = []
    for name in sorted(set(names) - {"builtins", "__main__"} - set(sys.builtin_module_names)):
        key = (name, getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None))
        if key not in _tried:
            new.append(key)
        elif _tried[key]:
            reasons[name] = _tried[key]
    if new:
        reasons |= _try(new)
    return reasons


def _try(keys: list[tuple[str, object]]) -> dict[str, str]:
    from concurrent import interpreters

    reasons: dict[str, str] = {}
    probe = interpreters.create()
    try:
        for key in keys:
            code = _TRY.format(path=list(sys.path), name=key[0], refuses=REFUSES)
            try:
                probe.exec(code)
                _tried[key] = ""
            except interpreters.ExecutionFailed as error:
                reason = reasons[key[0]] = _first_line(error.excinfo.msg)
                if REFUSES in reason:  # anything else may be mended, and is tried again
                    _tried[key] = reason
    finally:
        probe.close()
    return reasons


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()] or [message]
    return textwrap.shorten(lines[0], 200)


def unloadable(name: str, reason: str, *, user: str, line: int | None, filename: str) -> Unloadable:
    """The refusal of a module; `user` is the variable or function through which the loop needs it."""
    root = name.partition(".")[0]
    if REFUSES in reason:
        why = f"{root} does not load in a worker (it {REFUSES})"
    elif reason.startswith("ModuleNotFoundError"):
        why = f"no worker can import {name} ({reason.partition(': ')[2]})"
    else:
        why = f"{name} does not load in a worker ({reason})"
    through = "" if user in ("", root, name) else f"{user} needs {root}: "
    way_out = WAYS_OUT.get(root, f"use {root} outside the loop, in the notebook's own part of the cell")
    return Unloadable(f"{through}{why}", way_out, name=user or name, line=line, filename=filename)
