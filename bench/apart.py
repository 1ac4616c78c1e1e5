"""A function in a fresh process of its own: no segment, worker or cache of another measurement is there."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from bench.harness import Figure


def apart[**P, R](function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(function, *arguments, **keywords).result()


def measure(bench: str, **options: int | str) -> list[Figure]:
    """The figures of one bench, by the name of its module."""
    return list(importlib.import_module(f"bench.{bench}").figures(**options))
