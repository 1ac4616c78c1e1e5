"""The table of `%frozen`: what is frozen, where it is, and what has retired."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from firn import _core, errors
from firn.lifetime import holders
from firn.readable import count, size

RETIRED_SHOWN: Final = 8
"""Retired segments that have a row of their own, the largest first."""

_BACKING: Final = {"memory": "memory", "moving": "moving to disk", "file": "disk", "kept": "memory"}
_HEAD: Final = ("name", "type", "objects", "size", "cell", "age", "state")


@dataclass(frozen=True)
class Row:
    """What was frozen together: one segment. `size` is in bytes, `age` in seconds."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    objects: int
    bytes: int
    cell: str
    age: float
    retired: bool
    backing: str  # "memory", "moving", "file", "kept"

    @property
    def state(self) -> str:
        return f"{'retired' if self.retired else 'live'}, {_BACKING[self.backing]}"

    def cells(self) -> tuple[str, ...]:
        names = ", ".join(self.names) or "–"
        return (
            f"({names})" if self.retired and self.names else names,
            ", ".join(self.types),
            count(self.objects),
            size(self.bytes),
            self.cell,
            ago(self.age),
            self.state,
        )


class FrozenTable:
    """The frozen data of the process, as a notebook whose variables are `namespace` sees it: those of its variables
    first, then what no variable is bound to, the largest first."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        held = holders(namespace)
        now = time.time()
        live: list[Row] = []
        others: list[Row] = []
        for segment in _core.segments():
            holding = held.get(segment["id"], [])
            names = [name for name in segment["names"] if name in holding] or holding
            types = tuple(dict.fromkeys(type_name(namespace[name]) for name in names))
            row = Row(
                tuple(names or segment["names"]), types, segment["objects"], segment["bytes"], segment["cell"],
                now - segment["time"], segment["retired"] and not names, segment["backing"],
            )  # fmt: skip
            (live if names else others).append(row)
        others.sort(key=lambda row: row.bytes, reverse=True)
        self.rows = live + others[:RETIRED_SHOWN]
        self.more = others[RETIRED_SHOWN:]
        every = live + others
        self.memory = sum(row.bytes for row in every if row.backing != "file")
        self.disk = sum(row.bytes for row in every if row.backing == "file")
        self.retired = [row for row in every if row.retired]
        self.problem = _core.spool_problem() if any(row.backing == "kept" for row in every) else None

    def totals(self) -> str:
        """Bytes in memory and on disk, all in all."""
        folder = next((os.environ[name] for name in ("FIRN_SPOOL", "TMPDIR") if os.environ.get(name)), "/var/tmp")
        where = f" in {folder}" if self.disk else ""
        return f"{size(self.memory)} in memory, {size(self.disk)} on disk{where}"

    def hints(self) -> list[str]:
        """What to do about what is there."""
        found = []
        if self.more:
            taken = sum(row.bytes for row in self.more)
            found.append(f"{len(self.more)} smaller ones without a variable are not shown ({size(taken)})")
        if self.retired:
            found.append(
                "retired: no variable is bound to it any more; it goes for good once nothing holds any value of it "
                "(a list of some rows, Out, a worker's variable)"
            )
        if self.problem:
            found.append(errors.cannot_spool(*self.problem))
        if any(not row.retired for row in self.rows):
            found.append(
                "%frozen NAME shows where its memory goes, %thaw NAME makes it mutable, firn.release('NAME') drops it"
            )
        return found

    def __str__(self) -> str:
        if not self.rows:
            return "nothing is frozen"
        table = [_HEAD, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
        right = {2, 3, 5}
        lines = [
            "  ".join(
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        return "\n".join([*lines, self.totals(), *self.hints()])

    def _repr_html_(self) -> str:
        from firn import timeline
        from firn.report_html import STYLE

        if not self.rows:
            return f"<style>{timeline.variables()}{STYLE}</style><div class='firn'>nothing is frozen</div>"
        cells = "".join(f"<span class='c'>{escape(word)}</span>" for word in _HEAD)
        for row in self.rows:
            name, kind, objects, taken, cell, age, state = map(escape, row.cells())
            dim = " dim" if row.retired else ""
            cells += (
                f"<code class='{dim}'>{name}</code><span class='{dim}'>{kind}</span><span class='n{dim}'>{objects}</span>"
                f"<span class='n{dim}'>{taken}</span><span class='{dim}'>{cell}</span><span class='n{dim}'>{age}</span>"
                f"<span class='{dim}'>{state}</span>"
            )
        hints = "".join(f"<div>{escape(hint)}</div>" for hint in self.hints())
        return (
            f"<style>{timeline.variables()}{STYLE}{_STYLE}</style><div class='firn'><div class='h'>"
            f"<span>{escape(self.totals())}</span></div><div class='f'>{cells}</div><div class='s dim'>{hints}</div></div>"
        )


_STYLE: Final = (
    ".firn .f{display:grid;grid-template-columns:minmax(60px,max-content) repeat(6,max-content);gap:2px 16px;"
    "align-items:baseline;margin-top:7px;font-size:12.5px;overflow-x:auto}.firn .f code{overflow-wrap:anywhere}"
    ".firn .f .c:nth-child(3),.firn .f .c:nth-child(4),.firn .f .c:nth-child(6){text-align:right}"
)


def ago(seconds: float) -> str:
    """An age in one unit."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def type_name(value: object) -> str:
    """The type that a value reads as: a frozen list is a list."""
    return value.__class__.__name__
