"""Reading frozen values against reading the plain ones they were made from, in the notebook's interpreter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import firn

from bench import data
from bench.harness import Figure, timed_pair


def iterate(packages: Sequence[data.Row]) -> int:
    count = 0
    for _ in range(40):
        for _package in packages:
            count += 1
    return count


def subscript(packages: Sequence[data.Row]) -> None:
    for _ in range(10):
        for n in range(len(packages)):
            packages[n]


def lookups(packages: Sequence[data.Row]) -> None:
    for _ in range(5):
        for p in packages:
            p["Package"]
            p["Version"]
            p["Section"]
            p["Description"]


def scan(packages: Sequence[data.Row]) -> list[str]:
    """What a person asks: a regex on the descriptions, some fields, a number."""
    word = re.compile(r"\b(graph|network|image)s?\b", re.IGNORECASE)
    return [
        p["Package"]
        for p in packages
        if p["Section"] != "debug" and int(p.get("Installed-Size", 0)) > 100 and word.search(p["Description"])
    ]


ACTIONS: dict[str, tuple[Callable[[Sequence[data.Row]], object], str]] = {
    "iterate over a list": (iterate, ""),
    "subscript a list": (subscript, ""),
    "look up fields in dicts": (lookups, "at most 1.1"),
    "scan the archive": (scan, "at most 1.05"),
}


def figures() -> Iterator[Figure]:
    plain = data.archive()
    frozen = firn.freeze(plain)
    for name, (action, target) in ACTIONS.items():
        ours, theirs = timed_pair(lambda: action(frozen), lambda: action(plain), rounds=9)  # noqa: B023
        yield Figure(f"read: {name}", ours * 1000, theirs * 1000, "ms", "plain objects", "times the time", target)
