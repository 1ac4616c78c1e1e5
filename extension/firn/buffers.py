"""The Python half of frozen arrays and other buffers: what is to be frozen of them, and what an interpreter makes of
them on first touch.

The heap's buffers/frozen.hpp says what they are in between.
"""

from __future__ import annotations

import pickle
import sys
from array import array
from typing import Any, Final

from firn import _core, rebuild
from firn._core import Array

NDARRAY: Final = 1
SCALAR: Final = 2
ARRAY: Final = 3
BYTEARRAY: Final = 4
TYPED: Final = 5
VIEW: Final = 6
OBJECTS: Final = 7

type Fields = tuple[tuple[str, int, str, tuple[int, ...], Any], ...]


def _numpy() -> Any:
    """numpy where it is loaded, else None. In workers it never is."""
    numpy = sys.modules.get("numpy")
    return numpy if hasattr(numpy, "generic") else None


# --- freezing ---


def describe(value: Any) -> tuple[Any, ...] | None:
    """What is frozen of a buffer, in the form that the heap reads; None when the value is no buffer.

    numpy's arrays and scalars, bytearray, array.array, memoryview, firn.Array, and every other exporter that does not
    pickle. Subclasses that a class statement made are none, for their instances hold more than memory (but
    numpy.memmap, which freezes as the array that it is). Raises TypeError for what cannot be read.
    """
    kind = type(value)
    if kind is bytearray:
        return _view(BYTEARRAY, memoryview(value))
    if kind is array:
        return _view(TYPED, memoryview(value), value.typecode)
    if kind is memoryview:
        if value.suboffsets:
            raise TypeError("a memoryview with suboffsets (pointers to rows) cannot be frozen: freeze its tobytes()")
        return _view(VIEW, value, "hashable" if _is_key(value) else "")
    if kind is Array:
        inner = (None, value.dtype.fields) if value.dtype.fields else None
        return _interface(ARRAY, value, value.__array_interface__, inner)
    numpy = _numpy()
    if numpy is not None:
        if kind is numpy.ndarray or kind is numpy.memmap:
            return _ndarray(value, numpy)
        if issubclass(kind, numpy.ndarray):
            return None
        if issubclass(kind, numpy.generic):
            return None if rebuild.is_mutable(kind) else _ndarray(numpy.asarray(value), numpy, SCALAR)
    own = any("__reduce_ex__" in vars(base) or "__reduce__" in vars(base) for base in kind.__mro__[:-1])
    if not own and not rebuild.is_mutable(kind):
        return _view(VIEW, memoryview(value))
    return None


def _view(origin: int, view: memoryview, typestr: str = "") -> tuple[Any, ...]:
    return origin, view, None, 0, (), (), _ascii(view.format), typestr, None, memoryview


def _is_key(view: memoryview) -> bool:
    """Whether a view hashes, as those of bytes do. Runs no code of the user's."""
    owner: Any = view.obj
    if not view.readonly or type(owner) is not Array:
        return view.readonly and type(owner) is bytes
    try:
        hash(owner)
    except TypeError:
        return False
    return True


def _interface(origin: int, holder: Any, interface: dict[str, Any], inner: Any, itemsize: int = 0) -> tuple[Any, ...]:
    size = itemsize or holder.itemsize
    strides = interface.get("strides") or holder.strides
    address = interface["data"][0]
    return (
        origin,
        holder,
        address,
        size,
        interface["shape"],
        strides,
        f"{size}s",
        interface["typestr"],
        inner,
        memoryview,
    )


def _ndarray(value: Any, numpy: Any, origin: int = NDARRAY) -> tuple[Any, ...]:
    dtype = value.dtype
    if dtype.hasobject or dtype.kind == "T":
        elements = [value[place] for place in numpy.ndindex(value.shape)]
        if dtype.names:
            elements = [element.item() for element in elements]
        raw = b"" if dtype.char == "O" and not dtype.names else pickle.dumps(dtype)
        return OBJECTS, value, 0, 0, value.shape, (0,) * value.ndim, "O", "|O", (*elements, raw), memoryview
    simple = dtype.names is None and dtype.metadata is None and numpy.dtype(dtype.str) == dtype
    inner = None if simple else (pickle.dumps(dtype), _fields(dtype))
    return _interface(origin, value, value.__array_interface__, inner)


def _fields(dtype: Any) -> Fields | None:
    """The fields of structured elements, by position; None of others."""
    if dtype.names is None:
        return None
    found = []
    for name in dtype.names:
        part, offset = dtype.fields[name][:2]
        base, shape = part.subdtype or (part, ())
        found.append((name, offset, base.str, tuple(shape), _fields(base)))
    return tuple(found)


def _ascii(text: str) -> str:
    if not text.isascii():
        raise TypeError(f"a buffer of the format {text!r} cannot be frozen")
    return text


def memory_of(value: Any) -> int:
    """The address that an array or memoryview reads, for memory that nobody can write to; else 0."""
    numpy = _numpy()
    if numpy is not None and isinstance(value, numpy.ndarray):
        return 0 if value.flags.writeable else int(value.__array_interface__["data"][0])
    if type(value) is memoryview and value.readonly and not value.suboffsets and value.nbytes:
        described: int = Array(value).__array_interface__["data"][0]
        return described
    return 0


# --- reading ---


def materialise(origin: int, block: Any, shape: tuple[int, ...], typestr: str, inner: Any) -> Any:
    """This interpreter's object for a frozen buffer. `block` is a firn.Array over the memory."""
    if origin == OBJECTS:
        return _objects(shape, inner)
    if origin in (NDARRAY, SCALAR):
        numpy = _numpy()
        if numpy is None:
            return block.item() if origin == SCALAR else block
        value = _as_numpy(numpy, block, typestr, inner)
        return value[()] if origin == SCALAR else value
    if origin == ARRAY:
        return block
    view = memoryview(block)
    if origin == VIEW:
        return view
    from firn import mutable

    return mutable.FrozenByteArray(view) if origin == BYTEARRAY else mutable.FrozenTypedArray(view, typestr)


def _as_numpy(numpy: Any, block: Any, typestr: str, inner: Any) -> Any:
    """A read-only ndarray over the memory of a firn.Array, which it keeps."""
    dtype = numpy.dtype(typestr) if inner is None else pickle.loads(inner[0])
    interface = block.__array_interface__ | {"typestr": f"|V{dtype.itemsize}"}
    interface.pop("descr", None)
    if not dtype.itemsize:
        value = numpy.zeros(block.shape, dtype)
        value.flags.writeable = False
        return value
    raw = numpy.asarray(_Memory(block, interface))
    return raw.view(dtype)


class _Memory:
    """An array's memory as elements without a meaning; numpy keeps it as the base of what it reads."""

    def __init__(self, block: Any, interface: dict[str, Any]) -> None:
        self.block, self.__array_interface__ = block, interface


def _objects(shape: tuple[int, ...], inner: Any) -> Any:
    *elements, raw = inner
    numpy = _numpy()
    if numpy is None:
        from firn.object_array import ObjectArray

        return ObjectArray(tuple(elements), shape)
    if raw:
        value = numpy.array(elements, pickle.loads(raw)).reshape(shape)
    else:
        value = numpy.empty(len(elements), object)
        for place, element in enumerate(elements):
            value[place] = element
        value = value.reshape(shape)
    value.flags.writeable = False
    return value


# --- thawing ---


def thaw(origin: int, block: Any, shape: tuple[int, ...], typestr: str, inner: Any) -> Any:
    """A mutable copy of what was frozen; without numpy, an array stays a firn.Array, with memory of its own."""
    if origin == OBJECTS:
        *elements, raw = inner
        return _objects(shape, (*_core.thaw(elements), raw)).copy()
    numpy = _numpy()
    if origin in (NDARRAY, SCALAR) and numpy is not None:
        value = _as_numpy(numpy, block, typestr, inner)
        return value[()] if origin == SCALAR else value.copy("K")
    if origin in (NDARRAY, ARRAY, SCALAR):
        return block.item() if origin == SCALAR else block.copy()
    view = memoryview(block)
    if origin == BYTEARRAY:
        return bytearray(view)
    if origin == TYPED:
        return array(typestr, view.tobytes()) if typestr not in ("u", "w") else array(typestr, _text(view, typestr))
    return _copied(view, typestr == "hashable")


def thaw_view(value: Any) -> Any:
    """A mutable copy of an array or memoryview that reads frozen memory; of a view that can be a key, one that can."""
    return _copied(value, _is_key(value)) if type(value) is memoryview else value.copy()


def _copied(view: memoryview, readonly: bool) -> memoryview:
    return make_view(view.tobytes(), view.format, view.shape, readonly)


def _text(view: memoryview, typecode: str) -> str:
    made = array(typecode)
    made.frombytes(view.tobytes())
    return made.tounicode()


def make_view(data: bytes, layout: str, shape: tuple[int, ...] | None, readonly: bool) -> memoryview:
    """A memoryview over memory of its own, of this format and shape where memoryview.cast can say it."""
    copied = memoryview(data if readonly else bytearray(data))
    try:
        return copied.cast(layout, shape)  # type: ignore[call-overload,no-any-return]
    except TypeError, ValueError:
        return copied
