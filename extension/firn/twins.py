"""Makes an interpreter's own objects of twins, from what `firn.twin_parts` took apart.

`firn._core` calls these when a twin is read for the first time. They run in the notebook and in workers, hence they
import nothing that a worker may not need.
"""

from __future__ import annotations

import io
import marshal
import pickle
import sys
import types
from functools import lru_cache
from itertools import islice

from firn import exact_types, instances

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, time, tzinfo
    from typing import Any
    from uuid import UUID

# How the state of a twin is given back (the first item of its plan).
ATTRIBUTES = 0  # into the instance's __dict__ and its slots
SETSTATE = 1  # to its __setstate__, as it came from __reduce_ex__
SETTER = 2  # to the function that __reduce_ex__ named
EXACT = 3  # with all else that it holds, by no code of its class

_HEAPTYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE

_names: dict[tuple[str, ...], tuple[str, ...]] = {}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, parts: tuple[Any, ...], buffers: int) -> None:
        super().__init__(io.BytesIO(data), buffers=parts[:buffers])
        self._parts = parts

    def persistent_load(self, index: int) -> Any:
        return self._parts[index]


def load(data: bytes, kind: str, buffers: int, *parts: Any) -> Any:
    """The object in a pickle. The first parts are its buffers; others are named by the pickle."""
    try:
        return _Unpickler(data, parts, buffers).load()
    except ImportError as error:
        raise explain_import(kind, error) from error


def load_to_change(data: bytes, kind: str, buffers: int, *parts: Any) -> Any:
    """The same with memory of its own."""
    return load(data, kind, buffers, *map(bytearray, parts[:buffers]), *parts[buffers:])


def explain_import(kind: str, error: ImportError) -> ImportError:
    """What a worker says where a library that it cannot load is needed to read a value."""
    library = kind.partition(".")[0]
    advice = {
        "pandas": 'hand the workers columns: df["x"].to_numpy() as an array, or df.to_dict("list")',
        "pyarrow": 'hand the workers columns: table["x"].to_numpy() as an array, or table.to_pydict()',
        "polars": 'hand the workers columns: df["x"].to_numpy() as an array, or df.to_dict(as_series=False)',
        "numpy": "hand the workers the array itself, or plain numbers (.item(), .tolist())",
    }.get(library, "hand the workers plain values instead (numbers, strings, lists, dicts)")
    return ImportError(
        f"this value is a {kind}, and {error.name or library} cannot be loaded here ({error}): {advice}.",
        name=error.name,
        path=error.path,
    )


def member(cls: Any, name: str | None, value: Any) -> Any:
    """A member of an enumeration; `name` is None of a combination of flags."""
    if name is not None:
        members = type.__getattribute__(cls, "_member_map_")
        if name in members:
            return members[name]
    return cls(value)


def fill(made: Any, plan: tuple[Any, ...], *values: Any) -> None:
    """Gives a made object its state, its items and its entries, as pickle does."""
    how, names, slots, whole, items, pairs = plan
    if how == EXACT:
        _fill_exactly(made, plan, values)
        return
    at = 0
    if how == SETTER:
        setter, at = values[0], 1
    if whole:
        state, at = values[at], at + 1
    elif names is not None:
        attributes = dict(zip(_own_names(names), values[at : at + len(names)], strict=True))
        at += len(names)
        state = attributes
        if slots is not None:
            state = attributes or None, dict(zip(slots, values[at : at + len(slots)], strict=True))
            at += len(slots)
    if items:
        elements = values[at : at + items]
        if hasattr(made, "extend"):
            made.extend(list(elements))
        else:
            for element in elements:
                made.append(element)
        at += items
    for i in range(pairs):
        made[values[at + 2 * i]] = values[at + 2 * i + 1]
    if whole or names is not None:  # an empty state is one, as for pickle
        if how == SETTER:
            setter(made, state)
        elif how == SETSTATE:
            made.__setstate__(state)
        else:
            _set_attributes(made, state)


def _fill_exactly(made: Any, plan: tuple[Any, ...], values: tuple[Any, ...]) -> None:
    _, names, slots, _, items, pairs = plan
    rest = iter(values)
    attributes = dict(zip(_own_names(names), islice(rest, len(names)), strict=True))
    held = dict(zip(_own_names(slots), islice(rest, len(slots)), strict=True))
    elements = tuple(islice(rest, items))
    entries = tuple((next(rest), next(rest)) for _ in range(pairs))
    instances.fill(made, (elements, entries, attributes, held))


def _own_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of attributes as this interpreter's own interned strings, once for each combination: a class shares the names
    that its instances have, for good, and those of the frozen data would keep that data for as long."""
    known = _names.get(names)
    if known is None:
        known = tuple(
            sys.intern(name.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")) for name in names
        )
        _names[known] = known
    return known


def _set_attributes(made: Any, state: Any) -> None:
    attributes, slots = state if type(state) is tuple else (state, None)
    if attributes:
        object.__getattribute__(made, "__dict__").update(attributes)  # a GenericAlias answers with its origin's
    for name, value in (slots or {}).items():
        try:
            object.__setattr__(made, name, value)
        except TypeError:  # the type is in C and has attributes of its own kind
            setattr(made, name, value)


def make_exception(cls: type[BaseException], *arguments: Any) -> BaseException:
    """An exception as it was raised, without calling a constructor of its class, which may want other arguments."""
    made: BaseException = cls.__new__(cls, *arguments)
    for base in cls.__mro__:
        if not base.__flags__ & _HEAPTYPE:
            base.__init__(made, *arguments)  # type: ignore[misc]  # sets what errors of the system know: errno, start ...
            break
    return made


def fill_exception(made: BaseException, state: dict[str, Any]) -> None:
    """The attributes, the cause and the context of an exception."""
    cause, context, suppress = state.pop("__cause__"), state.pop("__context__"), state.pop("__suppress_context__")
    notes = state.get("__notes__")
    if notes is not None:
        state["__notes__"] = list(notes)  # add_note() asks for a real list
    BaseException.__setstate__(made, state)
    made.__context__, made.__cause__ = context, cause
    made.__suppress_context__ = suppress


def bind(owner: Any, function: Any) -> types.MethodType:
    """A method of a class statement's, bound to what its object was frozen to."""
    return types.MethodType(function, owner)


def member_of(owner: Any, name: str) -> Any:
    """A method in C: those of frozen containers refuse what would change them."""
    return getattr(owner, name)


def load_code(raw: bytes) -> types.CodeType:
    return exact_types.loaded(marshal.loads(raw))


def make_uuid(number: int) -> UUID:
    from uuid import UUID

    return UUID(int=number)


def make_iso_week(year: int, week: int, day: int) -> Any:
    """What `date.isocalendar` gives, which pickles as a tuple."""
    from datetime import date

    return date.fromisocalendar(year, week, day).isocalendar()


def of_interpreter(name: str) -> Any:
    """What `sys` tells of the interpreter, of which there is one."""
    return getattr(sys, name)


def attach_zone(naive: datetime | time, zone: tzinfo) -> datetime | time:
    return naive.replace(tzinfo=zone)


def make_partial(cls: Any, names: tuple[str, ...], function: Any, *values: Any) -> Any:
    """A functools.partial; the last values are those of the keywords."""
    last = len(values) - len(names)
    return cls(function, *values[:last], **dict(zip(names, values[last:], strict=True)))


def make_cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """A function under functools.lru_cache, with a cache of this interpreter's own."""
    return lru_cache(maxsize, typed)(function)


def named(module: str, qualname: str) -> Any:
    """What `module.qualname` is here."""
    import importlib

    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise explain_import(f"{module}.{qualname}", error) from error
    for name in qualname.split("."):
        found = getattr(found, name)
    return found
