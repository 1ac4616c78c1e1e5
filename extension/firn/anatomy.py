"""Where the memory of a frozen value goes, by path and type: the tree that `%frozen rows` shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from firn import _core
from firn.readable import count_objects, size

SHOWN: Final = 24
"""Rows of the tree; the smaller parts are told together."""

IN_FULL: Final = 30_000_000
"""Objects of a segment that are all looked at (about 30 ns each); of more, some stand for the others."""

_NAME: Final = 30  # characters of a key


@dataclass(eq=False)
class Part:
    """The objects of one type at one path."""

    path: str
    type: str
    objects: int
    bytes: int
    recursive: bool = False  # what is below it stands for instances of this class at any depth
    children: list[Part] = field(default_factory=list)

    @property
    def above(self) -> str:
        """Its path in those of the parts below."""
        return f"{self.path}…" if self.recursive else self.path

    @property
    def total(self) -> int:
        """Its bytes, and those of all parts below."""
        return self.bytes + sum(part.total for part in self.children)

    def walk(self) -> Iterator[Part]:
        """Itself and all below, the biggest first at each step."""
        yield self
        for part in sorted(self.children, key=lambda part: part.total, reverse=True):
            yield from part.walk()


@dataclass
class Anatomy:
    """What a frozen value consists of. Bytes are the heap's own, exact to the last one unless `every` is above 1."""

    name: str
    parts: list[Part]
    every: int = 1

    @property
    def objects(self) -> int:
        return sum(part.objects for part in self.parts)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def rows(self) -> tuple[list[Part], list[Part]]:
        """The parts that are shown, in the tree's order, and those that are too small."""
        order = list(self.parts[0].walk()) if self.parts else []
        if len(order) <= SHOWN + 1:
            return order, []
        large = {id(part) for part in sorted(order, key=lambda part: part.bytes, reverse=True)[:SHOWN]}
        shown = [part for part in order if id(part) in large or part is order[0]]
        return shown, [part for part in order if id(part) not in large and part is not order[0]]

    def figures(self) -> list[tuple[str, str, str, str, float]]:
        """Path, type, objects, size, and the share of the whole, for each row."""
        shown, rest = self.rows()
        whole = max(self.bytes, 1)
        table = [(part.path, part.type, f"{part.objects:,}", size(part.bytes), part.bytes / whole) for part in shown]
        if rest:
            objects, taken = sum(part.objects for part in rest), sum(part.bytes for part in rest)
            table.append((f"{len(rest)} smaller parts", "", f"{objects:,}", size(taken), taken / whole))
        return table

    @property
    def summary(self) -> str:
        if not self.parts:
            return f"{self.name} takes no memory of the heap: every interpreter has it as it is"
        sampled = f", estimated from every {self.every}th item of long containers" if self.every > 1 else ""
        return f"{self.name}: {count_objects(self.objects)}, {size(self.bytes)}{sampled}"

    def __str__(self) -> str:
        if not self.parts:
            return self.summary
        table = [
            ("path", "type", "objects", "size", ""),
            *((*row[:4], f"{100 * row[4]:.0f} %") for row in self.figures()),
        ]
        widths = [max(len(row[column]) for row in table) for column in range(5)]
        lines = [
            f"  {row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]:>{widths[4]}}"
            for row in table
        ]
        return "\n".join([self.summary, *(line.rstrip() for line in lines)])

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    def _repr_html_(self) -> str:
        from firn import timeline
        from firn.report_html import STYLE

        figures = self.figures() if self.parts else []
        rows = "".join(
            f"<code>{escape(path)}</code><span class='dim'>{escape(kind)}</span><span class='n dim'>{objects}</span>"
            f"<div class='bar'><i style='width:{100 * share:.1f}%'></i></div><span class='n'>{taken}</span>"
            for path, kind, objects, taken, share in figures
        )
        name, _, rest = self.summary.partition(": ")
        return (
            f"<style>{timeline.variables()}{STYLE}{_STYLE}</style><div class='firn'><div class='h'><code>{escape(name)}</code>"
            f"<span>{escape(rest)}</span></div><div class='a'>{rows}</div></div>"
        )


_STYLE: Final = (
    ".firn .a{display:grid;grid-template-columns:max-content max-content max-content minmax(60px,1fr) max-content;"
    "gap:2px 14px;align-items:center;margin-top:7px;font-size:12.5px;overflow-x:auto}"
    ".firn .a .bar{height:8px}.firn .a .bar i{display:block;height:100%;border-radius:2px;background:var(--firn-run)}"
)


def dissect(value: Any, name: str) -> Anatomy:
    """Takes a frozen value apart. 10 million objects take 0.3 s; of more than IN_FULL some are looked at."""
    numbers = _core.segments_of([value])
    objects = sum(segment["objects"] for segment in _core.segments() if segment["id"] in numbers)
    every = -(-objects // IN_FULL) or 1
    parts: list[Part] = []
    for parent, step, key, kind, number, taken, recursive in _core.dissect(value, every):
        part = Part(_path(parts[parent].above if parts else name, step, key), kind, number, taken, recursive)
        if parts:
            parts[parent].children.append(part)
        parts.append(part)
    return Anatomy(name, parts, every)


def _path(above: str, step: str, key: str) -> str:
    match step:
        case "items":
            return f"{above}[*]"
        case "members":
            return f"{above}{{*}}"
        case "keys":
            return f"keys of {above}"
        case "key":
            return f"{above}[{key[:_NAME]!r}{'...' if key[_NAME:] else ''}]"
        case "field":
            return f"{above}.{key}"
        case "below":
            return f"{above} ..."
        case _:
            return above
