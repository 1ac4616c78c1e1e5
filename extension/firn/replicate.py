"""The picklers: functions and classes of the notebook go to the workers by value, on top of cloudpickle, and instances
come back to the notebook's own classes.

What crosses in another way (frozen data, other definitions, the namespace that functions read their globals from) is
left out of a pickle by a persistent id; the `Host` decides.
"""

from __future__ import annotations

import abc
import annotationlib
import copy
import copyreg
import dataclasses
import functools
import io
import itertools
import marshal
import sys
import types
import typing
import weakref
from contextlib import suppress
from enum import EnumType
from typing import Any, Protocol

import cloudpickle  # type: ignore[import-untyped]
from cloudpickle import cloudpickle as internals

from firn import exact_types, instances, names, rebuild, results, twin_parts, twins
from firn.functions import is_frozen
from firn.readable import a

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_LONG = frozenset({str, bytes})
_WORTH_A_POINTER = 256
_SKIPPED = frozenset({"__dict__", "__weakref__", "__annotate_func__", "__annotations_cache__", "_abc_impl"})
_CACHED_IN_MEMBERS = "_inverted_"  # by `~member`: no reason to ship the class anew
_WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
METHODS = frozenset({types.MethodType, types.BuiltinMethodType, types.MethodWrapperType})
_AT_BIRTH = ("__module__", "__qualname__", "__slots__", "__orig_bases__", "__class__")
_numbers = itertools.count(1)
_token_of: weakref.WeakKeyDictionary[type, int] = weakref.WeakKeyDictionary()


class Host(Protocol):
    """What a pickler asks while it meets objects."""

    namespace: dict[str, Any]

    @property
    def in_definition(self) -> bool:
        """Whether a function or class is being pickled, not data."""

    def outside(self, value: object) -> Any:
        """The persistent id of an object that crosses on its own, or None (`rebuild.UnitLoader` knows them)."""

    def meet_function(self, function: types.FunctionType) -> None:
        """A function of the notebook is about to be pickled: its code, closure and defaults are to be looked at."""

    def meet_class(self, cls: type) -> None: ...

    def meet_module(self, name: str, value: object) -> None:
        """Something that a worker will import is named in the pickle."""

    def meet_method(self, method: Any) -> None:
        """A bound method is about to be pickled, and with it a copy of the object that it belongs to."""


def token_of(cls: type) -> int:
    """The number under which a class of the notebook is known to the workers, for as long as it lives."""
    token = _token_of.get(cls)
    if token is None:
        token = _token_of[cls] = next(_numbers)
        rebuild.originals[token] = cls
    return token


class DefinitionPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles one unit (a definition, or a copy of data) of the notebook for its workers."""

    def __init__(self, file: io.BytesIO, host: Host) -> None:
        super().__init__(file, protocol=5)
        self._host = host
        self._foreign: dict[int, dict[str, Any]] = {}

    def persistent_id(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS and not (kind in _LONG and len(value) > _WORTH_A_POINTER):
            return None
        if isinstance(kind, EnumType):  # it is found through its class
            return None
        return rebuild.GLOBALS if kind is _Globals else self._host.outside(value)

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind is types.FunctionType:
            return self._function(value)
        if isinstance(value, type):
            if is_by_value(value):
                return self._class(value)
            self._host.meet_module(value.__module__, value)
            return super().reducer_override(value)
        if isinstance(kind, EnumType):
            return self._member(value, kind)
        if is_for_types(value):
            return _for_types(value)
        if kind is types.CodeType:
            return rebuild.load_code, (_marshalled(value),)
        if kind is types.CellType:
            return _cell(value)
        if kind is functools._lru_cache_wrapper and is_by_value(value.__wrapped__):
            settings = value.cache_parameters()
            return rebuild.make_cache, (value.__wrapped__, settings["maxsize"], settings["typed"])
        if kind is dataclasses.Field:
            return _field(value)
        if kind is types.ModuleType:
            self._host.meet_module(value.__name__, value)
        elif kind is types.MethodType and is_frozen(value):
            return rebuild.frozen_method, (value.__func__, value.__self__)
        elif kind is functools.partial and is_frozen(value):
            return rebuild.frozen_partial, (value.func, value.args, value.keywords)
        elif kind in METHODS and not isinstance(value.__self__, types.ModuleType | None):
            owner = value.__self__
            if owner is getattr(sys.modules.get("random"), "_inst", _Globals):
                self._host.meet_module("random", value)
                return rebuild.member_of_module, ("random", value.__name__)
            self._host.meet_method(value)
        elif kind is types.BuiltinFunctionType:
            self._host.meet_module(value.__module__ or "builtins", value)
        elif kind is functools.partialmethod:  # its __new__ wants arguments that its pickle leaves out
            return rebuild.make_partialmethod, (value.func, value.args, value.keywords)
        elif kind.__module__ == "_struct" and kind.__name__ == "Struct":
            return kind, (value.format,)
        elif value is sys.stdout or value is sys.stderr:
            return rebuild.stream, ("stdout" if value is sys.stdout else "stderr",)
        elif issubclass(kind, BaseException) and rebuild.is_made_bare(kind):
            return rebuild.reduce_bare(value)
        elif isinstance(value, io.IOBase):
            # cloudpickle would send a copy of what the file holds.
            raise TypeError(f"cannot pickle an open file ({kind.__name__})")
        elif kind in _WEAK:
            return kind, () if self._host.in_definition else (list(value) if kind is weakref.WeakSet else dict(value),)
        elif isinstance(home := getattr(kind, "__module__", None), str):
            self._host.meet_module(home, value)
            if (name := _sentinel(value, home)) is not None:
                return rebuild.member_of_module, (home, name)
        return NotImplemented

    def _function(self, function: types.FunctionType) -> Any:
        if not is_by_value(function):
            self._host.meet_module(function.__module__, function)
            return NotImplemented
        namespace, more = self._globals(function)
        state: dict[str, Any] = {"dict": dict(function.__dict__), **more}
        if is_frozen(function):
            state["frozen"] = True
        for name in ("__defaults__", "__kwdefaults__", "__module__", "__qualname__", "__doc__"):
            state[name] = getattr(function, name)
        if function.__type_params__:
            state["__type_params__"] = function.__type_params__
        made = (function.__code__, namespace, function.__name__, function.__closure__)
        return rebuild.make_function, made, state, None, None, rebuild.set_function

    def _globals(self, function: types.FunctionType) -> tuple[object, dict[str, Any]]:
        """What stands for a function's globals in the pickle, and what is to be added to them."""
        namespace = function.__globals__
        if namespace is self._host.namespace:
            self._host.meet_function(function)
            return _Globals(), {}
        name = namespace.get("__name__", "")
        module = sys.modules.get(name)
        if name != "__main__" and module is not None and vars(module) is namespace:
            self._host.meet_module(name, module)
            return _ModuleGlobals(name), {}
        own = self._foreign.setdefault(id(namespace), {"__name__": name})
        read = {name: namespace[name] for name in names.reads(function.__code__).lines if name in namespace}
        return own, {"globals": read}

    def _member(self, member: Any, cls: type) -> Any:
        """A member of an enumeration: made with its class, found in that wherever else it is met."""
        if not is_by_value(cls):
            self._host.meet_module(cls.__module__, member)
            return NotImplemented
        if self._host.outside(cls) is not None:
            return twins.member, (cls, member._name_, member._value_)
        reduction = instances.reduce(member)
        if reduction is None or type(reduction[2]) is not dict:
            raise TypeError(f"cannot pickle a member of {cls.__qualname__}: what it is made of cannot be read")
        make, arguments, state, *rest = reduction
        own = {name: value for name, value in state.items() if name != _CACHED_IN_MEMBERS}
        return make, arguments, own, *rest

    def _class(self, cls: type) -> Any:
        self._host.meet_class(cls)
        token = token_of(cls)
        slots = cls.__dict__.get("__slots__", ())
        slots = {slots} if isinstance(slots, str) else set(slots)
        own = {
            name: value
            for name, value in cls.__dict__.items()
            if not (type(value) is types.MemberDescriptorType and value.__objclass__ is cls)
        }
        body = {name: own.pop(name) for name in _AT_BIRTH if name in own}
        attributes = _without_machinery(own)
        state: dict[str, Any] = {"dict": {name: _kept(cls, name, value) for name, value in attributes.items()}}
        if isinstance(cls, EnumType):
            state["dict"]["_value2member_map_"] = _named_members(cls)
        if isinstance(cls, abc.ABCMeta):
            registered, *_ = abc._get_dump(cls)  # type: ignore[attr-defined]
            state["registered"] = [one for reference in registered if (one := reference()) is not None]
        newborn = (type(cls), cls.__name__, cls.__bases__, body, token)
        return rebuild.make_class, newborn, state, None, None, rebuild.set_class


def _named_members(cls: type) -> dict[Any, Any]:
    """The values by which an enumeration finds its members, without the combinations of flags that it has come upon."""
    found: dict[Any, Any] = vars(cls)["_value2member_map_"]
    return {value: member for value, member in found.items() if member._name_ in vars(cls)["_member_map_"]}


def _sentinel(value: Any, home: str) -> str | None:
    """Under which name the module of a value's class has this very object, where the value has nothing that could have
    been changed: dataclasses.MISSING and the like, of which `is` asks."""
    module = sys.modules.get(home)
    *classes, base = type(value).__mro__
    if (
        module is None
        or home == "__main__"
        or not (classes and all(map(rebuild.is_mutable, classes)) and base is object)
    ):
        return None
    with suppress(AttributeError):
        if object.__getattribute__(value, "__dict__"):
            return None
    if any(vars(one).get("__slots__") for one in classes):
        return None
    return next((name for name, one in vars(module).items() if one is value), None)


class _Globals:
    """Stands for the shared namespace inside a pickle (its persistent id replaces it)."""


class _ModuleGlobals:
    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Any:
        return rebuild.module_globals, (self._name,)


def _without_machinery(body: dict[str, Any]) -> dict[str, Any]:
    """A class's attributes without what Python makes by itself, or what belongs to one interpreter."""
    return {
        name: value
        for name, value in body.items()
        if name not in _SKIPPED and type(value) is not types.GetSetDescriptorType
    }


def _kept(cls: type, name: str, value: Any) -> Any:
    """An attribute of a class, or what stands for it in a worker: a lock or a counter is no reason to refuse a class that
    the loop can do without it."""
    if isinstance(value, (types.FunctionType, types.ModuleType)) or value is sys.stdout or value is sys.stderr:
        return value
    if type(value) in _WEAK and len(value):
        kind_name = type(value).__name__
        return rebuild.Withheld(
            f"the loop's code uses {cls.__qualname__}.{name}, a {kind_name}, which refers to objects that workers have others of",
            "use a list or a dict instead",
        )
    try:
        twin_parts.refuse_if_known(type(value))
    except twin_parts.Refused as refusal:
        try:
            value.__reduce_ex__(5)
        except Exception:
            kind = type(value)
            called = (
                kind.__qualname__.lstrip("_")
                if kind.__module__[:1] in "_b"
                else f"{kind.__module__}.{kind.__qualname__}"
            )
            lost = isinstance(refusal, twin_parts.Lost)
            return rebuild.Withheld(
                f"the loop's code uses {cls.__qualname__}.{name}, {a(called)}, which no worker can have",
                "do what needs it before or after the loop" if lost else str(refusal),
            )
    return value


def _marshalled(code: types.CodeType) -> bytes:
    """Code as bytes that are the same each time: later formats refer back to what others than the code refer to, too."""
    try:
        return marshal.dumps(code, 2)
    except ValueError:  # a slice among its constants
        return marshal.dumps(code)


def _cell(cell: types.CellType) -> Any:
    try:
        content = cell.cell_contents
    except ValueError:
        return rebuild.make_cell, ()
    return rebuild.make_cell, (), (content,), None, None, rebuild.set_cell


def _field(field: dataclasses.Field[Any]) -> Any:
    """A dataclass's field with its type as text: an annotation is no reason to import numpy in a worker."""
    plain = copy.copy(field)
    if not (isinstance(field.type, type) and field.type.__module__ == "builtins"):
        plain.type = field.type if isinstance(field.type, str) else annotationlib.type_repr(field.type)
    return plain.__reduce_ex__(5)


_VARIABLES = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple)


def is_for_types(value: object) -> bool:
    """Whether something of the notebook is a name for types: a NewType, `type T = ...`, a type variable. It is what it is by
    its identity, and pickle only looks for its name in its module."""
    kind = type(value)
    known = kind in _VARIABLES or kind is typing.TypeAliasType or kind is typing.NewType
    return known and getattr(value, "__module__", None) == "__main__"


def _for_types(value: Any) -> Any:
    """Such a name by value; what it stands for follows where that may refer to the name itself."""
    kind = type(value)
    if kind is typing.NewType:
        return copyreg.__newobj__, (kind,), dict(vars(value))  # type: ignore[attr-defined]
    if kind is typing.TypeAliasType:
        if value.__type_params__:
            if _mentions(value.__value__, value):  # its parameters can only be given together with its value
                raise TypeError("cannot pickle a type statement with parameters that refers to itself")
            return rebuild.make_generic_alias, (value.__name__, value.__value__, value.__type_params__)
        return rebuild.make_alias, (value.__name__,), (value.__value__,), None, None, rebuild.set_alias
    words = {"default": value.__default__} if value.has_default() else {}
    if kind is not typing.TypeVarTuple:
        names = ("bound", "covariant", "contravariant", "infer_variance")
        words |= {name: getattr(value, f"__{name}__") for name in names}
    constraints = value.__constraints__ if kind is typing.TypeVar else ()
    return rebuild.make_type_variable, (kind.__name__, (value.__name__, *constraints), words)


def _mentions(form: Any, alias: object) -> bool:
    todo = [form]
    for one in todo:
        if one is alias:
            return True
        todo += [*typing.get_args(one), *filter(None, [typing.get_origin(one)])]
    return False


def is_by_value(definition: Any) -> bool:
    """Whether a function or class is the notebook's own (or was made at run time), so that no worker can import it."""
    if isinstance(definition, type) and not rebuild.is_mutable(definition):
        return False
    return (
        getattr(definition, "__module__", None) == "__main__"
        or internals._lookup_module_and_qualname(definition) is None
    )


def dump(value: object, host: Host) -> bytes:
    """One unit's pickle. Errors are the pickle module's, or what a `__reduce__` raised."""
    return dump_with_memo(value, host)[0]


def dump_with_memo(value: object, host: Host) -> tuple[bytes, rebuild.Memo]:
    """The same, and the objects in it by the numbers that whoever loads it knows them by."""
    file = io.BytesIO()
    pickler = DefinitionPickler(file, host)
    pickler.dump(value)
    del pickler._host  # which may hold what is returned

    def memo() -> dict[int, Any]:
        return dict(pickler.memo.copy().values())

    return file.getvalue(), memo


class _ResultPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """For results that hold code (see `firn.results`)."""

    def __init__(self, file: io.BytesIO, exact: bool, lends: bool) -> None:
        super().__init__(file, protocol=5)
        self._exact, self._lent = exact, rebuild.borrowed if lends else None

    def persistent_id(self, value: Any) -> Any:
        return None if self._lent is None else self._lent.place(value)

    def reducer_override(self, value: Any) -> Any:
        if type(value) is types.CodeType:
            return rebuild.load_code, (marshal.dumps(exact_types.as_written(value)),)
        reduced = results.reduce(value, self._exact)
        return super().reducer_override(value) if reduced is None else reduced


def dump_result(value: object, exact: bool, lends: bool) -> bytes:
    """A worker's result, functions and classes that it made by value."""
    file = io.BytesIO()
    _ResultPickler(file, exact, lends).dump(value)
    return file.getvalue()
