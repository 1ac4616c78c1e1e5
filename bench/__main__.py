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
LONG = ("soak",)
"""Those that run when they are named only, for they take minutes."""

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
    wanted = parser.parse_args(arguments)
    chosen = wanted.bench or list(BENCHES)
    known = (*BENCHES, *LONG)
    if unknown := set(chosen) - set(known):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options = {name: value for name in ("megabytes", "rounds") if (value := getattr(wanted, name)) is not None}
    if options and (chosen not in (["soak"], ["kernel"]) or (chosen == ["kernel"] and "megabytes" in options)):
        parser.error("--rounds belongs to soak and kernel, --megabytes to soak: python -m bench soak --megabytes 30")
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
