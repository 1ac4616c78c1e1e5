"""The notebook after freezing: every variable that was bound to a frozen object's original gets the frozen form, and so
does every container and instance of the notebook's classes that held one."""

from __future__ import annotations

import types
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from firn import _core


def rebind(
    namespace: MutableMapping[str, Any], frozen: Mapping[str, object], holders: list[_core.Holders]
) -> list[object]:
    """Puts the frozen forms in the place of the originals; returns these, so that the caller decides when they go. Empties
    `holders`, which keep originals."""
    originals = [namespace.get(name) for name in frozen]
    namespace.update(frozen)
    for one in holders:
        swap = _Swap(one)
        namespace.update({name: swap.of(value) for name, value in namespace.items() if type(value) is tuple})
        swap.everywhere()
    originals += holders
    holders.clear()
    return originals


class _Swap:
    """Frozen forms for originals. Runs no code of the notebook's classes but the hashes and comparisons of keys."""

    def __init__(self, holders: _core.Holders) -> None:
        self._holders = holders
        self._found = [holder for holder, _ in holders.found]
        self._tuples = {id(holder) for holder in self._found if type(holder) is tuple}

    def of(self, value: Any) -> Any:
        """What stands in the place of a value from now on; a tuple that holds originals is made anew, once."""
        form = self._holders.form
        if form(value) is not value or id(value) not in self._tuples:
            return form(value)
        todo = [value]  # those that hold others before them, however deep
        while todo:
            inner = [part for part in todo[-1] if id(part) in self._tuples and form(part) is part]
            if inner:
                todo += inner
            elif form(one := todo.pop()) is one:
                self._holders.put(one, tuple(map(form, one)))
        return form(value)

    def everywhere(self) -> None:
        """Puts the frozen forms in the place of what containers and instances hold. An interrupt comes afterwards."""
        interrupt: KeyboardInterrupt | None = None
        for holder in self._found:
            self.of(holder)
        todo = [holder for holder in self._found if type(holder) is not tuple]
        while todo:
            try:
                self._inside(todo[-1])
                todo.pop()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _inside(self, holder: Any) -> None:
        kind = type(holder)
        if kind is deque:
            for number, value in enumerate([*holder]):
                if (form := self.of(value)) is not value:
                    holder[number] = form
        elif kind is OrderedDict:
            self._in_order(holder)
        elif isinstance(holder, (list, dict, set)):
            self._holders.swap(holder)
        else:
            for place, name, value in _attributes(holder):
                if (form := self.of(value)) is not value:
                    place(name, form)

    def _in_order(self, holder: OrderedDict[Any, Any]) -> None:
        try:
            made = OrderedDict((self.of(key), self.of(value)) for key, value in holder.items())
        except Exception:  # a key's __hash__ may do anything
            return
        if len(made) == len(holder):
            try:
                holder.clear()
            finally:
                holder.update(made)


def _attributes(instance: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(what sets it, its first argument, value) of each attribute, past what the class does when one is set."""
    with suppress(AttributeError):  # no __dict__
        own = object.__getattribute__(instance, "__dict__")
        for name, value in [*own.items()]:
            yield own.__setitem__, name, value
    for cls in type.__dict__["__mro__"].__get__(type(instance)):
        for member in type.__dict__["__dict__"].__get__(cls).values():
            if type(member) is types.MemberDescriptorType and member.__objclass__ is cls:
                try:
                    value = member.__get__(instance)
                except AttributeError:  # unset
                    continue
                yield member.__set__, instance, value
