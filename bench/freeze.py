"""Freezing against the pickle round trip that every transfer by copy needs: dumps once, loads once for each worker."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

import firn

from bench import data
from bench.harness import Figure, timed_pair


def round_trip(value: object) -> object:
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


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
        if name == "the archive":
            objects = firn._core.freeze_roots({"packages": value}).objects
            yield Figure(
                "freeze one object of the archive",
                ours / objects * 1e9,
                theirs / objects * 1e9,
                "ns",
                "pickle dumps + loads",
                target="at most 20 ns",
            )
