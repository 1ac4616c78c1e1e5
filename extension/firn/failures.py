"""A user's exception on its way from a worker to the notebook; whatever the exception does, describing it never fails."""

from __future__ import annotations

import inspect
import linecache
import os
import pickle
import re
import sys
import time
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from firn import errors, rebuild, results
from firn.raised import CAUSE, CONTEXT, SUPPRESSED, TRACEBACK, Left
from firn.teach import FROZEN_TYPES

_FIRN = os.path.dirname(os.path.abspath(__file__)) + os.sep
PATIENCE = 1.0  # seconds
LINKED = 100  # exceptions that one is told with
FRAMES = 20  # of the outermost and the innermost whose variables are told
LONG = 1000  # characters


def describe(error: BaseException) -> tuple[bytes | None, str, str, str, bytes]:
    """(the pickled exception or None, its type's name, its message, the traceback's text without firn's own frames, the
    frames' variables as `raised.Frames` has them, pickled)."""
    _strip(error)
    with suppress(Exception):
        if not _name_default(error):
            from firn import ways_out  # late: few workers ever need it

            ways_out.for_worker(error)
    shown = True
    try:
        with _limited():
            message = str(error)
    except rebuild.Stopped:
        raise
    except _TooLong:
        message, shown = "<the message cannot be shown: its __str__ does not end>", False
    except BaseException as broken:
        message = f"<the message cannot be shown: its __str__ raised {type(broken).__name__}>"
    # What the notebook could not show either stays here.
    shown = shown and _is_tame(error)
    return _pickled(error) if shown else None, type(error).__name__, message, as_text(error), _variables(error)


def _name_default(error: BaseException) -> bool:
    """Says of a write to a frozen value whose default value that is, where it is one of the function that wrote; whether
    it is one."""
    trace = TRACEBACK(error)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or type(error) is not TypeError or " is frozen: " not in error.args[0]:
        return False
    variables = trace.tb_frame.f_locals
    written = [variables.get(name) for name in _names_at(trace)]
    for function in _functions(trace.tb_frame.f_globals):
        if function.__code__ is trace.tb_frame.f_code:
            for name, value in _defaults(function):
                if type(value) in FROZEN_TYPES and any(value is one for one in written):
                    kind = value.__class__.__name__
                    error.args = (errors.default_written(name, function.__qualname__, kind),)
                    return True
    return False


def _names_at(trace: types.TracebackType) -> list[str]:
    """The words in the part of a line that failed."""
    code = trace.tb_frame.f_code
    first, last, begin, end = list(code.co_positions())[trace.tb_lasti // 2]
    assert first is not None
    lines = linecache.getlines(code.co_filename)[first - 1 : last]
    part = lines[0].encode()[begin:end].decode() if len(lines) == 1 else "".join(lines)
    return re.findall(r"\w+", part)


def _functions(namespace: dict[str, object]) -> Iterator[types.FunctionType]:
    """The functions among the variables, and those of the classes among them."""
    for value in namespace.values():
        for one in (value, *(vars(value).values() if isinstance(value, type) else ())):
            if isinstance(one, types.FunctionType):
                yield one


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    code, values = function.__code__, function.__defaults__ or ()
    yield from zip(code.co_varnames[code.co_argcount - len(values) : code.co_argcount], values, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _is_tame(error: BaseException) -> bool:
    """Whether tracebacks can be shown of an exception: IPython says nothing at all where its attributes raise."""
    try:
        with _limited():
            error.__traceback__ = error.__traceback__
            error.__cause__, error.__context__, error.__class__, error.args  # noqa: B018
            return True
    except rebuild.Stopped:
        raise
    except BaseException:
        return False


class _TooLong(BaseException):
    """A method of an exception's class seems to have no end."""


@contextmanager
def _limited() -> Iterator[None]:
    """Ends Python code that goes on for longer than PATIENCE: what an exception's class does when it is described."""
    ends = time.monotonic() + PATIENCE

    def look(frame: types.FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > ends:
            raise _TooLong
        return look

    before = sys.gettrace()
    try:
        sys.settrace(look)
        yield
    finally:
        sys.settrace(before)


def _strip(error: BaseException) -> None:
    """Takes firn's frames out of an exception and of all that it is told with."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            BaseException.with_traceback(one, without_firn(TRACEBACK(one)))
            todo += [CAUSE(one), CONTEXT(one), *_members(one)]


def without_firn(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without the frames of this package."""
    frames = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_FIRN):
            frames.append(trace)
        trace = trace.tb_next
    kept: types.TracebackType | None = None
    for trace in reversed(frames):
        kept = types.TracebackType(kept, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
    return kept


def as_text(error: BaseException) -> str:
    """The traceback's text, with the notebook's own lines."""
    try:
        with _limited():
            shown = traceback.TracebackException.from_exception(error)
            _name_cells(shown)
            return "".join(shown.format())
    except rebuild.Stopped:
        raise
    except BaseException as broken:
        frames = "".join(traceback.format_tb(TRACEBACK(error)))
        return (
            f"Traceback (most recent call last):\n{frames}{type(error).__name__}: <it cannot be shown: its class raised"
            f" {type(broken).__name__}>\n"
        )


def _variables(error: BaseException) -> bytes:
    """Of the frames, plain values and frozen ones; of other variables what they are. Runs no code of the user's."""
    frames = []
    trace = TRACEBACK(error)
    while trace is not None:
        frames.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    found = []
    for frame, line in frames[:FRAMES] if len(frames) <= 2 * FRAMES else [*frames[:FRAMES], *frames[-FRAMES:]]:
        own = frame.f_locals if frame.f_code.co_flags & inspect.CO_OPTIMIZED else {}
        shown = {name: _shown(value) for name, value in own.items() if not name.startswith("__firn")}
        code = frame.f_code
        found.append((code.co_filename, line, code.co_name, code.co_firstlineno, shown))
    return results.dump(found)


def _shown(value: Any) -> Any:
    kind = type(value)
    if kind in (int, float, complex, bool, type(None)) or (kind in (str, bytes) and len(value) <= LONG):
        return value
    if kind in FROZEN_TYPES:
        return value
    return Left(f"{kind.__name__} of {len(value):,}" if kind in (str, bytes, list, dict, set, tuple) else kind.__name__)


def _name_cells(shown: traceback.TracebackException) -> None:
    """Frames of a loop's chunk are the cell's own."""
    todo: list[traceback.TracebackException | None] = [shown]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        for frame in one.stack:
            if frame.name == "__firn_chunk__":
                frame.name = "<module>"
        todo += [one.__cause__, one.__context__, *(one.exceptions or ())]


def _pickled(error: BaseException) -> bytes | None:
    """The exception with those that it is told with, without those of them that cannot be pickled and made again."""
    linked = _linked(error)
    raw = _loadable([(one, _forms(one)[0]) for one in linked])
    if raw is not None:
        return raw
    ends = time.monotonic() + PATIENCE
    found = []
    for one in linked:
        if one is error or time.monotonic() < ends:
            found += [(one, form) for form in _forms(one) if _loadable([(one, form)]) is not None][:1]
    return _loadable(found) if found and found[0][0] is error else None


def _linked(error: BaseException) -> list[BaseException]:
    """An exception, and those that caused it, that were handled when it was raised, and that it groups."""
    found = {id(error): error}
    todo = [error]
    while todo and len(found) < LINKED:
        one = todo.pop(0)
        for other in (CAUSE(one), CONTEXT(one), *_members(one)):
            if other is not None and id(other) not in found:
                found[id(other)] = other
                todo.append(other)
    return list(found.values())


def _members(error: BaseException) -> tuple[BaseException, ...]:
    group = issubclass(type(error), BaseExceptionGroup)
    return vars(BaseExceptionGroup)["exceptions"].__get__(error) if group else ()


def _forms(error: BaseException) -> tuple[object, object]:
    """The ways to pickle an exception: as `firn.results` does, or not as its class's own `__reduce__` says."""
    return error, _Bare(error)


def _loadable(parts: list[tuple[BaseException, object]]) -> bytes | None:
    """The pickle of exceptions in these forms, if it loads again as the first of them."""
    kind = type(parts[0][0])
    try:
        with _limited():
            raw = results.dump(_Raised(parts))
            # An exception whose __init__ takes other arguments than it passes on pickles, but does not unpickle.
            loaded = type(pickle.loads(raw))
        return raw if loaded is kind or loaded is rebuild.originals.get(rebuild.tokens.get(kind, 0)) else None
    except rebuild.Stopped:
        raise
    except BaseException:
        return None


class _Raised:
    """Pickles as the first of several exceptions, and those with what their own pickles leave out: what caused them, what
    was handled when they were raised, and the name of a NameError."""

    def __init__(self, parts: list[tuple[BaseException, object]]) -> None:
        self._parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        places = {id(one): place for place, (one, _) in enumerate(self._parts)}
        links = [
            (places.get(id(CAUSE(one))), places.get(id(CONTEXT(one))), SUPPRESSED(one), _name(one))
            for one, _ in self._parts
        ]
        return rebuild.raised, ([form for _, form in self._parts], links)


class _Bare:
    """Pickles as an exception of the same class, arguments and attributes, made without calling its `__init__`."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild.reduce_bare(self._error)


def _name(error: BaseException) -> str | None:
    name = vars(NameError)["name"].__get__(error) if issubclass(type(error), NameError) else None
    return name if type(name) is str else None
