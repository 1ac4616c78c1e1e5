"""`%parallel history`: the session's parallel cells as a table, for consoles and for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from firn import timeline
from firn.readable import seconds, size
from firn.report import ENDED, Report

HEAD = ("cell", "wall", "serially", "speedup", "frozen", "saved", "what")
NOTE = (
    "serially: what the cell would have taken without workers; frozen: by this cell; saved: what getting the same data to"
    " the workers by pickle would have taken longer (≈ estimated on a sample; −: less long)"
)
_ENDED = {**ENDED, "Refused": "refused"}
EMPTY = "no parallel cell has run"
STYLE = """
.firn.firn-history{font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,inherit);
max-width:820px;overflow-x:auto}
.firn-history table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:0;border:0;width:100%;font-size:12.5px}
.firn.firn-history.firn-history table{table-layout:auto}
.firn.firn-history td,.firn.firn-history th{padding:2px 0 2px 16px;text-align:right;white-space:nowrap;border:0;background:none;
border-bottom:1px solid rgba(128,128,128,.2)}
.firn.firn-history tr>:first-child{padding-left:0}.firn.firn-history tr>:last-child{text-align:left;width:99%;max-width:0;
overflow:hidden;text-overflow:ellipsis}.firn-history .slow{color:var(--firn-freeze)}.firn-history .bad{color:#d05f5f}
.firn-history th{font-weight:600;opacity:.7}.firn-history p{font-size:11.5px;opacity:.7;margin:5px 0 0}
.firn-history .meter{display:inline-block;height:7px;border-radius:2px;background:var(--firn-run);margin-right:6px}
""".replace("\n", "")


def row(report: Report) -> tuple[str, ...]:
    """The figures of one cell, in the order of `HEAD`; what it has not, stays empty."""
    cell = "" if report.cell is None else f"[{report.cell}]"
    ran = report.way == "split" and not report.failed
    saved = report.saved_seconds
    return (
        cell,
        seconds(report.wall_seconds),
        seconds(report.serial_seconds) if ran else "",
        f"{report.speedup:.1f}×" if ran else "",
        size(report.bytes) if report.bytes else "",
        f"{'≈ ' if report.pickled.measured == 'sample' else ''}{seconds(saved)}" if report.pickled and saved else "",
        _what(report),
    )


def _what(report: Report) -> str:
    if report.failed:
        return _ENDED.get(report.failed, f"failed: {report.failed}")
    if report.way == "serial":
        return f"serially: {'; '.join(report.why) or 'nothing to split'}"
    if report.slower:
        return f"slower: {report.because()}"
    first = report.loops[0].source.strip() if report.loops else ""
    return f"{first} …" if len(report.loops) > 1 else first


def text(reports: Sequence[Report]) -> str:
    """The table in columns."""
    if not reports:
        return EMPTY
    rows = [HEAD, *map(row, reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([*(cell.rjust(width) for cell, width in zip(cells, widths[:-1], strict=False)), _cut(cells[-1])])
        for cells in rows
    ]
    return "\n".join(line.rstrip() for line in [*lines, NOTE])


def _cut(words: str) -> str:
    return words if len(words) <= 60 else f"{words[:59]}…"


def html(reports: Sequence[Report]) -> str:
    """The table as HTML, a bar for each wall time."""
    if not reports:
        return f"<div>{EMPTY}</div>"
    longest = max(max(report.wall_seconds for report in reports), 1e-9)
    lines = []
    for report in reports:
        figures = row(report)
        look = " class='bad'" if report.failed else " class='slow'" if report.slower else ""
        meter = f"<i class='meter' style='width:{60 * report.wall_seconds / longest:.0f}px'></i>"
        cells = [
            f"<td{look if name == 'what' else ''}>{meter if name == 'wall' else ''}{escape(figure)}</td>"
            for name, figure in zip(HEAD, figures, strict=True)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    return (
        f"<style>{timeline.variables()}{STYLE}</style><div class='firn firn-history'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table><p>{NOTE}</p></div>"
    )
