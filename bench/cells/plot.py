"""The plot for README: how many times as long as firn each peer takes, on the first cell and on later ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cells.outcome import MEASURES, Row

INK = "#808a94"  # readable on white and on black; the background is transparent
FIRN = "#2f9e8f"
LOOKS = {
    "serial": ("|", INK),
    "processes, fork (kept)": ("o", "#e0912f"),
    "processes, fork (anew)": ("D", "#c9622e"),
    "processes, forkserver": ("s", "#b05fc4"),
    "InterpreterPool": ("^", "#5b8def"),
    "joblib (loky)": ("v", "#d1548a"),
    "ipyparallel": ("P", "#8f9c33"),
    "dask.distributed": ("X", "#d94f4f"),
}
PANELS = {"first cell": "first cell: workers start, data is shared", "later cells": "later cells: all in place"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Writes the file, in the format that its name ends in."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "firn", "font.family": "sans-serif", "font.size": 9}
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, panels = pyplot.subplots(
        1, len(PANELS), sharey=True, figsize=(10, 1.2 + 0.34 * len(rows)), layout="constrained", squeeze=False
    )
    titles = [times.title for times in rows[0].times]
    for axes, (name, title) in zip(panels[0], PANELS.items(), strict=True):
        measure = MEASURES[name]
        axes.axvline(1, color=FIRN, linewidth=2, zorder=1, label="firn")
        for title_of, (marker, color) in LOOKS.items():
            if title_of not in titles:
                continue
            ratios = [measure(row.of(title_of)) / measure(row.firn) for row in rows]
            axes.plot(ratios, range(len(rows)), marker, color=color, markersize=6, alpha=0.9, label=title_of)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(title, color=INK, fontsize=10)
        axes.set_xlabel("times as long as firn", color=INK)
        axes.set_yticks(range(len(rows)), [row.name + (" (control)" if row.control else "") for row in rows])
        axes.tick_params(colors=INK)
        axes.grid(color=INK, alpha=0.25, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[0][0].invert_yaxis()
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, labelcolor=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, transparent=True, metadata=metadata, dpi=110)
    pyplot.close(figure)
