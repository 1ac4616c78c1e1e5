"""Log records of a worker, which the notebook handles: with its own handlers and filters, in order with what is printed.

Which records there are is decided in the worker, by the levels of the notebook's loggers (`levels`, which travel with
`firn.settings`). Records of a cell's own code travel; a module's that is imported again in the worker do not, for the
notebook has had them. Where code in a worker gives a logger handlers of its own, these handle it. Imported by every worker
at its start, therefore without `logging`.
"""

from __future__ import annotations

import pickle
import sys

from firn import rebuild, results, showing
from firn.teach import add_lesson

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

type Levels = tuple[int, dict[str, tuple[int, bool]]]
"""(what `logging.disable` was called with, {name: (level, disabled)} of the loggers that say anything)."""

_NOTHING: Levels = (0, {})
_PLAIN = (str, int, float, bool, type(None))

_travels = False
_levels: Levels = _NOTHING


def levels() -> Levels:
    """In the notebook: what its loggers let through."""
    logging = sys.modules.get("logging")
    if logging is None:
        return _NOTHING
    manager = logging.root.manager
    found = {"root": (logging.root.level, logging.root.disabled)}
    for name, logger in list(manager.loggerDict.items()):
        if getattr(logger, "level", 0) or getattr(logger, "disabled", False):  # no placeholder
            found[name] = (logger.level, logger.disabled)
    return manager.disable, found


def follow(new: Levels) -> None:
    """In a worker: takes over the notebook's levels, now or when the module is imported."""
    global _levels
    old, _levels = _levels, new
    if old != new and "logging" in sys.modules:
        _apply(old)


def _apply(old: Levels) -> None:
    import logging

    disable, wanted = _levels
    logging.disable(disable)
    for name in {**old[1], **wanted}:
        logger = logging.getLogger(name)
        level, logger.disabled = wanted.get(name, (logging.NOTSET, False))
        logger.setLevel(level)


def travel(on: bool) -> None:
    """In a worker: whether records go to the notebook; only what a cell's own code logs does."""
    global _travels
    _travels = on


def _teach_logging(logging: Any) -> None:
    handle_here = logging.Logger.callHandlers

    def call_handlers(self: Any, record: Any) -> None:
        if _travels and not _has_handlers(self):
            showing.send("log", _dumped(record, logging))
        else:
            handle_here(self, record)

    def _has_handlers(logger: Any) -> bool:
        while logger is not None:
            if any(type(handler) is not logging.NullHandler for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False

    logging.Logger.callHandlers = call_handlers
    _apply(_NOTHING)


def _dumped(record: Any, logging: Any) -> bytes:
    """What a record holds, as it is now; the traceback of an exception as text."""
    found = dict(vars(record))
    if record.exc_info:
        found["exc_text"] = record.exc_text or _traceback(record.exc_info, logging)
        found["exc_info"] = None
    if record.funcName == "__firn_chunk__":
        found["funcName"] = "<module>"
    try:
        return results.dump(found)
    except rebuild.Stopped:
        raise
    except Exception:  # arguments that do not travel are in the message
        message = {"msg": record.getMessage(), "args": ()}
        return pickle.dumps({name: value for name, value in found.items() if type(value) in _PLAIN} | message)


def _traceback(info: Any, logging: Any) -> str:
    if info[1] is None:
        return str(logging.Formatter().formatException(info))
    from firn import failures  # late: few workers ever need it

    return failures.as_text(info[1]).removesuffix("\n")


def show(raw: bytes) -> None:
    """In the notebook: handles what a worker has logged. Raises what the notebook's filters raise."""
    import logging

    record = logging.makeLogRecord(pickle.loads(raw))
    record.levelname = logging.getLevelName(record.levelno)
    logging.getLogger(record.name).handle(record)


def install() -> None:
    """Once per worker."""
    add_lesson("logging", _teach_logging)
