"""Log records of a worker, which the notebook handles: with its own handlers and filters, in order with what is printed.

Which records there are is decided in the worker: its loggers are like the notebook's (`state`, which travels with
`firn.settings`), with one handler that does nothing in the place of the notebook's. Records of a cell's own code travel; those
of a module that a worker imports do not, for the notebook has had them. What a cell's code does to loggers in a worker holds
there until the next cell; what a module does that only the worker imports holds as long as the module. Imported by every worker at its start, therefore without `logging`.
"""

from __future__ import annotations

import pickle
import sys

from firn import rebuild, results, showing
from firn.teach import add_lesson

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

type State = tuple[int, dict[str, tuple[int, bool, bool, bool, bool]]]
"""(what `logging.disable` was called with, {name: (level, disabled, propagate, has handlers, has filters)}), without what is
as ever."""

_NOTHING: State = (0, {})
_AS_EVER = (0, False, True, False, False)

_travels = False
_wanted: State = _NOTHING
_stand_in: Any = None  # the handler in the place of the notebook's
_own: list[tuple[Any, Any]] = []  # loggers and the handlers that the cell's code gave them here
_touched: set[str] = set()  # loggers that are as the notebook had them, or as the cell's code set them


def state() -> State:
    """What the loggers of this interpreter let through."""
    logging = sys.modules.get("logging")
    if logging is None:
        return _NOTHING
    manager = logging.root.manager
    found = {}
    for name, logger in [("root", logging.root), *manager.loggerDict.items()]:
        if not isinstance(logger, logging.PlaceHolder):
            handles = any(type(handler) is not logging.NullHandler for handler in logger.handlers)
            said = (logger.level, logger.disabled, logger.propagate, handles, bool(logger.filters))
            if said != _AS_EVER or logger is logging.root:
                found[name] = said
    return manager.disable, found


def follow(new: State) -> None:
    """In a worker: makes its loggers like the notebook's, now or when the module is imported."""
    global _wanted
    _wanted = new
    if "logging" in sys.modules:
        _apply()


def _apply() -> None:
    import logging

    while _own:
        logger, handler = _own.pop()
        logger.removeHandler(handler)
    if _wanted == _NOTHING:
        return
    disable, wanted = _wanted
    if logging.root.manager.disable != disable:
        logging.disable(disable)
    for name in _touched | wanted.keys():
        logger = logging.getLogger(name)
        level, logger.disabled, logger.propagate, handles, _ = wanted.get(name, _AS_EVER)
        if logger.level != level:
            logger.setLevel(level)
        (logger.addHandler if handles else logger.removeHandler)(_stand_in)
    _touched.clear()
    _touched.update(wanted)


def travel(on: bool) -> None:
    """In a worker: whether records go to the notebook; only what a cell's own code logs does."""
    global _travels
    _travels = on


def _teach_logging(logging: Any) -> None:
    global _stand_in
    _stand_in = type("StandIn", (logging.NullHandler,), {})()  # `state` counts it as a handler
    plain = logging.Logger
    handle_here, call_here, add_here, set_here = plain.handle, plain.callHandlers, plain.addHandler, plain.setLevel
    configure_here = logging.basicConfig

    def handle(self: Any, record: Any) -> None:
        if _travels and not self.disabled and _wanted[1].get(self.name, _AS_EVER)[4]:
            self.callHandlers(record)  # the filters are the notebook's, too
        else:
            handle_here(self, record)

    def call_handlers(self: Any, record: Any) -> None:
        if not _travels:
            call_here(self, record)
            return
        handled, known, logger = False, "", self
        while logger is not None:
            theirs = _wanted[1].get(logger.name, _AS_EVER)
            for handler in logger.handlers:
                if type(handler) is logging.NullHandler or handler is _stand_in:
                    continue
                if not theirs[3] or any(handler is own for _, own in _own):
                    handled = True
                    if record.levelno >= handler.level:
                        handler.handle(record)
            if not known and (theirs is not _AS_EVER or not handled):
                known = logger.name
            logger = logger.parent if logger.propagate else None
        if known:
            showing.send("log", pickle.dumps((_dumped(record, logging), handled, known)))

    def add_handler(self: Any, handler: Any) -> None:
        add_here(self, handler)
        if _travels and handler is not _stand_in and not _is_importing():
            _own.append((self, handler))

    def set_level(self: Any, level: Any) -> None:
        set_here(self, level)
        if _travels and not _is_importing():
            _touched.add(self.name)

    def basic_config(**options: Any) -> None:
        if _travels and not options and not logging.root.handlers:  # `logging.info()` asks for that, too
            showing.send("log", pickle.dumps((None, False, "")))
            add_here(logging.root, _stand_in)
        else:
            configure_here(**options)

    plain.handle, plain.callHandlers, plain.addHandler, plain.setLevel = handle, call_handlers, add_handler, set_level
    logging.basicConfig = basic_config
    _apply()


def _is_importing() -> bool:
    """Whether a module is being imported: what it does to its loggers lasts."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return getattr(frame.f_globals.get("__spec__"), "_initializing", False) is True
        frame = frame.f_back
    return False


def _dumped(record: Any, logging: Any) -> bytes:
    """What a record holds, as it is now; the traceback of an exception as text."""
    found = dict(vars(record))
    if record.exc_info:
        found["exc_text"] = record.exc_text or _traceback(record.exc_info, logging)
        found["exc_info"] = None
    if record.funcName == "__firn_chunk__":
        found["funcName"] = "<module>"
    if (raw := _pickled(found)) is not None:
        return raw
    # Arguments that do not travel are in the message.
    found |= {"msg": record.getMessage(), "args": ()}
    return results.dump({name: value for name, value in found.items() if _pickled(value) is not None})


def _pickled(value: object) -> bytes | None:
    try:
        return results.dump(value)
    except rebuild.Stopped:
        raise
    except Exception:
        return None


def _traceback(info: Any, logging: Any) -> str:
    if info[1] is None:
        return str(logging.Formatter().formatException(info))
    from firn import failures  # late: few workers ever need it

    return failures.as_text(info[1]).removesuffix("\n")


def show(raw: bytes) -> None:
    """In the notebook: handles what a worker has logged. Raises what the notebook's filters raise."""
    import logging
    import threading

    dumped, handled, known = pickle.loads(raw)
    if dumped is None:
        logging.basicConfig()
        return
    record = logging.makeLogRecord(pickle.loads(dumped))
    record.levelname = logging.getLevelName(record.levelno)
    record.thread, record.threadName = threading.get_ident(), threading.current_thread().name
    logger = logging.getLogger(known)
    if handled and not logger.hasHandlers():
        return
    (logger.handle if known == record.name else logger.callHandlers)(record)


def install() -> None:
    """Once per worker."""
    add_lesson("logging", _teach_logging)
