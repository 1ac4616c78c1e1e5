"""What stays mutable in frozen data, and in the functions and classes that workers share (PEP 795's escape hatches).

Both objects hold nothing but a number: frozen, pickled or captured by a function they mean the same place.
"""

from __future__ import annotations

from firn import _core
from firn.readable import a

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Self

_values: dict[int, Any] = {}
"""Of this interpreter: the key of a `Local` -> its value."""

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis)})


class SharedField[T]:
    """A place for one frozen value that all interpreters read and write; made by `firn.shared_field`."""

    __slots__ = ("_field",)
    _field: int

    def get(self) -> T:
        """The value now. Another interpreter may store another one at any time."""
        value: T = _core.shared_get(self._field)
        return value

    def set(self, value: T) -> None:
        """Stores a value. Raises TypeError for one that can change: `field.set(firn.freeze(value))` stores its frozen
        form."""
        _core.shared_swap(self._field, _unchangeable(value))

    def swap(self, value: T) -> T:
        """Stores a value and returns the one that was there before, in one step. Raises TypeError as `set` does."""
        before: T = _core.shared_swap(self._field, _unchangeable(value))
        return before

    def compare_and_swap(self, expected: T, value: T) -> bool:
        """Stores a value if the field still holds the expected one, in one step; whether it did.

        Frozen objects are compared by identity, numbers, strings, bytes and tuples of these by value and type. Raises
        TypeError as `set` does.

        >>> while not count.compare_and_swap(old := count.get(), old + 1):
        ...     pass
        """
        return _core.shared_compare_and_swap(self._field, expected, _unchangeable(value))

    @classmethod
    def _of(cls, field: int) -> Self:
        self = cls()
        object.__setattr__(self, "_field", field)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(f"a shared field is frozen: field.set(...) changes its value, not field.{name}")

    def __delattr__(self, name: str) -> None:
        raise TypeError("a shared field is frozen: field.set(...) changes its value")

    def __reduce__(self) -> Any:
        return _shared_field_at, (self._field,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedField) and other._field == self._field

    def __hash__(self) -> int:
        return hash((SharedField, self._field))

    def __repr__(self) -> str:
        return f"shared_field({self.get()!r})"


def shared_field[T](initial: T) -> SharedField[T]:
    """A place for one frozen value that the notebook and all workers read and write (PEP 795).

    `initial` is frozen. The field itself counts as frozen: it may stand in frozen data, be a class's attribute, or a
    global that a `%%parallel` cell reads, and means the same place everywhere.

    >>> count = firn.shared_field(0)

    It has `get()`, `set(value)`, `swap(value)` and `compare_and_swap(expected, value)`, each in one step. Values must not
    be able to change: numbers, strings, bytes, tuples of these, and what `firn.freeze` returned. A field lives as long as
    the process. The result of a parallel loop that depends on the order in which workers come to a field is not the
    serial loop's. Raises NotFreezableError for an initial value that cannot be frozen.
    """
    from firn.functions import freeze

    return SharedField._of(_core.new_shared_field(freeze(initial)))


def _shared_field_at(field: int) -> SharedField[Any]:
    return SharedField._of(field)


def _unchangeable[T](value: T) -> T:
    if type(value) in _PLAIN or _core.is_frozen(value) or _cannot_change(value):
        return value
    raise TypeError(
        f"a shared field holds what cannot change, and {a(type(value).__name__)} can: "
        "field.set(firn.freeze(value)) stores its frozen form"
    )


def _cannot_change(value: object) -> bool:
    todo, seen = [value], set()
    while todo:
        one = todo.pop()
        if type(one) in (tuple, frozenset):
            if id(one) not in seen:
                seen.add(id(one))
                todo += one  # type: ignore[arg-type]
        elif not (type(one) in _PLAIN or _core.is_frozen(one) or type(one) in _dates()):
            return False
    return True


def _dates() -> frozenset[type]:
    import datetime

    return frozenset({datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone})


class Local[T]:
    """A place of which every interpreter has a value of its own; made by `firn.local`."""

    __slots__ = ("_initial", "_key")
    _key: int
    _initial: Any

    def get(self) -> T:
        """This interpreter's value; the first time, the initial one."""
        if self._key not in _values:
            initial = self._initial
            # While a factory runs, it may ask for the value itself: the first one that is stored stays.
            value = initial() if callable(initial) else initial
            _values.setdefault(self._key, value)
        found: T = _values[self._key]
        return found

    def set(self, value: T) -> None:
        """Stores a value, for this interpreter alone. It may be any object."""
        _values[self._key] = value

    @classmethod
    def _of(cls, key: int, initial: Any) -> Self:
        self = cls()
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "_initial", initial)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(f"an interpreter-local field is frozen: field.set(...) changes its value, not field.{name}")

    def __delattr__(self, name: str) -> None:
        raise TypeError("an interpreter-local field is frozen: field.set(...) changes its value")

    def __reduce__(self) -> Any:
        return _local_at, (self._key, self._initial)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Local) and other._key == self._key

    def __hash__(self) -> int:
        return hash((Local, self._key))

    def __repr__(self) -> str:
        return f"local({self.get()!r})"


def local[T](initial: Any) -> Local[T]:
    """A place of which the notebook and each worker has a value of its own, mutable or not (PEP 795).

    `initial` is either a function without arguments, which each interpreter calls when it first needs the value, or the
    value itself; it is frozen. The field may stand in frozen data, be a class's attribute or a global.

    >>> cache = firn.local(dict)
    >>> cache.get()["answer"] = 42  # seen by this interpreter only

    It has `get()` and `set(value)`. A worker's value lives as long as the worker.
    Raises NotFreezableError for an initial value that cannot be frozen.
    """
    from firn.functions import freeze

    return Local._of(_core.new_local_key(), freeze(initial))


def _local_at(key: int, initial: Any) -> Local[Any]:
    return Local._of(key, initial)
