"""The timelines of `--compare full` as a part of a report's card: one axis for all, so that lengths can be compared."""

from __future__ import annotations

from html import escape

from firn import timeline
from firn.readable import plural, seconds
from firn.report import Loop, Peer, Report
from firn.timeline import Bar, Row

WORKERS = 4  # that are drawn of each pool


def render(report: Report) -> str:
    """Each loop that was compared: firn's own timeline, then those of the peers that could run it."""
    parts = []
    for number, loop in enumerate(report.loops):
        peers = [peer for peer in report.peers if peer.loop == number]
        if peers:
            parts.append(_compared(loop, peers))
    return "".join(parts)


def _compared(loop: Loop, peers: list[Peer]) -> str:
    began = loop.began + loop.read_seconds
    ours = loop.gathered - began
    axis = max([ours, *(peer.wall_seconds for peer in peers)])
    parts = [_head("firn, shared by reference", seconds(ours), ""), timeline.draw(_own_rows(loop, began), axis, "firn")]
    for peer in peers:
        if peer.problem:
            parts.append(_head(peer.name, "", peer.problem))
            continue
        times = peer.wall_seconds / max(ours, 1e-9)
        ratio = f"{times:.1f}" if times < 9.95 else f"{times:,.0f}"
        parts += [
            _head(peer.name, seconds(peer.wall_seconds), f"{ratio} times the time, {_verdict(peer)}"),
            _drawn(peer, axis),
        ]
    key = "".join(
        f"<span><i style='background:{timeline.colour(phase)}'></i><span class='dim'>{text}</span></span>"
        for phase, text in (
            ("freeze", "freezing"),
            ("share", "sharing"),
            ("pickle", "dumps, loads"),
            ("run", "running"),
        )
    )
    return (
        f"<div style='margin-top:10px'><div class='c'>The loop of line {loop.line} elsewhere</div>{''.join(parts)}"
        f"<div class='key'>{key}</div></div>"
    )


def _head(name: str, wall: str, rest: str) -> str:
    return (
        f"<div style='margin-top:5px;font-size:12.5px'>{escape(name)} <b>{wall}</b> "
        f"<span class='dim'>{escape(rest)}</span></div>"
    )


def _verdict(peer: Peer) -> str:
    if peer.note:
        return peer.note
    return {True: "the same result", False: "another result", None: "results that cannot be compared"}[peer.equal]


def _own_rows(loop: Loop, began: float) -> list[Row]:
    phases, at = loop.phases(), 0.0
    bars = []
    for name in ("freeze", "share"):
        bars.append(Bar(at, at + phases[name], name, f"{timeline.NAMES[name]}: {seconds(phases[name])}"))
        at += phases[name]
    return [Row("notebook", bars), *_workers(loop, began, "start")]


def _drawn(peer: Peer, axis: float) -> str:
    dumps = Bar(0.0, peer.dumps_seconds, "pickle", f"dumps: {seconds(peer.dumps_seconds)}")
    rows = [Row("notebook", [dumps]), *_workers(peer, 0.0, "pickle")]
    return timeline.draw(rows, axis, peer.name)


def _workers(of: Loop | Peer, began: float, loading: str) -> list[Row]:
    """The workers' rows, in seconds since `began`; `loading` is the phase of what comes before the first chunk."""
    rows = []
    ranks = sorted({span.rank for span in of.spans})
    for rank in ranks[:WORKERS]:
        spans = sorted((span for span in of.spans if span.rank == rank), key=lambda span: span.began)
        least = max(span.ended for span in of.spans) * 0.006
        bars = [Bar(span.began - span.setup_seconds, span.began, loading, f"loading: {seconds(span.setup_seconds)}")
                for span in spans if span.setup_seconds > least / 6]  # fmt: skip
        bars += timeline.worker_bars(spans, least, "run")
        for bar in bars:
            bar.began, bar.ended = bar.began - began, bar.ended - began
        rows.append(Row(f"worker {rank}", bars))
    if len(ranks) > WORKERS:
        rows[-1].figure = f"and {plural(len(ranks) - WORKERS, 'more')}".removesuffix("s")
    return rows
