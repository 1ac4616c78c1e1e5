"""What pickled transfer of the workers' variables would cost, measured in full or on a sample within a time budget.

A sample is some of a container's items; of what has few items that lead to many objects (trees, tables of tables) it is
parts picked at random, which stand for the whole by the memory that they take in the heap. Bytes of a sample extrapolate
well. Its times are a lower bound: the memo of a pickler that meets millions of objects, and the objects themselves, do
not fit into the CPU's caches as those of a sample do, which makes 1.2 to 4 times as much.
"""

from __future__ import annotations

import gc
import pickle
import random
import sys
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from time import thread_time
from typing import Any, cast

import firn
from firn import _core, sampling, views
from firn.readable import plural
from firn.report import Pickled

GROWTH = 4  # each sample has so many times the items of the one before; the first has one, for it may be huge
WHOLE = 256  # containers up to this size are pickled as they are
FEW = 16  # of so many each is measured, if they are long
RUNS = 3  # of each sample, if the budget allows; the quickest counts
TELLING = 10_000  # bytes of pickles that are a figure worth telling, where the budget is spent
ITEMS = 16  # so many tell whether items hold the same objects
CLEARLY = 0.7  # of what they weigh together is left when each object counts once
PICKLED = 500_000  # objects a second that are pickled, loaded, and weighed


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
    unit: str = "items"

    @property
    def in_full(self) -> bool:
        return self.part == self.whole

    def scaled(self, factor: float) -> Cost:
        dumps, loads, size, memory = (one * factor for one in (self.dumps, self.loads, self.bytes, self.memory))
        return Cost(dumps, loads, size, memory, self.part, self.whole, self.unit)

    def add(self, other: Cost) -> None:
        self.dumps += other.dumps
        self.loads += other.loads
        self.bytes += other.bytes
        self.memory += other.memory
        self.part += other.part
        self.whole += other.whole


class Comparison:
    """Measures variables once and remembers the figures: frozen values do not change."""

    def __init__(self) -> None:
        self._costs: dict[tuple[int, ...], Cost | str] = {}  # or why there is no figure
        self.unknown = ""  # of which variable there was none the last time, and why

    def measure(self, shared: Mapping[str, object], workers: int, *, budget: float | None) -> Pickled | None:
        """The cost of sending `shared` to so many workers; None where that is not known. `budget` is in seconds; None measures
        everything in full."""
        self.unknown = ""
        if not shared:
            return None
        costs: list[tuple[str, Cost]] = []
        unmeasured = 0  # the budget was spent before
        neighbours: dict[tuple[int, ...], list[object]] = {}
        for value in shared.values():
            neighbours.setdefault(tuple(_core.segments_of([value])), []).append(value)
        for number, (name, value) in enumerate(shared.items()):
            # An address means something else when its segment is gone, a segment's number never does. (A tuple, for a
            # dict keeps the hash of its keys: that of an integer is its value, which would look like a pointer.)
            key = (id(value), *_core.segments_of([value]))
            is_known = key in self._costs and (budget is not None or self._in_full(key))
            tells = any(cost.bytes >= TELLING for _, cost in costs)
            if not is_known and tells and budget is not None and budget <= 0 and sampling.is_large(value):
                unmeasured += 1
                continue
            if is_known:
                cost = self._costs[key]
            else:
                began = thread_time()
                left = None if budget is None else max(0.0, budget) / (len(shared) - number)
                cost = _cost(value, left, neighbours[key[1:]])
                if budget is not None:
                    budget -= thread_time() - began
                if firn.is_frozen(value):
                    self._costs[key] = cost
            if isinstance(cost, Cost):
                costs.append((name, cost))
            elif sampling.is_large(value):  # what the rest takes would be no figure to compare with
                self.unknown = f"{name} {cost}"
                return None
        if not costs:
            return None
        sampled = [(name, cost) for name, cost in costs if not cost.in_full]
        samples = [f"{cost.part:,} of {cost.whole:,} {cost.unit} of {name}" for name, cost in sampled]
        if unmeasured:
            samples.append(f"nothing of {plural(unmeasured, 'more variable')}")
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

    def _in_full(self, key: tuple[int, ...]) -> bool:
        cost = self._costs[key]
        return isinstance(cost, Cost) and cost.in_full


def _frozen_bytes(values: Iterable[object]) -> int:
    """The memory of the segments that values lie in."""
    wanted = set(_core.segments_of(list(values)))
    return sum(segment["bytes"] for segment in _core.segments() if segment["id"] in wanted)


def _cost(value: object, budget: float | None, neighbours: Collection[object] = ()) -> Cost | str:
    """Measures a value, one of those in its segment; a few words when it does not pickle. The pickled values are ordinary ones, thawed for it.

    A collection of the notebook's garbage that falls into a sample would be taken for the cost of pickling it.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _measured(value, budget, sampling.count_large(neighbours) if len(neighbours) > 1 else 1)
    except Tangled:
        return "hangs together and would take long to pickle; --compare full measures it"
    except Exception as error:
        return f"does not pickle ({type(error).__name__})"
    finally:
        if collecting:
            gc.enable()


def _measured(value: object, budget: float | None, sharers: int, depth: int = 0) -> Cost:
    length = len(value) if isinstance(value, (list, tuple, dict, set, frozenset)) else 0
    if budget is not None and 0 < length <= WHOLE and depth < 4:
        children = list(value.values()) if isinstance(value, dict) else list(cast(Collection[object], value))
        is_deep = any(isinstance(child, (list, tuple, dict, set)) and len(child) > WHOLE for child in children)
        if is_deep and (length <= FEW or not firn.is_frozen(value)):
            sharers = max(1, sharers) * sampling.count_large(children)
            return _together([_measured(child, budget / length, sharers, depth + 1) for child in children])
    if budget is None:
        return _pickle(firn.thaw(value), length, length)
    if not sampling.is_large(value) and length <= WHOLE:
        return _pickle(firn.thaw(value), length, length)
    if length <= WHOLE or any(sampling.is_large(item) for item in sampling.picked(value, 4, length)):
        return _of_parts(value, budget, sharers)
    end = thread_time() + budget
    part, smaller, cost = 1, None, _best(sampling.sample(value, 1, length), 1, length, end)
    spent = 0.0
    while (part < length and thread_time() + GROWTH * spent < end) or smaller is None:
        began = thread_time()
        smaller, part = cost, min(part * GROWTH, length)
        if part == length:
            return _pickle(firn.thaw(value), length, length)
        cost = _best(sampling.sample(value, part, length), part, length, end)
        spent = thread_time() - began
    return _with_common_parts(_extrapolated(smaller, cost), value, sampling.size(value, budget, 1)[1])


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


class Tangled(Exception):
    """All of a value's parts lead to most of it."""


def _with_common_parts(cost: Cost, value: object, size: int) -> Cost:
    """The cost of a container's items if what several of them hold counts once: a sample has copies of it. `size`: the bytes
    that it has in the heap, at most."""
    picked = sampling.picked(value, ITEMS, cost.whole)
    each = sum(_core.weigh([item], sampling.SMALL)[1] for item in picked) / len(picked)
    found = size / (_core.weigh([value], 1)[1] + each * cost.whole or 1)
    if not 0 < found < CLEARLY:
        return cost
    cost = cost.scaled(found)
    cost.memory = max(cost.memory, size)
    return cost


def _of_parts(value: object, budget: float, sharers: int) -> Cost:
    """The cost of all by that of some parts, in proportion to the heap's memory. Raises Tangled if no part is small, as in a
    graph, and pickling all of it would take too long."""
    end = thread_time() + budget
    objects, size = sampling.size(value, budget, max(1, sharers))
    generator = random.Random(objects)
    found, weight = Cost(0.0, 0.0, 0.0), 0
    while not weight or thread_time() < end:
        parts = sampling.small_parts(value, generator)
        if not parts:
            if objects > 2 * budget * PICKLED:
                raise Tangled
            return _pickle(firn.thaw(value), 0, 0)
        found.add(_pickle([firn.thaw(part) for part in parts], 0, 0))
        for part in parts:
            its_objects, its_bytes = _core.weigh([part], sampling.SMALL)
            found.part, weight = found.part + its_objects, weight + its_bytes
    found.part, found.whole, found.unit = min(found.part, objects - 1), objects, "objects"
    return found.scaled(max(1.0, size / weight))


def _together(costs: list[Cost]) -> Cost:
    total = Cost(0.0, 0.0, 0.0, unit="items" if all(cost.unit == "items" for cost in costs) else "items and objects")
    for cost in costs:
        total.add(cost)
    return total


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
