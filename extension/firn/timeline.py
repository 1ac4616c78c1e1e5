"""Rows of bars over one axis of time, as inline SVG: no scripts, and colours that follow the page's theme.

Positions are percentages, so that a drawing is as wide as there is room while its text keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from math import floor, log10
from typing import Final

from firn.readable import plural, seconds
from firn.report import Report, Span

ROWS: Final = 16  # workers that are drawn
HEIGHT: Final = 19  # pixels of a row
BAR: Final = 11

NAMES: Final = {
    "notebook": "rest of the cell",
    "read": "reading the iterator",
    "freeze": "freezing",
    "share": "sharing",
    "start": "starting",
    "run": "running",
    "wait": "waiting",
    "merge": "merging",
}
"""What readers are told that the phases of `firn.report.PHASES` are."""

_LOST: Final = {"": "", "stopped": "stopped after ", "unused": "not used, "}

LIGHT: Final = {
    "run": "#2480b9", "run2": "#7a66c4", "freeze": "#d9861b", "share": "#c2577f", "start": "#b3951f",
    "merge": "#4c9a67", "read": "#2f9a9c", "notebook": "#9aa0a8", "wait": "#d3d6da", "pickle": "#a4683c",
}  # fmt: skip
DARK: Final = {
    "run": "#4fa8e0", "run2": "#9f8fe8", "freeze": "#f0a53c", "share": "#e57ba3", "start": "#d9bd55",
    "merge": "#6cc08b", "read": "#5cc5c7", "notebook": "#7d838c", "wait": "#50555c", "pickle": "#cf9263",
}  # fmt: skip


@dataclass
class Bar:
    """`began` and `ended` in seconds on the axis, a phase (or "run2") for the colour, and a text for the pointer. What
    is `lost` is hatched."""

    began: float
    ended: float
    phase: str
    title: str = ""
    lost: bool = False


@dataclass
class Row:
    """One line of a timeline; `figure` stands at its right."""

    label: str
    bars: list[Bar] = field(default_factory=list)
    figure: str = ""


def colour(phase: str) -> str:
    return f"var(--firn-{phase},{LIGHT[phase]})"


def running(number: int) -> str:
    """The colour of a cell's loop: two that follow each other can be told."""
    return "run2" if number % 2 else "run"


def rows_of(report: Report) -> list[Row]:
    """What the notebook and each worker did, over the cell's wall time."""
    wall = max(report.wall_seconds, 1e-9)
    size = max((loop.size for loop in report.loops), default=0)
    ranks = sorted({span.rank for loop in report.loops for span in loop.spans} | set(range(min(size, ROWS))))
    rows = [Row("notebook", _notebook(report, wall))]
    for rank in ranks[:ROWS]:
        row, busy = Row(f"worker {rank}"), 0.0
        for number, loop in enumerate(report.loops):
            spans = sorted((span for span in loop.spans if span.rank == rank), key=lambda span: span.began)
            busy += sum(span.seconds + span.pack_seconds for span in spans)
            row.bars += [
                Bar(span.began - span.setup_seconds, span.began, "start", f"loading what it needs: {seconds(span.setup_seconds)}")
                for span in spans
                if span.setup_seconds > wall / 1000
            ]  # fmt: skip
            least = wall * max(0.004, 0.0015 * min(len(ranks), ROWS))
            row.bars += worker_bars(spans, least, running(number), loop.what == "cell")
        row.figure = f"{100 * busy / wall:.0f} % busy"
        rows.append(row)
    return rows


def hidden_rows(report: Report) -> int:
    """How many workers `rows_of` leaves out."""
    return max(0, len({span.rank for loop in report.loops for span in loop.spans}) - ROWS)


def _notebook(report: Report, wall: float) -> list[Bar]:
    bars, at = [], 0.0
    for loop in sorted(report.loops, key=lambda loop: loop.began):
        if loop.began - at > wall / 1000:
            bars.append(Bar(at, loop.began, "notebook"))
        at = loop.began
        phases = loop.phases()
        for name in ("read", "freeze", "share"):
            bars.append(Bar(at, at + phases[name], name))
            at += phases[name]
        at = loop.began + loop.wall_seconds
        bars.append(Bar(at - phases["merge"], at, "merge"))
    if wall - at > wall / 1000:
        bars.append(Bar(at, wall, "notebook"))
    for bar in bars:
        bar.title = f"{NAMES[bar.phase]}: {seconds(bar.ended - bar.began)}"
    return bars


def worker_bars(spans: Sequence[Span], least: float, phase: str, whole: bool = False) -> list[Bar]:
    """A worker's chunks in order of time; those shorter than `least` seconds are drawn together with their neighbours.
    `whole`: each is a run of the whole cell."""
    bars: list[Bar] = []
    part: list[Span] = []
    for span in spans:
        apart = part and (span.began - part[-1].ended > least or part[-1].ended - part[0].began > least)
        if apart or (part and span.lost != part[-1].lost):
            bars.append(_together(part, phase, whole))
            part = []
        part.append(span)
    if part:
        bars.append(_together(part, phase, whole))
    return bars


def _together(spans: list[Span], phase: str, whole: bool) -> Bar:
    first, last = spans[0], spans[-1]
    items = sum(span.stop - span.start for span in spans)
    if whole:
        what = "the cell"
    elif len(spans) > 1:
        what = f"{plural(items, 'iteration')} in {len(spans)} chunks"
    else:
        what = f"iteration {first.start:,}" if items == 1 else f"iterations {first.start:,} to {first.stop - 1:,}"
    ended = last.ended + last.pack_seconds
    text = f"{what}: {_LOST[first.lost]}{seconds(ended - first.began)}"
    return Bar(first.began, ended, phase, text, bool(first.lost))


def draw(rows: Sequence[Row], wall: float, label: str) -> str:
    """The rows with their labels and figures, and the axis below; bars end where the axis does."""
    wall = max(wall, 1e-9)
    inside = len(rows) * HEIGHT
    lines = "".join(
        f"<line x1='{100 * at / wall:.3f}%' x2='{100 * at / wall:.3f}%' y1='0' y2='{inside}' class='q'/>"
        f"<text x='{100 * at / wall:.3f}%' y='{inside + 12}'{'' if at else ' style="text-anchor:start"'}>{text}</text>"
        for at, text in ticks(wall)
    )
    tracks = "".join(
        f"<rect x='0%' width='100%' y='{number * HEIGHT + (HEIGHT - BAR) / 2:g}' height='{BAR}' rx='2' class='k'/>"
        for number in range(len(rows))
    )
    bars = "".join(
        _rect(bar, wall, number, count % 2 == 1)
        for number, row in enumerate(rows)
        for count, bar in enumerate(row.bars)
    )
    drawing = (
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='{escape(label, quote=True)}' width='100%' "
        f"height='{inside + 16}' style='grid-row:1/span {len(rows) + 1}'>{tracks}{lines}{bars}</svg>"
    )
    labels = "".join(
        f"<span class='dim' style='grid-row:{number}'>{escape(row.label)}</span>"
        f"<span class='n dim' style='grid-row:{number}'>{escape(row.figure)}</span>"
        for number, row in enumerate(rows, 1)
    )
    return f"<div class='t' style='grid-template-rows:repeat({len(rows)},{HEIGHT}px) 16px'>{drawing}{labels}</div>"


def _rect(bar: Bar, wall: float, row: int, odd: bool) -> str:
    """A bar within the axis, wide enough to be seen; every other one a little paler, so that neighbours can be told."""
    began, ended = (min(max(0.0, at / wall), 1.0) for at in (bar.began, bar.ended))
    if ended <= began:
        return ""
    width = max(ended - began, 0.0015)
    x = min(began, 1.0 - width)
    pale = ";fill-opacity:.74" if odd and bar.phase in ("run", "run2") else ""
    title = f"<title>{escape(bar.title)}</title>" if bar.title else ""
    hatched = ""
    if bar.lost:  # a broken line as thick as the bar: a pattern would need a name of its own in the page
        pale = ";fill-opacity:.3"
        middle = f"{row * HEIGHT + HEIGHT / 2:g}"
        hatched = (
            f"<line x1='{100 * x:.3f}%' x2='{100 * (x + width):.3f}%' y1='{middle}' y2='{middle}' stroke-width='{BAR}' "
            f"stroke-dasharray='2 3' style='stroke:{colour(bar.phase)};pointer-events:none'/>"
        )
    return (
        f"<rect x='{100 * x:.3f}%' width='{100 * width:.3f}%' y='{row * HEIGHT + (HEIGHT - BAR) / 2:g}' height='{BAR}' "
        f"style='fill:{colour(bar.phase)}{pale}'>{title}</rect>{hatched}"
    )


def ticks(wall: float) -> list[tuple[float, str]]:
    """Round times on an axis, six at most, each with its text."""
    step = next(nice for nice in _nice(wall / 6) if nice >= wall / 6)
    unit, factor = next(
        (unit, factor) for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)) if wall >= factor or unit == "µs"
    )
    found = []
    for number in range(int(wall / step * 1.0001) + 1):
        at = min(number * step, wall)
        if at <= 0.97 * wall:
            text = f"{at / factor:.6g}"
            found.append((at, f"{text} {unit}" if number else "0"))
    return found


def _nice(value: float) -> Iterable[float]:
    power = 10.0 ** floor(log10(value))
    return (power * digit for digit in (1, 2, 5, 10))


def stack(phases: dict[str, float], wall: float) -> str:
    """The phases as one bar."""
    edges = [0.0]
    for value in phases.values():
        edges.append(edges[-1] + value)
    scale = max(wall, edges[-1], 1e-9)
    rects = "".join(
        f"<rect x='{100 * began / scale:.3f}%' width='{100 * (ended - began) / scale:.3f}%' y='0' height='8' "
        f"style='fill:{colour(name)}'><title>{NAMES[name]}: {seconds(ended - began)}</title></rect>"
        for name, (began, ended) in zip(phases, pairwise(edges), strict=True)
        if ended > began
    )
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='split of the time' width='100%' height='8' "
        f"class='v'>{rects}</svg>"
    )


def variables() -> str:
    """The colours as style sheets: by the system's theme, and by JupyterLab's or VS Code's where they have one."""

    def of(colours: dict[str, str]) -> str:
        return "{" + ";".join(f"--firn-{name}:{value}" for name, value in colours.items()) + "}"

    return (
        f".firn{of(LIGHT)}@media(prefers-color-scheme:dark){{.firn{of(DARK)}}}"
        f"[data-jp-theme-light=true] .firn,.vscode-light .firn{of(LIGHT)}"
        f"[data-jp-theme-light=false] .firn,.vscode-dark .firn{of(DARK)}"
    )
