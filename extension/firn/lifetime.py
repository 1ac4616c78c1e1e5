"""When frozen data retires: at a cell's end, when no variable of the notebook is bound to anything of its segment.

A look at the variables is enough, and nothing that they hold is searched, for retiring takes nothing away: a scan of the
process (heap/scan/) finds what nothing points into any more, and that is given back for good. Where something still does
(rows that a plain list picked out, workers' own variables, running loops), the pages move to a file under the same
addresses, and are asked about again at the end of later cells. What is bound again stays in its file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from firn import _core, errors
from firn.session import BACKGROUND, SESSION

_HISTORY: Final = re.compile(r"_{1,3}|_\d+")
"""IPython's names for what cells showed: a look at `rows[0]` is no reason to keep all rows in memory."""


TIDY: Final = 0.2
"""Seconds that the workers get to let go of what they keep for data that retires; they need a fraction of one."""


class Lifetime:
    """Which of the process's segments may still have to retire. One thread at a time: whoever finds the pool idle."""

    def __init__(self) -> None:
        self._lasting: set[int] = set()  # in memory when an earlier cell ended
        self._met = 0  # segments up to this number have seen the end of a cell
        self._told: set[tuple[str, str]] = set()

    def cell_ended(self, namespaces: Iterable[dict[str, Any]]) -> None:
        """Retires what no variable needs. What was frozen during this cell, perhaps without a name, has until the next
        cell's end; nothing is retired while another thread's cell freezes or uses the pool."""
        with SESSION.idle() as idle:
            if not idle:
                return
            newest = _core.count_segments()
            if self._lasting:
                bound = [value for namespace in namespaces for value in variables(namespace).values()]
                if unbound := self._lasting.difference(_core.segments_of(bound)):
                    self._retire(sorted(unbound))
                    self._lasting -= unbound
            _core.rescan(False)
            self._lasting.update(range(self._met + 1, newest + 1))
            self._met = newest

    def forget(self, segments: Iterable[int]) -> None:
        """Somebody else retires these. One thread at a time, with the pool idle."""
        self._lasting.difference_update(segments)

    @staticmethod
    def _retire(segments: list[int]) -> None:
        """Nothing but what the user holds should keep them: what the interpreters have made of twins goes first."""
        _core.begin_retirement(segments)
        tidy()
        _core.retire(segments)

    def news(self) -> str:
        """Why retired data stays in memory, once for each folder and reason; empty when there is nothing to say."""
        problem = _core.spool_problem()
        if problem is None or problem in self._told:
            return ""
        self._told.add(problem)
        return errors.cannot_spool(*problem)


LIFETIME = Lifetime()


def tidy() -> None:
    """The idle workers let go of what they keep for retired data."""
    for session in (SESSION, BACKGROUND):
        if session.pool is not None:
            session.pool.tidy(TIDY)


def variables(namespace: dict[str, Any]) -> dict[str, Any]:
    """The variables that count: those of the user that are bound to data. Classes and members of enumerations are every
    interpreter's own: frozen data refers to them, but they need nothing of it. (Asked of the type: no code of the values'
    classes runs.)"""
    return {
        name: value
        for name, value in namespace.copy().items()
        if not _HISTORY.fullmatch(name) and not issubclass(type(value), type | Enum)
    }


def holders(namespace: dict[str, Any]) -> dict[int, list[str]]:
    """Segment -> the variables that are bound to something in it."""
    found: dict[int, list[str]] = {}
    for name, value in variables(namespace).items():
        for segment in _core.segments_of([value]):
            found.setdefault(segment, []).append(name)
    return found
