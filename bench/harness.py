"""Pairs of measurements: interleaved, medians, one figure each."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One claim: what firn needs, what the alternative needs, and how they compare."""

    name: str
    ours: float
    theirs: float
    unit: str  # of ours and theirs
    alternative: str  # what theirs is
    better: str = "times faster"  # "times faster": ratio = theirs / ours; "times the ...": ratio = ours / theirs
    target: str = ""  # in words, for instance "at least 10"

    @property
    def ratio(self) -> float:
        over, under = (self.theirs, self.ours) if self.better == "times faster" else (self.ours, self.theirs)
        return over / under if under else float("inf")


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call, garbage of earlier ones collected; what it returns is dropped after the clock stops."""
    gc.collect()
    began = time.perf_counter()
    kept = action()
    ended = time.perf_counter()
    del kept
    return ended - began


def pair(ours: Callable[[], float], theirs: Callable[[], float], rounds: int = 5) -> tuple[float, float]:
    """Medians of two measurements that take turns, so that what else the machine does meets both."""
    taken = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(a for a, _ in taken), statistics.median(b for _, b in taken)


def timed_pair(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5) -> tuple[float, float]:
    """`pair` for two actions, in seconds."""
    return pair(lambda: seconds(ours), lambda: seconds(theirs), rounds)


def quickest_pair(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Minima, in seconds, of two actions that take turns: for actions that are so short (well below a scheduler's slice)
    and so often repeated that some of both run undisturbed, whatever else the machine does."""
    best = [float("inf"), float("inf")]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for which, action in enumerate((ours, theirs)):
                began = time.perf_counter()
                action()
                best[which] = min(best[which], time.perf_counter() - began)
    finally:
        gc.enable()
    return best[0], best[1]
