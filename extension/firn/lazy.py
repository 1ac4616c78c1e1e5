"""What runs in turns with a serial loop: the code of generators, and of functions that map() and its like call. A split loop
lets all of that run first; where the loop could see that, it is refused.

Seen are the changes in this code and in the notebook's functions and methods that it calls, as `effects` sees them.
"""

from __future__ import annotations

import ast
import dis
import enum
import gc
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, NamedTuple

from firn import effects, names, views
from firn.analysis import SplitLoop, refusals
from firn.analysis.body import MUTATORS, mutations
from firn.analysis.plan import Decision
from firn.analysis.scopes import root, walk

_CHANGES = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "DELETE_ATTR"})
_CONTAINERS = (list, dict, set, deque, bytearray)
_FIXED = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type, enum.Enum, str, bytes, int, float, complex)


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
        self._changes = False
        self._items: list[Any] = []

    def before(self, iterator: Iterator[Any]) -> None:
        """Raises Refusal when reading may change what the loop reads, or prints while the loop prints, or would be in vain."""
        running = list(_with_called(_running(iterator)))
        changes = [(_changed(one.code), one) for one in running]
        self._changes = any(found for found, _ in changes)
        changed = {id(value) for found, one in changes for value in _objects(found, one.local, one.known)}
        read = self._read()
        # Whether all is as certain is known earlier than the end: the serial loop reads no further.
        seen = self._namespace.keys() if isinstance(self._loop.merger, Decision) else read
        for name in sorted(seen & self._namespace.keys()) if changed else ():
            value = self._namespace[name]
            if id(value) in changed and not isinstance(value, _FIXED):
                raise refusals.changed_meanwhile(self._loop.lineno, name)
        called = [value.__code__ for name in read if isinstance(value := self._namespace.get(name), FunctionType)]
        if any(_prints(one.code) for one in running) and any(map(_prints, (self._loop.code, *called))):
            raise refusals.prints_meanwhile(self._loop.lineno)
        self._look()

    def _read(self) -> set[str]:
        """The variables that the loop reads, itself and through the notebook's functions."""
        found: set[str] = set()
        todo = set(self._loop.names)
        while todo:
            name = todo.pop()
            found.add(name)
            value = self._namespace.get(name)
            if isinstance(value, FunctionType) and value.__globals__ is self._namespace:
                todo |= {*value.__code__.co_names} & self._namespace.keys() - found
        return found

    def after(self, items: list[Any]) -> None:
        self._items = items

    def check(self) -> None:
        """Raises Refusal when one object that may change came more than once: the items are what it was at the end."""
        items, self._items = self._items, []
        if not self._changes:
            return
        for some in (items, itertools.chain.from_iterable(item for item in items if type(item) is tuple)):
            found = [*some]
            kinds = {kind for kind in set(map(type, found)) if _can_change(kind)}
            seen: set[int] = set()
            for item in found if kinds else ():
                if type(item) in kinds:
                    key = id(views.owner(item))
                    if key in seen:
                        raise refusals.same_item(self._loop.lineno, type(item).__name__)
                    seen.add(key)


def _can_change(kind: type) -> bool:
    """Whether objects of a type may be changed: containers, arrays, instances of the notebook's classes."""
    if issubclass(kind, _CONTAINERS) or views.is_array_type(kind):
        return True
    frozen = getattr(getattr(kind, "__dataclass_params__", None), "frozen", False)
    return kind.__module__ == "__main__" and not frozen and not issubclass(kind, (*_FIXED, tuple, frozenset))


def _running(iterator: object) -> Iterator[_Running]:
    match iterator:
        case GeneratorType(gi_frame=frame, gi_code=code):
            if frame is not None:
                local = dict(frame.f_locals)
                yield _Running(code, local, frame.f_globals)
                for value in local.values():
                    if value is not iterator and isinstance(value, Iterator):
                        yield from _running(value)
        case Iterator() if type(iterator).__module__ in ("builtins", "itertools"):
            held = gc.get_referents(iterator)
            for one in [*held, *(part for several in held if type(several) is tuple for part in several)]:
                if isinstance(one, Iterator):
                    yield from _running(one)
                elif isinstance(one, (FunctionType, MethodType)):
                    yield from _of_function(one)
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


def _with_called(running: Iterable[_Running]) -> Iterator[_Running]:
    """Also the functions of the notebook that this code calls, and the methods of the objects that it has."""
    todo = [*running]
    seen: set[CodeType] = set()
    while todo:
        one = todo.pop()
        if one.code in seen:
            continue
        seen.add(one.code)
        yield one
        for name in one.code.co_names:
            value = one.local.get(name, one.known.get(name))
            if isinstance(value, FunctionType) and value.__globals__ is one.known:
                todo += _of_function(value)
            for own in one.local.values():
                if type(own).__module__ == "__main__":
                    method = inspect.getattr_static(type(own), name, None)
                    if isinstance(method, FunctionType):
                        todo += _of_function(MethodType(method, own))


def _changed(code: CodeType) -> set[str]:
    """The names of what the code changes in place, and of what stands for it (`t = table; t.append(x)`)."""
    tree = effects.source(code)
    if tree is None:
        return _changed_in_lines(code)
    found = {owner.id for _, owner, _ in mutations(tree) if owner is not None}
    for node in reversed(walk(tree)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in found and (origin := root(value)):
                found.add(origin.id)
    return found


def _changed_in_lines(code: CodeType) -> set[str]:
    """The same by byte code: the names in lines that change something in place."""
    loaded: dict[int | None, set[str]] = {}
    lines: set[int | None] = set()
    for step in dis.get_instructions(code):
        if step.opname in _CHANGES or (step.opname == "LOAD_ATTR" and step.argval in MUTATORS):
            lines.add(step.line_number)
        elif step.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")):
            here = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            loaded.setdefault(step.line_number, set()).update(here)
    return {name for line in lines for name in loaded.get(line, ())}


def _objects(words: set[str], local: Mapping[str, object], known: Mapping[str, object]) -> Iterator[object]:
    for name in words:
        if name in local:
            yield local[name]
        elif name in known:
            yield known[name]


def _prints(code: CodeType) -> bool:
    return any("print" in part.co_names for part in names.nested(code))
