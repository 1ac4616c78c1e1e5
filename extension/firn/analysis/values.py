"""What is known of a value at run time: whether it may change, whether it is in an order with others."""

import operator
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable

from firn.readable import a

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

# Values that nobody can change after they were recorded.
PLAIN = frozenset(
    {int, float, complex, bool, str, bytes, type(None), tuple, frozenset, range, type(Ellipsis), type(NotImplemented)}
)
# The same, by name: most workers never import these modules.
_PLAIN_NAMES = frozenset(
    {
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("datetime", "date"),
        ("datetime", "time"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("pathlib", "PosixPath"),
        ("pathlib", "PurePosixPath"),
        ("uuid", "UUID"),
    }
)
_ORDERED_NAMES = _PLAIN_NAMES - {("datetime", "timezone"), ("decimal", "Decimal")}
_COPIED: dict[type, Callable[[Any], Any]] = {
    kind: operator.methodcaller("copy")
    for kind in (list, dict, set, Counter, deque, OrderedDict, defaultdict, bytearray)
}


class NotMergeable(TypeError):
    """A value met at run time that cannot be merged with the serial cell's result; the loop has merged nothing."""


def is_plain(kind: type) -> bool:
    """Whether a type of the standard library has values that never change."""
    return (kind.__module__, kind.__qualname__) in _PLAIN_NAMES


def _settled(value: Any) -> bool:
    """Whether nobody can change a value (frozen values included, whose __class__ is that of the original)."""
    kind = type(value)
    return (
        kind in PLAIN
        or value.__class__ is not kind
        or is_plain(kind)
        or isinstance(value, (int, float, str, bytes, tuple, frozenset))
    )


def is_absent(value: Any, how: str) -> bool:
    """Whether a value says that there is none yet, to who asks `x is None` (how: "None") or `not x` ("false")."""
    return value is None if how == "None" else not value


def snapshot(value: Any) -> Any:
    """The value as it is now: later changes to it must not reach what was recorded."""
    copier = _COPIED.get(type(value))
    return copier(value) if copier is not None else settled(value)


def constant(value: Any) -> Any:
    """The value, if it is of a type whose values never change."""
    if type(value) in PLAIN or is_plain(type(value)):
        return value
    raise NotMergeable(
        f"{a(value.__class__.__name__)} becomes an item in a split loop and is changed there: write d.setdefault(k, []) before"
        " d[k] += x, or collect the values in a list and combine them after the loop"
    )


def settled(value: Any) -> Any:
    """The value, if nobody can change it any more."""
    if _settled(value):
        return value
    raise NotMergeable(
        f"{a(type(value).__name__)} is combined in a split loop, and it may change after that: collect the values in a"
        " list and combine them after the loop"
    )


def order_of(value: Any) -> Any:
    """What tells values that are in one total order from others: those of which it is `alike`, or None where that is not
    known."""
    kind = type(value)
    if kind in (int, float, bool):
        return "number"
    if kind in (str, bytes, type(None)):
        return kind.__name__
    if kind is tuple:
        parts = tuple("in no order" if type(item) is float and item != item else order_of(item) for item in value)
        return None if None in parts else parts
    name = (kind.__module__, kind.__qualname__)
    return f"{name}{getattr(value, 'tzinfo', None) is None}" if name in _ORDERED_NAMES else None


def alike(first: Any, second: Any) -> bool:
    """Whether values of two such orders are in one."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return all(map(alike, first, second, strict=False))
    return first == second and first not in (None, "in no order")


def compared_soundly(value: Any) -> bool:
    """Whether a value equals others exactly where its hash lets a set find them."""
    kind = type(value)
    if kind in (int, float, bool, complex, str, bytes, type(None)):
        return bool(value == value)
    if kind in (tuple, frozenset):
        return all(map(compared_soundly, value))
    return (kind.__module__, kind.__qualname__) in _ORDERED_NAMES
