"""Takes instances apart to what they hold, and puts them together again, without running code of their classes.

The pickle protocol calls the class: its `__new__`, `__setitem__` and their like would see once more what they have made,
and change it again. What is exact has the value of the builtin base class, the items, the `__dict__` and the slots.

Imported by every worker at its start, therefore without any import that takes time.
"""

from __future__ import annotations

import copyreg
import sys
import types
import weakref
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple

from firn import rebuild

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_POINTER = 8  # bytes
_SPOKEN = ("__reduce_ex__", "__reduce__", "__getstate__")
_OF_OBJECT = (object.__reduce_ex__, object.__reduce__, object.__getstate__)
_LAST_PROTOCOL = 5
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


class Base:
    """How the value that a builtin base class keeps in its instances is read, and given to one that is made.

    What never changes is an argument of `make`; the items or entries of containers follow, for they may refer to it.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        arguments: Callable[[Any], tuple[Any, ...]] = lambda value: (),
        items: Callable[[Any], Iterable[Any]] = lambda value: (),
        extend: Callable[[Any, Any], object] | None = None,
        entries: Callable[[Any], Iterable[tuple[Any, Any]]] = lambda value: (),
        setitem: Callable[[Any, Any, Any], object] | None = None,
    ) -> None:
        self.make, self.arguments = make, arguments
        self.items, self.extend = items, extend
        self.entries, self.setitem = entries, setitem


Layout = namedtuple("Layout", "base slots attributes")
"""What the instances of a class hold: the `Base`, the slots' descriptors by name, and the descriptor of `__dict__`."""

Parts = namedtuple("Parts", "arguments items entries attributes slots")
"""What one instance holds: as `Base` says, and the attributes in its `__dict__` and in its slots, by name."""


_maxlen: Any = vars(deque)["maxlen"]
_default_factory: Any = vars(defaultdict)["default_factory"]


def _make_deque(cls: Any, maxlen: int | None) -> Any:
    made = deque.__new__(cls)
    deque.__init__(made, (), maxlen)
    return made


def _make_default(cls: Any, factory: Any) -> Any:
    made = defaultdict.__new__(cls)
    defaultdict.__init__(made, factory)
    return made


def _reduced(cls: Any, reduce: Callable[..., Any], *more: Any) -> Base:
    """Of a type in C whose own reduction is a call with text, bytes or numbers."""
    return Base(cls.__new__, lambda value: tuple(reduce(value, *more)[1]))


_bases: dict[type, Base] = {
    object: Base(object.__new__),
    int: Base(int.__new__, lambda value: (int.__int__(value),)),
    float: Base(float.__new__, lambda value: (float.__float__(value),)),
    complex: Base(complex.__new__, lambda value: (complex.__complex__(value),)),
    str: Base(str.__new__, lambda value: (str.__str__(value),)),
    bytes: Base(bytes.__new__, lambda value: (bytes.__getitem__(value, slice(None)),)),
    tuple: Base(tuple.__new__, lambda value: (tuple.__getitem__(value, slice(None)),)),
    frozenset: Base(frozenset.__new__, lambda value: (tuple(frozenset.__iter__(value)),)),
    list: Base(list.__new__, items=list.__iter__, extend=list.extend),
    set: Base(set.__new__, items=set.__iter__, extend=set.update),
    dict: Base(dict.__new__, entries=dict.items, setitem=dict.__setitem__),
    OrderedDict: Base(OrderedDict.__new__, entries=OrderedDict.items, setitem=OrderedDict.__setitem__),
    deque: Base(_make_deque, lambda value: (_maxlen.__get__(value),), items=deque.__iter__, extend=deque.extend),
    defaultdict: Base(
        _make_default, lambda value: (_default_factory.__get__(value),), entries=dict.items, setitem=dict.__setitem__
    ),
}
_in_python: set[Any] = {Counter}
"""Classes of the standard library whose instances are what their `__dict__`, slots and base hold, and no more."""

_layouts: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()


def _learn(cls: Any) -> None:
    """Adds a base class of a module that may be loaded after this one."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name == "fractions.Fraction":
        _in_python.add(cls)
    elif rebuild.is_mutable(cls):
        return
    elif name in ("datetime.date", "datetime.timedelta", "decimal.Decimal"):
        _bases[cls] = _reduced(cls, cls.__reduce__)
    elif name in ("datetime.datetime", "datetime.time"):  # by protocol, for those of a repeated hour
        _bases[cls] = _reduced(cls, cls.__reduce_ex__, _LAST_PROTOCOL)
    elif name == "datetime.tzinfo":
        _bases[cls] = Base(cls.__new__)


def layout_of(cls: type) -> Any:
    """The `Layout` of a class that a class statement made, None where a base class keeps what only it can tell of."""
    if cls not in _layouts:
        _layouts[cls] = _find_layout(cls)
    return _layouts[cls]


def _find_layout(cls: Any) -> Any:
    for one in cls.__mro__:
        if one not in _bases:
            _learn(one)
    slots: dict[str, Any] = {}
    base, size = cls, 0
    while base not in _bases:
        if not (rebuild.is_mutable(base) or base.__basicsize__ == base.__base__.__basicsize__):
            return None
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType and member.__objclass__ is base:
                slots[name] = slots.get(name, member)
                size += _POINTER
        base = base.__base__
    if base is cls or cls.__basicsize__ != base.__basicsize__ + size or len(slots) * _POINTER != size:
        return None
    return Layout(_bases[base], slots, _attributes_of(cls))


def _attributes_of(cls: type) -> Any:
    """What gives the `__dict__` of an instance, even if the class has a property of that name; None without one."""
    if not cls.__dictoffset__:
        return None
    found = (vars(one).get("__dict__") for one in cls.__mro__)
    return next((one for one in found if type(one) is types.GetSetDescriptorType), None)


def speaker_of(cls: type) -> type | None:
    """The class that says in code of its own how the instances of a class are pickled, if one does."""
    if cls in copyreg.dispatch_table:
        return cls
    if (cls.__reduce_ex__, cls.__reduce__, cls.__getstate__) == _OF_OBJECT:  # type: ignore[comparison-overlap]
        return None
    layout_of(cls)  # it learns the bases
    module = sys.modules.get("dataclasses")
    usual = getattr(module, "_dataclass_getstate", None)  # of one with slots: its fields
    for name in _SPOKEN:
        owner = next((one for one in cls.__mro__ if name in vars(one)), object)
        if not (owner in _bases or owner in _in_python or (usual is not None and vars(owner)[name] is usual)):
            return owner
    return None


def take_apart(value: Any) -> Any:
    """The `Parts` of an instance of a class that a class statement made; None where they cannot be told."""
    cls = type(value)
    if not rebuild.is_mutable(cls) or cls in _in_python or (layout := layout_of(cls)) is None:
        return None
    base, attributes = layout.base, {}
    if layout.attributes is not None:
        attributes = layout.attributes.__get__(value)
        if type(attributes) is not dict:
            return None
    elif cls.__dictoffset__:
        return None
    slots = {}
    for name, member in layout.slots.items():
        try:
            slots[name] = member.__get__(value)
        except AttributeError:  # it holds nothing
            continue
    return Parts(base.arguments(value), tuple(base.items(value)), tuple(base.entries(value)), attributes, slots)


def make(cls: Any, *arguments: Any) -> Any:
    """An instance without what it holds, as its builtin base class makes it."""
    return layout_of(cls).base.make(cls, *arguments)


def fill(made: Any, state: Any) -> None:
    """Gives an instance its items, its entries, its attributes and its slots; or its attributes, if they are all."""
    items, entries, attributes, slots = state if type(state) is tuple else ((), (), state, {})
    layout = layout_of(type(made))
    if items:
        layout.base.extend(made, items)
    for key, value in entries:
        layout.base.setitem(made, key, value)
    if attributes:
        own = layout.attributes.__get__(made)
        own.clear()  # their order is that of the original
        for name, value in attributes.items():
            own[sys.intern(name) if type(name) is str else name] = value
    for name, value in slots.items():
        layout.slots[name].__set__(made, value)


def reduce(value: Any) -> Any:
    """The exact reduction of an instance for a pickler; None where there is none."""
    parts = take_apart(value)
    if parts is None:
        return None
    cls, attributes = type(value), parts.attributes
    state: Any = tuple(parts[1:])
    if not (parts.items or parts.entries or parts.slots):
        state = attributes or None
    if _hashes_itself(cls) and any(type(one) not in _ATOMS for one in attributes.values()):
        early = {name: one for name, one in attributes.items() if type(one) in _ATOMS}
        return make_hashable, (early, cls, *parts.arguments), state, None, None, fill
    return make, (cls, *parts.arguments), state, None, None, fill


def _hashes_itself(cls: Any) -> bool:
    return cls.__hash__ is not None and cls.__hash__ is not object.__hash__


def make_hashable(early: dict[Any, Any], cls: Any, *arguments: Any) -> Any:
    """An instance that may be a key in what it holds: it has what its `__hash__` may look at before it has all."""
    made = make(cls, *arguments)
    layout_of(cls).attributes.__get__(made).update(early)
    return made
