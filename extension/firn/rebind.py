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
        form = self._holders.form(value)
        if form is value and id(value) in self._tuples:
            form = tuple(map(self.of, value))
            self._holders.put(value, form)
        return form

    def everywhere(self) -> None:
        """Puts the frozen forms in the place of what containers and instances hold."""
        for holder in self._found:
            if type(holder) is tuple:
                self.of(holder)
        for holder in self._found:
            if type(holder) is not tuple:
                self._inside(holder)

    def _inside(self, holder: Any) -> None:
        kind = type(holder)
        if kind is list:
            self._holders.swap(holder)
        elif kind is deque:
            for number, value in enumerate([*holder]):
                if (form := self.of(value)) is not value:
                    holder[number] = form
        elif kind is set:
            gone, forms = self._holders.members(holder)
            holder.difference_update(gone)
            holder.update(forms)
        elif isinstance(holder, dict):
            if kind is OrderedDict or not self._holders.swap(holder):
                self._in_dict(holder)
        else:
            for place, name, value in _attributes(holder):
                if (form := self.of(value)) is not value:
                    place(name, form)

    def _in_dict(self, holder: dict[Any, Any]) -> None:
        if any(self.of(key) is not key for key in holder):
            items = [(self.of(key), self.of(value)) for key, value in holder.items()]
            holder.clear()
            holder.update(items)
            return
        for key, value in [*holder.items()]:
            if (form := self.of(value)) is not value:
                holder[key] = form


def _attributes(instance: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(what sets it, its first argument, value) of each attribute, past what the class does when one is set."""
    with suppress(AttributeError):  # no __dict__
        own = object.__getattribute__(instance, "__dict__")
        for name, value in [*own.items()]:
            yield own.__setitem__, name, value
    for cls in type(instance).__mro__:
        for member in vars(cls).values():
            if type(member) is types.MemberDescriptorType and member.__objclass__ is cls:
                try:
                    value = member.__get__(instance)
                except AttributeError:  # unset
                    continue
                yield member.__set__, instance, value
