"""What the analysis of a cell gives: the rewritten cell, and for each of its split loops the workers' code and the way
back."""

import ast
import builtins
import gc
import importlib
import io
import operator
import sys
import types
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from itertools import chain
from types import CodeType
from typing import Any

from firn import _core

from . import refusals
from .chunk import CODES, unpack
from .forms import Form
from .values import is_plain

Effects = tuple[Any, ...]


class Merger(ABC):
    """How the packed results of a loop's chunks become the value of its expression."""

    def decided(self, effects: Effects) -> bool:
        return False

    def gathered(self, found: Any, result: Any) -> Any:
        """The results of two neighbours, which are used up, as that of one; None where that would not spare the merge
        anything. It is called while workers still compute, so it runs no code of the user's."""
        return None

    @abstractmethod
    def value(self, results: list[Any]) -> Any: ...


class Lists(Merger):
    """One list of all; it takes the items from the chunks' own, which nobody else has."""

    def gathered(self, found: Any, result: Any) -> Any:
        if type(found) is not list or type(result) is not list:
            return None
        _core.move_items(found, result)
        return found

    def value(self, results: list[Any]) -> Any:
        if not all(type(part) is list for part in results):
            return list(chain.from_iterable(results))
        found: list[Any] = results[0] if results else []
        for part in results[1:]:
            _core.move_items(found, part)
        return found


_COMPARED_BY_CPYTHON = (int, str, bytes, float)


class Sets(Merger):
    """A set of the chunks' lists."""

    def gathered(self, found: Any, result: Any) -> Any:
        if _core.only_type(result) not in _COMPARED_BY_CPYTHON:
            return None
        if type(found) is not set:
            if _core.only_type(found) not in _COMPARED_BY_CPYTHON:
                return None
            found = set(found)
        found.update(result)
        return found

    def value(self, results: list[Any]) -> Any:
        found = results[0] if results and type(results[0]) is set else set()
        for part in results:
            if part is not found:
                found.update(part)
        return found


class Dicts(Merger):
    """A dict of the chunks' dicts, or of their (keys, values) where all keys are ints."""

    def gathered(self, found: Any, result: Any) -> Any:
        match found, result:
            case (keys, values), (_, _):
                made = dict(zip(keys, values, strict=True))
            case (made,), (_, _):
                pass
            case _:
                return None
        made.update(zip(*result, strict=True))
        return (made,)

    def value(self, results: list[Any]) -> Any:
        found: dict[Any, Any] = {}
        for part in results:
            match part:
                case (made,):
                    found = made  # only the first can be one
                case (keys, values):
                    found.update(zip(keys, values, strict=True))
                case _:
                    found.update(part)
        return found


class Counts(Merger):
    """Counts by key, for Counter(...) to take over."""

    def value(self, results: list[Any]) -> Any:
        found: dict[Any, int] = {}
        for part in results:
            for key, count in part.items():
                found[key] = found.get(key, 0) + count
        return found


class Total(Merger):
    """Ints added up."""

    def value(self, results: list[Any]) -> Any:
        return sum(results)


@dataclass
class Summands(Merger):
    """What sum() adds up to an int: one number where all are ints or, from_zero, all are floats; else every value."""

    from_zero: bool

    def value(self, results: list[Any]) -> Any:
        parts = [part for part in results if part[0] != "ints" or part[2]]
        if all(part[0] in ("ints", "bools") for part in parts):
            return [sum(part[1] for part in parts)] if parts else []
        if all(part[0] == "floats" for part in parts):
            if self.from_zero:
                return [_core.float_sum([raw for _, raw in parts])]
            floats = array("d")
            for _, raw in parts:
                floats.frombytes(raw)
            return floats
        found: list[Iterable[Any]] = []
        for part in parts:
            match part:
                case ("list", values):
                    found.append(values)
                case (kind, *_, raw):
                    found.append(unpack(raw, CODES[kind]))
        return chain.from_iterable(found)


@dataclass
class Decision(Merger):
    """any() and all(): the chunk that decides ends the loop."""

    deciding: bool

    def decided(self, effects: Effects) -> bool:
        return effects[1] is self.deciding

    def value(self, results: list[Any]) -> Any:
        return self.deciding if self.deciding in results else not self.deciding


class Depth(IntEnum):
    """What of a variable's object a statement may change."""

    ATTRIBUTES = 1  # its own
    ITEMS = 2  # its items, or what a method changes: its own where it is a builtin container
    BELOW = 3  # also what it leads to


@dataclass
class SplitLoop:
    """One loop of a cell that runs in the workers.

    code: module code with the cell's file name and line numbers; executed in a worker's namespace it defines
    `__firn_chunk__(items, start) -> effects`. names: the globals that this reads, first level. read: those and what the
    loop runs over. bound: the variables that the loop binds. classes: each variable's
    class ("loop", "temporary", "broadcast", "reduction", "output"), for explanations. lost: after `finish`, the variables whose
    last value could not be brought back, with its type's name; they are unbound, so that reading one says so. target:
    the loop variable, or several, as the cell has them. shows: it only prints or displays (see `brief`). unmerged: the
    code where the changes of some variables stand as they are written. earlier: what the cell binds up to the loop.
    besides: variables that it does not read, and that a later statement changes: what has objects in common with these
    travels as a copy.
    """

    index: int
    lineno: int
    what: str
    source: str
    code: CodeType
    names: frozenset[str]
    read: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    forms: tuple[Form, ...] = ()
    merger: Merger | None = None
    fixed: tuple[tuple[str, Any], ...] = ()
    classes: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    target: str = ""
    shows: bool = False
    unmerged: Callable[[frozenset[str]], CodeType] | None = None
    earlier: frozenset[str] = frozenset()
    besides: dict[str, Depth] = field(default_factory=dict)

    def variables(self, item: object) -> dict[str, object]:
        """What the loop's variables are for an item; empty where that is not certain (`for x[0] in xs`)."""
        found: dict[str, object] = {}
        names = ast.parse(self.target)
        if all(isinstance(node, ast.Name | ast.Tuple | ast.List | ast.Starred | ast.expr_context | ast.Expr | ast.Module)
               for node in ast.walk(names)):  # fmt: skip
            with suppress(Exception):
                exec(compile(f"{self.target} = __firn_item__", "<firn>", "exec"), {"__firn_item__": item}, found)
        return found

    @property
    def changed(self) -> frozenset[str]:
        """The variables whose objects the loop changes in place or rebinds (its reductions)."""
        return frozenset(name for form in self.forms for name in (form.name, *getattr(form, "names", ())))

    def check(self, namespace: Mapping[str, Any], iterable: object = None) -> None:
        """Raises Refusal when the variables, just before the loop, are not what it was split for."""
        for name, expected in self.fixed:
            if _lookup(namespace, name) is not expected:
                raise refusals.not_builtin(self.lineno, name)
        if isinstance(self.merger, Decision):
            for name in sorted(self.read & namespace.keys()):
                if isinstance(namespace[name], Iterator):  # what comes after the item that decides may still be wanted
                    raise refusals.reads_on(self.lineno, name, namespace[name])
        self.check_values(namespace, iterable)

    def check_values(self, namespace: Mapping[str, Any], iterable: object = None) -> None:
        """The part of `check` that looks at the values of the variables that are in `namespace`."""
        objects: dict[int, str] = {}
        for form in self.forms:
            if form.name in namespace:
                form.check(namespace[form.name])
            for name in form.holders:
                if name not in namespace:
                    continue
                value = namespace[name]
                if name != form.name:
                    form.check_beside(name, value)
                if isinstance(value, _ATOMS) or is_plain(type(value)):
                    continue
                for changed in (value, *(form.inside(value) if name == form.name else ())):
                    if id(changed) in objects:
                        raise refusals.same_object(form.line, name, objects[id(changed)])
                    objects[id(changed)] = name
        for name in self.names & namespace.keys():
            value = namespace[name]
            if type(value) is not value.__class__:
                continue  # frozen
            if isinstance(value, io.IOBase) or type(value).__module__ in ("random", "_random", "_csv", "csv"):
                if not isinstance(value, (types.ModuleType, types.MethodType, type, types.FunctionType)):
                    raise refusals.keeps_state(self.lineno, name, value)
            elif isinstance(value, Iterator):
                raise refusals.used_up(self.lineno, name, value)
        if not objects:
            return
        read = {name: namespace[name] for name in sorted((self.names | self.read) - self.changed) if name in namespace}
        if not any(value is iterable for value in read.values()):
            read[refusals.SEQUENCE] = iterable
        for name, value in read.items():
            reached = _reached(value, objects)
            if reached is not None:
                raise refusals.same_object(self.lineno, objects[reached], name)
        for form in self.forms:
            for name, value in read.items():
                if _overlap(namespace.get(form.name), value):
                    raise refusals.same_object(self.lineno, form.name, name)

    def code_for(self, namespace: Mapping[str, Any]) -> CodeType:
        """The workers' code in a notebook with these variables. Where the cell forgot to bind one that it changes, the
        change is what the serial cell's is, and raises what that raises."""
        unbound = frozenset(form.name for form in self.forms if form.is_unbound(namespace))
        return self.unmerged(unbound) if unbound and self.unmerged is not None else self.code

    def decided(self, effects: Effects) -> bool:
        """Whether nothing after this chunk matters (any, all)."""
        return self.merger is not None and self.merger.decided(effects)

    def gathered(self, earlier: Effects, effects: Effects) -> Effects | None:
        """The effects of two neighbouring chunks, which are used up, as those of one; or None."""
        last = earlier[0] | effects[0]
        if self.merger is not None:
            found = self.merger.gathered(earlier[1], effects[1])
            return None if found is None else (last, found)
        return (last, *map(_together, self.forms, earlier[1:], effects[1:], strict=True))

    def finish(self, chunks: Iterable[Effects], namespace: dict[str, Any]) -> Any:
        """Merges the chunks' effects, given in order of iteration, binds the loop's variables and returns the value of
        the expression (None for a `for` loop). A merge that raises has changed nothing."""
        self.check(namespace)
        effects: list[Effects] = []
        for chunk in chunks:
            effects.append(chunk)
            if self.decided(chunk):
                break
        commits = [
            form.prepared(list(_apart(part[number] for part in effects)), namespace)
            for number, form in enumerate(self.forms, 1)
        ]
        value = self.merger.value([part[1] for part in effects]) if self.merger is not None else None
        last: dict[str, tuple[str, Any]] = {}
        for part in effects:
            last.update(part[0])
        modules = {name: importlib.import_module(found) for name, (how, found) in last.items() if how == "module"}
        for commit in commits:
            commit()
        self.lost = {}
        for name, (how, found) in last.items():
            if how == "value":
                namespace[name] = found
            elif how == "module":
                namespace[name] = modules[name]
            elif how == "item":
                variable, keys = found
                namespace[name] = reduce(operator.getitem, keys, namespace[variable])
            else:
                namespace.pop(name, None)
                if how == "lost":
                    self.lost[name] = found
        return value


class Parts(list[Any]):
    """What neighbouring chunks brought of one form, as few effects as it makes of them. gathers: whether it can make one of
    the last and another; of each effect it is asked once, for to answer takes as long as it is large."""

    def __init__(self, first: Any, gathers: bool) -> None:
        super().__init__([first])
        self.gathers = gathers


def _together(form: Form, earlier: Any, effect: Any) -> Parts:
    """An effect, or several, and the next chunk's."""
    parts = earlier if type(earlier) is Parts else Parts(earlier, form.gathers(earlier))
    gathers = form.gathers(effect)
    if gathers and parts.gathers:
        parts[-1] = form.gather(parts[-1], effect)
    else:
        parts.append(effect)
    parts.gathers = gathers
    return parts


def _apart(effects: Iterable[Any]) -> Iterator[Any]:
    for effect in effects:
        if type(effect) is Parts:
            yield from effect
        else:
            yield effect


@dataclass
class Verdict:
    """What becomes of a loop or comprehension of the cell, for `--explain`.

    lines: its first and last. classes: as those of a SplitLoop. It is split (`loop`), or refused (`refusal`), or left
    serial for the reason in `note`.
    """

    lines: tuple[int, int]
    column: int
    what: str
    classes: dict[str, str] = field(default_factory=dict)
    loop: SplitLoop | None = None
    refusal: refusals.Refusal | None = None
    note: str = ""


_ATOMS = (int, float, complex, str, bytes, tuple, frozenset, type(None))
_SEARCHED = 10_000


def _reached(value: object, wanted: Mapping[int, object]) -> int | None:
    """The id among `wanted` of an object that a value is or leads to, within its first few thousand objects; what lies
    deeper is found when it freezes. Frozen values, modules, classes and functions are not entered."""
    if id(value) in wanted:
        return id(value)
    seen: set[int] = set()
    todo = [value]
    while todo and len(seen) < _SEARCHED:
        item = todo.pop()
        if id(item) in seen or type(item) is not item.__class__ or not gc.is_tracked(item):
            continue
        seen.add(id(item))
        if isinstance(item, (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)):
            continue
        if type(item) is list and _core.only_type(item) in _COMPARED_BY_CPYTHON:
            continue
        parts = gc.get_referents(item)
        if found := next(filter(wanted.__contains__, map(id, parts)), None):
            return found
        todo += filter(gc.is_tracked, parts)
    return None


def _overlap(value: Any, other: Any) -> bool:
    """Whether two arrays have memory in common."""
    numpy = sys.modules.get("numpy")
    array = getattr(numpy, "ndarray", ())
    return isinstance(value, array) and isinstance(other, array) and bool(numpy.may_share_memory(value, other))  # type: ignore[union-attr]


def _lookup(namespace: Mapping[str, Any], name: str) -> Any:
    first, *rest = name.split(".")
    value = namespace.get(first, getattr(builtins, first, None))
    for attribute in rest:
        value = getattr(value, attribute, None)
    return value


COUNTER: Any = Counter


@dataclass
class CellPlan:
    """module: the cell with `__firn__.split(k, iterable)` where loop k stood. notes: why something was not split.
    uses_parallel: the cell names `parallel.rank`, `.size` or `.split`: it is one for --each. mutated_later: variables
    that a loop shares and a later statement changes: they travel as copies. verdicts: on every loop and comprehension, in
    the order of the cell's text. inner: (line, function) of calls in the notebook's part of the cell of functions that
    have loops of their own."""

    module: ast.Module
    loops: Sequence[SplitLoop] = ()
    notes: list[str] = field(default_factory=list)
    uses_parallel: bool = False
    mutated_later: set[str] = field(default_factory=set)
    verdicts: Sequence[Verdict] = ()
    inner: Sequence[tuple[int, str]] = ()
