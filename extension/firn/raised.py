"""Exceptions of workers, rebuilt in the notebook, and tracebacks without firn's own frames."""

from __future__ import annotations

import ast
import os
import pickle
import re
from dataclasses import dataclass
from types import TracebackType

from firn import errors

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


@dataclass(frozen=True)
class Failure:
    """What a worker says about an exception of the user's code: the iteration, the exception pickled if it can be,
    its type and message, and the traceback as text with the notebook's own lines."""

    index: int
    pickled: bytes | None
    type_name: str
    message: str
    traceback: str

    def rebuild(self, where: str) -> BaseException:
        """The original exception, or a WorkerError in its place where it cannot leave the worker, with the worker's
        frames as its traceback and the note `where`."""
        error = self._original()
        if error is None:
            error = errors.left_behind(self.type_name, self.message)
        texts = re.split(r"^Traceback \(most recent call last\):\n", self.traceback, flags=re.MULTILINE)[1:]
        current: BaseException | None = error
        for text in reversed(texts):
            if current is None:
                break
            current.__traceback__ = _frames(text)
            current = current.__cause__ or current.__context__
        error.add_note(where)
        return error

    def _original(self) -> BaseException | None:
        if self.pickled is None:
            return None
        try:
            error = pickle.loads(self.pickled)
        except Exception:
            return None
        return error if isinstance(error, BaseException) else None


FRAME = re.compile(r'^  File "(?P<file>[^"\n]*)", line (?P<line>\d+), in (?P<name>.*)$', re.MULTILINE)


def _frames(text: str) -> TracebackType | None:
    """A traceback with the files, lines and names of one that was printed, so that IPython shows it as its own.

    Its frames are new ones, without the variables of those that were lost with the worker's stack.
    """
    built: TracebackType | None = None
    for found in reversed(list(FRAME.finditer(text))):
        name = "<module>" if found["name"] == "__firn_chunk__" else found["name"]
        built = _frame(found["file"], int(found["line"]), name, built)
    return built


def _frame(filename: str, line: int, name: str, rest: TracebackType | None) -> TracebackType | None:
    raising = ast.Raise(ast.Name("error", ast.Load()))
    for node in ast.walk(raising):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    code = compile(ast.Module([raising], []), filename, "exec").replace(co_name=name, co_qualname=name)
    try:
        exec(code, {"error": _Placed})
    except _Placed as placed:
        here = placed.__traceback__
        assert here is not None and here.tb_next is not None
        return TracebackType(rest, here.tb_next.tb_frame, here.tb_next.tb_lasti, line)
    return rest


class _Placed(Exception):
    """Raised where a frame is made."""


def without_firn(error: BaseException) -> BaseException:
    """Takes firn's frames out of an exception's traceback and of those that it was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        current.__traceback__ = _kept(current.__traceback__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return error


def _kept(traceback: TracebackType | None) -> TracebackType | None:
    frames = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(HERE):
            frames.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for frame in reversed(frames):
        frame.tb_next = kept
        kept = frame
    return kept
