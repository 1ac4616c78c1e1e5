"""A report as a card for notebooks: plain HTML, CSS and SVG that take the colours of the notebook's theme."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from firn.report import Loop, Report, Shared, Span, count, seconds, size

ROWS = 16  # workers drawn in the timeline
STYLE = """
.firn{--i:#2f9fd0;--i2:#5b7fd6;--f:#e0a13a;--r:#7aa874;--m:#8a8f98;font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);
color:var(--jp-ui-font-color1,inherit);border:1px solid rgba(128,128,128,.28);border-left:3px solid var(--i);border-radius:6px;
padding:10px 14px 9px;margin:6px 0 4px;max-width:820px;box-sizing:border-box}
.firn.slow{border-left-color:var(--f)}.firn.bad{border-left-color:#d05f5f}
.firn .h{display:flex;flex-wrap:wrap;align-items:baseline;gap:3px 12px}
.firn .big{font-size:19px;font-weight:650;letter-spacing:-.01em}.firn .dim{opacity:.66}
.firn .r{margin-left:auto}.firn svg{display:block;width:100%;overflow:visible}
.firn .t{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 10px;align-items:center;margin:9px 0 2px;font-size:12px}
.firn .bar{height:10px;border-radius:2px;background:rgba(128,128,128,.14);overflow:hidden}
.firn .n{font-variant-numeric:tabular-nums;text-align:right}
.firn.firn code{font:12px var(--jp-code-font-family,ui-monospace,monospace);background:none;padding:0;color:inherit}
.firn .key{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:11.5px;margin-top:3px}.firn .key i{display:inline-block;width:9px;height:9px;
border-radius:2px;margin-right:5px}
.firn .g{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:9px 26px;margin-top:9px}
.firn .c{font-size:11px;letter-spacing:.05em;text-transform:uppercase;opacity:.62;margin-bottom:2px}
.firn .l{display:flex;gap:10px;justify-content:space-between;font-size:12.5px}
.firn .l>:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.firn .l>:last-child{white-space:nowrap}
.firn .p{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 9px;align-items:center;font-size:12.5px}
.firn .p .bar{height:8px}.firn .p .bar i{display:block;height:100%;min-width:1px;border-radius:2px}
.firn .s{font-size:11.5px;line-height:1.35;margin-top:3px}
.firn .w{margin-top:8px;font-size:12.5px}.firn .w div::before{content:"· ";opacity:.6}
@media(max-width:560px){.firn .g{grid-template-columns:1fr}}
""".replace("\n", "")


def render(report: Report) -> str:
    """The card: a headline, a timeline with a row for each worker, what was frozen and what pickling would have cost."""
    look = " bad" if report.failed else " slow" if report.slower else ""
    parts = [f"<style>{STYLE}</style><div class='firn{look}'>", _head(report)]
    if report.way != "serial" and report.loops:
        parts += [_timeline(report), _loops(report), "<div class='g'>", _shared(report), _pickled(report), "</div>"]
    parts += [_notes(report), "</div>"]
    return "".join(parts)


def _head(report: Report) -> str:
    wall, serial = seconds(report.wall_seconds), seconds(report.serial_seconds)
    cell = "" if report.cell is None else f" [{report.cell}]"
    right = f"<span class='r dim'>%%parallel{cell}</span>"
    if report.way == "serial":
        big, rest = "Ran serially", f"in {wall}"
    elif report.failed:
        big, rest = "Failed", f"after {wall}: {escape(report.failed)}"
    elif report.way == "each":
        big, rest = f"In {report.workers} workers", f"in {wall}"
    elif report.slower:
        big, rest = "Slower than serially", f"{wall} instead of {serial}"
    else:
        big, rest = (
            f"{report.speedup:.1f}× faster" if report.speedup >= 1.05 else "As fast as serially",
            f"{wall} instead of {serial}",
        )
    where = "" if report.way != "split" or report.failed else f"<span class='dim'>{escape(report.split_text())}</span>"
    return f"<div class='h'><span class='big'>{big}</span><span>{rest}</span>{where}{right}</div>"


def _timeline(report: Report) -> str:
    """A row for the notebook (freezing, merging) and one for each worker, over the cell's wall time."""
    wall = max(report.wall_seconds, 1e-9)
    ranks = sorted({span.rank for loop in report.loops for span in loop.spans})
    own = []
    for loop in report.loops:
        read = loop.began + loop.read_seconds
        own.append(_rect(loop.began, read, wall, "var(--r)") if loop.read_seconds > wall / 500 else "")
        own.append(_rect(read, read + loop.freeze_seconds, wall, "var(--f)"))
        end = loop.began + loop.wall_seconds
        own.append(_rect(end - loop.merge_seconds, end, wall, "var(--m)"))
    rows = [_row("notebook", own, "")]
    for rank in ranks[:ROWS]:
        rects, busy = [], 0.0
        for number, loop in enumerate(report.loops):
            spans = [span for span in loop.spans if span.rank == rank]
            busy += sum(span.ended - span.began for span in spans)
            colour = "var(--i2)" if number % 2 else "var(--i)"
            rects += [_rect(began, ended, wall, colour) for began, ended in _joined(spans, wall / 500)]
        rows.append(_row(f"worker {rank}", rects, f"{100 * busy / wall:.0f} % busy"))
    more = (
        f"<div class='dim' style='font-size:12px'>and {len(ranks) - ROWS} more workers</div>"
        if len(ranks) > ROWS
        else ""
    )
    key = [_key("var(--i)", "running the loop" if report.way == "split" else "running the cell")]
    if report.freeze_seconds > 0:
        key.append(_key("var(--f)", "freezing"))
    if any(loop.read_seconds > wall / 500 for loop in report.loops):
        key.append(_key("var(--r)", "reading the iterator"))
    key.append(_key("var(--m)", "merging"))
    return f"<div class='t'>{''.join(rows)}</div>{more}<div class='key dim'>{''.join(key)}</div>"


def _joined(spans: Iterable[Span], gap: float) -> list[tuple[float, float]]:
    """Neighbouring chunks as one bar where the gap between them could not be seen."""
    bars: list[tuple[float, float]] = []
    for span in sorted(spans, key=lambda span: span.began):
        if bars and span.began - bars[-1][1] <= gap:
            bars[-1] = (bars[-1][0], max(bars[-1][1], span.ended))
        else:
            bars.append((span.began, span.ended))
    return bars


def _rect(began: float, ended: float, wall: float, colour: str) -> str:
    x, width = 1000 * began / wall, 1000 * (ended - began) / wall
    if width <= 0:
        return ""
    return f"<rect x='{x:.1f}' width='{max(width, 1.5):.1f}' height='10' style='fill:{colour}'/>"


def _row(label: str, rects: Iterable[str], figure: str) -> str:
    drawing = f"<svg viewBox='0 0 1000 10' height='10' preserveAspectRatio='none'>{''.join(rects)}</svg>"
    return f"<span class='dim'>{label}</span><div class='bar'>{drawing}</div><span class='n dim'>{figure}</span>"


def _key(colour: str, text: str) -> str:
    return f"<span><i style='background:{colour}'></i>{text}</span>"


def _loops(report: Report) -> str:
    lines = [_loop(loop) for loop in report.loops[:6]]
    if len(report.loops) > 6:
        lines.append(f"<div class='l dim'><span>and {len(report.loops) - 6} more</span><span></span></div>")
    title = "Split" if report.way == "split" else "In every worker"
    return f"<div style='margin-top:9px'><div class='c'>{title}</div>{''.join(lines)}</div>"


def _loop(loop: Loop) -> str:
    items = f"{loop.items:,} iteration{'s' if loop.items != 1 else ''} in {loop.chunks:,} chunk{'s' if loop.chunks != 1 else ''}"
    source = escape(loop.source.strip())
    return (
        f"<div class='l'><span title='line {loop.line}: {source}'><code>{source or escape(loop.what)}</code></span>"
        f"<span class='dim'>{items}</span></div>"
    )


def _shared(report: Report) -> str:
    order = {"frozen": 0, "reused": 1, "copied": 2, "shipped": 3}
    shown = sorted(report.shared, key=lambda item: order[item.how])
    lines = [
        f"<div class='l'><span><code>{escape(item.name)}</code> <span class='dim'>{escape(item.type)}</span></span>"
        f"<span class='dim'>{_how(item)}</span></div>"
        for item in shown[:6]
    ]
    if len(shown) > 6:
        lines.append(f"<div class='l dim'><span>and {len(shown) - 6} more</span><span></span></div>")
    if report.objects:
        lines.append(
            f"<div class='l'><span>{count(report.objects)} objects, {size(report.bytes)}</span><span>{seconds(report.freeze_seconds)}</span></div>"
        )
    if not lines:
        lines.append("<div class='l dim'><span>nothing: the workers need no variable</span><span></span></div>")
    return f"<div><div class='c'>Shared</div>{''.join(lines)}</div>"


def _how(item: Shared) -> str:
    match item.how:
        case "frozen":
            return "frozen now"
        case "reused":
            return "frozen before"
    return f"{item.how}, {size(item.bytes)}" if item.bytes else item.how


def _pickled(report: Report) -> str:
    """Two bars on one scale: what sharing cost, freezing included, and what the same by pickle costs."""
    pickled = report.pickled
    if pickled is None:
        return ""
    ours = report.share_seconds + report.freeze_seconds
    scale = max(ours, pickled.seconds, 1e-9)
    rows = [
        _compared("by reference", ours, scale, "var(--i)"),
        _compared("by pickle", pickled.seconds, scale, "var(--m)"),
    ]
    workers = f"{pickled.workers} worker{'s' if pickled.workers != 1 else ''}"
    label = "measured in full" if pickled.measured == "full" else f"estimated from {escape(pickled.sampled)}"
    freezing = f"freezing took {seconds(report.freeze_seconds)}, " if report.freeze_seconds > 0 else ""
    detail = (
        f"{freezing}sharing {seconds(report.share_seconds)}; the pickle has {size(pickled.bytes)}, "
        f"written once and read by {workers}, {label}"
    )
    return (
        f"<div><div class='c'>Getting the data to the workers</div><div class='p'>{''.join(rows)}</div>"
        f"<div class='dim s'>{detail}</div></div>"
    )


def _compared(name: str, value: float, scale: float, colour: str) -> str:
    return (
        f"<span>{name}</span><div class='bar'><i style='width:{100 * value / scale:.2f}%;background:{colour}'></i></div>"
        f"<b class='n'>{seconds(value)}</b>"
    )


def _notes(report: Report) -> str:
    why = report.why or (["nothing in it can be split"] if report.way == "serial" else [])
    lines = [escape(text) for text in [*why, *report.notes, *report.keeping()]]
    return f"<div class='w'>{''.join(f'<div>{line}</div>' for line in lines)}</div>" if lines else ""
