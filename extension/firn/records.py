"""What C++ leaves to Python of reading records: iteration of classes that have `__getitem__` alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def iterate_by_index(record: Any) -> Iterator[Any]:
    """As iter() does for a class without `__iter__`."""
    index = 0
    while True:
        try:
            value = record[index]
        except IndexError, StopIteration:
            return
        yield value
        index += 1


def reversed_by_index(record: Any) -> Iterator[Any]:
    """As reversed() does for a class without `__reversed__`."""
    for index in range(len(record) - 1, -1, -1):
        try:
            value = record[index]
        except IndexError, StopIteration:
            return
        yield value
