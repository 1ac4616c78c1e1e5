"""What pickled transfer of the workers' variables would cost, measured in full or on a sample within a time budget.

Bytes of a sample extrapolate well. Its times are a lower bound: the memo of a pickler that meets millions of objects, and
the objects themselves, do not fit into the CPU's caches as those of a sample do, which makes 1.2 to 4 times as much.
"""

from __future__ import annotations

import gc
import pickle
import sys
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from time import thread_time
from typing import Any, cast

import firn
from firn import _core, views
from firn.report import Pickled

GROWTH = 4  # each sample has so many times the items of the one before; the first has one, for it may be huge
WHOLE = 256  # containers up to this size are pickled as they are
RUNS = 3  # of each sample, if the budget allows; the quickest counts
APART = 61  # entries between two of a mapping's or a set's sample, at most: one gets at them by iterating only
GOLDEN = (5**0.5 - 1) / 2


@dataclass
class Cost:
    """Seconds of one dumps and one loads, the bytes of the pickle and of the objects that it makes, and which part of
    how much was measured.

    Seconds of this thread's CPU time: pickling waits for nothing, and a busy machine must not look like slow pickling.
    """

    dumps: float
    loads: float
    bytes: float
    memory: float = 0.0
    part: int = 0
    whole: int = 0

    @property
    def in_full(self) -> bool:
        return self.part == self.whole


class Comparison:
    """Measures variables once and remembers the figures: frozen values do not change."""

    def __init__(self) -> None:
        self._costs: dict[tuple[int, ...], Cost] = {}

    def measure(self, shared: Mapping[str, object], workers: int, *, budget: float | None) -> Pickled | None:
        """The cost of sending `shared` to so many workers. `budget` is in seconds; None measures everything in full."""
        if not shared:
            return None
        costs: list[tuple[str, Cost]] = []
        unmeasured = 0
        for number, (name, value) in enumerate(shared.items()):
            # An address means something else when its segment is gone, a segment's number never does. (A tuple, for a
            # dict keeps the hash of its keys: that of an integer is its value, which would look like a pointer.)
            key = (id(value), *_core.segments_of([value]))
            cost = self._costs.get(key) if firn.is_frozen(value) else None
            if cost is None and costs and budget is not None and budget <= 0:
                unmeasured += 1  # one that is tied to much else was dear
                continue
            if cost is None or (budget is None and not cost.in_full):
                began = thread_time()
                left = None if budget is None else max(0.0, budget) / (len(shared) - number)
                cost = _cost(value, left)
                if cost is None:
                    continue
                if budget is not None:
                    budget -= thread_time() - began
                if firn.is_frozen(value):
                    self._costs[key] = cost
            costs.append((name, cost))
        if not costs:
            return None
        sampled = [(name, cost) for name, cost in costs if not cost.in_full]
        samples = [f"{cost.part:,} of {cost.whole:,} items of {name}" for name, cost in sampled]
        if unmeasured:
            samples.append(f"nothing of {unmeasured} more variables")
        return Pickled(
            dumps_seconds=sum(cost.dumps for _, cost in costs),
            loads_seconds=sum(cost.loads for _, cost in costs),
            bytes=round(sum(cost.bytes for _, cost in costs)),
            workers=workers,
            measured="sample" if samples else "full",
            sampled=", ".join(samples),
            memory_bytes=round(sum(cost.memory for _, cost in costs)),
            shared_bytes=_frozen_bytes(shared.values()),
            cpus=_core.cpu_count(),
        )


def _frozen_bytes(values: Iterable[object]) -> int:
    """The memory of the segments that values lie in."""
    wanted = set(_core.segments_of(list(values)))
    return sum(segment["bytes"] for segment in _core.segments() if segment["id"] in wanted)


def _cost(value: object, budget: float | None) -> Cost | None:
    """Measures a value; None when it does not pickle. The pickled values are ordinary ones, thawed for it.

    A collection of the notebook's garbage that falls into a sample would be taken for the cost of pickling it.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _measured(value, budget)
    except Exception:
        return None
    finally:
        if collecting:
            gc.enable()


def _measured(value: object, budget: float | None, depth: int = 0) -> Cost:
    length = len(value) if isinstance(value, (list, tuple, dict, set, frozenset)) else 0
    if budget is not None and 0 < length <= WHOLE and depth < 4:
        children = list(value.values()) if isinstance(value, dict) else list(cast(Collection[object], value))
        if any(isinstance(child, (list, tuple, dict, set)) and len(child) > WHOLE for child in children):
            return _together([_measured(child, budget / length, depth + 1) for child in children])
    if budget is None or length <= WHOLE:
        return _pickle(firn.thaw(value), length, length)
    end = thread_time() + budget
    part, smaller, cost = 1, None, _best(_sample(value, 1, length), 1, length, end)
    spent = 0.0
    while (part < length and thread_time() + GROWTH * spent < end) or smaller is None:
        began = thread_time()
        smaller, part = cost, min(part * GROWTH, length)
        if part == length:
            return _pickle(firn.thaw(value), length, length)
        cost = _best(_sample(value, part, length), part, length, end)
        spent = thread_time() - began
    return _extrapolated(smaller, cost)


def _best(sample: object, part: int, whole: int, end: float) -> Cost:
    """The cost of a sample without what else happened just then."""
    best = _pickle(sample, part, whole)
    for _ in range(RUNS - 1):
        if thread_time() >= end:
            break
        other = _pickle(sample, part, whole, weigh=False)
        best.dumps, best.loads = min(best.dumps, other.dumps), min(best.loads, other.loads)
    return best


def _extrapolated(smaller: Cost, larger: Cost) -> Cost:
    """The cost of the whole from those of two parts: what a call costs by itself does not grow with the items."""
    factor = (larger.whole - smaller.part) / (larger.part - smaller.part)

    def line(one: float, other: float) -> float:
        return one + max(0.0, other - one) * factor

    return Cost(
        line(smaller.dumps, larger.dumps),
        line(smaller.loads, larger.loads),
        line(smaller.bytes, larger.bytes),
        line(smaller.memory, larger.memory),
        larger.part,
        larger.whole,
    )


def _together(costs: list[Cost]) -> Cost:
    return Cost(
        sum(cost.dumps for cost in costs),
        sum(cost.loads for cost in costs),
        sum(cost.bytes for cost in costs),
        sum(cost.memory for cost in costs),
        sum(cost.part for cost in costs),
        sum(cost.whole for cost in costs),
    )


def _sample(value: object, part: int, length: int) -> object:
    """`part` items of a container, evenly spread (of a mapping or a set nearer to its start), as an ordinary container of
    the same kind."""
    if isinstance(value, (list, tuple)):
        # Even, and in step with nothing that repeats in the data.
        items = [firn.thaw(value[int(length * (index * GOLDEN % 1))]) for index in range(part)]
        return items if isinstance(value, list) else tuple(items)
    step = min(length // part, APART)
    if isinstance(value, dict):
        return {key: firn.thaw(item) for key, item in islice(value.items(), 0, part * step, step)}
    assert isinstance(value, (set, frozenset))
    return set(islice(value, 0, part * step, step))


def _pickle(value: object, part: int, whole: int, weigh: bool = True) -> Cost:
    """The cost of this very value; `part` of `whole` says what it is a sample of; `weigh`: with the copy's memory."""
    began = thread_time()
    data = pickle.dumps(value, protocol=5)
    dumped = thread_time()
    loaded = pickle.loads(data)
    done = thread_time()
    return Cost(dumped - began, done - dumped, len(data), memory(loaded) if weigh else 0.0, part, whole)


_LEAVES = frozenset({str, bytes, int, float, complex, bool, type(None)})
_ELSEWHERE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def memory(value: object) -> int:
    """The bytes of all objects that a value leads to, each once; classes, functions and modules are nobody's copy."""
    seen: set[int] = set()
    total = 0
    todo: list[Any] = [value]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if type(item) in _LEAVES:
            total += sys.getsizeof(item)
        elif not isinstance(item, _ELSEWHERE):
            total += sys.getsizeof(item)
            todo += gc.get_referents(item)
            if views.is_array_type(type(item)):
                todo.append(item.base)  # who has its memory, if it is not its own; gc knows nothing of that
    return total
