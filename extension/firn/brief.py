"""Short loops that only print or display run in the notebook, and so do short comprehensions that only look at what the
cell has made: handing them out, and freezing what they read, takes longer.

Whether such a loop is short is measured: its first iterations run here, and when they have taken BUDGET, the workers get
the others. Either way its effects are merged as those of any split loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from operator import length_hint
from typing import Any, Final

from firn import errors, jobs
from firn.analysis import SplitLoop
from firn.analysis.chunk import define
from firn.analysis.codegen import CHUNK
from firn.items import Items, slice_items
from firn.raised import Found, as_in_cell, with_details, without_firn

BUDGET: Final = 0.005
"""Seconds; a parallel loop that freezes nothing costs about half of that."""

ITERATIONS: Final = 1000
"""A longer loop is split at once."""


def run(
    loop: SplitLoop, items: Items, namespace: dict[str, Any], find: Callable[[int], Found]
) -> tuple[list[Any], Items]:
    """Runs a loop's first iterations in the notebook: (their effects, the items that are left). An exception gets the
    details that one of a worker has."""
    effects: list[Any] = []
    done = 0
    own = _prepare(loop, namespace)
    began = time.perf_counter()
    try:
        with jobs.interruptible():
            while done < len(items) and time.perf_counter() - began < BUDGET:
                stop = min(len(items), 2 * done + 1)
                part = slice_items(items.shared, done, stop)
                try:
                    effects.append(namespace[CHUNK](part, done))
                except Exception as error:
                    index = max(done, stop - length_hint(part) - 1)
                    as_in_cell(error, namespace[CHUNK].__code__, found := find(index))
                    _describe(error, found, index)
                    raise
                done = stop
    finally:
        for name in own:
            namespace.pop(name, None)
    return effects, items.after(done)


def _describe(error: Exception, found: Found, index: int) -> None:
    import traceback

    text = "".join(traceback.format_exception(without_firn(error)))
    details = errors.ran_here(index, found.item, f"{type(error).__name__}: {error}", text)
    with_details(error, details, errors.in_iteration(index, 0, found.shown))


def _prepare(loop: SplitLoop, namespace: dict[str, Any]) -> set[str]:
    """Defines the loop's chunk in the notebook's namespace for a moment; the names that this takes."""
    before = set(namespace)
    define(loop.code, namespace)
    own = namespace.keys() - before
    if loop.merger is None:
        namespace["__firn_effects__"] = partial(_last_values, loop.bound)
    return own


def _last_values(names: frozenset[str], variables: dict[str, Any]) -> tuple[Any, ...]:
    """A chunk's effects; here, where nothing has to travel, all values can be the last ones."""
    found: dict[str, tuple[str, Any]] = {}
    for name in names:
        if name in variables:
            found[name] = ("value", variables[name])
        elif f"__firn_gone_{name}" in variables:
            found[name] = ("deleted", None)
    return (found,)
