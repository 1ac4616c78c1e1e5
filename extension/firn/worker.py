"""The runtime inside each worker: the pool imports it once per worker and calls `begin`, `run` and `pack`.

Imported at every worker's start, as all that it imports: cloudpickle, linecache, re and traceback are imported when they
are needed, and typing, which takes longer to load than most of the rest, not at all.
"""

from __future__ import annotations

import _interpreters
import builtins
import importlib
import marshal
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import length_hint

from firn import _core, errors, exact_types, items, logged, rebuild, results, showing, streams, warned
from firn.analysis.chunk import define
from firn.rebuild import Stopped
from firn.settings import Follower
from firn.stopwatch import Stopwatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["Stopped", "begin", "pack"]

type Result = tuple[Any, ...]
"""("ok", effects, (seconds, iteration) of the slowest iterations) or ("error", iteration, and what failures.describe tells of the exception)."""

KEPT: Final = 256
"""How many definitions a worker remembers for later cells, and of how many files the lines."""

_DUNDERS: Final = ("__name__", "__builtins__", "__doc__", "__loader__", "__spec__", "__package__")


in_worker: Final = _interpreters.get_current()[0] != _interpreters.get_main()[0]
"""Whether this interpreter is a worker's; its `__main__`, streams and input are then firn's."""


class Space:
    """A worker's `__main__`: the namespace that shipped functions read, and the definitions loaded into it."""

    def __init__(self, generation: int = 0) -> None:
        self.generation = generation
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__builtins__"] = builtins
        self.names = self.module.__dict__
        self.assigned: set[str] = set()
        self._loaded: OrderedDict[bytes, tuple[Any, rebuild.Memo | None]] = OrderedDict()

    def fill(self, header: dict[str, Any], pointers: tuple[Any, ...]) -> tuple[list[Any], dict[int, rebuild.Memo]]:
        """Puts in place what a setup brings, and nothing else but what `--each` cells assigned; the units' values, and the
        memos of copies."""
        if in_worker:
            sys.modules["__main__"] = self.module
        for name in [name for name in self.names if name not in _DUNDERS and name not in self.assigned]:
            del self.names[name]
        for name in header["imports"]:
            importlib.import_module(name)
        for name, (kind, value) in header["bindings"].items():
            if kind == "module":
                self.names[name] = importlib.import_module(value)
            elif kind == "value":
                self.names[name] = value
            elif kind == "refused":
                self.names[name] = rebuild.Refused(value)
        bound: dict[int, list[str]] = {}
        for name, (kind, value) in header["bindings"].items():
            if kind == "unit":
                bound.setdefault(value, []).append(name)
        units = header["units"]
        self.undefine(units, header["definitions"])
        found: list[Any] = [None] * len(units)
        memos: dict[int, rebuild.Memo] = {}
        # Definitions come before frozen values are looked at: what this interpreter has made of those is forgotten when one
        # of their classes is another one.
        data = {number for number, unit in enumerate(units) if unit[0] in ("frozen", "address")}
        late = data - {need for unit in units if unit[0] == "pickle" for need in unit[4]}
        for number in sorted(range(len(units)), key=late.__contains__):
            value, memo = self._load(units[number], found, pointers)
            found[number] = value
            if memo is not None:
                memos[number] = memo
            if number in header["definitions"]:
                _core.define(header["definitions"][number], value)
            self.names.update(dict.fromkeys(bound.get(number, ()), value))
        exact_types.follow(self.names)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return found, memos

    def undefine(self, units: list[tuple[Any, ...]], definitions: dict[int, int]) -> None:
        """Forgets definitions that are about to be loaded anew, with all that was made of their instances: what a new one
        holds of these is to be what everyone gets from now on."""
        for number, definition in definitions.items():
            unit = units[units[number][1]] if units[number][0] == "part" else units[number]
            if not (unit[0] == "pickle" and unit[2] and unit[1] in self._loaded):
                _core.undefine(definition)
                _empty_caches()

    def forget_definitions(self) -> None:
        """Lets later jobs load definitions anew, as the notebook has them: code has changed what these hold."""
        self._loaded.clear()

    def let_go(self) -> None:
        """Forgets everything but what `--each` cells assigned and the definitions: what nobody else refers to goes."""
        for name in [name for name in self.names if name not in _DUNDERS and name not in self.assigned]:
            del self.names[name]
        rebuild.borrowed = None

    def _load(
        self, unit: tuple[Any, ...], found: list[Any], pointers: tuple[Any, ...]
    ) -> tuple[Any, rebuild.Memo | None]:
        match unit:
            case ("frozen", number):
                return pointers[number], None
            case ("address", address):
                return _core.adopt(address), None
            case ("part", number, position):
                return found[number][position], None
            case ("pickle", version, kept, is_copy, needs, raw):
                if kept and version in self._loaded:
                    self._loaded.move_to_end(version)
                    return self._loaded[version]
                loader = rebuild.UnitLoader(raw, self.names, [found[number] for number in needs])
                loaded = loader.load(), loader.kept_memo() if is_copy else None
                if kept:
                    self._loaded[version] = loaded
                return loaded
        raise AssertionError(unit)


class Job:
    """What begin() gives the pool. It goes when the job is done, and with it what the worker knows of the data."""

    def __init__(self, space: Space, run: Callable[[int, int], Result], watching: list[Any] | None = None) -> None:
        self._space, self._run, self._watching = space, run, watching or [None]
        _unchecked.add(id(self))
        self._shipment = rebuild.borrowed

    def __call__(self, start: int, stop: int) -> Result:
        return self._run(start, stop)

    def __del__(self) -> None:
        # The next job is to find things as the notebook has them.
        try:
            watch = self._watching[0] or (_watch_of([], []) if _core.has_made() else None)
            spoilt = watch is not None and bool(watch.changed_in_definitions())
            changed = watch is not None and bool(watch.changed_object())
        except Exception:  # code of the user's classes
            spoilt = changed = True
        if spoilt:
            self._space.forget_definitions()
        if changed:
            _core.forget_made()
        _unchecked.discard(id(self))
        # In a cycle (an exception's frames) it may outlive its job: these are the next one's things then.
        if rebuild.borrowed is self._shipment:
            self._space.let_go()


_unchecked: set[int] = set()
"""Jobs that may have changed what the interpreter has made of frozen data."""

_files: OrderedDict[str, None] = OrderedDict()
_split = Space()
_each = Space()
_follower = Follower()


def begin(setup: tuple[bytes, tuple[Any, ...]]) -> Callable[[int, int], Result]:
    """Prepares this worker for a job; `setup` is a shipment's. Nothing of the setup itself is kept but the pointers,
    for it is gone after the job."""
    rebuild.borrowed = None  # a job that goes from now on is not this one
    if _unchecked:  # one has not gone, for an exception's frames hold it
        _unchecked.clear()
        _core.forget_made()
        _empty_caches()
    raw, pointers = setup
    header = pickle.loads(raw)
    if in_worker:
        sys.settrace(None)  # a job that was stopped while it described an exception may have left one
        _follower.follow(header["settings"])
    _remember_lines(header["lines"])
    global _each
    if header["mode"] == "each" and header["generation"] != _each.generation:
        _each = Space(header["generation"])
    space = _each if header["mode"] == "each" else _split
    global _caches_grow_old
    if _caches_grow_old or header["changes"]:
        _empty_caches()
    _caches_grow_old = header["changes"]
    found, memos = space.fill(header, tuple(pointers))
    lent, copies = header["lent"]
    values, memos = {number: found[number] for number in lent}, {number: memos[number] for number in copies}
    rebuild.borrowed = rebuild.Lent(header["shipment"], values, memos, header["mode"] == "split")
    _core.lend(rebuild.borrowed.addresses() if header["copied"] else [])
    code = exact_types.loaded(marshal.loads(header["code"]))
    if header["mode"] == "each":
        return Job(space, _whole_cell(space, code, header))
    plan = items.with_sources(header["items"], found)
    chunk = define(code, space.names)
    seed = header["seed"]
    watching = [_watch(header["copies"], [found[number] for number in header["watched"]], found)]
    stopwatch = Stopwatch()

    def run(start: int, stop: int) -> Result:
        part = items.slice_items(plan, start, stop)
        watch = watching[0]
        looks = watch is not None and watch.due
        try:
            before = None
            if looks and header["copied_items"]:
                before = watch.also("what the loop runs over", list(items.slice_items(plan, start, stop)))
            source = iter(part) if seed is None else _seeded(iter(part), seed, start)
            warned.travel(True)
            logged.travel(True)
            _core.take_refused_write()
            effects = chunk(items.Slice(stopwatch.watched(source, stop - start), part), start)
            if (refused := _core.take_refused_write()) is not None:
                raise _effects().caught_refusal(*refused)
            slowest = stopwatch.slowest(start, stop - start)
            if rebuild.missed:
                raise rebuild.missed[0]
            if watch is None and _core.has_made():
                watch = watching[0] = _watch_of([], [])
                looks = True
            if looks and (changed := watch.changed(before)):
                raise _effects().changed_copy(changed)
            return ("ok", effects, slowest)
        except Stopped:
            raise
        except BaseException as error:
            reached = max(start, stop - length_hint(part) - 1)  # what comes before the first item may fail, too
            return _failure(reached, rebuild.missed[0] if rebuild.missed else error)
        finally:
            rebuild.missed.clear()
            warned.travel(False)
            logged.travel(False)
            streams.flush()

    return Job(space, run, watching)


def _empty_caches() -> None:
    """Of functools: they may hold copies of what the notebook has changed since, or what this interpreter has made of frozen
    data and makes anew."""
    for cache in rebuild.caches:
        cache.cache_clear()


_caches_grow_old = False
"""Whether the job before this one had copies."""


def _watch(copies: list[tuple[int, str]], definitions: list[Any], found: list[Any]) -> Any:
    if not copies and not definitions:
        return None
    return _watch_of([(name, found[number]) for number, name in copies if number >= 0], definitions)


def _watch_of(values: list[tuple[str, Any]], definitions: list[Any]) -> Any:
    from firn.watch import Watch

    return Watch(values, definitions)


def _effects() -> types.ModuleType:
    from firn import effects

    return effects


def _seeded(iterator: Iterator[Any], seed: int, start: int) -> Iterator[Any]:
    """The items, with the random module seeded before each: its stream then depends on neither chunk nor worker."""
    import random

    for iteration, item in enumerate(iterator, start):
        random.seed(seed << 64 | iteration)
        yield item


def _whole_cell(space: Space, code: types.CodeType, header: dict[str, Any]) -> Callable[[int, int], Result]:
    def run(rank: int, stop: int) -> Result:
        from firn.spmd import Parallel

        before = dict(space.names)
        if header["seed"] is not None:
            import random

            random.seed(header["seed"] << 64 | rank)
        space.names["parallel"] = Parallel(rank, header["size"])
        logged.travel(True)
        try:
            exec(code, space.names)
            if rebuild.missed:
                raise rebuild.missed[0]
            return ("ok", {name: _gathered(space, name) for name in header["gather"]})
        except Stopped:
            raise
        except BaseException as error:
            return _failure(rank, rebuild.missed[0] if rebuild.missed else error)
        finally:
            logged.travel(False)
            rebuild.missed.clear()
            space.assigned |= {
                name for name, value in space.names.items() if name not in before or before[name] is not value
            } - {"parallel"}
            streams.flush()

    return run


def _gathered(space: Space, name: str) -> Any:
    if name not in space.names:
        raise NameError(errors.not_made(name))
    return space.names[name]


def pack(result: object) -> bytes:
    """A result as a pickle, for one that cannot be frozen (`firn.shipping.unpack` reads it)."""
    try:
        return results.dump_lent(result)
    except Exception as error:
        return pickle.dumps(("stuck", f"{type(error).__name__}: {error}"))


def _remember_lines(lines: dict[str, list[str]]) -> None:
    """The lines of cells, for tracebacks; of the latest ones, for each cell has a file name of its own."""
    if not lines:
        return
    import linecache

    for filename, text in lines.items():
        linecache.cache[filename] = (sum(map(len, text)), None, text, filename)
        _files[filename] = None
        _files.move_to_end(filename)
    while in_worker and len(_files) > max(KEPT, len(lines)):
        linecache.cache.pop(_files.popitem(last=False)[0], None)


def _failure(iteration: int, error: BaseException) -> Result:
    try:
        return ("error", iteration, *described(error))
    except Stopped:
        raise
    except BaseException as broken:
        message = f"<it cannot be described: {type(broken).__name__}>"
        return ("error", iteration, None, type(error).__name__, message, "", None)


def described(error: BaseException) -> tuple[Any, ...]:
    """What the notebook is told of an exception (`failures.describe`)."""
    if issubclass(type(error), MemoryError):
        _let_go(error)
    from firn import failures

    return failures.describe(error)


def _let_go(error: BaseException) -> None:
    """Frees what the functions held that ran out of memory: describing the exception takes some, too."""
    trace = BaseException.__dict__["__traceback__"].__get__(error)
    while trace is not None:
        with suppress(RuntimeError):  # a frame that still runs
            trace.tb_frame.clear()
        trace = trace.tb_next


if in_worker:
    exact_types.install()
    streams.install()
    showing.install()
    warned.install()
    logged.install()
