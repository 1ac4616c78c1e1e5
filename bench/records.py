"""Reading and thawing frozen instances against the plain ones, in the notebook's interpreter."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import firn

from bench import data
from bench.harness import Figure, quickest_pair, timed_pair

LOOPS = 2_000  # a fraction of a millisecond
ROUNDS = 1_000


@dataclass
class Student:
    name: str
    age: int

    def first(self) -> str:
        return self.name


@dataclass
class Branch:
    depth: int
    left: Branch | None
    right: Branch | None


def grow(depth: int) -> Branch | None:
    return Branch(depth, grow(depth - 1), grow(depth - 1)) if depth else None


def read_fields(student: Student) -> None:
    for _ in repeat(None, LOOPS):
        student.name  # noqa: B018
        student.age  # noqa: B018
        student.name  # noqa: B018
        student.age  # noqa: B018


def call_methods(student: Student) -> None:
    for _ in repeat(None, LOOPS):
        student.first()
        student.first()


def workloads() -> dict[str, Any]:
    strings = data.strings(200_000)
    return {
        "the archive": data.archive(),
        "200,000 strings, dict of ints": {text: n for n, text in enumerate(strings)},
        "200,000 strings, dict of instances": {text: Student(text, n) for n, text in enumerate(strings)},
        "200,000 strings, tuple": tuple(strings),
        "a binary tree of 65,535 instances": grow(16),
    }


def figures() -> Iterator[Figure]:
    plain = Student("name", 20)
    frozen = firn.freeze(plain)
    for name, action, target in (
        ("read: a field of an instance", read_fields, "at most 2.0"),
        ("read: call a method of an instance", call_methods, "at most 1.6"),
    ):
        ours, theirs = quickest_pair(lambda: action(frozen), lambda: action(plain), ROUNDS)  # noqa: B023
        count = LOOPS * (4 if action is read_fields else 2)
        yield Figure(name, ours / count * 1e9, theirs / count * 1e9, "ns", "plain instances", "times the time", target)
    for name, value in workloads().items():
        shared, pickled = firn.freeze(value), pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        ours, theirs = timed_pair(lambda: firn.thaw(shared), lambda: pickle.loads(pickled))  # noqa: B023
        yield Figure(f"thaw {name}", ours * 1000, theirs * 1000, "ms", "pickle loads", target="at least 3")
