"""Exceptions of workers, rebuilt in the notebook, and tracebacks without firn's own frames."""

from __future__ import annotations

import ast
import os
import pickle
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Any, NoReturn

from firn import errors
from firn._core import NotFreezableError

_RAISED = "__firn_raised__"
HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


type Frames = list[tuple[str, int, str, int, dict[str, object]]]
"""(file, line, function, its first line, variables) of a worker's frames, outermost first; not all of a deep stack's."""


@dataclass(frozen=True)
class Left:
    """Stands for the value of a variable that stayed in its worker, where `%debug` shows the worker's frames."""

    what: str

    def __repr__(self) -> str:
        return f"<{self.what}, in its worker>"


@dataclass(frozen=True)
class Found:
    """The failing iteration of a loop, seen from the notebook: the loop variable and its value in short, the value, the
    loop's variables by name, and the notebook's namespace (for `%debug`)."""

    shown: str
    item: object
    variables: dict[str, object]
    namespace: dict[str, object]


def with_details(error: BaseException, details: errors.WorkerError, where: str) -> BaseException:
    """Gives an exception a note and its `worker_error`; returns it."""
    with suppress(Exception):  # the class may have its own ideas of attributes
        BaseException.add_note(error, where)
    if error is not details:
        details.__cause__ = error
        with suppress(Exception):
            object.__getattribute__(error, "__dict__")["worker_error"] = details
    return error


@dataclass(frozen=True)
class Failure:
    """What a worker says about an exception of the user's code: the iteration, the exception pickled if it can be,
    its type and message, the traceback as text with the notebook's own lines, and its frames' variables (`Frames`),
    pickled."""

    index: int
    pickled: bytes | None
    type_name: str
    message: str
    traceback: str
    variables: bytes | None = None

    def rebuild(self, where: str, rank: int | None = None, found: Found | None = None) -> BaseException:
        """The original exception, or a WorkerError in its place where it cannot leave the worker, with the worker's
        frames as its traceback, the note `where`, and the details as its `worker_error`."""
        error = self._original()
        if error is None:
            error = details = errors.left_behind(self.type_name, self.message)
        else:
            details = errors.details(self.type_name, self.message)
        texts = _HEAD.split(self.traceback)[1:]
        current: BaseException | None = error
        for text in reversed(texts):
            if current is None:
                break
            BaseException.with_traceback(current, _frames(text, found, self._variables() if current is error else []))
            current = CAUSE(current) or (None if SUPPRESSED(current) else CONTEXT(current))
        details.rank, details.traceback = rank, self.traceback
        if found is not None:
            details.index, details.item = self.index, found.item
        return with_details(error, details, where)

    def _variables(self) -> Frames:
        with suppress(Exception):
            return pickle.loads(self.variables) if self.variables is not None else []
        return []

    def _original(self) -> BaseException | None:
        if self.pickled is None:
            return None
        try:
            error = pickle.loads(self.pickled)
        except Exception:
            return None
        return error if isinstance(error, BaseException) else None


# These run no code of the exception's class.
_FIELDS: Any = vars(BaseException)
CAUSE: Callable[[BaseException], BaseException | None] = _FIELDS["__cause__"].__get__
CONTEXT: Callable[[BaseException], BaseException | None] = _FIELDS["__context__"].__get__
SUPPRESSED: Callable[[BaseException], bool] = _FIELDS["__suppress_context__"].__get__
TRACEBACK: Callable[[BaseException], TracebackType | None] = _FIELDS["__traceback__"].__get__

# A group's own lines have a bar before them; those of its members stand further to the right.
_HEAD = re.compile(r"^(?:  \+ Exception Group )?Traceback \(most recent call last\):\n", re.MULTILINE)
FRAME = re.compile(r'^(?:  \| )?  File "(?P<file>[^"\n]*)", line (?P<line>\d+), in (?P<name>.*)$', re.MULTILINE)


def _frames(text: str, iteration: Found | None, known: Frames) -> TracebackType | None:
    """A traceback with the files, lines and names of one that was printed, so that IPython shows it as its own.

    Its frames are new ones, with what is known of the worker's variables, and in the cell's own frame the loop's; their
    globals are the notebook's, for `%debug`.
    """
    built: TracebackType | None = None
    for found in reversed(list(FRAME.finditer(text))):
        name = "<module>" if found["name"] == "__firn_chunk__" else found["name"]
        here = (found["file"], int(found["line"]), found["name"])
        first, own = next((frame[3:] for frame in reversed(known) if frame[:3] == here), (here[1], {}))
        variables = iteration.variables if iteration is not None and name == "<module>" else {}
        space = iteration.namespace if iteration is not None else {}
        built = _frame(found["file"], here[1], name, built, space, own | variables, 1 if name == "<module>" else first)
    return built


def _frame(
    filename: str,
    line: int,
    name: str,
    rest: TracebackType | None,
    space: dict[str, object],
    variables: dict[str, object],
    first: int,
) -> TracebackType | None:
    raising = ast.Raise(ast.Name(_RAISED, ast.Load()))
    for node in ast.walk(raising):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = line - first + 1  # a code object's lines count from its first one
            node.col_offset = node.end_col_offset = 0
    code = compile(ast.Module([raising], []), filename, "exec")
    code = code.replace(co_name=name, co_qualname=name, co_firstlineno=first)
    try:
        exec(code, space, variables | {_RAISED: _Placed})
    except _Placed as placed:
        here = placed.__traceback__
        assert here is not None and here.tb_next is not None
        here.tb_next.tb_frame.f_locals.pop(_RAISED)
        return TracebackType(rest, here.tb_next.tb_frame, here.tb_next.tb_lasti, line)
    return rest


def reraise(error: BaseException) -> NoReturn:
    """Raises an exception of a worker in the notebook. What the notebook handles meanwhile is the last of its contexts, as
    where the notebook has raised all of them; Python makes it the first, in the place of the worker's own."""
    handled = sys.exception()
    last, chain = error, {id(error)}
    while (context := CONTEXT(last)) is not None and id(context) not in chain:
        last = context
        chain.add(id(last))
    try:
        if handled is not None and context is None and id(handled) not in chain:
            _FIELDS["__context__"].__set__(last, handled)
        context = CONTEXT(error)
        raise error
    finally:
        _FIELDS["__context__"].__set__(error, context)


def as_in_cell(error: BaseException, chunk: CodeType, found: Found) -> None:
    """Puts the cell's own frame, with the loop's variables, in the place of that of a chunk that ran in the notebook.
    `chunk`: its function's code."""
    frames = []
    at = TRACEBACK(error)
    while at is not None:
        frames.append(at)
        at = at.tb_next
    for one in reversed(frames):
        if one.tb_frame.f_code is chunk:
            at = _frame(chunk.co_filename, one.tb_lineno, "<module>", at, found.namespace, found.variables, 1)
        else:
            one.tb_next, at = at, one
    BaseException.with_traceback(error, at)


class _Placed(Exception):
    """Raised where a frame is made."""


def cell_once(error: BaseException) -> bool:
    """Takes the notebook's own frame of a cell out of a traceback that has it twice: where the loop begins, which raises
    for the workers, and where it failed, with the worker's variables. Whether there was one to take out."""
    before, at = None, TRACEBACK(error)
    while at is not None and at.tb_next is not None:
        here, following = at.tb_frame.f_code, at.tb_next.tb_frame.f_code
        if _RAISED in following.co_names and _RAISED not in here.co_names and here.co_filename == following.co_filename:
            if here.co_name == following.co_name == "<module>":
                if before is None:
                    BaseException.with_traceback(error, at.tb_next)
                else:
                    before.tb_next = at.tb_next
                return True
            return False
        before, at = at, at.tb_next
    return False


def without_firn(error: BaseException) -> BaseException:
    """Takes firn's frames out of an exception's traceback and of those that it was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        BaseException.with_traceback(current, _kept(TRACEBACK(current)))
        current = CAUSE(current) or (None if SUPPRESSED(current) else CONTEXT(current))
    return error


def without_marked(error: BaseException) -> bool:
    """Takes out of a traceback what only firn's authors want to see: of what firn itself refuses to freeze all of firn's
    frames, of other exceptions those that say so by the local variable `__tracebackhide__`. Whether anything went."""
    before = TRACEBACK(error)
    if isinstance(error, NotFreezableError):
        without_firn(error)
        if type(CAUSE(error)).__module__.startswith("firn."):  # it says the same as the error
            error.__cause__ = None
    else:
        after = _kept(before, lambda frame: "__tracebackhide__" in frame.f_locals)
        if after is not before:
            BaseException.with_traceback(error, after)
    return TRACEBACK(error) is not before


def _kept(
    traceback: TracebackType | None, hidden: Callable[[FrameType], bool] = lambda frame: True
) -> TracebackType | None:
    frames = []
    while traceback is not None:
        frame = traceback.tb_frame
        if not frame.f_code.co_filename.startswith(HERE) or not hidden(frame):
            frames.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for one in reversed(frames):
        one.tb_next = kept
        kept = one
    return kept
