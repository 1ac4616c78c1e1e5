"""Runs the benches, each in a process of its own, prints a table and writes build/bench.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.apart import apart, measure
from bench.harness import Figure

BENCHES = ("freeze", "pep795", "share", "reading", "records", "arrays", "scaling", "overhead", "memory", "kernel")
LONG = ("cells", "soak")
"""Those that run when they are named only, for they take minutes."""

OPTIONS = {"megabytes": ("soak",), "rounds": ("soak", "kernel"), "quick": ("cells",), "plot": ("cells",)}
"""Which benches an option belongs to."""

OUT = Path("build/bench.json")


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def line(figure: Figure) -> str:
    target = f"  (target: {figure.target})" if figure.target else ""
    return (
        f"  {figure.name:55} {number(figure.ours):>8} {figure.unit:3}  {figure.alternative:27}"
        f" {number(figure.theirs):>8} {figure.unit:3}  {number(figure.ratio):>6} {figure.better}{target}"
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "bench",
        nargs="*",
        metavar="BENCH",
        help=f"which ones: {', '.join((*BENCHES, *LONG))} (default: all but {', '.join(LONG)})",
    )
    parser.add_argument("--megabytes", type=int, metavar="N", help="of the soak's data in each round (default: 300)")
    parser.add_argument("--rounds", type=int, metavar="N", help="of the soak (default: 100) or of kernel (default: 7)")
    parser.add_argument(
        "--quick", action="store_const", const=1, help="of the cells: a small one, to see that all works"
    )
    parser.add_argument("--plot", metavar="FILE", help="draws the cells' figures into a file (.svg, .png)")
    wanted = parser.parse_args(arguments)
    chosen = wanted.bench or list(BENCHES)
    known = (*BENCHES, *LONG)
    if unknown := set(chosen) - set(known):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options: dict[str, int | str] = {}
    for option, owners in OPTIONS.items():
        if (value := getattr(wanted, option)) is None:
            continue
        if len(chosen) != 1 or chosen[0] not in owners:
            parser.error(
                f"--{option} belongs to {' and '.join(owners)}, alone: python -m bench {owners[0]} --{option} ..."
            )
        options[option] = value
    print(f"Python {platform.python_version()}, {os.process_cpu_count()} CPUs; medians of interleaved runs")
    entries = []
    for bench in chosen:
        for figure in apart(measure, bench, **options):
            print(line(figure), flush=True)
            entries.append(
                {
                    "name": figure.name,
                    "ours": figure.ours,
                    "theirs": figure.theirs,
                    "ratio": figure.ratio,
                    "unit": figure.unit,
                    "command": f"python -m bench {bench}",
                    "alternative": figure.alternative,
                    "ratio_means": figure.better,
                    "target": figure.target,
                }
            )
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(entries, indent=1) + "\n")
    print(f"written to {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
