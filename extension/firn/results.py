"""Pickles a worker's result for the notebook where it cannot be frozen: replicas' instances become instances of the
notebook's own classes, frozen values stay where they are."""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
import types

from firn import _core, instances, rebuild, twins
from firn.teach import FROZEN_TYPES

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any


def dump(value: object) -> bytes:
    """A pickle that any process of the notebook's kind reads with pickle.loads.

    Instances of the notebook's classes come back with what they hold, as the serial cell has them. Where that does not
    pickle, what their classes say in a `__reduce__` or `__getstate__` of their own does (it leaves out a lock).
    """
    return _dump_somehow(value, lends=False)


def dump_lent(value: object) -> bytes:
    """The same for `rebuild.ResultLoader`: what holds the copy of a list, a dict ... that was lent to this worker comes back
    with the notebook's own."""
    return _dump_somehow(value, lends=rebuild.borrowed is not None and rebuild.borrowed.has_copies)


def _dump_somehow(value: object, lends: bool) -> bytes:
    try:
        return _dump(value, True, lends)
    except rebuild.Stopped:
        raise
    except Exception:
        return _dump(value, False, lends)


def _dump(value: object, exact: bool, lends: bool) -> bytes:
    file = io.BytesIO()
    try:
        (_Lending if lends else _Plain)(file, exact).dump(value)
    except rebuild.Stopped:
        raise
    except Exception:  # code in it, or something that pickle knows nothing of
        from firn import replicate

        return replicate.dump_result(value, exact, lends)
    return file.getvalue()


def reduce(value: Any, exact: bool = True) -> Any:
    """How replicas, their instances and frozen values are reduced, or None."""
    if isinstance(value, type):
        token = rebuild.tokens.get(value)
        return None if token is None else (rebuild.notebook_class, (token, value.__qualname__))
    if (lent := rebuild.borrowed) is not None and (place := lent.place(value)) is not None:
        return rebuild.lent_object, place
    if type(value) is memoryview:  # cloudpickle makes bytes of it
        from firn import buffers

        return buffers.make_view, (value.tobytes(), value.format, value.shape, value.readonly)
    if isinstance(value, io.IOBase) and not isinstance(value, io.StringIO | io.BytesIO):
        # cloudpickle would bring a copy of what the file holds.
        raise TypeError(f"cannot pickle an open file ({type(value).__name__})")
    if type(value) in FROZEN_TYPES:
        return _core.adopt, (_core.address(value),)
    if address := _core.twin_address(value):
        return _core.adopt, (address,)
    if (address := _core.origin_address(value)) and _is_unchanged(value):
        return _core.adopt, (address,)
    return _instance(value, exact)


def _is_unchanged(value: Any) -> bool:
    """Whether an object that may change still is what it was made of: then it is the notebook's own."""
    from firn import twin_parts, watch

    may_change = rebuild.borrowed is None or not rebuild.borrowed.must_not_change
    if may_change or not watch.is_compared(value) or isinstance(value, BaseException):
        return False
    try:
        parts, others = (twin_parts.take_apart(one) for one in (value, _core.made_again(value)))
        return watch.is_same((parts.parts, parts.state), (others.parts, others.state), {})
    except Exception:  # code of its class
        return False


def _instance(value: Any, exact: bool) -> Any:
    kind = type(value)
    if not rebuild.is_mutable(kind):
        return _tuple_of_c(value, kind) if issubclass(kind, tuple) else None
    if hasattr(kind, "_member_map_") and hasattr(value, "_name_") and kind in rebuild.tokens:  # of an enumeration
        return twins.member, (kind, value._name_, value._value_)
    if issubclass(kind, BaseException) and rebuild.is_made_bare(kind):
        return rebuild.reduce_bare(value)
    speaker = instances.speaker_of(kind)
    if speaker is None or (exact and (speaker in rebuild.tokens or speaker.__module__ == "__main__")):
        reduction = instances.reduce(value)
        if reduction is not None:
            return reduction
    return _with_attributes(value)


def _tuple_of_c(value: Any, kind: type) -> Any:
    """What pickle makes a plain tuple of, or cannot make at all."""
    if (kind.__module__, kind.__name__) == ("datetime", "IsoCalendarDate"):
        return twins.make_iso_week, tuple(value)
    if kind.__module__ == "sys" and value is getattr(sys, kind.__name__, None):
        return twins.of_interpreter, (kind.__name__,)
    return None


def _ways(kind: Any) -> tuple[Any, Any]:
    return kind.__reduce__, kind.__reduce_ex__


def _with_attributes(value: Any) -> Any:
    """The reduction of an instance whose base in C leaves out the attributes of subclasses, as defaultdict's does."""
    kind = type(value)
    if not kind.__dictoffset__ or kind in copyreg.dispatch_table:
        return None
    methods = _ways(kind)
    if methods == (object.__reduce__, object.__reduce_ex__):
        return None
    if any(type(method) is types.FunctionType for method in methods):
        return None  # of the class itself, which knows what it keeps
    reduction = value.__reduce_ex__(5)
    if type(reduction) is not tuple or reduction[2:3] not in ((), (None,)):
        return reduction
    return *reduction[:2], object.__getattribute__(value, "__dict__") or None, *reduction[3:]


class _Plain(pickle.Pickler):
    """Without cloudpickle, whose import takes longer than most loops."""

    def __init__(self, file: io.BytesIO, exact: bool) -> None:
        super().__init__(file, protocol=5)
        self._exact = exact

    def reducer_override(self, value: Any) -> Any:
        reduced = reduce(value, self._exact)
        if reduced is not None:
            return reduced
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
            raise pickle.PicklingError("made in the worker: by value")
        return NotImplemented


class _Lending(_Plain):
    """For workers that have copies: pickle asks nobody else about lists, dicts and their like."""

    def persistent_id(self, value: Any) -> Any:
        return None if type(value) in rebuild.ATOMS else rebuild.borrowed.place(value)  # type: ignore[union-attr]
