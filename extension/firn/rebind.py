"""The notebook after freezing: every variable that was bound to a frozen object's original gets the frozen form, and so
does every container, instance, function and class that held one."""

from __future__ import annotations

import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
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
        anew = {key: (old, swap.of(new)) for key, (old, new) in anew.items()} | swap.anew
    originals += holders
    holders.clear()
    return originals, anew


class _Swap:
    """Frozen forms for originals. Runs no code of the notebook's classes but the hashes and comparisons of keys."""

    def __init__(self, holders: _core.Holders) -> None:
        self._holders = holders
        self._found = [holder for holder, _ in holders.found]
        self._items = {id(one): [*OrderedDict.items(one)] for one in self._found if isinstance(one, OrderedDict)}
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
        """Puts the frozen forms in the place of what others hold. An interrupt comes afterwards; what a class does not let be
        exchanged stays."""
        interrupt: KeyboardInterrupt | None = None
        immutable = [*self._immutable.values()]
        changing = [holder for holder in self._found if id(holder) not in self._immutable]
        others = [holder for holder in [*immutable, *changing] if type(holder) not in _PLAIN]
        tables = [holder for holder in changing if isinstance(holder, (dict, set))] if any(map(_hashes, others)) else []
        todo: list[tuple[Callable[[Any], Any], Any]] = [  # from its end
            *((self._rehash, holder) for holder in tables),
            *((self._attributes, holder) for holder in others),
            *((self._inside, holder) for holder in changing),
            *((self.of, one) for one in immutable),
        ]
        while todo:
            act, holder = todo[-1]
            try:
                with suppress(Exception):
                    act(holder)
                todo.pop()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _inside(self, holder: Any) -> None:
        if isinstance(holder, deque):
            deque.__init__(holder, [*map(self.of, deque.__iter__(holder))], holder.maxlen)
        elif isinstance(holder, OrderedDict):
            self._in_order(holder)
        elif isinstance(holder, (list, dict, set)):
            self._holders.swap(holder)
        elif isinstance(holder, partial):
            state: Any = partial.__reduce__(holder)[2]
            function, given, words, more = state
            partial.__setstate__(holder, (self.of(function), self.of(given), words, more))  # type: ignore[attr-defined]
        elif type(holder) is _CACHED and not self._holders.swap(holder):
            holder.cache_clear()

    def _attributes(self, holder: Any) -> None:
        for place, name, value in _attributes(self.of(holder)):
            if (form := self.of(value)) is not value:
                place(name, form)

    def _in_order(self, holder: OrderedDict[Any, Any]) -> None:
        """Exchanges values in place where the keys stay, that nothing can be lost half-way."""
        items = self._items[id(holder)]
        if any(self.of(key) is not key for key, _ in items):
            self._fill(holder)
        else:
            for key, value in items:
                OrderedDict.__setitem__(holder, key, self.of(value))

    def _rehash(self, holder: Any) -> None:
        if isinstance(holder, OrderedDict):
            self._fill(holder)
        else:
            self._holders.rehash(holder)

    def _fill(self, holder: OrderedDict[Any, Any]) -> None:
        """Makes it anew. A key's __hash__ may do anything, and an interrupt come at any time: what it is to hold is known."""
        for _ in range(_TRIES):
            with suppress(Exception):
                made = OrderedDict((self.of(key), self.of(value)) for key, value in self._items[id(holder)])
                OrderedDict.clear(holder)
                for key, value in made.items():
                    OrderedDict.__setitem__(holder, key, value)
                return


_CACHED = type(lru_cache(len))
_IMMUTABLE = (tuple, frozenset, types.MethodType, types.BuiltinMethodType)
_PLAIN = frozenset({list, dict, set, tuple, frozenset, deque, OrderedDict, types.MethodType, types.BuiltinMethodType})
_TRIES = 3


def _hashes(holder: Any) -> bool:
    """Whether what an object holds may be part of its hash."""
    own: Any = type(holder).__hash__
    return own is not None and own is not object.__hash__


def _parts(one: Any) -> Iterable[Any]:
    if isinstance(one, (types.MethodType, types.BuiltinMethodType)):
        return (one.__self__,)
    return tuple.__iter__(one) if isinstance(one, tuple) else frozenset.__iter__(one)


def _with_parts(one: Any, parts: Iterable[Any]) -> Any:
    """Another tuple, frozenset or bound method with other parts, and the attributes that it has."""
    kind = type(one)
    if kind is types.MethodType:
        return kind(one.__func__, *parts)
    if kind is types.BuiltinMethodType:
        (owner,) = parts
        return getattr(owner, one.__name__)
    made = (tuple if isinstance(one, tuple) else frozenset).__new__(kind, parts)
    if kind not in _PLAIN:
        for (place, name, _), (_, _, value) in zip(_slots(made, True), _slots(one, True), strict=True):
            if value is not _UNSET:
                place(name, value)
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
    yield from _slots(holder)


_UNSET = object()


def _slots(holder: Any, unset: bool = False) -> Iterator[tuple[Any, Any, Any]]:
    for cls in type.__dict__["__mro__"].__get__(type(holder)):
        for member in type.__dict__["__dict__"].__get__(cls).values():
            if type(member) is types.MemberDescriptorType and member.__objclass__ is cls:
                try:
                    yield member.__set__, holder, member.__get__(holder)
                except AttributeError:
                    if unset:
                        yield member.__set__, holder, _UNSET


def _set_in_class(cls: type, name: str, value: object) -> None:
    with suppress(TypeError):  # it is @firn.frozen
        type.__setattr__(cls, name, value)
