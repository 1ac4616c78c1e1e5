"""What runs in turns with a serial loop: the code of generators, and of the functions that map() and filter() call. A split
loop lets all of that run first; where the loop could see that, it is refused."""

from __future__ import annotations

import dis
import enum
import itertools
import operator
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, NamedTuple

from firn.analysis import SplitLoop, refusals
from firn.analysis.body import MUTATORS

_CHANGES = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "DELETE_ATTR"})
_FIXED = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type, enum.Enum, str, bytes, int, float, complex)
_CONTAINERS = (list, dict, set, deque, bytearray)


class _Running(NamedTuple):
    """Code that runs when an iterator is asked for its next item, with the objects of its names."""

    code: CodeType
    local: Mapping[str, object]
    known: Mapping[str, object]  # its globals


class Watch:
    """Looks at an iterator before a loop reads it, and at the items afterwards."""

    def __init__(self, loop: SplitLoop, namespace: Mapping[str, object], look: Callable[[], object]) -> None:
        """`look` refuses what can be known beforehand: nothing is read in vain then."""
        self._loop, self._namespace, self._look = loop, namespace, look
        self._makes_items = self._changes = False

    def before(self, iterator: Iterator[Any]) -> None:
        """Raises Refusal when reading may change what the loop reads, or prints while the loop prints, or would be in vain."""
        running = list(_running(iterator))
        self._makes_items = any(one.code.co_name != "<genexpr>" for one in running)
        names = [(_changed(one.code), one) for one in running]
        self._changes = any(found for found, _ in names)
        changed = {id(value) for found, one in names for value in _objects(found, one.local, one.known)}
        for name in sorted(self._loop.names & self._namespace.keys()) if changed else ():
            value = self._namespace[name]
            if id(value) in changed and not isinstance(value, _FIXED):
                raise refusals.changed_meanwhile(self._loop.lineno, name)
        if any(_prints(one.code) for one in running) and _prints(self._loop.code):
            raise refusals.prints_meanwhile(self._loop.lineno)
        self._look()

    def after(self, iterator: Iterator[Any], items: list[Any]) -> None:
        """Raises Refusal when one object that may change came again and again: the items are what it was at the end."""
        if not self._makes_items or type(iterator) in (filter, zip):
            return
        if type(iterator) is enumerate:
            items = [item for _, item in items]
        again = itertools.compress(items, map(operator.is_, items, itertools.islice(items, 1, None), strict=False))
        for kind in set(map(type, again)):
            if issubclass(kind, _CONTAINERS) or (self._changes and _can_change(kind)):
                raise refusals.same_item(self._loop.lineno, kind.__name__)


def _can_change(kind: type) -> bool:
    """Whether instances of a class of the notebook's may be changed."""
    frozen = getattr(getattr(kind, "__dataclass_params__", None), "frozen", False)
    return kind.__module__ == "__main__" and not frozen and not issubclass(kind, (*_FIXED, tuple, frozenset))


def _running(iterator: object) -> Iterator[_Running]:
    match iterator:
        case GeneratorType(gi_frame=frame, gi_code=code):
            if frame is not None:
                local = dict(frame.f_locals)
                yield _Running(code, local, frame.f_globals)
                for value in local.values():
                    if value is not iterator and isinstance(value, GeneratorType):
                        yield from _running(value)
        case map() | filter():
            parts: tuple[Any, ...] = iterator.__reduce__()[1]  # type: ignore[assignment]
            function, *inner = parts
            yield from _of_function(function)
            for one in inner:
                yield from _running(one)
        case zip() | enumerate():
            for one in iterator.__reduce__()[1]:
                yield from _running(one)
        case _:
            ask = getattr(type(iterator), "__next__", None)
            if isinstance(ask, FunctionType):
                yield from _of_function(MethodType(ask, iterator))


def _of_function(function: object) -> Iterator[_Running]:
    local: dict[str, object] = {}
    if isinstance(function, MethodType):
        own, function = function.__self__, function.__func__
        if isinstance(function, FunctionType) and function.__code__.co_argcount:
            local[function.__code__.co_varnames[0]] = own
    if isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                local[name] = cell.cell_contents
            except ValueError:  # empty
                continue
        yield _Running(function.__code__, local, function.__globals__)


def _changed(code: CodeType) -> set[str]:
    """Names in lines that change something in place."""
    loaded: dict[int | None, set[str]] = {}
    lines: set[int | None] = set()
    for step in dis.get_instructions(code):
        if step.opname in _CHANGES or (step.opname == "LOAD_ATTR" and step.argval in MUTATORS):
            lines.add(step.line_number)
        elif step.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")):
            names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            loaded.setdefault(step.line_number, set()).update(names)
    return {name for line in lines for name in loaded.get(line, ())}


def _objects(names: set[str], local: Mapping[str, object], known: Mapping[str, object]) -> Iterator[object]:
    for name in names:
        if name in local:
            yield local[name]
        elif name in known:
            yield known[name]


def _prints(code: CodeType) -> bool:
    return "print" in code.co_names or any(_prints(part) for part in code.co_consts if isinstance(part, CodeType))
