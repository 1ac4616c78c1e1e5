"""PEP 795's four workloads: freezing against one pickle round trip, and thawing against `pickle.loads`.

The PEP ("Freezing vs. Picking and Unpickling", table 1) puts 1,000,000 strings of eight characters into a dict that maps
them to integers, a dict that maps them to instances of a user-defined class with a name and an age, a tuple, and a binary
tree, and gives the mean milliseconds that its patched CPython 3.15 takes to freeze (F), pickle (P) and unpickle (U) each. Its machine is
not ours: what compares are the ratios to pickle on the respective machine, (P + U) / F.

Every round freezes once into pages that were never touched before (*cold*), as at the first freezing of a session, for frozen
data stays where it is and the rounds' copies all live to the end; and once into pages that a freeze which was refused has
left (*warm*). The PEP freezes in place and needs no pages.
"""

from __future__ import annotations

import gc
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Final

import firn

from bench import data
from bench.apart import apart
from bench.harness import Figure

ROUNDS: Final = 5


class Student:
    def __init__(self, name: str, age: int) -> None:
        self.name = name
        self.age = age


class Tree:
    """A node of a binary search tree that is not balanced."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.left: Tree | None = None
        self.right: Tree | None = None


def dict_of_ints() -> object:
    return {text: number for number, text in enumerate(data.strings())}


def dict_of_instances() -> object:
    generator = Random(795)
    return {text: Student(text, generator.randrange(18, 40)) for text in data.strings()}


def tuple_of_strings() -> object:
    return tuple(data.strings())


def binary_tree() -> object:
    first, *others = data.strings()
    root = Tree(first)
    for text in others:
        node = root
        while True:
            child = node.left if text < node.value else node.right
            if child is None:
                break
            node = child
        if text < node.value:
            node.left = Tree(text)
        else:
            node.right = Tree(text)
    return root


@dataclass(frozen=True)
class Workload:
    name: str
    make: Callable[[], object]
    frozen: float  # milliseconds in PEP 795's table 1
    pickled: float
    unpickled: float

    @property
    def theirs(self) -> float:
        """How many times faster the patched CPython freezes than it pickles and unpickles, on its machine."""
        return (self.pickled + self.unpickled) / self.frozen


WORKLOADS: Final = (
    Workload("dict of ints", dict_of_ints, 48.1, 73.0, 96.7),
    Workload("dict of instances", dict_of_instances, 156.2, 1342.0, 518.8),
    Workload("tuple", tuple_of_strings, 44.4, 55.0, 20.0),
    Workload("binary tree", binary_tree, 223.0, 1813.1, 564.5),
)


@dataclass(frozen=True)
class Times:
    """Medians, in seconds."""

    cold: float
    warm: float
    dumps: float
    loads: float
    thaw: float


def warm_pages(value: object) -> None:
    """Leaves pages for another freeze of the value: what a refused one has written to is given back with its pages."""
    try:
        firn.freeze((value, iter(())))
    except firn.NotFreezableError:
        return
    raise AssertionError("an iterator was frozen")


def measure(number: int) -> Times:
    """Measures one workload; the rounds interleave what is compared. Garbage collection is off, as in timeit: else each
    object that loads() or thaw() makes would be charged with walks through the workload."""
    value = WORKLOADS[number].make()
    taken: dict[str, list[float]] = {"cold": [], "warm": [], "dumps": [], "loads": [], "thaw": []}

    def timed(what: str, action: Callable[[], object]) -> object:
        """What the action made; dropping it takes no part of the time."""
        began = time.perf_counter()
        made = action()
        taken[what].append(time.perf_counter() - began)
        return made

    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        frozen = timed("cold", lambda: firn.freeze(value))
        warm_pages(value)
        timed("warm", lambda: firn.freeze(value))
        pickled = timed("dumps", lambda: pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        assert isinstance(pickled, bytes)
        timed("loads", lambda: pickle.loads(pickled))  # noqa: B023
        timed("thaw", lambda: firn.thaw(frozen))  # noqa: B023
    gc.enable()
    return Times(**{what: median(seconds) for what, seconds in taken.items()})


def figures() -> Iterator[Figure]:
    for number, workload in enumerate(WORKLOADS):
        times = apart(measure, number)
        pickled = times.dumps + times.loads
        for pages, taken in (("cold", times.cold), ("warm", times.warm)):
            yield Figure(
                f"PEP 795, {workload.name}: freeze, {pages}",
                taken * 1000,
                pickled * 1000,
                "ms",
                "pickle dumps + loads",
                target=f"the patched CPython's ratio: {workload.theirs:.1f}",
            )
        yield Figure(
            f"PEP 795, {workload.name}: thaw",
            times.thaw * 1000,
            times.loads * 1000,
            "ms",
            "pickle loads",
            target="at least 3",
        )
