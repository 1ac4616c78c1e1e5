"""A report as a card for notebooks: plain HTML, CSS and SVG that take the colours of the notebook's theme."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from firn import peers_html, timeline
from firn.readable import plural, seconds, size
from firn.report import ENDED, SLOWEST, Loop, Report, Shared, Slow
from firn.timeline import NAMES, colour

NOTABLE = 1e-3  # seconds: quicker iterations and chunks are nobody's concern
STYLE = """
.firn{font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);
color:var(--jp-ui-font-color1,inherit);border:1px solid rgba(128,128,128,.28);border-left:3px solid var(--firn-run);border-radius:6px;
padding:10px 14px 9px;margin:6px 0 4px;max-width:820px;box-sizing:border-box}
.firn.slow{border-left-color:var(--firn-freeze)}.firn.bad{border-left-color:#d05f5f}
.firn .h{display:flex;flex-wrap:wrap;align-items:baseline;gap:3px 12px}
.firn .big{font-size:19px;font-weight:650;letter-spacing:-.01em}.firn .dim{opacity:.7}
.firn .r{margin-left:auto}.firn svg{display:block;overflow:visible}
.firn .t{display:grid;grid-template-columns:max-content minmax(0,1fr) max-content;gap:0 10px;align-items:center;margin:8px 0 0;font-size:12px}
.firn .t>svg{grid-column:2;align-self:start}.firn .t>:not(svg):not(.n){grid-column:1}.firn .t>.n{grid-column:3}
.firn .t text{font-size:10.5px;fill:currentColor;opacity:.62;text-anchor:middle}.firn .k{fill:rgba(128,128,128,.13)}
.firn .q{stroke:rgba(128,128,128,.32);stroke-width:1;stroke-dasharray:1 3}
.firn svg.v{border-radius:2px;overflow:hidden;margin-top:7px}
.firn .bar{height:8px;border-radius:2px;background:rgba(128,128,128,.14);overflow:hidden}
.firn .bar i{display:block;height:100%;min-width:1px;border-radius:2px}
.firn .n{font-variant-numeric:tabular-nums;text-align:right}
.firn.firn.firn code{font:12px var(--jp-code-font-family,ui-monospace,monospace);background:none;padding:0;color:inherit}
.firn .key{display:flex;flex-wrap:wrap;gap:1px 16px;font-size:12px;margin-top:4px}.firn .key i,.firn .d{display:inline-block;width:9px;
height:9px;border-radius:2px;margin-right:5px}.firn .key b{font-weight:500;font-variant-numeric:tabular-nums}
.firn .g{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:10px 26px;margin-top:10px}
.firn .c{font-size:11px;letter-spacing:.05em;text-transform:uppercase;opacity:.66;margin-bottom:2px}
.firn .l{display:flex;gap:10px;justify-content:space-between;font-size:12.5px}
.firn.firn.firn .l code{white-space:nowrap}.firn .l>:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.firn .l>:last-child{white-space:nowrap}
.firn .p{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 9px;align-items:center;font-size:12.5px}
.firn .s{font-size:11.5px;line-height:1.4;margin-top:3px}
.firn .w{margin-top:8px;font-size:12.5px}.firn .w div::before{content:"· ";opacity:.6}
@media(max-width:560px){.firn .g{grid-template-columns:1fr}}
""".replace("\n", "")


def render(report: Report) -> str:
    """The card: a headline, a timeline with a row for each worker, what was frozen and what pickling would have cost."""
    look = " bad" if report.failed else " slow" if report.slower else ""
    parts = [f"<style>{timeline.variables()}{STYLE}</style><div class='firn{look}'>", _head(report)]
    if report.way != "serial" and report.loops:
        parts += [_timeline(report), _split_of_time(report), _loops(report)]
        parts += ["<div class='g'><div>", _shared(report), _slowest(report), "</div>", _pickled(report), "</div>"]
        parts += [peers_html.render(report)]
    parts += [_notes(report), "</div>"]
    return "".join(parts)


def _head(report: Report) -> str:
    wall, serial = seconds(report.wall_seconds), seconds(report.serial_seconds)
    cell = "" if report.cell is None else f" [{report.cell}]"
    right = f"<span class='r dim'>%%parallel{cell}</span>"
    why = ""
    if report.way == "serial":
        big, rest = "Ran serially", f"in {wall}"
    elif report.failed:
        big = ENDED.get(report.failed, "failed").capitalize()
        rest = f"after {wall}" + ("" if report.failed in ENDED else f": {escape(report.failed)}")
    elif report.way == "each":
        big, rest = f"In {plural(report.workers, 'worker')}", f"in {wall}"
    elif report.slower:
        big, rest = "Slower than serially", f"{wall} instead of {serial}"
        because = report.because()
        why = f"{escape(because[0].upper() + because[1:])}."
    else:
        big, rest = (
            f"{report.speedup:.1f}× faster" if report.speedup >= 1.05 else "As fast as serially",
            f"{wall} instead of {serial}",
        )
    where = "" if report.way != "split" or report.failed else f"<span class='dim'>{escape(report.split_text())}</span>"
    if why:
        why, where = f"<div>{why} {where}</div>", ""
    return f"<div class='h'><span class='big'>{big}</span><span>{rest}</span>{where}{right}</div>{why}"


def _timeline(report: Report) -> str:
    """A row for the notebook (freezing, merging) and one for each worker, over the cell's wall time."""
    rows = timeline.rows_of(report)
    label = f"what the notebook and {plural(report.workers, 'worker')} did in {seconds(report.wall_seconds)}"
    more = timeline.hidden_rows(report)
    rest = f"<div class='dim s'>and {plural(more, 'more worker')}</div>" if more else ""
    return timeline.draw(rows, report.wall_seconds, label) + rest


def _split_of_time(report: Report) -> str:
    """The phases as one bar and as figures; they are the key to the timeline's colours, too."""
    phases, wall = report.phases(), max(report.wall_seconds, 1e-9)
    shown = [name for name in phases if phases[name] >= 0.005 * wall or name == "run"]
    figures = "".join(
        f"<span>{_swatches(report, name)}<span class='dim'>{NAMES[name]}</span> "
        f"<b>{seconds(phases[name])}</b>{_without_cpu(report) if name == 'run' else ''}</span>"
        for name in shown
    )
    if why := {span.lost for loop in report.loops for span in loop.spans if span.lost}:
        what = "stopped before its end" if why == {"stopped"} else "stopped or not used"
        striped = f"repeating-linear-gradient(90deg,{colour('run')} 0 2px,transparent 2px 4px)"
        figures += f"<span><i style='background:{striped}'></i><span class='dim'>{what}</span></span>"
    return f"{timeline.stack(phases, wall)}<div class='key'>{figures}</div>"


def _swatches(report: Report, phase: str) -> str:
    """The colours that a phase has in the timeline: two where every other loop has its own."""
    shown = ["run", "run2"] if phase == "run" and len(report.loops) > 1 else [phase]
    return "".join(f"<i style='background:{colour(name)}'></i>" for name in shown)


def _without_cpu(report: Report) -> str:
    """How much of the workers' time at work they waited for a CPU, each, where that was much."""
    waited = report.delay_each
    return (
        f" <span class='dim'>({seconds(waited)} without a CPU)</span>" if waited > 0.1 * report.phases()["run"] else ""
    )


def _loops(report: Report) -> str:
    several = len(report.loops) > 1
    lines = [_loop(loop, timeline.running(at) if several else "") for at, loop in enumerate(report.loops[:6])]
    if len(report.loops) > 6:
        lines.append(_line(f"<span>and {len(report.loops) - 6} more</span>", dim=True))
    title = "Split" if report.way == "split" else "In every worker"
    return f"<div style='margin-top:10px'><div class='c'>{title}</div>{''.join(lines)}</div>"


def _line(left: str, right: str = "", dim: bool = False) -> str:
    return f"<div class='l{' dim' if dim else ''}'>{left}<span class='dim'>{right}</span></div>"


def _loop(loop: Loop, phase: str) -> str:
    """`phase`: the loop's colour in the timeline, where there are several."""
    source = escape(loop.source.strip())
    swatch = f"<i class='d' style='background:{colour(phase)}'></i>" if phase else ""
    return _line(
        f"<span title='line {loop.line}: {source}'>{swatch}<code>{source or escape(loop.what)}</code></span>",
        plural(loop.items, "worker")
        if loop.what == "cell"
        else f"{loop.amount()}{', ' if loop.failed else ' '}{loop.pieces()}",
    )


def _shared(report: Report) -> str:
    order = {"frozen": 0, "reused": 1, "copied": 2, "shipped": 3}
    shown = sorted(report.shared, key=lambda item: order[item.how])
    lines = [
        _line(f"<span><code>{escape(item.name)}</code> <span class='dim'>{escape(item.type)}</span></span>", _how(item))
        for item in shown[:6]
    ]
    if len(shown) > 6:
        lines.append(_line(f"<span>and {len(shown) - 6} more</span>", dim=True))
    if report.objects:
        lines.append(_line(f"<span>{report.amount()}</span>", seconds(report.freeze_seconds)))
    if not lines:
        lines.append(_line("<span>nothing: the workers need no variable</span>", dim=True))
    return f"<div><div class='c'>Shared</div>{''.join(lines)}</div>"


def _how(item: Shared) -> str:
    match item.how:
        case "frozen":
            return "frozen now"
        case "reused":
            return "frozen before"
    return f"{item.how}, {size(item.bytes)}" if item.bytes else item.how


def _pickled(report: Report) -> str:
    """Time and memory of sharing, freezing included, and of the same by pickle, each pair on one scale."""
    pickled = report.pickled
    if pickled is None:
        return ""
    ours, theirs = report.transfer_seconds, pickled.elapsed_seconds
    in_full = pickled.measured == "full"
    rows = _compared("by reference", ours, "by pickle" if in_full else "by pickle, at least", theirs, seconds)
    if pickled.memory_bytes:
        rows += _compared(
            "memory, frozen", pickled.shared_bytes, "copies", pickled.workers * pickled.memory_bytes, size
        )
    label = (
        "Measured in full"
        if in_full
        else f"Estimated from {escape(pickled.sampled)}, which fit the CPU's caches as the whole does not: it takes longer"
    )
    each = "in the worker" if pickled.workers == 1 else f"in each of {pickled.workers} workers"
    detail = (
        f"By reference: as it went. By pickle, in CPU time: dumps once, {seconds(pickled.dumps_seconds)} for {size(pickled.bytes)}; loads {each}, "
        f"{seconds(pickled.loads_seconds)} and {size(pickled.memory_bytes)}. {label}."
    )
    return (
        f"<div><div class='c'>Getting the data to the workers</div><div class='p'>{''.join(rows)}</div>"
        f"<div class='dim s'>{detail}</div></div>"
    )


def _compared(one: str, ours: float, other: str, theirs: float, form: Callable[[float], str]) -> list[str]:
    scale = max(ours, theirs, 1e-9)
    return [
        f"<span>{name}</span><div class='bar'><i style='width:{100 * value / scale:.2f}%;background:{colour(phase)}'></i></div>"
        f"<b class='n'>{form(value)}</b>"
        for name, value, phase in ((one, ours, "run"), (other, theirs, "pickle"))
    ]


def _slowest(report: Report) -> str:
    """The slowest iterations; chunks instead where iterations are too quick to be timed one by one."""
    found = [(one, loop) for loop in report.loops if loop.chunks > 1 for one in loop.slowest if one.seconds >= NOTABLE]
    found = sorted(found, key=lambda pair: pair[0].seconds, reverse=True)[:SLOWEST]
    if not found or report.way != "split":
        return ""
    kinds = {"iterations" if one.stop == one.start + 1 else "chunks" for one, _ in found}
    several = len(report.loops) > 1
    lines = [_line(f"<span>{_slow(one, loop if several else None)}</span>", _taken(one)) for one, loop in found]
    return f"<div style='margin-top:10px'><div class='c'>Slowest {' and '.join(sorted(kinds, reverse=True))}</div>{''.join(lines)}</div>"


def _slow(one: Slow, loop: Loop | None) -> str:
    where = f" <span class='dim'>line {loop.line}</span>" if loop is not None else ""
    if one.stop > one.start + 1:
        return f"{one.start:,} to {one.stop - 1:,}{where}"
    item = "" if one.item == str(one.start) else f" <code>{escape(one.item)}</code>"  # over a range, it is the number
    return f"{one.start:,}{where}{item}"


def _taken(one: Slow) -> str:
    length = one.stop - one.start
    return seconds(one.seconds) if length == 1 else f"{seconds(one.seconds)}, {seconds(one.seconds / length)} each"


def _notes(report: Report) -> str:
    why = report.why or (["nothing in it can be split"] if report.way == "serial" else [])
    lines = [escape(text) for text in [*why, *report.notes, *report.keeping()]]
    return f"<div class='w'>{''.join(f'<div>{line}</div>' for line in lines)}</div>" if lines else ""
