"""What a call needs in a worker of an executor: the function, what it reads, and the arguments, packed when it is asked for.

One rule for all of it: what is frozen crosses as a pointer, everything else as a copy. Functions and classes of the
notebook cross by value, once for each version of theirs; those of modules are imported. Nothing of the notebook's is
frozen, bound to something else or refused on the way: a worker's own globals are its own, as in a pool of processes.
"""

from __future__ import annotations

import io
import itertools
import pickle
import sys
import threading
import types
from collections.abc import Callable, Mapping
from typing import Any

from firn import _core, errors, modules, replicate, units
from firn.mutable import FrozenByteArray, FrozenTypedArray
from firn.planner import Planner
from firn.raised import without_firn
from firn.shipping import Packer
from firn.teach import FROZEN_TYPES
from firn.units import Unit

_COPIED = frozenset({type(None), bool, int, float, complex, list, dict, set})
"""Types of which no object is a frozen one that is worth a pointer."""
_LONG = frozenset({str, bytes})
_BUFFERS: tuple[type, ...] = (FrozenByteArray, FrozenTypedArray, _core.Array)


type Bundle = tuple[bytes, tuple[object, ...], list[object]]
"""A pickle, the frozen values in it, and those of which it has the address only: they must stay until it is read."""


class Packed:
    """A call that is ready to go: `setup` is what Pool.submit takes; or the error that packing it raised."""

    def __init__(self, make: Callable[[], tuple[tuple[Any, ...], list[object]]]) -> None:
        self.setup: tuple[Any, ...] = ()
        self.kept: list[object] = []
        self.error: Exception | None = None
        try:
            self.setup, self.kept = make()
        except Exception as error:
            self.error = error

    @classmethod
    def failed(cls, error: Exception) -> Packed:
        """A call whose function cannot be packed."""
        packed = cls(lambda: ((), []))
        without_firn(error)
        packed.error = error
        return packed


class Function:
    """A callable, packed once for several calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._bundle = pack_function(function)

    def call(self, arguments: tuple[Any, ...], words: dict[str, Any]) -> Packed:
        """One call."""
        return Packed(lambda: self._setup("call", (arguments, words)))

    def chunk(self, items: tuple[tuple[Any, ...], ...]) -> Packed:
        """One call for each tuple of arguments."""
        return Packed(lambda: self._setup("chunk", items))

    def _setup(self, mode: str, given: Any) -> tuple[tuple[Any, ...], list[object]]:
        plain = pack_plain(given)
        if plain is None:
            raw, pointers, kept = _Calls().pack((self._function, given))
            return (mode, raw, pointers, None, ()), kept
        raw, pointers, kept = self._bundle
        more, more_pointers, more_kept = plain
        return (mode, raw, pointers, more, more_pointers), kept + more_kept


def pack_function(function: Callable[..., Any]) -> Bundle:
    """A callable and everything that it reads."""
    return _Calls().pack((function,))


def pack_plain(given: Any) -> Bundle | None:
    """Arguments that need nothing but themselves; None for all others."""
    file = io.BytesIO()
    pickler = _Plain(file)
    try:
        pickler.dump(given)
    except Exception:  # code of the notebook's, or what only cloudpickle knows: the long way will tell
        return None
    if pickler.pointers and _names_definitions(pickler.pointers):
        return None
    return file.getvalue(), tuple(pickler.pointers), pickler.kept


def _names_definitions(pointers: list[object]) -> bool:
    """Whether frozen values hold instances of the notebook's classes, which a worker must get first."""
    segments = _core.segments_at([_core.address(one) for one in pointers])
    return any(replicate.is_by_value(definition) for _, definition in _core.definitions_of(segments))


def is_shared(value: Any) -> bool:
    """Whether a value crosses as a pointer."""
    return type(value) in FROZEN_TYPES or units.is_in_heap(value)


def is_shared_memory(value: Any) -> bool:
    """Whether a value is an array or another buffer whose memory is frozen; its object is each interpreter's own."""
    kind = type(value)
    return (kind in _BUFFERS or units.is_buffer(kind)) and _core.is_frozen(value)


def _is_pointer(value: Any) -> bool:
    return is_shared(value) or is_shared_memory(value)


class _Plain(pickle.Pickler):
    """Pickles arguments; raises at code of the notebook's."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.pointers: list[object] = []
        self.kept: list[object] = []

    def persistent_id(self, value: Any) -> int | tuple[int] | None:
        kind = type(value)
        if kind in _COPIED or (kind in _LONG and len(value) <= units.SMALL):
            return None
        if is_shared_memory(value):
            self.kept.append(value)
            return (_core.address(value),)
        if not is_shared(value):
            return None
        self.pointers.append(value)
        return len(self.pointers) - 1

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)) and replicate.is_by_value(value):
            raise pickle.PicklingError("by value")
        if type(value).__module__.partition(".")[0] in modules.WAYS_OUT:
            raise pickle.PicklingError("no worker may be able to load its module")
        return NotImplemented


class _Numbers:
    """A number for each object that workers have copies of, for as long as a variable of the notebook is bound to it: objects
    that are equal are told apart by it, and so is one that has the address of another that is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = itertools.count()
        self._known: dict[int, tuple[object, int]] = {}

    def of(self, values: dict[int, object], namespace: Mapping[str, object]) -> dict[int, int]:
        """The numbers of some objects, each by its key; forgets objects that nothing is bound to any more."""
        with self._lock:
            if values or self._known:
                bound = {id(value) for value in dict(namespace).values()}
                self._known = {key: entry for key, entry in self._known.items() if key in bound}
            return {
                key: self._known.setdefault(id(value), (value, next(self._next)))[1] for key, value in values.items()
            }


_numbers = _Numbers()


class _Calls(Planner):
    """Finds what a call needs; one use, one thread."""

    def __init__(self) -> None:
        super().__init__(vars(sys.modules["__main__"]), frozenset(), frozenset(), frozenset())
        self._functions = {key: name for key, name in self._functions.items() if self._is_function(name)}
        self.absent: set[str] = set()

    def _is_function(self, name: str) -> bool:
        return type(self.namespace[name]) is types.FunctionType

    @property
    def settings(self) -> dict[str, Any]:
        return {"reloads": {}}

    def pack(self, call: tuple[Any, ...]) -> Bundle:
        """What `call_worker.begin` reads. Raises what pickling raises, but not for a class that only lies beside the frozen
        values of the call."""
        try:
            return self._packed(call)
        except Exception:
            strangers = self._find_strangers()
            if not strangers:
                raise
            other = _Calls()
            other._strangers = strangers
            return other._packed(call)

    def _packed(self, call: tuple[Any, ...]) -> Bundle:
        root = Unit(call, getattr(call[0], "__qualname__", type(call[0]).__name__), "copy")
        self.units[id(call)] = root
        self._queue.append(root)
        while True:
            self._find_all()
            if not self._define():
                break
        packer = Packer(self)
        ordered = packer.ordered()
        data = {
            unit.number: unit.value
            for unit in self.units.values()
            if unit.raw is not None and unit is not root and not units.is_definition(unit.value)
        }
        header = {
            "units": ordered,
            "call": root.number,
            "data": _numbers.of(data, self.namespace),
            "bindings": packer.bindings(),
            "absent": sorted(self.absent),
            "definitions": {unit.number: number for number, unit in self.definitions.items()},
            "lines": packer.lines(""),
        }
        kept = [unit.pointer for unit in self.units.values() if unit.is_own_object]
        kept += [value for value, _ in self.common.met]
        return pickle.dumps(header, 5), tuple(packer.pointers), kept

    # What differs from a cell's

    def need(self, name: str, *, code: types.CodeType, reader: str, optional: bool = False) -> None:
        if name in self.namespace:
            super().need(name, code=code, reader=reader, optional=optional)
        else:
            self.absent.add(name)  # a builtin, or a global that the worker's own code makes

    def outside(self, value: object) -> int | tuple[int] | None:
        # What the call itself holds is the call's own, each time: an argument is never the global that it also is.
        if self._current is not None and self._current.kind == "copy":
            unit = self.units.get(id(value))
            if unit is not None and not units.is_definition(value) and not _is_pointer(value):
                return None
        return super().outside(value)

    def _found_outside(self, value: object, current: Unit) -> Unit | None:
        if is_shared_memory(value):
            return self._unit(value, "a frozen array")
        return super()._found_outside(value, current)

    def meet_module(self, name: str, value: object) -> None:
        root = name.partition(".")[0]
        if root in modules.WAYS_OUT and modules.why_not([root]):
            raise errors.share_arrays(root, value)
        super().meet_module(name, value)

    def meet_method(self, method: Any) -> None:
        pass

    def pickle(self, unit: Unit) -> None:
        unit.needs.clear()
        unit.modules.clear()
        before, self._current = self._current, unit
        try:
            unit.raw = replicate.dump(unit.value, self)
        except Exception as error:
            if not unit.optional:
                if unit.kind != "copy":
                    error.add_note(f"(a worker needs {unit.key}, for the function reads it)")
                raise
            unit.error = units.unshippable(unit, error)
        finally:
            self._current = before

    def _capture(self, value: object, label: str, owner: object) -> None:
        pass  # crosses with its owner

    def _unit(self, value: object, label: str, optional: bool = False) -> Unit:
        if id(value) in self.units or units.is_definition(value):
            return super()._unit(value, label, optional)
        unit = self.units[id(value)] = Unit(value, label, "frozen", optional=optional)
        if _is_pointer(value):
            unit.pointer, unit.address = value, _core.address(value)
            self._use(unit)
        else:
            unit.kind = "definition"  # a worker keeps it until the notebook's is another one
            self._queue.append(unit)
        return unit
