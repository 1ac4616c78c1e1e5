"""Random values, of which later ones hold frozen earlier ones: each reads as its original did, finds all of its keys, and
stays what it is whatever is frozen afterwards."""

import array
import datetime
import enum
import fractions
import math
import random
import re
import types
import uuid
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import firn
import pytest

Pair = namedtuple("Pair", "a b")


class Status(enum.Enum):
    OK = 1


class Flags(enum.IntFlag):
    X = 1
    Y = 2


@dataclass(frozen=True)
class ByFields:
    x: Any


@dataclass(slots=True, frozen=True)
class Slotted:
    x: Any


@dataclass
class Changing:
    x: Any
    y: Any = None


class OwnHash:
    def __init__(self, x: Any) -> None:
        self.x = x

    def __hash__(self) -> int:
        return hash(self.x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnHash) and bool(self.x == other.x)

    def __repr__(self) -> str:
        return f"OwnHash({self.x!r})"


class ByIdentity:
    __slots__ = ("__weakref__", "x")

    def __init__(self, x: Any) -> None:
        self.x = x

    def __repr__(self) -> str:
        return f"ByIdentity({self.x!r})"


class OwnTuple(tuple[Any, ...]): ...


class OwnList(list[Any]): ...


class OwnDict(dict[Any, Any]): ...


class OwnSet(set[Any]): ...


class OwnFrozenset(frozenset[Any]): ...


INSTANCES = (ByFields, Slotted, Changing, OwnHash, ByIdentity)
READ_ONLY: Callable[..., Any] = getattr(__builtins__, "frozendict", types.MappingProxyType)
LEAVES: tuple[Callable[[random.Random], Any], ...] = (
    lambda r: r.randrange(10 ** r.randrange(1, 25)),
    lambda r: r.random(),
    lambda r: math.nan * 1,
    lambda r: f"s{r.randrange(1000)}",
    lambda r: b"b%d" % r.randrange(100),
    lambda r: r.choice([None, True, (), int, len, Status.OK, Flags.X | Flags.Y]),
    lambda r: Decimal(r.randrange(100)),
    lambda r: PurePosixPath(f"a/{r.randrange(9)}"),
    lambda r: uuid.UUID(int=r.randrange(99)),
    lambda r: fractions.Fraction(1, 3),
    lambda r: datetime.datetime(2020, 1, r.randrange(1, 28), tzinfo=datetime.UTC),
    lambda r: r.choice([range(r.randrange(9)), slice(1, r.randrange(9)), complex(1, 2)]),
    lambda r: r.choice([re.compile("a"), bytearray(b"ab"), array.array("i", [1, 2])]),
)
CONTAINERS: tuple[Callable[[list[Any], Any], Any], ...] = (
    lambda parts, keys: parts,
    lambda parts, keys: tuple(parts),
    lambda parts, keys: set(keys),
    lambda parts, keys: frozenset(keys),
    lambda parts, keys: dict(zip(keys, parts, strict=False)),
    lambda parts, keys: {str(n): part for n, part in enumerate(parts)},
    lambda parts, keys: Pair(parts[:1], parts),
    lambda parts, keys: Pair(len(parts), tuple(keys)),
    lambda parts, keys: OwnTuple(parts),
    lambda parts, keys: OwnList(parts),
    lambda parts, keys: OwnDict(zip(keys, parts, strict=False)),
    lambda parts, keys: OwnSet(keys),
    lambda parts, keys: OwnFrozenset(keys),
    lambda parts, keys: deque(parts, 10),
    lambda parts, keys: OrderedDict(zip(keys, parts, strict=False)),
    lambda parts, keys: defaultdict(list, zip(keys, parts, strict=False)),
    lambda parts, keys: READ_ONLY(dict(zip(keys, parts, strict=False))),
    *(lambda parts, keys, cls=cls: cls(parts[0] if parts else 1) for cls in INSTANCES),
)


def has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def made(r: random.Random, depth: int, frozen: list[Any]) -> Any:
    if frozen and r.random() < 0.25:
        return r.choice(frozen)
    if depth == 0 or r.random() < 0.15:
        return r.choice(LEAVES)(r)
    parts = [made(r, depth - 1, frozen) for _ in range(r.randrange(4))]
    return r.choice(CONTAINERS)(parts, [part for part in parts if has_hash(part)])


def shown(value: Any) -> str:
    """What tells values apart, without what depends on addresses: the order of sets."""
    text = repr(value)
    return text if "set(" not in text and "{" not in text else ""


def finds_its_keys(value: Any, depth: int = 0) -> None:
    parts: Iterable[Any] = ()
    if isinstance(value, dict | types.MappingProxyType) or type(value) is READ_ONLY:
        parts = [part for key in value for part in (key, value[key])]
        assert all(key in value for key in value)
    elif isinstance(value, list | tuple | deque | set | frozenset):
        parts = value
        assert all(part in value for part in value)
    elif isinstance(value, INSTANCES):
        parts = (value.x,)
    for part in parts if depth < 6 else ():
        finds_its_keys(part, depth + 1)


def check(seed: int) -> None:
    r = random.Random(seed)
    known: list[tuple[Any, str, Any]] = []
    for _ in range(8):
        original = made(r, 4, [value for value, _, _ in known])
        try:
            frozen = firn.freeze(original)
        except firn.NotFreezableError:
            continue
        assert has_hash(frozen) == has_hash(original) and shown(frozen) == shown(original), seed
        if r.random() < 0.2:
            assert shown(firn.thaw(frozen)) == shown(original), seed
        finds_its_keys(frozen)
        known.append((frozen, repr(frozen), hash(frozen) if has_hash(frozen) else None))
        for value, text, number in known:
            assert repr(value) == text and (number is None or hash(value) == number), seed


def test_a_few() -> None:
    for seed in range(400):
        check(seed)


@pytest.mark.long
def test_many() -> None:
    for seed in range(20_000):
        check(seed)
