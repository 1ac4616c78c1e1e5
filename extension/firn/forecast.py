"""What freezing a value would refuse, found without freezing it: a walk that copies nothing and runs no code of a class.

It sees what stands in builtin containers and in the attributes of plain instances. Into what pickles in a way of its own
(`__reduce__`, `__getstate__`, `__pre_freeze__`) it does not look, for only that code knows.
"""

from __future__ import annotations

import io
import sys
import types
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from firn import rebuild
from firn.shared import Local, SharedField
from firn.units import CONTAINERS, FREEZABLE, FROZEN, is_buffer

_ATOMS: Final = FREEZABLE - CONTAINERS | {type(None), bool, type(...), type(NotImplemented), bytearray, memoryview}
_MAPPINGS: Final = (dict, types.MappingProxyType)
_OWN_WAYS: Final = (
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__", "__pre_freeze__",
)  # fmt: skip
_CODE: Final = (
    type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType, SharedField, Local,
)  # fmt: skip
_SLOTS: Final = types.MemberDescriptorType

type _Path = tuple[_Path | str, str]
"""(where the parent stands, the step from there): "[3]", ".name", or for what has no place "list(...)[3]"."""


def suspects(value: object, name: str) -> Iterator[tuple[str, object]]:
    """(path, value) of the parts that seem to be of no kind that freezes, in the order in which freezing meets them.

    `name` heads the paths, which are expressions in the notebook's names: "rows[3]['conn']".
    """
    random = sys.modules.get("random")
    stateful = (Iterator, io.IOBase, types.ModuleType, *((random.Random,) if random is not None else ()))
    todo: list[tuple[object, _Path]] = [(value, (name, ""))]
    seen: set[int] = set()
    keep: list[object] = []  # so that no address in `seen` is used again
    while todo:
        one, path = todo.pop()
        kind = type(one)
        if kind in _ATOMS or kind in FROZEN or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, _CODE) or is_buffer(kind):
            continue
        if isinstance(one, stateful):
            yield _text(path), one
        elif kind in CONTAINERS or (rebuild.is_mutable(kind) and not _has_own_way(kind)):
            parts = [*_items(one, path), *_attributes(one, path)]
            todo += reversed(parts)
        elif not rebuild.is_mutable(kind):
            try:
                reduced = one.__reduce_ex__(5)
            except Exception:
                yield _text(path), one
            else:
                if isinstance(reduced, tuple):
                    keep.append(reduced)
                    inside = _Inside((path, ""))
                    todo += ((part, inside) for part in reversed(reduced[1:3]))


def _has_own_way(kind: type) -> bool:
    own = [vars(cls) for cls in kind.__mro__ if rebuild.is_mutable(cls)]
    return any(name in attributes for attributes in own for name in _OWN_WAYS)


def _items(value: object, path: _Path) -> Iterator[tuple[object, _Path]]:
    """What a container holds, or an instance of a subclass of one; nothing of what cannot hold anything of interest."""
    if isinstance(value, _MAPPINGS):
        keys, values = (list(value.keys()), list(value.values())) if type(value) in CONTAINERS else _raw_items(value)
        if not _ATOMS.issuperset(map(type, keys)):
            yield from ((key, _at(_whole(path), f"[{number}]")) for number, key in enumerate(keys))
        if not _ATOMS.issuperset(map(type, values)):
            yield from ((one, _at(path, f"[{_key(key)}]")) for key, one in zip(keys, values, strict=True))
    elif isinstance(value, (list, tuple, deque)):
        elements = list(_iterator(value, list, tuple, deque))
        if not _ATOMS.issuperset(map(type, elements)):
            yield from ((one, _at(path, f"[{number}]")) for number, one in enumerate(elements))
    elif isinstance(value, (set, frozenset)):
        members = list(_iterator(value, set, frozenset))
        if not _ATOMS.issuperset(map(type, members)):
            yield from ((one, _at(_whole(path), f"[{number}]")) for number, one in enumerate(members))


def _raw_items(value: Any) -> tuple[list[object], list[object]]:
    return list(dict.keys(value)), list(dict.values(value))


def _iterator(value: Any, *kinds: Any) -> Iterator[object]:
    kind = next(kind for kind in kinds if isinstance(value, kind))
    found: Iterator[object] = kind.__iter__(value)
    return found


def _attributes(value: object, path: _Path) -> Iterator[tuple[object, _Path]]:
    kind = type(value)
    if not rebuild.is_mutable(kind):
        return
    fields: dict[str, object] = {}
    with suppress(AttributeError):
        fields |= object.__getattribute__(value, "__dict__")
    for name, slot in chain.from_iterable(vars(cls).items() for cls in kind.__mro__):
        if type(slot) is _SLOTS:
            with suppress(AttributeError):
                fields[name] = slot.__get__(value)
    yield from ((one, _at(path, f".{name}")) for name, one in fields.items())


def _key(key: object) -> str:
    kind = type(key)
    text = repr(key) if kind in _ATOMS else f"<{kind.__name__}>"
    return text if len(text) <= 80 else f"{text[:80]}..."


class _Inside(tuple[Any, str]):
    """The path of what a value is made from when it is unpickled: no expression leads there, so the value's own."""


def _at(path: _Path, step: str) -> _Path:
    return path if isinstance(path, _Inside) else (path, step)


def _whole(path: _Path) -> _Path:
    return path if isinstance(path, _Inside) else (f"list({_text(path)})", "")


def _text(path: _Path) -> str:
    steps: list[str] = []
    place: _Path | str = path
    while isinstance(place, tuple):
        place, step = place
        steps.append(step)
    return place + "".join(reversed(steps))
