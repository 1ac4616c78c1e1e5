"""Warnings of a worker's iterations, which the notebook shows: with its own recorders and hooks, and once where the serial
cell shows them once, however many workers they come from.

Filters that ignore a warning, or raise it, act in the worker (`firn.settings`). Imported by every worker at its start.
"""

from __future__ import annotations

import pickle
import sys
import warnings

from firn import rebuild, results, showing

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

_travels = False
_show_here = warnings.showwarning


def travel(on: bool) -> None:
    """In a worker: whether what it warns of goes to the notebook; only what an iteration warns of is the cell's."""
    global _travels
    _travels = on


def _showwarning(
    message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    """`warnings.showwarning`, in a worker."""
    if _travels and file is None and line is None:
        try:
            raw = results.dump(message)
        except rebuild.Stopped:
            raise
        except Exception:  # a category of the user's may do anything
            raw = None
        if raw is not None:
            text = warnings.formatwarning(message, category, filename, lineno)
            showing.send("warning", pickle.dumps((raw, text, filename, lineno, _module_at(filename, lineno))))
            return
    _show_here(message, category, filename, lineno, file, line)


def _module_at(filename: str, lineno: int) -> str | None:
    """The name of the module whose code stands on the line that is warned of, if it runs."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_lineno == lineno and frame.f_code.co_filename == filename:
            name = frame.f_globals.get("__name__")
            return name if isinstance(name, str) else None
        frame = frame.f_back
    return None


def show(raw: bytes, text: str, filename: str, lineno: int, module: str | None) -> None:
    """In the notebook: warns of what a worker warned of, if only by its text. Raises what the notebook's hooks raise."""
    try:
        message = pickle.loads(raw)
    except Exception:
        print(text, end="", file=sys.stderr)
        return
    home = sys.modules.get(module) if module is not None else None
    if home is None:
        warnings.warn_explicit(message, type(message), filename, lineno)
    else:
        registry = vars(home).setdefault("__warningregistry__", {})
        warnings.warn_explicit(message, type(message), filename, lineno, module, registry)


def install() -> None:
    """Once per worker."""
    warnings.showwarning = _showwarning
