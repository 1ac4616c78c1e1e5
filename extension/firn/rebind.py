"""The notebook after freezing: every variable that was bound to a frozen object's original gets the frozen form, and so
does every container and instance of the notebook's classes that held one."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Holders:
    """Who else holds originals: `found` below the variables called `names`."""

    found: list[Any] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    originals: list[tuple[Any, Any]] = field(default_factory=list)  # each with its frozen form


def rebind(namespace: MutableMapping[str, Any], frozen: Mapping[str, object], holders: Holders) -> list[object]:
    """Puts the frozen forms in the place of the originals; returns these, so that the caller decides when they go."""
    originals = [namespace.get(name) for name in frozen]
    namespace.update(frozen)
    if holders.found:
        swap = _Swap(holders)
        namespace.update({name: swap.of(value) for name, value in namespace.items() if type(value) is tuple})
        for holder in holders.found:
            swap.inside(holder)
    return originals + holders.originals


class _Swap:
    """Frozen forms for originals. Runs no code of the notebook's classes but the hashes and comparisons of keys."""

    def __init__(self, holders: Holders) -> None:
        self._forms = {id(original): form for original, form in holders.originals}
        self._tuples = {id(holder) for holder in holders.found if type(holder) is tuple}

    def of(self, value: Any) -> Any:
        """What stands in the place of a value from now on; a tuple that holds originals is made anew, once."""
        key = id(value)
        if key in self._tuples and key not in self._forms:
            self._forms[key] = tuple(map(self.of, value))
        return self._forms.get(key, value)

    def inside(self, holder: Any) -> None:
        """Puts the frozen forms in the place of what a container or an instance holds."""
        kind = type(holder)
        if kind is list:
            holder[:] = map(self.of, holder)
        elif kind is deque:
            for number, value in enumerate([*holder]):
                if (form := self.of(value)) is not value:
                    holder[number] = form
        elif kind is set:
            gone = [value for value in holder if self.of(value) is not value]
            holder.difference_update(gone)
            holder.update(map(self.of, gone))
        elif isinstance(holder, dict):
            self._in_dict(holder)
        elif kind is not tuple:
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
