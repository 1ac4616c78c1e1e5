"""What is frozen becomes part of what is frozen later: nothing is written to it, and both read as their originals do."""

import enum
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import firn
import pytest

Price = namedtuple("Price", "amount currency")


class Status(enum.Enum):
    OK = 1


class Pair(tuple[Any, ...]):
    pass


class Group(frozenset[Any]):
    pass


@dataclass(frozen=True)
class ByFields:
    x: int


PARTS: dict[str, Any] = {
    "a named tuple with a twin": Price(Decimal(1), "E"),
    "a named tuple with an Enum member": Price(Status.OK, 1),
    "a tuple's subclass with a twin": Pair((Path("a"), 1)),
    "a named tuple with an instance that tells its own hash": Price(ByFields(1), 2),
    "named tuples in each other": Price(Price(ByFields(1), 2), (ByFields(3), 4)),
    "a frozenset's subclass": Group([ByFields(1), 2]),
    "a frozenset": frozenset([ByFields(1)]),
    "a tuple": (ByFields(1), 2),
    "a tuple with a twin": (Decimal(1), 2),
    "a named tuple that has no hash": Price([1], 2),
    "a named tuple that has none, with a twin": Price([ByFields(1)], Decimal(2)),
}
WHOLES: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda part: (part, 1),
    "tuples": lambda part: ((part, 2), 1),
    "frozenset": lambda part: frozenset([part]),
    "set": lambda part: {part},
    "dict": lambda part: {(part, 1): 2, part: 3},
    "list": lambda part: [part, (part,)],
    "named tuple": lambda part: Price(part, 3),
    "tuple's subclass": lambda part: [Pair((part,))],
    "slice": lambda part: slice(part, 1),
}


def hash_of(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("whole", WHOLES)
@pytest.mark.parametrize("part", PARTS)
def test_reads_as_before(part: str, whole: str) -> None:
    original = PARTS[part]
    try:
        expected = WHOLES[whole](original)
    except TypeError:
        assert not hash_of(original)
        return
    frozen = firn.freeze(original)
    for made in (firn.freeze(WHOLES[whole](frozen)), firn.freeze([WHOLES[whole](frozen), frozen])[0]):
        assert made == expected and repr(made) == repr(expected)
        assert frozen == original and len(frozen) == len(original) and repr(frozen) == repr(original)
        assert hash_of(frozen) == hash_of(original) and (not hash_of(original) or hash(frozen) == hash(original))
        if whole == "dict":
            assert made[original, 1] == 2 and made[frozen] == 3
