"""A user's exception on its way from a worker to the notebook; whatever the exception does, describing it never fails."""

from __future__ import annotations

import os
import pickle
import traceback
import types

from firn import rebuild

_FIRN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_DEPTH = 8


def describe(error: BaseException) -> tuple[bytes | None, str, str, str]:
    """(the pickled exception or None, its type's name, its message, the traceback's text without firn's own frames)."""
    error.__traceback__ = without_firn(error.__traceback__)
    try:
        message = str(error)
    except Exception as broken:
        message = f"<the message cannot be shown: its __str__ raised {type(broken).__name__}>"
    return _pickled(error), type(error).__name__, message, _text(error)


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


def _text(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as broken:
        return f"{type(error).__name__} (its traceback cannot be shown: {type(broken).__name__})\n"


def _pickled(error: BaseException) -> bytes | None:
    from firn import replicate

    for value in (_Raised(error, _DEPTH), _Raised(error, 0)):
        try:
            raw = replicate.dump_result(value)
            # An exception whose __init__ takes other arguments than it passes on pickles, but does not unpickle.
            if type(pickle.loads(raw)) is type(error):
                return raw
        except Exception:
            continue
    return None


class _Raised:
    """Pickles as an exception together with what caused it, which an exception's own pickle leaves out."""

    def __init__(self, error: BaseException, depth: int) -> None:
        self._error, self._depth = error, depth

    def __reduce__(self) -> object:
        cause = self._error.__cause__
        if cause is None or self._depth == 0:
            return rebuild.raised, (self._error, None)
        return rebuild.raised, (self._error, _Raised(cause, self._depth - 1))
