"""What NumPy leaves out when code writes to a frozen array: which variable it is, and the way out; and what C code does that
takes no frozen list.

Frozen containers and instances say it themselves (`ways_out` adds through which variable). An array is numpy's own, whose
message is "assignment destination is read-only"; a shell with firn adds the rest as a note of the exception, before it shows
the traceback.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
import textwrap
import types
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from firn import _core, raised, views

_SAYS: Final = ("read-only", "read only", "WRITEABLE", "writeable", "writable", "does not own its data")
_WANTS: Final = re.compile(
    r"(must be|needs an?|requires an?) \W?(real )?(list|dict|set|frozenset|bytearray)\W.*firn\.Frozen"
    r"|doesn't apply to a 'firn\.Frozen|can(not| not) (serialize|marshal).*firn\.Frozen"
)
_CONTAINERS: Final = (list, dict, tuple, _core.FrozenList, _core.FrozenDict)
NOWHERE: Final = object()
"""Stands for the value of what cannot be told without running code."""
_FRAMES: Final = 50
"""Only so many of a traceback's frames are looked at, the innermost first."""


def showing(show: Callable[..., Any]) -> Callable[..., Any]:
    """A shell's `showtraceback` that adds the note first, shows the cell of a failed loop once, and not firn's frames."""

    def showtraceback(exc_tuple: Any = None, *arguments: Any, **options: Any) -> Any:
        error = exc_tuple[1] if exc_tuple is not None else sys.exception()
        if isinstance(error, BaseException) and exc_tuple is not None:
            if raised.cell_once(error) | raised.without_marked(error):
                exc_tuple = exc_tuple[0], error, raised.TRACEBACK(error)
        elif error is not None:
            raised.cell_once(error)
            raised.without_marked(error)
        if isinstance(error, (ValueError, TypeError, BufferError)):
            try:
                from firn import ways_out  # late: it needs this module

                ways_out.for_notebook(error)
                advise(error)
            except Exception:  # never in the way of the traceback
                pass
        return show(exc_tuple, *arguments, **options)

    return showtraceback


def advise(error: BaseException) -> None:
    """Adds a note to the exception of a write to a frozen array, or of code that wants a plain list, once. Runs no code but
    that of builtin types."""
    text = str(error)
    find = _note if any(words in text for words in _SAYS) else _note_of_type if _WANTS.search(text) else None
    if find is None or getattr(error, "__notes__", None):
        return
    for frame in frames_of(error):
        if note := find(frame):
            error.add_note(note)
            return


def frames_of(error: BaseException) -> list[types.TracebackType]:
    """A traceback's frames, the innermost first; not all of a very deep stack's."""
    frames = []
    at = error.__traceback__
    while at is not None:
        frames.append(at)
        at = at.tb_next
    return frames[: -_FRAMES - 1 : -1]


def _note(at: types.TracebackType) -> str:
    for part in ast.walk(statement_at(at)):
        value = value_of(part, at.tb_frame) if isinstance(part, ast.expr) else NOWHERE
        own = at.tb_frame.f_globals.get("__name__") == "__main__"
        if own and isinstance(part, ast.expr) and views.is_array_type(type(value)) and views.is_closed(value):
            text = ast.unparse(part)
            return f"'{text}' is the original of an array that is frozen, or a view of it: {text}.copy() has memory of its own."
        if (memory := _memory(value)) is not None and isinstance(part, ast.expr):
            text = ast.unparse(part)
            copy = f"bytearray({text})" if value is memory else f"{text}.copy()"
            told = _told(memory, type(value).__name__)
            if "belongs" in told and at.tb_frame.f_locals is at.tb_frame.f_globals:
                # Frozen together with other variables, of which the cell's own line says which one it is.
                name = next(node.id for node in ast.walk(part) if isinstance(node, ast.Name))
                told = f"'{name}' is frozen. {name} = firn.thaw({name}) gives a copy that can be changed."
            return f"{told} {copy} copies this memory alone."
    return ""


def _note_of_type(at: types.TracebackType) -> str:
    for part in ast.walk(statement_at(at)):
        value = value_of(part, at.tb_frame) if isinstance(part, ast.expr) else NOWHERE
        if value is not NOWHERE and type(value).__module__ == "firn" and _core.is_frozen(value):
            text, kind = ast.unparse(part), value.__class__.__name__
            return f"'{text}' is frozen, and this code wants a plain {kind}: firn.thaw({text}) gives one."
    return ""


def statement_at(at: types.TracebackType) -> ast.AST:
    """The expression of the source that was at work, as a tree; an empty one when there is no telling."""
    code = at.tb_frame.f_code
    first, last, start, end = next(islice(code.co_positions(), at.tb_lasti // 2, None), (None,) * 4)
    if first is None or last is None or start is None or end is None:
        return ast.Module()
    lines = [line.encode() for line in linecache.getlines(code.co_filename, at.tb_frame.f_globals)[first - 1 : last]]
    if not lines:
        return ast.Module()
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        return ast.parse(textwrap.dedent(b"".join(lines).decode()))
    except SyntaxError:
        return ast.Module()


def value_of(part: ast.expr, frame: types.FrameType) -> Any:
    """What a name, or an item of a builtin container, is in a frame; `NOWHERE` for all that might run code."""
    match part:
        case ast.Name(name):
            return frame.f_locals.get(name, frame.f_globals.get(name, NOWHERE))
        case ast.Constant(value):
            return value
        case ast.Subscript(holder, place):
            values, key = value_of(holder, frame), value_of(place, frame)
            if type(key) in (str, int) and type(values) in _CONTAINERS:
                try:
                    return values[key]
                except LookupError, TypeError:
                    return NOWHERE
    return NOWHERE


def _memory(value: Any) -> memoryview | None:
    """The frozen memory of an array or a view."""
    kind = type(value)
    if not (kind is memoryview or views.is_array_type(kind)) or not _core.is_frozen(value):
        return None
    if kind is memoryview:
        return value  # type: ignore[no-any-return]
    return memoryview(value.view("i8") if value.dtype.kind in "mM" else value)  # dates have no format there


def _told(memory: memoryview, kind: str) -> str:
    try:
        _core.refuse_buffer_write(memory, kind)
    except TypeError as error:
        return str(error)
    raise AssertionError("a refusal raises")
