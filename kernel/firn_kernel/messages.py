"""Publishing on iopub: JSON text, and which request a message belongs to."""

import base64
import datetime
import json
import math
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from . import _kernel

# The request whose code runs. Set for each cell and each handler; what they start inherits it.
current: ContextVar[_kernel.Request | None] = ContextVar("firn_kernel_request", default=None)

# The latest cell's, for threads and everything else without a context of ours.
_latest: _kernel.Request | None = None


# A forked child has none of the kernel's threads, and perhaps a lock that one of them held.
_in_child = False


def in_child() -> bool:
    return _in_child


def _after_fork_in_child() -> None:
    global _in_child
    _in_child = True


os.register_at_fork(after_in_child=_after_fork_in_child)


def parent() -> _kernel.Request | None:
    """The request that output of the calling thread and task belongs to."""
    return current.get() or _latest


def set_latest(request: _kernel.Request) -> None:
    """From now on, output of threads, child processes and C code belongs to this request."""
    global _latest
    _latest = request
    _kernel.set_descriptor_parent(request)


def latest() -> _kernel.Request | None:
    return _latest


def publish(
    kind: str,
    content: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    buffers: Sequence[Any] = (),
) -> None:
    """Publishes a message of type `kind` as output of the current request. A forked child has no way to do it."""
    if _in_child:
        return
    _kernel.publish(kind, parent(), encode(metadata or {}), encode(content), list(buffers))


def encode(content: Any, *, lenient: bool = False) -> bytes:
    """JSON text of a message's part.

    What JSON lacks becomes what Jupyter's clients expect: dates in ISO 8601, bytes in base64, NaN and infinity as
    strings, lone surrogates as "?". Anything else raises TypeError, or becomes its repr when `lenient`.
    """
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, default=_default)
    except TypeError, ValueError:
        text = json.dumps(_cleaned(content, lenient), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def _default(value: Any) -> Any:
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            return float(value)
        case Mapping():
            return dict(value)
        case set() | frozenset() | Iterable():
            return list(value)
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} cannot be written as JSON")


def _cleaned(value: Any, lenient: bool) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else repr(value)
        case Mapping():
            return {str(key): _cleaned(item, lenient) for key, item in value.items()}
        case list() | tuple():
            return [_cleaned(item, lenient) for item in value]
    try:
        return _cleaned(_default(value), lenient)
    except TypeError:
        if lenient:
            return repr(value)
        raise
