"""Which modules a worker can load.

Whether a module loads in a subinterpreter is tried, once, in one that is made for the purpose and closed again; but not
for the standard library's, firn's own and cloudpickle's, of which it is known. The other modules named here only get a better sentence about the way out.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Final

from firn import errors
from firn.analysis.scopes import stored
from firn.names import ShippingRefusal
from firn.raised import FRAME

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

_NOT_IN_WORKERS: Final = frozenset(
    [
        "_curses",
        "_curses_panel",
        "_suggestions",
        "_tkinter",
        "_tracemalloc",
        "antigravity",
        "curses",
        "faulthandler",
        "idlelib",
        "profiling",
        "readline",
        "test",
        "this",
        "tkinter",
        "tracemalloc",
        "turtle",
        "turtledemo",
    ]
)
"""Those of the standard library that do not load in subinterpreters, or show something; these are tried."""

_tried: dict[tuple[str, object], str] = {}


class Unloadable(ShippingRefusal, ImportError):  # type: ignore[misc]
    """A module that the loop needs and that no worker can load."""


def why_not(names: Iterable[str]) -> dict[str, str]:
    """The modules among `names` that no worker can load, each with the reason."""
    reasons: dict[str, str] = {}
    new: list[tuple[str, object]] = []
    for name in sorted(set(names) - {"builtins", "__main__"} - (set(sys.builtin_module_names) - _NOT_IN_WORKERS)):
        key = (name, getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None))
        if key not in _tried:
            if not _is_known(*key):
                new.append(key)
        elif _tried[key]:
            reasons[name] = _tried[key]
    if new:
        reasons |= _try(new)
    return reasons


def _is_known(name: str, origin: object) -> bool:
    """Whether a module of the standard library is meant, or one that firn's pickles name, and one that a worker can load."""
    root = name.partition(".")[0]
    if root in ("firn", "cloudpickle"):
        return name in sys.modules
    if root not in sys.stdlib_module_names or root in _NOT_IN_WORKERS or name not in sys.modules:
        return False
    library = os.path.dirname(os.__file__) + os.sep
    return origin == "frozen" or (isinstance(origin, str) and origin.startswith(library) and "-packages" not in origin)


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


def check_imports(statements: Iterable[ast.stmt], filename: str) -> None:
    """Refuses what is imported in a worker by statements that run there for certain, where it cannot be. Of the modules
    with a sentence of their own only: trying any other one would load it twice."""
    for name, line in _imported(statements):
        if name.partition(".")[0] in WAYS_OUT and (reasons := why_not([name])):
            raise unloadable(name, reasons[name], user="", line=line, filename=filename)


def check_reads(tree: ast.Module, names: Set[str], line: int, namespace: Mapping[str, object], filename: str) -> None:
    """Refuses, before anything of the cell runs, a loop that reads modules which no worker can load: of those with a sentence
    of their own, and as far as it is certain what the names will be. The rest is seen when the loop begins."""
    earlier = [statement for statement in tree.body if statement.lineno < line]
    # (name, module, the statement of the cell that binds it)
    found: list[tuple[str, str, ast.stmt | None]] = [
        (name, value.__name__, None) for name in names if isinstance(value := namespace.get(name), types.ModuleType)
    ]
    for statement in earlier:
        if isinstance(statement, ast.Import):
            found += (
                (alias.asname or alias.name.partition(".")[0], alias.name, statement) for alias in statement.names
            )
    for name, module, binds in found:
        if name not in names or module.partition(".")[0] not in WAYS_OUT:
            continue
        if name in stored(*(statement for statement in earlier if statement is not binds)):
            continue
        if reasons := why_not([module]):
            raise unloadable(module, reasons[module], user=name, line=line, filename=filename)


def body_at(tree: ast.AST, line: int) -> list[ast.stmt]:
    """The statements of the `for` loop in a line; none of anything else."""
    return next((node.body for node in ast.walk(tree) if isinstance(node, ast.For) and node.lineno == line), [])


def _imported(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, int]]:
    """(module, line) of the imports that neither a condition nor an exception can keep from being reached."""
    for statement in statements:
        match statement:
            case ast.Import(names=aliases):
                yield from ((alias.name, statement.lineno) for alias in aliases)
            case ast.ImportFrom(module=str(name), level=0):
                yield name, statement.lineno
            case ast.With(body=body) | ast.For(body=body):
                yield from _imported(body)


def refused_at_work(error: BaseException) -> Unloadable | None:
    """For an import that failed in a worker: the refusal, in the place of the module's own long story; else None.

    The same as before the launch, for what could not be seen then: an import in a function, or behind a condition.
    """
    details = getattr(error, "worker_error", None)
    if not isinstance(error, ImportError) or not isinstance(details, errors.WorkerError):
        return None
    found = re.search(rf"module '?([\w.]+)'? {REFUSES}", details.traceback)
    if found is None:
        return None
    name, line, filename = found[1], None, ""
    for frame in FRAME.finditer(details.traceback):
        entry = linecache.cache.get(frame["file"])
        if entry is None or len(entry) != 4 or entry[1] is not None:  # not a cell's
            continue
        line, filename = int(frame["line"]), frame["file"]
        if said := re.match(r"\s*(?:import|from)\s+([\w.]+)", linecache.getline(filename, line)):
            name = said[1]
    refused = unloadable(name, REFUSES, user="", line=line, filename=filename)
    refused.__dict__["worker_error"] = details
    return refused
