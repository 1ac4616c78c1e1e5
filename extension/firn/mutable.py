"""What a frozen bytearray or array.array is in each interpreter: an immutable value over the heap's memory that reads as
the original does.

`isinstance(x, bytearray)` holds, by way of `__class__`; the buffer protocol gives the frozen memory, read-only. Slices
and `+` give plain, mutable objects, as reading a bytearray does. C code that asks for the exact type sees that it is
none: `bytearray(x)` and firn.thaw(x) give one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from firn._core import refuse_buffer_write

_BYTES_WRITES = ("append", "clear", "extend", "insert", "pop", "remove", "resize", "reverse", "take_bytes")
_ARRAY_WRITES = (
    "append", "byteswap", "extend", "frombytes", "fromfile", "fromlist", "fromunicode", "insert", "pop", "remove",
    "reverse", "clear",
)  # fmt: skip


class _Frozen:
    """A memoryview that reads as another type. Immutable."""

    __slots__ = ("__weakref__", "_memory")
    __hash__ = None  # type: ignore[assignment]
    _kind: type[Any]
    _memory: memoryview

    def __buffer__(self, flags: int, /) -> memoryview:
        return memoryview(self._memory)

    def _plain(self) -> Any:
        """A mutable copy; what is seldom used is done by the original's own code on it."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._memory)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._memory)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._memory)

    def __repr__(self) -> str:
        return repr(self._plain())

    def __copy__(self) -> Any:
        return self._plain()

    def __deepcopy__(self, memo: object) -> Any:
        return self._plain()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._plain().__reduce_ex__(protocol)

    def __dir__(self) -> list[str]:
        return dir(self._kind)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        refuse_buffer_write(self._memory, self._kind.__name__)

    def __delattr__(self, name: str) -> NoReturn:
        refuse_buffer_write(self._memory, self._kind.__name__)

    def __setitem__(self, key: object, value: object) -> NoReturn:
        refuse_buffer_write(self._memory, self._kind.__name__)

    def __delitem__(self, key: object) -> NoReturn:
        refuse_buffer_write(self._memory, self._kind.__name__)

    def __iadd__(self, other: object) -> NoReturn:  # type: ignore[misc]
        refuse_buffer_write(self._memory, self._kind.__name__)

    def __imul__(self, other: object) -> NoReturn:  # type: ignore[misc]
        refuse_buffer_write(self._memory, self._kind.__name__)

    def __add__(self, other: Any) -> Any:
        return self._plain() + (other._plain() if isinstance(other, _Frozen) else other)

    def __mul__(self, count: Any) -> Any:
        return self._plain() * count

    __rmul__ = __mul__

    def __eq__(self, other: object) -> Any:
        return self._plain() == _operand(other)

    def __ne__(self, other: object) -> Any:
        return self._plain() != _operand(other)

    def __lt__(self, other: Any) -> Any:
        return self._plain() < _operand(other)

    def __le__(self, other: Any) -> Any:
        return self._plain() <= _operand(other)

    def __gt__(self, other: Any) -> Any:
        return self._plain() > _operand(other)

    def __ge__(self, other: Any) -> Any:
        return self._plain() >= _operand(other)


def _operand(value: Any) -> Any:
    return value._plain() if type(value) in (FrozenByteArray, FrozenTypedArray) else value


class FrozenByteArray(_Frozen):
    """A bytearray that was frozen."""

    __module__ = "firn"  # as of all types that read as others
    __slots__ = ()
    _kind = bytearray

    def __new__(cls, *arguments: Any, **words: Any) -> Any:
        if len(arguments) == 1 and type(arguments[0]) is memoryview and arguments[0].readonly and not words:
            made = object.__new__(cls)
            object.__setattr__(made, "_memory", arguments[0])
            return made
        return bytearray(*arguments, **words)  # `type(x)(...)`, as code that copies writes it

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return bytearray

    def _plain(self) -> Any:
        return bytearray(self._memory)

    def __getitem__(self, key: Any) -> Any:
        found = self._memory[key]
        return bytearray(found) if isinstance(key, slice) else found

    def __contains__(self, value: Any) -> bool:
        return _operand(value) in self._plain()

    def __radd__(self, other: Any) -> Any:
        return other + self._plain() if isinstance(other, bytes | bytearray) else NotImplemented

    def __mod__(self, values: Any) -> Any:
        return self._plain() % values

    def __str__(self) -> str:
        return str(self._plain())

    def __sizeof__(self) -> int:
        return bytearray.__basicsize__ + len(self)

    def hex(self, *arguments: Any) -> str:
        return self._memory.hex(*arguments)

    def copy(self) -> bytearray:
        return bytearray(self._memory)

    fromhex = bytearray.fromhex
    maketrans = bytearray.maketrans


class FrozenTypedArray(_Frozen):
    """An array.array that was frozen."""

    __module__ = "firn"  # as of all types that read as others
    __slots__ = ("typecode",)
    _kind = array
    typecode: str

    def __new__(cls, *arguments: Any) -> Any:
        if len(arguments) == 2 and type(arguments[0]) is memoryview:
            made = object.__new__(cls)
            object.__setattr__(made, "_memory", arguments[0])
            object.__setattr__(made, "typecode", arguments[1])
            return made
        return array(*arguments)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return array

    def _plain(self) -> Any:
        made: array[Any] = array(self.typecode)
        made.frombytes(self._memory.tobytes())
        return made

    @property
    def itemsize(self) -> int:
        return self._memory.itemsize

    def __iter__(self) -> Iterator[Any]:
        return iter(self._plain()) if self.typecode in "uw" else iter(self._memory)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            made: array[Any] = array(self.typecode)
            made.frombytes(self._memory[key].tobytes())
            return made
        return self._plain()[key] if self.typecode in "uw" else self._memory[key]

    def __contains__(self, value: Any) -> bool:
        return any(value is one or value == one for one in self)

    def count(self, value: Any) -> int:
        return sum(value is one or value == one for one in self)

    def tolist(self) -> list[Any]:
        return list(self)

    def tobytes(self) -> bytes:
        return self._memory.tobytes()

    def buffer_info(self) -> tuple[int, int]:
        from firn._core import Array

        return Array(self._memory).__array_interface__["data"][0], len(self)


def _reading(name: str) -> Callable[..., Any]:
    """A method of the original that reads: done by the original's own code on a copy."""

    def method(self: _Frozen, *arguments: Any, **words: Any) -> Any:
        return getattr(self._plain(), name)(*map(_operand, arguments), **words)

    method.__name__ = name
    return method


def _writing(name: str) -> Callable[..., Any]:
    def method(self: _Frozen, *arguments: Any, **words: Any) -> NoReturn:
        refuse_buffer_write(self._memory, self._kind.__name__)

    method.__name__ = name
    return method


def _complete(cls: Any, writes: tuple[str, ...]) -> None:
    """Gives the class what its original has besides, by name."""
    for name in dir(cls._kind):
        if name in writes:
            setattr(cls, name, _writing(name))
        elif not name.startswith("__") and not hasattr(cls, name):
            setattr(cls, name, _reading(name))


_complete(FrozenByteArray, _BYTES_WRITES)
_complete(FrozenTypedArray, _ARRAY_WRITES)
Sequence.register(FrozenTypedArray)  # for `match`, which asks the type itself
