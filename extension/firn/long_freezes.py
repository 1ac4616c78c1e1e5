"""Says on a cell's screen, or that of who calls firn.freeze(), that a freeze is under way which will take a second or more.

A freeze stands still in the notebook's interpreter, which has to keep its hands off the data meanwhile: nothing can be drawn
while it lasts. So its length is estimated before, from a sample of the data, where the process is large enough for that to
be possible at all.
"""

from __future__ import annotations

import gc
import resource
import time
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import count, islice
from typing import Any, Final

from firn.progress import DELAY, Screen, screen_of
from firn.readable import named
from firn.teach import FROZEN_TYPES

LARGE: Final = 200 << 20
"""Bytes of a process that may hold data whose freezing takes so long."""

SENT: Final = 0.01
"""Seconds, without the GIL, in which a kernel's other thread sends what is to be seen."""

ROW: Final = 64
"""The keys of dicts of so many items are rather shared with others."""

_SAMPLES: Final = (8, 4, 3, 2, 2, 1, 1, 1)
_CONTAINERS: Final = (list, tuple, set, frozenset, deque)
_NO_DATA: Final = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    *FROZEN_TYPES,
)

_numbers = count(1)


class _Pace:
    """What an object takes to freeze, in seconds: of late, or a guess."""

    seconds = 1e-7


def learn(objects: int, seconds: float) -> None:
    """Remembers how quick a freeze was, if it was long enough to tell."""
    if objects >= 100_000:
        _Pace.seconds = seconds / objects


def objects(value: Any, depth: int = 0) -> float:
    """About how many objects freezing a value copies, from a few of each container's items. Runs no code of theirs."""
    kind = type(value)
    if depth == len(_SAMPLES):
        return 1.0
    most = _SAMPLES[depth]
    if kind is dict:
        values = _scaled([*islice(value.values(), most)], len(value), depth)
        return 1 + values + (_scaled([*islice(value, most)], len(value), depth) if len(value) > ROW else 0)
    if kind in (list, tuple):
        return 1 + _scaled(value[:: max(1, len(value) // most)][:most], len(value), depth)
    if kind in _CONTAINERS:
        return 1 + _scaled([*islice(value, most)], len(value), depth)
    if not gc.is_tracked(value) or kind in _NO_DATA:
        return 1.0
    return 1 + sum(objects(part, depth + 1) for part in islice(gc.get_referents(value), 8) if part is not kind)


def _scaled(sample: Sequence[Any], length: int, depth: int) -> float:
    return sum(objects(one, depth + 1) for one in sample) / len(sample) * length if sample else 0.0


def are_long(values: Iterable[Any]) -> bool:
    """Whether freezing the values will take so long that people ask what goes on."""
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * resource.getpagesize()
    return resident >= LARGE and sum(map(objects, values)) * _Pace.seconds >= DELAY


def announced_at_prompt(value: object) -> AbstractContextManager[None]:
    """The same for `firn.freeze`, where somebody may be looking: in a notebook, or at the prompt of a terminal."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or not are_long([value]):
        return nullcontext()
    names = (name for name, other in shell.user_ns.items() if other is value and not name.startswith("_"))
    name = next(names, f"this {type(value).__name__}")
    return _announced(screen_of(shell, f"freeze-{next(_numbers)}"), [name])


def announced(screen: Callable[[], Screen | None], values: Mapping[str, object]) -> AbstractContextManager[None]:
    """Has what is frozen in the block on the screen, by these names, if that takes long."""
    return _announced(screen(), [*values]) if are_long(values.values()) else nullcontext()


@contextmanager
def _announced(shown: Screen | None, names: Sequence[str]) -> Iterator[None]:
    if shown is None:
        yield
        return
    with suppress(Exception):  # a front end that is gone
        shown.say(f"freezing {named(names)}…")
        time.sleep(SENT)
    try:
        yield
    finally:
        with suppress(Exception):
            shown.clear()
