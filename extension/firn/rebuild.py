"""What the pickles of definitions call when they are loaded: makes the functions, cells and classes in a worker, and
finds the notebook's own class again for instances that come back.

Imported by every worker at its start, therefore without any import that takes time.
"""

from __future__ import annotations

import functools
import importlib
import io
import marshal
import pickle
import sys
import types
import weakref
from _abc import _abc_init  # type: ignore[import-not-found]
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from firn import _core, exact_types, functions
from firn.optouts import SEALED

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, NoReturn

lent: weakref.WeakValueDictionary[int, Lent] = weakref.WeakValueDictionary()
"""Shipment's number -> what it lent to the workers, as long as the job lasts; each side holds its own objects."""

borrowed: Lent | None = None
"""In a worker: what the shipment lent that it works on."""

caches: weakref.WeakSet[Any] = weakref.WeakSet()
"""In a worker: the functools caches of the notebook's functions."""

type Memo = Callable[[], dict[int, Any]]

ATOMS = frozenset({str, bytes, int, float, complex, bool, type(None)})

GLOBALS = "globals"
"""The persistent id of the namespace that all functions of the notebook share in a worker."""

_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8  # Py_TPFLAGS_HEAPTYPE, Py_TPFLAGS_IMMUTABLETYPE

tokens: weakref.WeakKeyDictionary[type, int] = weakref.WeakKeyDictionary()
"""In a worker: class -> the number of the notebook's class that it is the replica of."""

replicas: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()
"""The other way round."""

originals: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()
"""In the notebook: number -> class."""


def module_globals(name: str) -> dict[str, Any]:
    """The globals of an imported module, for functions that were made by one of its functions (decorators)."""
    return vars(importlib.import_module(name))


def member_of_module(module: str, name: str) -> Any:
    """What a module keeps for itself: a method of an object of its own (random.random), a sentinel."""
    return getattr(importlib.import_module(module), name)


def load_code(raw: bytes) -> types.CodeType:
    return exact_types.loaded(marshal.loads(raw))


def stream(name: str) -> Any:
    """The worker's own stream in the place of the notebook's."""
    return getattr(sys, name)


def make_function(
    code: types.CodeType, namespace: dict[str, Any], name: str, closure: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    return types.FunctionType(code, namespace, name, None, closure)


def set_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    function.__globals__.update(state.pop("globals", ()))
    exact_types.follow(function.__globals__)
    function.__dict__.update(state.pop("dict"))
    if state.pop("frozen", False):
        functions.remember(function)
    for name, value in state.items():
        setattr(function, name, value)


def make_cell() -> types.CellType:
    return types.CellType()


def set_cell(cell: types.CellType, content: tuple[Any, ...]) -> None:
    (cell.cell_contents,) = content


def make_cache(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Callable[..., Any]:
    """A functools.lru_cache of its own for this worker."""
    made = functools.lru_cache(maxsize, typed)(function)
    caches.add(made)
    return made


def frozen_method(function: Callable[..., Any], owner: Any) -> types.MethodType:
    """A method that the notebook froze: with its own function, not with the one that the owner's class has now."""
    return functions.remember(types.MethodType(function, owner))


def frozen_partial(function: Any, arguments: tuple[Any, ...], words: dict[str, Any]) -> functools.partial[Any]:
    return functions.remember(functools.partial(function, *arguments, **words))


def make_partialmethod(function: Any, arguments: tuple[Any, ...], words: dict[str, Any]) -> Any:
    return functools.partialmethod(function, *arguments, **words)


def make_type_variable(kind: str, arguments: tuple[Any, ...], words: dict[str, Any]) -> Any:
    import typing  # late: few notebooks have any

    made = getattr(typing, kind)(*arguments, **words)
    made.__module__ = "__main__"
    return made


def make_generic_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    import typing

    words = {
        "__name__": "__main__",
        "make": typing.TypeAliasType,
        "name": name,
        "value": value,
        "parameters": parameters,
    }
    return eval("make(name, value, type_params=parameters)", words)  # its module is that of the code that makes it


def make_alias(name: str) -> Any:
    """A `type` statement's name, whose value follows (`set_alias`): it may refer to the name itself."""
    words: dict[str, Any] = {"__name__": "__main__", "__firn_value__": []}
    exec(f"type {name} = __firn_value__[0]", words)
    return words.pop(name)


def set_alias(alias: Any, state: tuple[Any, ...]) -> None:
    alias.evaluate_value.__globals__["__firn_value__"][:] = state
    _ = alias.__value__  # which is kept


def make_class(metaclass: type, name: str, bases: tuple[type, ...], body: dict[str, Any], token: int) -> type:
    """A class without its attributes, which follow (`set_class`): methods may refer to the class itself.

    The hooks that ran when the notebook made the class (`__init_subclass__`, a metaclass's `__new__`) do not run again:
    what they did is part of the attributes, as are the members of an enumeration.
    """
    with _without_hooks(bases):
        made: type = type.__new__(metaclass, name, bases, body)
    if issubclass(metaclass, ABCMeta):
        _abc_init(made)
    tokens[made], replicas[token] = token, made
    return made


def set_class(cls: type, state: dict[str, Any]) -> None:
    for name, value in state.pop("dict").items():
        type.__setattr__(cls, name, value)
    for subclass in state.pop("registered", ()):
        cls.register(subclass)  # type: ignore[attr-defined]
    if SEALED in vars(cls):
        _core.seal_class(cls, True)


def is_mutable(cls: type) -> bool:
    """Whether a class was made by a class statement (or a call of type), not by C code; `@firn.frozen` ones as well."""
    return cls.__flags__ & (_HEAP_TYPE | _IMMUTABLE_TYPE) == _HEAP_TYPE or SEALED in vars(cls)


@contextmanager
def _without_hooks(bases: tuple[type, ...]) -> Iterator[None]:
    owners = [cls for base in bases for cls in base.__mro__ if "__init_subclass__" in vars(cls) and is_mutable(cls)]
    hooks = {cls: vars(cls)["__init_subclass__"] for cls in owners}
    sealed = [cls for cls in owners if SEALED in vars(cls)]
    for cls in sealed:
        _core.seal_class(cls, False)
    for cls in hooks:
        type.__setattr__(cls, "__init_subclass__", classmethod(lambda cls, **words: None))
    try:
        yield
    finally:
        for cls, hook in hooks.items():
            type.__setattr__(cls, "__init_subclass__", hook)
        for cls in sealed:
            _core.seal_class(cls, True)


def notebook_class(token: int, qualname: str) -> type:
    """The notebook's class that a worker's replica stands for; the one of that name now, if it is gone."""
    original = originals.get(token) or replicas.get(token)  # the latter: a worker looks at its own pickle
    if original is None:
        original = functools.reduce(getattr, qualname.split("."), sys.modules["__main__"])  # type: ignore[assignment]
    assert original is not None
    return original


_UNIT = 40
"""Bits of a position in a unit."""


class Lent:
    """What crossed as copies, so that one that comes back in a result is the notebook's own object again: a sentinel,
    a configuration, one of the instances that the loop ran over. Notebook and worker number the objects alike."""

    def __init__(
        self, number: int, values: dict[int, Any], memos: dict[int, Memo], must_not_change: bool = False
    ) -> None:
        """Both by the number of their unit. A pickle's memo knows all objects in it, by the same numbers on both sides.
        `must_not_change`: that nobody has changed them is for `firn.watch` to see."""
        self.number = number
        self.must_not_change = must_not_change
        self._values, self._memos = values, memos
        self._parts: dict[int, dict[int, Any]] = {}
        self._anew: dict[int, tuple[Any, Any]] = {}
        self._places: dict[int, int] | None = None  # id -> unit's number and position, as one
        lent[number] = self

    @property
    def has_copies(self) -> bool:
        return bool(self._memos)

    def place(self, value: Any) -> tuple[int, int, int] | None:
        """What `lent_object` finds an object by, if it was lent: this, its unit's number, its position in that or -1."""
        if self._places is None:
            self._places = {}
            for unit in {**self._values, **self._memos}:
                first, parts = (unit << _UNIT) + 1, self._parts_of(unit)
                self._places.update({id(part): first + at for at, part in parts.items() if type(part) not in ATOMS})
            for unit, whole in self._values.items():
                if type(whole) not in ATOMS:
                    self._places[id(whole)] = unit << _UNIT
        found = self._places.get(id(value))
        return None if found is None else (self.number, found >> _UNIT, (found & (1 << _UNIT) - 1) - 1)

    def addresses(self) -> list[int]:
        """Those of the objects that have a place."""
        self.place(None)
        assert self._places is not None
        return [*self._places]

    def made_anew(self, others: dict[int, tuple[Any, Any]]) -> None:
        """The notebook has others in the place of some objects from now on: id -> (it, the other one)."""
        self._anew = others

    def at(self, unit: int, position: int) -> Any:
        found = self._values[unit] if position < 0 else self._parts_of(unit)[position]
        return self._anew[id(found)][1] if id(found) in self._anew else found

    def _parts_of(self, unit: int) -> dict[int, Any]:
        """They stay alive, so that their ids stay theirs."""
        if unit not in self._parts:
            if unit in self._memos:
                self._parts[unit] = self._memos[unit]()
            else:
                value = self._values[unit]
                whole = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
                self._parts[unit] = dict(enumerate(whole))
        return self._parts[unit]


def lent_object(number: int, unit: int, position: int) -> Any:
    return lent[number].at(unit, position)


class ResultLoader(pickle.Unpickler):
    """Loads a worker's result in the notebook."""

    def persistent_load(self, pid: Any) -> Any:
        return lent_object(*pid)


class Stopped(BaseException):
    """Raised in the middle of a worker's code when nobody wants its result any more."""


class Refused:
    """Stands for something that a worker cannot have and that the cell does not seem to use; says so when it does."""

    def __init__(self, message: str) -> None:
        self.__dict__["_message"] = message

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise ImportError(self.__dict__["_message"])

    def __call__(self, *arguments: object, **words: object) -> NoReturn:
        raise ImportError(self.__dict__["_message"])


missed: list[BaseException] = []
"""In a worker: what its job has asked for and cannot have. The job fails by it, whatever the user's code catches."""


class Withheld:
    """Stands for a class's attribute that no worker can have; says so when code asks for it."""

    def __init__(self, what: str, remedy: str) -> None:
        self._what, self._remedy = what, remedy

    def __get__(self, instance: object, owner: type) -> NoReturn:
        from firn.names import Unshippable

        error = Unshippable(self._what, self._remedy)
        missed.append(error)
        raise error


type Link = tuple[int | None, int | None, bool, str | None]
"""Of an exception: the places of its cause and its context among several, whether it hides the context (`from None`), and
the name of a NameError."""


def raised(errors: list[BaseException], links: list[Link]) -> BaseException:
    """The first of several exceptions, which get what their own pickles leave out."""
    fields: Any = vars(BaseException)  # these run no code of the exceptions' classes
    for error, (cause, context, suppressed, name) in zip(errors, links, strict=True):
        if cause is not None:
            fields["__cause__"].__set__(error, errors[cause])
        if context is not None:
            fields["__context__"].__set__(error, errors[context])
        fields["__suppress_context__"].__set__(error, suppressed)
        if isinstance(error, NameError):
            error.name = name
    return errors[0]


def bare(
    cls: type[BaseException], builtin: type[BaseException], arguments: tuple[Any, ...], state: dict[str, Any] | None
) -> BaseException:
    """An exception as its builtin base class makes it, without the `__init__` that the class itself has."""
    error = builtin.__new__(cls, *arguments)
    builtin.__init__(error, *arguments)
    if state is not None:
        error.__setstate__(state)
    return error


def is_made_bare(cls: Any) -> bool:
    """Whether pickle would call the `__init__` of an exception's own class: it may want other arguments than those that it
    has passed on."""
    ways = (cls.__reduce__, cls.__reduce_ex__)
    return is_mutable(cls) and all(type(way) is not types.FunctionType for way in ways)


def reduce_bare(error: BaseException) -> tuple[Any, ...]:
    """The reduction of an exception to its class, arguments and attributes, without its `__init__`."""
    cls = type(error)
    builtin: Any = next(one for one in cls.__mro__ if not is_mutable(one))
    _, arguments, state = (*builtin.__reduce__(error), None)[:3]
    return bare, (cls, builtin, arguments, state)


class UnitLoader(pickle.Unpickler):
    """Loads one unit in a worker; `found` are the values that it refers to, by number."""

    def __init__(self, raw: bytes, namespace: dict[str, Any], found: list[Any]) -> None:
        super().__init__(io.BytesIO(raw))
        self._namespace, self._found = namespace, found

    def kept_memo(self) -> Memo:
        """The objects of the pickle, when it has been loaded."""
        del self._namespace, self._found
        return self.memo.copy

    def persistent_load(self, pid: Any) -> Any:
        if type(pid) is tuple:  # the address of something frozen
            return _core.adopt(*pid)
        return self._namespace if pid == GLOBALS else self._found[pid]
