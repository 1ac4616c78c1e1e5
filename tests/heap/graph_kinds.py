"""Classes of every kind that notebooks hold, for graphs of all kinds. Workers import this module too."""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import typing
from collections.abc import Iterator
from typing import Any


class Plain:
    """Attributes in a `__dict__`, as many as one likes."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Derived(Plain):
    note = "of the class"

    @property
    def size(self) -> int:
        return len(self.__dict__)

    def doubled(self) -> int:
        return 2 * self.size


class Slots:
    __slots__ = ("_hidden", "left", "right")

    def __init__(self, left: Any, right: Any) -> None:
        self.left = left
        self.right = right


class SlotsAndMore(Slots):
    """Slots of its base, and a `__dict__`."""


@dataclasses.dataclass
class Data:
    name: str
    value: Any
    rest: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Key:
    """Frozen, with slots: a dataclass that serves as a key."""

    number: int
    text: str = ""


class Pair(typing.NamedTuple):
    first: Any
    second: Any = None


Point = collections.namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1
    GREEN = "green"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rows(list):
    """A list with a state of its own."""

    title = "none"


class Table(dict):
    title = "none"


class Marks(set):
    title = "none"


class Line(tuple):
    """A tuple with a `__dict__`."""


class Ranked[T]:
    """Generic, compared and hashed by what it holds."""

    def __init__(self, rank: int, held: T) -> None:
        self.rank = rank
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranked) and self.rank == other.rank

    def __hash__(self) -> int:
        return hash(("Ranked", self.rank))


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def __init__(self, side: float) -> None:
        self.side = side

    def area(self) -> float:
        return self.side**2


class Bag:
    """Sized, iterable and subscriptable by methods of its own."""

    def __init__(self, *members: Any) -> None:
        self.members = list(members)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.members)

    def __getitem__(self, index: int) -> Any:
        return self.members[index]


class Text(str):
    """A str with a state of its own."""


class Number(int):
    """An int with a state of its own."""


class Steps(collections.deque):
    """A deque with a state of its own."""


class Ordered(collections.OrderedDict):
    """An OrderedDict with a state of its own."""


class Defaults(collections.defaultdict):
    """A defaultdict with a state of its own."""


class Tally(collections.Counter):
    """A Counter with a state of its own."""


class Chest(frozenset):
    """A frozenset with a `__dict__`."""


class Failure(Exception):
    """An exception with a state of its own."""


class Reduced:
    """Says itself what it is made of."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __reduce__(self) -> Any:
        return Reduced, (self.held,)


def square(x: int) -> int:
    return x * x
