"""Freezing against the pickle round trip that every transfer by copy needs: dumps once, loads once for each worker.

The floor is what one core needs to get as many bytes from the system and to copy as many into them: small pages, asked
for in one call, and one memcpy. A freeze collects its bytes from a million places and hashes them, but on all cores, and
gets huge pages, which are four times quicker, where the system has some at hand.
"""

from __future__ import annotations

import mmap
import pickle
from collections.abc import Callable, Iterator

import firn

from bench import data
from bench.harness import Figure, timed_pair


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


def figures() -> Iterator[Figure]:
    for name, (make, target) in WORKLOADS.items():
        value = make()
        ours, theirs = timed_pair(lambda: firn.freeze(value), lambda: round_trip(value))  # noqa: B023
        yield Figure(f"freeze {name}", ours * 1000, theirs * 1000, "ms", "pickle dumps + loads", target=target)
        result = firn._core.freeze_roots({"value": value})
        objects, source = result.objects, b"x" * result.bytes
        floor, _ = timed_pair(lambda: populate_and_copy(source), lambda: None)  # noqa: B023
        yield Figure(
            f"floor of that: populate, copy {result.bytes >> 20} MiB",
            floor * 1000,
            theirs * 1000,
            "ms",
            "pickle dumps + loads",
        )
        if name == "the archive":
            yield Figure(
                "freeze one object of the archive",
                ours / objects * 1e9,
                theirs / objects * 1e9,
                "ns",
                "pickle dumps + loads",
                target="at most 20 ns",
            )
