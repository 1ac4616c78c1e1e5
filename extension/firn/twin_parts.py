"""Takes apart what the heap cannot share as it is: what a twin is made from.

`firn._core` calls `take_apart()` while it freezes, with nothing else going on. What it returns is frozen in the object's
place: a callable and its arguments, or a pickle of both with its buffers beside it, and the *values* of the object's
state, items and entries, which are frozen by reference like everything else. `firn.twins` puts it together again.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import io
import marshal
import pickle
import re
import sys
import types
import weakref
from collections import Counter
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from firn import _core, exact_types, instances, rebuild, twins
from firn.readable import a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The recipes of heap/twins/recipes.hpp.
CALL, PICKLED, MEMBER, METHOD = 0, 1, 2, 3


class Parts(NamedTuple):
    """What a twin is made from."""

    recipe: int
    unchanging: bool  # the object never changes: it may stand for itself when it is frozen again
    keep: bool  # it compares by identity: who froze it goes on with the very object
    parts: tuple[Any, ...]
    state: tuple[Any, ...] | None  # the plan, then the values


class Refused(TypeError):
    """A value that no other interpreter can have; the message is the way out."""


class Lost(Refused):
    """A value that every interpreter could have, but what happens to it in one would be lost in silence.

    `what` says what it is and what would be lost, as a sentence that starts with its name ("rows[3] is ...").
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"It {what}: {remedy}.")
        self.what, self.remedy = what, remedy


_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, range, type(...), date, timedelta, timezone})
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
_METHODS = frozenset({types.MethodType, types.BuiltinMethodType, types.MethodWrapperType})
_NEVER_CHANGED = (str, bytes, int, float, complex, tuple, frozenset, range, type)


# ---- what is refused ----

_CONNECTION = "open it where it is used (in a worker, inside the loop) and keep here what opens it: a path, an address"
_RUNNING = "it is in the middle of running: make a list of what it gives, or call its function where it is used"
_ADVICE: dict[str, str] = {
    "_socket.socket": _CONNECTION,
    "sqlite3.Connection": "keep the path of the database and connect where it is used, or fetch the rows into a list",
    "sqlite3.Cursor": "fetch its rows into a list",
    "_io.TextIOWrapper": "read its content into a string, or keep its path and open it where it is used",
    "_io.BufferedReader": "read its content into bytes, or keep its path and open it where it is used",
    "_io.BufferedWriter": "keep its path and open it where it is used",
    "_io.BufferedRandom": "read its content into bytes, or keep its path and open it where it is used",
    "_io.BufferedRWPair": _CONNECTION,
    "_io.FileIO": "read its content into bytes, or keep its path and open it where it is used",
    "mmap.mmap": "copy it into bytes, or keep its path and map it where it is used",
    "_thread.lock": "frozen values never change, and no lock is needed to read them: leave it out",
    "_thread.RLock": "frozen values never change, and no lock is needed to read them: leave it out",
    "_thread._local": "make it where it is used",
    "threading.Thread": "leave it out",
    "_contextvars.ContextVar": "keep its value",
    "_contextvars.Context": "keep the values",
    "generator": _RUNNING,
    "async_generator": _RUNNING,
    "coroutine": _RUNNING,
    "frame": "leave it out",
    "traceback": "keep its text: traceback.format_tb()",
    "weakref.ReferenceType": "a weak reference dies with the interpreter that made it: keep the object, or a key of it",
    "weakref.ProxyType": "a weak reference dies with the interpreter that made it: keep the object, or a key of it",
    "weakref.CallableProxyType": "a weak reference dies with the interpreter that made it: keep the object",
    "_io.StringIO": "keep its text: .getvalue()",
    "_io.BytesIO": "keep its bytes: .getvalue()",
    "module": "import it where it is used, and keep its name",
    "_asyncio.Task": _RUNNING,
    "_asyncio.Future": _RUNNING,
    "select.epoll": _CONNECTION,
    "subprocess.Popen": "leave it out",
    "xml.etree.ElementTree.Element": "keep what you need of it: a dict, a tuple, the text of ElementTree.tostring()",
    "cell": "keep its content",
}
_BY_NAME: dict[type, str] = {
    types.GeneratorType: "generator",
    types.AsyncGeneratorType: "async_generator",
    types.CoroutineType: "coroutine",
    types.FrameType: "frame",
    types.TracebackType: "traceback",
    types.ModuleType: "module",
    types.CellType: "cell",
    weakref.ReferenceType: "weakref.ReferenceType",
    weakref.ProxyType: "weakref.ProxyType",
    weakref.CallableProxyType: "weakref.CallableProxyType",
}


def refuse_if_known(kind: type) -> None:
    """Raises Refused for objects of a type that are of use only where they are."""
    for base in kind.__mro__:
        name = _BY_NAME.get(base) or f"{base.__module__}.{base.__qualname__}"
        if name in _ADVICE:
            raise Refused(_ADVICE[name])
        if name == "random.Random":
            raise Lost(
                "is a random generator, and every interpreter would have its own copy, which gives the same numbers",
                "keep its seed, or draw from the random module",
            )
    if _inherited(kind, "__next__") is not None:
        raise Lost(
            "is an iterator, which is used up as it is read, and every interpreter would have its own copy",
            "list(...) keeps what it gives",
        )


# ---- what has a short way ----


def _short(function: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], Parts]:
    """A type whose objects never change and are made by one call."""
    return lambda value: Parts(CALL, True, False, function(value), None)


def _zoned(value: Any) -> Parts:
    return Parts(CALL, True, False, (twins.attach_zone, value.replace(tzinfo=None), value.tzinfo), None)


def _partial(value: Any) -> Parts:
    attributes = value.__dict__
    held = value.func, *value.args, *value.keywords.values()
    parts = twins.make_partial, type(value), tuple(value.keywords), *held
    # One that holds what is frozen is not the notebook's own any more: that goes on changing what it holds.
    keep = all(map(_is_constant, held))
    if attributes:
        return Parts(CALL, False, keep, parts, _state(twins.ATTRIBUTES, attributes))
    return Parts(CALL, keep, keep, parts, None)


def _cached(value: Any) -> Parts:
    settings = value.cache_parameters()
    parts = twins.make_cached, value.__wrapped__, settings["maxsize"], settings["typed"]
    return Parts(CALL, True, True, parts, None)


def _zone(value: Any) -> Parts:
    arguments = value.__reduce__()[1]
    if len(arguments) == 2 and arguments[1]:  # from the cache of its class
        return Parts(CALL, True, False, (type(value), arguments[0]), None)
    return _in_general(value, type(value))


def _pattern(value: re.Pattern[Any]) -> Parts:
    return Parts(CALL, True, False, (re.compile, value.pattern, value.flags & ~re.DEBUG), None)


def _method(value: types.MethodType) -> Parts:
    """A function and a frozen object: what it changes there is refused, as in all frozen data."""
    if type(value.__self__) is Counter:  # whose methods in Python change it as a dict
        return _method_of_c(value)
    return _bound(value, twins.bind, value.__func__)


def _method_of_c(value: Any) -> Parts:
    owner = type(value.__self__)
    if owner is type(None) or owner is types.ModuleType:
        return _in_general(value, type(value))
    if issubclass(owner, _NEVER_CHANGED):
        return Parts(CALL, False, False, (twins.member_of, value.__self__, value.__name__), None)
    if owner is bytearray or owner is memoryview or (owner.__module__, owner.__name__) == ("array", "array"):
        raise lost_method(value)  # they freeze to views, which lack most of their methods
    return _bound(value, twins.member_of, value.__name__)


def _bound(method: Any, make: Any, how: Any) -> Parts:
    owner = method.__self__
    try:
        refuse_if_known(type(owner))
    except Refused:
        raise lost_method(method) from None
    logging = sys.modules.get("logging")
    if logging is not None and issubclass(type(owner), logging.Logger):  # every interpreter has its own, by its name
        return Parts(CALL, False, False, (make, owner, how), None)
    return Parts(METHOD, True, False, (make, owner, how), None)


def lost_method(method: Any) -> Lost:
    """Why a method is refused whose object does not freeze by reference. `firn._core` asks when it sees that."""
    kind = type(method.__self__).__name__
    return Lost(
        f"is the method .{method.__name__}() of {a(kind)}, of which every interpreter would have its own copy, "
        "and what it changes there would be lost",
        f"keep the {kind}'s data instead, and make {a(kind)} where the method is called",
    )


def _code(value: types.CodeType) -> Parts:
    return Parts(CALL, True, False, (twins.load_code, marshal.dumps(exact_types.as_written(value))), None)


def _uuid(value: Any) -> Parts:
    if value.is_safe.value is not None:
        return _in_general(value, type(value))
    return Parts(CALL, True, False, (twins.make_uuid, value.int), None)


_short_ways: dict[type, Callable[[Any], Parts]] = {
    re.Pattern: _pattern,
    functools.partial: _partial,
    functools._lru_cache_wrapper: _cached,
    types.MethodType: _method,
    types.BuiltinMethodType: _method_of_c,
    types.MethodWrapperType: _method_of_c,
    types.CodeType: _code,
    object: lambda value: Parts(CALL, True, True, (object,), None),
    datetime: _zoned,
    time: _zoned,
    type(date.min.isocalendar()): _short(lambda value: (twins.make_iso_week, *value)),
    **{
        type(getattr(sys, name)): _short(lambda value: (twins.of_interpreter, type(value).__name__))
        for name in ("version_info", "flags", "hash_info", "int_info", "float_info", "thread_info")
    },
}
# By name: importing them for a value that may never come would be slow.
_by_module: dict[tuple[str, str], Callable[[Any], Parts]] = {
    ("decimal", "Decimal"): _short(lambda value: (type(value), str(value))),
    ("fractions", "Fraction"): _short(lambda value: (type(value), value.numerator, value.denominator)),
    ("uuid", "UUID"): _uuid,
    ("zoneinfo", "ZoneInfo"): _zone,
    **{
        ("pathlib", name): _short(lambda value: (type(value), str(value)))
        for name in ("PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath")
    },
}


def _find_short_way(kind: type) -> Callable[[Any], Parts] | None:
    found = _short_ways.get(kind)
    if found is None:
        module = getattr(kind, "__module__", "")
        root = str(module).partition(".")[0]
        name = kind.__qualname__
        found = _by_module.get((root, name))
        if found is None or getattr(sys.modules.get(module), name, None) is not kind:
            return None
        _short_ways[kind] = found
    return found


# ---- what tells pickle how it is made ----


def take_apart(value: Any) -> Parts:
    """What the value's twin is made from. Raises what its `__reduce_ex__` raises, and Refused."""
    kind = type(value)
    short = _find_short_way(kind)
    if short is not None:
        return short(value)
    if issubclass(type(kind), enum.EnumType):
        parts = kind, value._name_ if value._name_ in kind._member_map_ else None, value._value_
        return Parts(MEMBER, True, False, parts, None)
    refuse_if_known(kind)
    return _in_general(value, kind)


def _in_general(value: Any, kind: type) -> Parts:
    if instances.speaker_of(kind) is None and not _is_for_array_libraries(kind):
        exact = _exactly(value, kind)
        if exact is not None:
            return exact
    reduction = _reduction_of(value, kind)
    keep = kind.__eq__ is object.__eq__  # type: ignore[comparison-overlap]
    if isinstance(reduction, str):
        module = pickle.whichmodule(value, reduction)  # type: ignore[attr-defined]
        if module == "__main__":
            raise Refused("no other interpreter has the notebook's names: keep what it stands for")
        return Parts(CALL, not rebuild.is_mutable(kind), keep, (twins.named, module, reduction), None)
    make, arguments, state, items, pairs, setter = _checked(reduction, kind)
    if state is None and setter is None and type(_inherited(kind, "__reduce__")) is types.MethodDescriptorType:
        # In C: that of a defaultdict, for one, knows nothing of the attributes of a subclass.
        state = object.__getattribute__(value, "__dict__") if kind.__dictoffset__ else None
        state = state or None
    if issubclass(kind, BaseException) and make is kind:
        return _exception(value, arguments, state)
    apart = _is_light(make, arguments) and not _is_for_array_libraries(kind)
    filling = _filling(kind, state, items, pairs, setter) if apart else None
    if filling is _HEAVY or not apart:
        return _pickled(value, kind, keep)
    if make is copyreg.__newobj__ and not filling and kind.__flags__ & 1 << 9 == 0:  # type: ignore[attr-defined]
        keep = keep and not arguments
    # An operator.itemgetter and the like: of C, without attributes, and all that they are in their arguments.
    unchanging = (
        keep
        and not filling
        and not kind.__dictoffset__
        and not rebuild.is_mutable(kind)
        and all(map(_is_constant, arguments))
    )
    return Parts(CALL, unchanging, keep, (make, *arguments), filling)


def _exactly(value: Any, kind: type) -> Parts | None:
    """What an instance of a class that a class statement made holds: no code of the class makes the twin."""
    parts = instances.take_apart(value)
    if parts is None or kind in _cloudpickle().Pickler.dispatch_table:
        return None
    arguments, items, entries, attributes, slots = parts
    plan = twins.EXACT, tuple(attributes), tuple(slots), False, len(items), len(entries)
    held = *attributes.values(), *slots.values(), *items, *(part for entry in entries for part in entry)
    keep = kind.__eq__ is object.__eq__  # type: ignore[comparison-overlap]
    return Parts(CALL, False, keep, (instances.make, kind, *arguments), (plan, *held) if held else None)


def _reduction_of(value: Any, kind: type) -> Any:
    known = copyreg.dispatch_table.get(kind)
    if known is not None:
        return known(value)
    known = _cloudpickle().Pickler.dispatch_table.get(kind)
    if known is not None:
        return known(value)
    reduce_ex = getattr(value, "__reduce_ex__", None)
    if reduce_ex is None:
        raise TypeError(f"{a(kind.__qualname__)} has no __reduce_ex__")
    return reduce_ex(5)


def _checked(reduction: Any, kind: type) -> tuple[Any, tuple[Any, ...], Any, list[Any], list[Any], Any]:
    """The six parts of what `__reduce_ex__` returned; an error that says what is wrong with it."""
    wrong = f"__reduce_ex__ of {kind.__qualname__} returned "
    if type(reduction) is not tuple or not 2 <= len(reduction) <= 6:
        raise pickle.PicklingError(f"{wrong}{_describe(reduction)}, not a string or a tuple of 2 to 6 parts")
    make, arguments, state, items, pairs, setter = (*reduction, *(None,) * (6 - len(reduction)))  # type: ignore[misc]
    if not callable(make):
        raise pickle.PicklingError(f"{wrong}a first part that cannot be called: {_describe(make)}")
    if not isinstance(arguments, tuple):
        raise pickle.PicklingError(f"{wrong}arguments that are no tuple: {_describe(arguments)}")
    if setter is not None and not callable(setter):
        raise pickle.PicklingError(f"{wrong}a sixth part that cannot be called: {_describe(setter)}")
    entries = list(pairs or ())
    if any(type(entry) is not tuple or len(entry) != 2 for entry in entries):
        raise pickle.PicklingError(f"{wrong}entries that are no pairs")
    return make, tuple(arguments), state, list(items or ()), entries, setter


def _describe(value: Any) -> str:
    return f"{type(value).__qualname__}"


def _is_light(make: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether the callable gets along with arguments that are frozen: code in C may want real lists and dicts."""
    if type(make) not in _FUNCTIONS and not isinstance(make, type):
        return False
    if all(map(_is_plain, arguments)):
        return True
    if make is copyreg.__newobj__:  # type: ignore[attr-defined]
        return type(_inherited(arguments[0], "__new__")) is staticmethod
    if isinstance(make, type):
        return any(
            type(_inherited(make, name)) in (types.FunctionType, staticmethod) for name in ("__new__", "__init__")
        )
    return type(make) is types.FunctionType


def _is_constant(value: Any) -> bool:
    kind = type(value)
    if kind is types.BuiltinFunctionType:
        return type(value.__self__) in (types.ModuleType, type(None), type)
    if kind is tuple or kind is frozenset:
        return all(map(_is_constant, value))
    return kind in _PLAIN or kind is types.FunctionType or kind is type or issubclass(type(kind), enum.EnumType)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _PLAIN or kind in _FUNCTIONS or isinstance(value, type) or issubclass(type(kind), enum.EnumType):
        return True
    if kind is tuple or kind is frozenset:
        return all(map(_is_plain, value))
    return kind in _short_ways


def _inherited(kind: Any, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _is_for_array_libraries(kind: type) -> bool:
    """Frames, tables and columns: their parts are made for each other and want to be what they were."""
    return any(_inherited(kind, name) is not None for name in ("__array__", "__arrow_c_stream__", "__arrow_c_array__"))


_HEAVY: Any = object()


def _state(how: int, attributes: dict[Any, Any], slots: dict[str, Any] | None = None) -> tuple[Any, ...]:
    plan = how, tuple(attributes), None if slots is None else tuple(slots), False, 0, 0
    return plan, *attributes.values(), *(slots or {}).values()


def _filling(
    kind: type, state: Any, items: list[Any], pairs: list[tuple[Any, Any]], setter: Any
) -> tuple[Any, ...] | None:
    """The plan and the values that fill the object; _HEAVY where code in C wants its state as it was."""
    if state is None and not items and not pairs:
        return None
    own = _inherited(kind, "__setstate__")
    how = twins.SETTER if setter is not None else twins.SETSTATE if own is not None else twins.ATTRIBUTES
    names: tuple[Any, ...] | None = None
    slots: tuple[str, ...] | None = None
    whole = False
    values: Iterable[Any] = ()
    if how == twins.SETSTATE and type(own) is not types.FunctionType and state is not None:  # it wants real containers
        return _HEAVY  # type: ignore[no-any-return]
    if type(state) is dict:
        names, values = tuple(state), state.values()
    elif type(state) is tuple and len(state) == 2 and type(state[1]) is dict and type(state[0]) in (dict, type(None)):
        names, slots = tuple(state[0] or ()), tuple(state[1])
        values = (*(state[0] or {}).values(), *state[1].values())
    elif state is not None:
        if how == twins.ATTRIBUTES:
            raise pickle.PicklingError(
                f"the state of {a(kind.__qualname__)} is {_describe(state)}, and it has no __setstate__"
            )
        whole, values = True, (state,)
    if how == twins.SETTER:
        values = (setter, *values)
    plan = how, names, slots, whole, len(items), len(pairs)
    return plan, *values, *items, *(part for pair in pairs for part in pair)


def _exception(value: BaseException, arguments: tuple[Any, ...], state: Any) -> Parts:
    """By its own __reduce__ an exception loses its cause; its traceback belongs to this interpreter."""
    attributes = {
        **(state if type(state) is dict else {}),
        "__cause__": value.__cause__,
        "__context__": value.__context__,
        "__suppress_context__": value.__suppress_context__,
    }
    plan = twins.SETTER, tuple(attributes), None, False, 0, 0
    filling = plan, twins.fill_exception, *attributes.values()
    return Parts(
        CALL, False, type(value).__eq__ is object.__eq__, (twins.make_exception, type(value), *arguments), filling
    )


# ---- pickles ----

_pickler: Any = None


def _cloudpickle() -> Any:
    import cloudpickle  # type: ignore[import-untyped]  # takes long to load, and few values need it

    return cloudpickle


def _make_pickler() -> Any:
    internals = _cloudpickle().cloudpickle

    class Pickler(internals.Pickler):  # type: ignore[misc,name-defined]
        """Leaves out what is frozen already, and the notebook's own classes and functions."""

        def __init__(self, file: io.BytesIO, buffers: list[pickle.PickleBuffer]) -> None:
            super().__init__(file, protocol=5, buffer_callback=buffers.append)
            self.outside: list[Any] = []
            self._index: dict[int, int] = {}

        def persistent_id(self, value: Any) -> int | None:
            kind = type(value)
            if kind in _PLAIN or kind is tuple:
                return None
            if isinstance(value, type) or kind is types.FunctionType:
                if internals._should_pickle_by_reference(value):
                    return None
            elif not (kind in _METHODS or _inherited(kind, "__next__") or _core.is_frozen(value)):
                return None  # methods and iterators are taken apart, or refused, as anywhere else
            index = self._index.get(id(value))
            if index is None:
                index = self._index[id(value)] = len(self.outside)
                self.outside.append(value)
            return -1 - index

    return Pickler


def _pickled(value: Any, kind: type, keep: bool) -> Parts:
    global _pickler
    if _pickler is None:
        _pickler = _make_pickler()
    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler = _pickler(file, buffers)
    pickler.dump(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    # Buffers come first, others are counted from the end.
    outside = reversed(pickler.outside)
    parts = file.getvalue(), name, len(buffers), *(bytes(buffer.raw()) for buffer in buffers), *outside
    return Parts(PICKLED, False, keep, parts, None)
