"""Runs the kernel suite's rows (tests/kernel/rows.toml) against firn, ipykernel and xpython, and prints who passes what.

Each kernel is tested in a process of its own. A test that fails is tried once more, so that a busy machine is nobody's
failure. Writes build/kernels.json: each row's failures with their reasons. With --publish, also the table of docs/kernel.md.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[1]
SUITE = Path("tests", "kernel")
OUT = PROJECT / "build" / "kernels.json"
DOCUMENT = PROJECT / "docs" / "kernel.md"
BEGIN, END = "<!-- compare-kernels -->\n", "<!-- end -->\n"
KERNELS = {"firn": "firn", "ipykernel": "python3", "xpython": "xpython"}
# xpython is Debian's; its shell lies there, IPython is this environment's.
DEBIANS = "/usr/lib/python3/dist-packages"
JOBS = 4
PATIENCE = (10, 30)  # seconds for one message: at first, and for what has failed


@dataclass
class Row:
    """What one kernel did with a row's tests."""

    failed: dict[str, str] = field(default_factory=dict)  # the reason, by test
    passed: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        if not self.failed:
            return "passes" if self.passed else "no test"
        return f"{len(self.failed)} of {len(self.failed) + len(self.passed)} fail"


def become_reaper() -> None:
    """What loses its parent becomes a child of this process instead of the system's first one, so that it is found."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def run(spec: str, tests: Sequence[str], folder: Path, patience: int) -> list[dict[str, Any]]:
    """The outcomes of the tests. Several processes share them, for what fails mostly waits."""
    environment = dict(os.environ)
    if spec == "xpython":
        environment["PYTHONPATH"] = os.pathsep.join([environment.get("PYTHONPATH", ""), DEBIANS]).strip(os.pathsep)
    options = [
        "-q",
        "--no-header",
        "--tb=line",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout_method=signal",
        "--timeout=120",
    ]
    command = [sys.executable, "-m", "pytest", "-m", "row and not long", *options, f"--kernel={spec}"]
    become_reaper()
    files = [folder / f"{patience}-{n}" for n in range(min(JOBS, len(tests)))]
    processes = []
    try:
        for n, file in enumerate(files):
            file.touch()
            more = [f"--patience={patience}", f"--outcomes={file}", *tests[n::JOBS]]
            processes.append(
                subprocess.Popen([*command, *more], cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL)
            )
        for process in processes:
            process.wait()
    finally:
        for left in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                left.kill()  # a kernel whose client was killed, and that went on
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def reason(why: str) -> str:
    """The assertion or exception of pytest's long report."""
    lines = [line.removeprefix("E").strip() for line in why.splitlines() if line.startswith("E ")]
    return " ".join(lines[:3])[:300] or why.strip()[-300:]


def tested(spec: str, tests: Sequence[str]) -> dict[str, Row]:
    """The rows of one kernel. What fails is tried again."""
    rows: dict[str, Row] = defaultdict(Row)
    with tempfile.TemporaryDirectory() as folder:
        first = run(spec, tests, Path(folder), PATIENCE[0])
        again = sorted({line["test"] for line in first if not line["passed"]})
        second = run(spec, again, Path(folder), PATIENCE[1]) if again else []
    repeated = {line["test"] for line in second}
    for line in [line for line in first if line["test"] not in repeated] + second:
        row = rows[line["row"]]
        if line["passed"]:
            row.passed.add(line["test"])
        else:
            row.failed[line["test"]] = reason(line["why"])
    for row in rows.values():
        row.passed -= row.failed.keys()  # it failed when it was taken down
    return rows


type Failures = dict[str, dict[str, dict[str, str]]]
"""Kernel -> row -> test -> reason; a row without failures passes, one that is missing has no test."""


def version_of(name: str) -> str:
    if name == "xpython":
        said = subprocess.run(["xpython", "--version"], capture_output=True, text=True)
        return (said.stdout + said.stderr).split()[-1]
    return version(name)


def as_markdown(failures: Failures, versions: dict[str, str]) -> str:
    """Who passes what, and the tests that fail."""
    lines = ["", "| | " + " | ".join(f"{name} {versions[name]}" for name in failures) + " |"]
    lines.append("|---|" + "---|" * len(failures))
    for part, content in rows_of_all_parts().items():
        lines.append(f"| **{part}** |" + " |" * len(failures))
        for row in content["rows"]:
            cells = [rows.get(row) for rows in failures.values()]
            shown = [
                "no test" if c is None else f"{len(c)} fail{'s' * (len(c) == 1)}" if c else "passes" for c in cells
            ]
            if "of_firn" in content:
                shown = [what if name == "firn" else "" for name, what in zip(failures, shown, strict=True)]
            lines.append(f"| {row} | " + " | ".join(shown) + " |")
    for name, rows in failures.items():
        if any(rows.values()):
            lines += ["", f"What fails with {name}, by row:", ""]
        for row, tests in rows.items():
            if tests:
                names = ", ".join(f"`{test.rpartition('/')[2]}`" for test in sorted(tests))
                lines.append(f"- {row}: {names}")
    return "\n".join(lines) + "\n\n"


def rows_of_all_parts() -> dict[str, dict[str, Any]]:
    return tomllib.loads((PROJECT / SUITE / "rows.toml").read_text())


def publish(failures: Failures) -> None:
    """Writes the table into the document, between its marks."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    table = as_markdown(failures, {name: version_of(name) for name in failures})
    DOCUMENT.write_text(before + BEGIN + table + END + after)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    files = sorted(str(file.relative_to(PROJECT)) for file in (PROJECT / SUITE).glob("test_*.py"))
    parser.add_argument("tests", nargs="*", default=files, help="only these (default: all of tests/kernel)")
    parser.add_argument("--kernel", action="append", choices=KERNELS, help="only this kernel; may be repeated")
    parser.add_argument("--publish", action="store_true", help="write the table of docs/kernel.md, too")
    parser.add_argument(
        "--last", action="store_true", help="run nothing: write the table from what the last run has left in build/"
    )
    wanted = parser.parse_args(arguments)
    if wanted.last:
        publish(json.loads(OUT.read_text()))
        return 0
    names = wanted.kernel or list(KERNELS)
    found = {name: tested(KERNELS[name], wanted.tests) for name in names}
    parts = rows_of_all_parts()
    print("\n" + f"{'':56}" + "".join(f"{name:>16}" for name in names))
    for part, content in parts.items():
        print(part)
        for row in content["rows"]:
            if any(row in rows for rows in found.values()):
                print(f"  {row:54}" + "".join(f"{found[name].get(row, '')!s:>16}" for name in names))
    shown = {name: {row: outcome.failed for row, outcome in sorted(rows.items())} for name, rows in found.items()}
    if wanted.kernel and OUT.exists():  # the others' stay as they are
        last = json.loads(OUT.read_text()) | shown
        shown = {name: last[name] for name in KERNELS if name in last}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(shown, indent=1) + "\n")
    print(f"the reasons are in {OUT.relative_to(PROJECT)}")
    if wanted.publish:
        publish(shown)
    return 1 if any(row.failed for row in found.get("firn", {}).values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
