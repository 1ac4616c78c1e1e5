"""What the workers take over from the notebook at each job: sys.path, reloaded modules, warning filters, the
loggers' levels, the decimal context, the interpreter's limits, the environment variables and the time zone. `settings` is the notebook's side,
`Follower` a worker's.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import time
import warnings
from contextlib import suppress
from types import ModuleType

from firn import logged, rebuild

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


ORDINARY = (28, "ROUND_HALF_EVEN", -999999, 999999, 1, 0, ("DivisionByZero", "InvalidOperation", "Overflow"))
"""The decimal context of a thread that has not set one: precision, rounding, Emin, Emax, capitals, clamp, traps."""


class _Imports:
    """Stands on sys.meta_path, finds nothing, and counts what the import system is asked for: without that, no module gets
    a new spec. Looking at the specs of a few thousand modules before each cell would take longer than a short one."""

    def __init__(self) -> None:
        self.asked = 0

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        self.asked += 1


_imports = _Imports()
_known: tuple[int, int] | None = None  # what was asked for, and the number of modules, at the last look
_specs: dict[str, object] = {}
_reloads: dict[str, int] = {}
_edited: set[str] = set()  # those of them that %autoreload has reloaded
_times: dict[str, float] = {}  # of the files, as %autoreload knew them at the last look


def look_at_autoreload() -> None:
    """Counts what `%autoreload` has reloaded: it mostly patches a module's functions in place and makes no new spec, but it
    remembers the times of the files. Called after each cell, too: the time before the first reload has to be known."""
    loaded = sys.modules.get("IPython")
    shell = loaded.get_ipython() if loaded is not None else None
    magics = shell.magics_manager.registry.get("AutoreloadMagics") if shell is not None else None
    reloader = getattr(magics, "_reloader", None)
    times: dict[str, float] = getattr(reloader, "modules_mtimes", _times)
    if times == _times:
        return
    failed: dict[str, float] = getattr(reloader, "failed", {})
    for name, changed in times.items():
        if (
            _times.get(name, changed) != changed
            and failed.get(getattr(sys.modules.get(name), "__file__", "")) != changed
        ):
            _reloads[name] = _reloads.get(name, 0) + 1
            _edited.add(name)
    _times.update(times)


def generations() -> dict[str, int]:
    """How often each module was reloaded since firn first saw it; those never reloaded are left out."""
    global _known
    if _imports not in sys.meta_path:
        sys.meta_path.insert(0, _imports)
        _known = None
    now = (_imports.asked, len(sys.modules))
    if now != _known:
        _known = now
        # importlib.reload gives the module a new spec; nothing else in the import system does.
        for name, module in list(sys.modules.items()):
            spec = getattr(module, "__spec__", None) if isinstance(module, ModuleType) else None
            if spec is not None and _specs.setdefault(name, spec) is not spec:
                _specs[name] = spec
                _reloads[name] = _reloads.get(name, 0) + 1
    look_at_autoreload()
    return dict(_reloads)


def stop_counting() -> None:
    """Takes firn off sys.meta_path."""
    with suppress(ValueError):
        sys.meta_path.remove(_imports)


def settings() -> dict[str, Any]:
    """What workers take over from the notebook (see above)."""
    decimal = sys.modules.get("decimal")
    context = None
    if decimal is not None:
        context = _told(decimal.getcontext()), _told(decimal.DefaultContext)
    return {
        "path": list(sys.path),
        "reloads": generations(),
        "edited": frozenset(_edited),
        "filters": tuple(
            (action, _pattern(message), _category(category), _pattern(module), line)
            for action, message, category, module, line in _filters()
            if isinstance(category, type)
        ),
        "decimal": context,
        "loggers": logged.state(),
        "limits": (sys.getrecursionlimit(), sys.get_int_max_str_digits()),
        "zone": (time.tzname, time.timezone, time.altzone, time.daylight),
        "environment": hash(frozenset(os.environ._data.items())),  # type: ignore[attr-defined]  # undecoded
    }


def _told(context: Any) -> tuple[Any, ...]:
    """A decimal context, as `_set_decimal` takes it."""
    traps = tuple(sorted(signal.__name__ for signal, on in context.traps.items() if on))
    return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp, traps


def _filters() -> Sequence[Any]:
    """The warning filters that hold here; with context-aware warnings `catch_warnings` leaves the module's as they are."""
    context = getattr(warnings, "_get_context", None)
    found: Sequence[Any] = warnings.filters if context is None else context()._filters
    return found


def _category(category: type) -> tuple[str, str, int | None]:
    """A filter's category: its module, its name, and the number of a class of the notebook (`replicate.token_of`)."""
    home, name = category.__module__, category.__qualname__
    if getattr(sys.modules.get(home), name, None) is category and home != "__main__":
        return home, name, None
    from firn import replicate

    return home, name, replicate.token_of(category) if replicate.is_by_value(category) else None


def _pattern(pattern: Any) -> tuple[str, int] | str | None:
    return pattern if pattern is None or isinstance(pattern, str) else (pattern.pattern, pattern.flags)


class Follower:
    """A worker's side of `settings`: applies what has changed since the last job."""

    def __init__(self) -> None:
        self._reloaded: dict[str, int] = {}
        self._path: list[str] | None = None
        self._filters: object = None
        self._made: list[Any] = []
        self._decimal: object = None
        self._limits: object = None
        self._environment: object = None

    def follow(self, settings: dict[str, Any]) -> None:
        if settings["path"] != self._path:
            self._path = settings["path"]
            sys.path[:] = settings["path"]
            # Not importlib.invalidate_caches(), which imports importlib.metadata: 40 ms of a worker's first cell.
            for finder in list(sys.path_importer_cache.values()):
                if finder is not None and hasattr(finder, "invalidate_caches"):
                    finder.invalidate_caches()
        self._reload(settings["reloads"], settings["edited"])
        if settings["filters"] != self._filters:
            self._filters = settings["filters"]
            self._made = _made_filters(settings["filters"])
        # Also where they are the same: what was shown once, in an earlier job, is the notebook's to know.
        warnings.resetwarnings()  # which tells the C half, too, that the list changes
        warnings.filters[:] = self._made  # type: ignore[index]
        warnings.onceregistry.clear()  # type: ignore[attr-defined]
        if settings["decimal"] is not None and settings["decimal"] != self._decimal:
            self._decimal = settings["decimal"]
            # Loading decimal takes longer than all else here.
            if "decimal" in sys.modules or settings["decimal"] != (ORDINARY, ORDINARY):
                _set_decimal(settings["decimal"][0])
        logged.follow(settings["loggers"])
        if settings["limits"] != self._limits:
            self._limits = settings["limits"]
            recursion, digits = settings["limits"]
            sys.setrecursionlimit(recursion)
            sys.set_int_max_str_digits(digits)
        # After time.tzset() the process has another time zone, of which only the notebook's own module knows. To call it here
        # would be too much: where the notebook has not, a new TZ does not hold yet.
        time.tzname, time.timezone, time.altzone, time.daylight = settings["zone"]
        if settings["environment"] != self._environment:
            self._environment = settings["environment"]
            os.reload_environ()  # type: ignore[attr-defined, unused-ignore]  # the process's own, which os.environ mirrors

    def _reload(self, generations: dict[str, int], edited: frozenset[str]) -> None:
        for name, generation in generations.items():
            module = sys.modules.get(name)
            if module is not None and self._reloaded.get(name, 0) != generation:
                with suppress(Exception):  # where it fails, the module stays as it was, as in the notebook
                    _reload(module, in_place=name in edited)
            self._reloaded[name] = generation


def _reload(module: ModuleType, in_place: bool) -> None:
    if in_place:
        from firn import patching  # late: most workers never need it

        patching.reload(module)
    else:
        importlib.reload(module)


class _Pattern:
    """A pattern of a warning filter, compiled when a warning is looked at: importing re takes longer than all of `follow`."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._arguments = pattern, flags

    def __getattr__(self, name: str) -> Any:
        import re

        return getattr(re.compile(*self._arguments), name)


class _Category:
    """A filter's category that this worker may not have yet: what it is of is found when a warning is looked at, among the
    classes that the warning's own class is derived from."""

    def __init__(self, home: str, name: str, token: int | None) -> None:
        self._home, self._name, self._token = home, name, token

    def __subclasscheck__(self, cls: type) -> bool:
        return any(map(self._is, cls.__mro__))

    def _is(self, cls: type) -> bool:
        token = rebuild.tokens.get(cls)
        if self._token is not None or token is not None:
            return token == self._token
        return (cls.__module__, cls.__qualname__) == (self._home, self._name)


def _made_filters(filters: tuple[tuple[Any, ...], ...]) -> list[Any]:
    made = []
    for action, message, (home, name, token), module, line in filters:
        category = getattr(builtins, name, None) if home == "builtins" else None
        patterns = [_Pattern(*it) if isinstance(it, tuple) else it for it in (message, module)]
        made.append((action, patterns[0], category or _Category(home, name, token), patterns[1], line))
    return made


def _set_decimal(settings: tuple[Any, ...]) -> None:
    import decimal

    prec, rounding, emin, emax, capitals, clamp, flags = settings
    traps = [getattr(decimal, name) for name in flags]
    decimal.setcontext(decimal.Context(prec, rounding, emin, emax, capitals, clamp, traps=traps))
