"""The notebook after freezing: every variable that was bound to a frozen object's original gets the frozen form, and so
does every container, instance, function and class that held one."""

from __future__ import annotations

import types
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from enum import EnumType
from functools import lru_cache, partial
from typing import Any

from firn import _core

type Anew = dict[int, tuple[Any, Any]]
"""What cannot be changed, and had to be made anew: its id -> it, the one in its place."""


def rebind(
    namespace: MutableMapping[str, Any], frozen: Mapping[str, object], holders: list[_core.Holders]
) -> tuple[list[object], Anew]:
    """Puts the frozen forms in the place of the originals; returns these, so that the caller decides when they go, and what
    had to be made anew. Empties `holders`, which keep originals."""
    originals: list[object] = [namespace.get(name) for name in frozen]
    namespace.update(frozen)
    anew: Anew = {}
    for one in holders:
        swap = _Swap(one)
        namespace.update({name: swap.of(value) for name, value in namespace.items() if swap.is_made_anew(value)})
        swap.everywhere()
        anew |= swap.anew
    originals += holders
    holders.clear()
    return originals, anew


class _Swap:
    """Frozen forms for originals. Runs no code of the notebook's classes but the hashes and comparisons of keys."""

    def __init__(self, holders: _core.Holders) -> None:
        self._holders = holders
        self._found = [holder for holder, _ in holders.found]
        self._immutable = {id(holder): holder for holder in self._found if isinstance(holder, _IMMUTABLE)}

    def is_made_anew(self, value: object) -> bool:
        return id(value) in self._immutable

    def of(self, value: Any) -> Any:
        """What stands in the place of a value from now on; a tuple that holds originals is made anew, once."""
        form = self._holders.form
        if form(value) is not value or id(value) not in self._immutable:
            return form(value)
        todo = [value]  # those that hold others before them, however deep
        while todo:
            inner = [part for part in _parts(todo[-1]) if id(part) in self._immutable and form(part) is part]
            if inner:
                todo += inner
            elif form(one := todo.pop()) is one:
                self._holders.put(one, _with_parts(one, map(form, _parts(one))))
        return form(value)

    @property
    def anew(self) -> Anew:
        return {key: (one, self.of(one)) for key, one in self._immutable.items()}

    def everywhere(self) -> None:
        """Puts the frozen forms in the place of what others hold. An interrupt comes afterwards."""
        interrupt: KeyboardInterrupt | None = None
        for one in self._immutable.values():
            self.of(one)
        todo = [holder for holder in self._found if id(holder) not in self._immutable]
        while todo:
            try:
                self._inside(todo[-1])
                todo.pop()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _inside(self, holder: Any) -> None:
        if isinstance(holder, deque):
            for number, value in enumerate(deque.__iter__(holder)):
                if (form := self.of(value)) is not value:
                    deque.__setitem__(holder, number, form)
        elif isinstance(holder, OrderedDict):
            self._in_order(holder)
        elif isinstance(holder, (list, dict, set)):
            self._holders.swap(holder)
        elif isinstance(holder, partial):
            state: Any = holder.__reduce__()[2]
            function, given, words, more = state
            holder.__setstate__((self.of(function), self.of(given), words, more))  # type: ignore[attr-defined]
        elif type(holder) is _CACHED:
            holder.cache_clear()  # what it has kept cannot be reached
        for place, name, value in _attributes(holder):
            if (form := self.of(value)) is not value:
                place(name, form)

    def _in_order(self, holder: OrderedDict[Any, Any]) -> None:
        try:
            made = OrderedDict((self.of(key), self.of(value)) for key, value in OrderedDict.items(holder))
        except Exception:  # a key's __hash__ may do anything
            return
        if len(made) == OrderedDict.__len__(holder):
            OrderedDict.clear(holder)
            for key, value in made.items():
                OrderedDict.__setitem__(holder, key, value)


_CACHED = type(lru_cache(len))
_IMMUTABLE = (tuple, frozenset, types.MethodType)


def _parts(one: Any) -> Iterable[Any]:
    if isinstance(one, types.MethodType):
        return (one.__self__,)
    return tuple.__iter__(one) if isinstance(one, tuple) else frozenset.__iter__(one)


def _with_parts(one: Any, parts: Iterable[Any]) -> Any:
    """Another tuple, frozenset or bound method with other parts."""
    kind = type(one)
    if kind is types.MethodType:
        return kind(one.__func__, *parts)
    made = (tuple if isinstance(one, tuple) else frozenset).__new__(kind, parts)
    with suppress(AttributeError):  # no __dict__
        object.__getattribute__(made, "__dict__").update(object.__getattribute__(one, "__dict__"))
    return made


def _attributes(holder: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(what sets it, its first argument, value) of each attribute, past what the class does when one is set."""
    if isinstance(holder, types.FunctionType):
        yield partial(setattr, holder), "__defaults__", holder.__defaults__
    elif isinstance(holder, types.CellType):
        with suppress(ValueError):  # empty
            yield partial(setattr, holder), "cell_contents", holder.cell_contents
    elif isinstance(holder, type):
        if not isinstance(holder, EnumType):
            for name, value in [*type.__dict__["__dict__"].__get__(holder).items()]:
                yield partial(_set_in_class, holder), name, value
        return
    with suppress(AttributeError):  # no __dict__
        own = object.__getattribute__(holder, "__dict__")
        for name, value in [*own.items()]:
            yield own.__setitem__, name, value
    for cls in type.__dict__["__mro__"].__get__(type(holder)):
        for member in type.__dict__["__dict__"].__get__(cls).values():
            if type(member) is types.MemberDescriptorType and member.__objclass__ is cls:
                try:
                    value = member.__get__(holder)
                except AttributeError:  # unset
                    continue
                yield member.__set__, holder, value


def _set_in_class(cls: type, name: str, value: object) -> None:
    with suppress(TypeError):  # it is @firn.frozen
        type.__setattr__(cls, name, value)
