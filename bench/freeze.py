"""Freezing against the pickle round trip that every transfer by copy needs: dumps once, loads once for each worker.

The floor is what one core needs to get as many bytes from the system and to copy as many into them: small pages, asked
for in one call, and one memcpy. A freeze collects its bytes from a million places and hashes them, but on all cores, and
gets huge pages, which are four times quicker, where the system has some at hand.

What one object costs depends on what it is: hence that is told for builtins of several kinds, into pages that were never
touched before (*cold*) and into such as a refused freeze has left (*warm*). Objects are counted as they are in the data:
each once, with keys, for all of them have to be looked at. (What is frozen may have fewer: equal keys of rows become one.)
"""

from __future__ import annotations

import gc
import mmap
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from statistics import median

import firn

from bench import data
from bench.apart import apart
from bench.harness import Figure, timed_pair
from bench.pep795 import warm_pages


def round_trip(value: object) -> object:
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def populate_and_copy(source: bytes) -> mmap.mmap:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    pages = mmap.mmap(-1, len(source), flags=flags)
    pages[:] = source
    return pages


WORKLOADS: dict[str, tuple[Callable[[], object], str]] = {
    "the archive": (data.archive, "at least 15, cold pages, two cores"),
    "1,000,000 strings, dict of ints": (lambda: {text: n for n, text in enumerate(data.strings())}, ""),
    "1,000,000 strings, tuple": (lambda: tuple(data.strings()), ""),
}


BUILTINS: dict[str, Callable[[], object]] = {
    "list of ints": lambda: [number * 1_000 for number in range(1_000_000)],
    "list of floats": lambda: [number * 0.37 for number in range(1_000_000)],
    "list of strings of 8": data.strings,
    "tuple of strings of 8": lambda: tuple(data.strings()),
    "dict of strings and ints": lambda: {text: number for number, text in enumerate(data.strings())},
    "list of pairs of int, float": lambda: [(number * 1_000, number * 0.37) for number in range(500_000)],
    "list of dicts of five": lambda: data.rows(60),
    "the archive": data.archive,
}
"""Without instances and twins; a million objects and more."""


def count_objects(value: object) -> int:
    """How many objects builtin containers lead to, each once."""
    seen = {id(value)}
    todo = [value]
    while todo:
        item = todo.pop()
        inner: Iterable[object] = ()
        if isinstance(item, dict):
            inner = chain(item.keys(), item.values())
        elif isinstance(item, list | tuple):
            inner = item
        for one in inner:
            if id(one) not in seen:
                seen.add(id(one))
                todo.append(one)
    return len(seen)


def one_object(kind: str) -> tuple[float, float, float]:
    """Nanoseconds that an object costs, medians: frozen cold, frozen warm, and in a pickle round trip."""
    value = BUILTINS[kind]()
    objects = count_objects(value)
    taken: dict[str, list[float]] = {"cold": [], "warm": [], "pickle": []}

    def timed(what: str, action: Callable[[object], object]) -> None:
        began = time.perf_counter()
        made = action(value)
        taken[what].append(time.perf_counter() - began)
        del made

    gc.collect()
    gc.disable()
    for _ in range(7):
        timed("cold", firn.freeze)
        warm_pages(value)
        timed("warm", firn.freeze)
        timed("pickle", round_trip)
    gc.enable()
    cold, warm, pickled = (median(seconds) / objects * 1e9 for seconds in taken.values())
    return cold, warm, pickled


def figures() -> Iterator[Figure]:
    for name, (make, target) in WORKLOADS.items():
        value = make()
        ours, theirs = timed_pair(lambda: firn.freeze(value), lambda: round_trip(value))  # noqa: B023
        yield Figure(f"freeze {name}", ours * 1000, theirs * 1000, "ms", "pickle dumps + loads", target=target)
        source = b"x" * firn._core.freeze_roots({"value": value}).bytes
        floor, _ = timed_pair(lambda: populate_and_copy(source), lambda: None)  # noqa: B023
        yield Figure(
            f"floor of that: populate, copy {len(source) >> 20} MiB",
            floor * 1000,
            theirs * 1000,
            "ms",
            "pickle dumps + loads",
        )
    for kind in BUILTINS:
        cold, warm, pickled = apart(one_object, kind)
        for pages, taken in (("cold", cold), ("warm", warm)):
            yield Figure(
                f"freeze one object, {kind}, {pages}",
                taken,
                pickled,
                "ns",
                "pickle dumps + loads",
                target="at most 20 ns",
            )
