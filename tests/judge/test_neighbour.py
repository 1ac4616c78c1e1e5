"""The good neighbour, judged by CPython: beside a warm pool its own tests fail nowhere that they do not fail without.

Each module of its suite runs in two processes, one with firn at work (`neighbour_cases.py`) and one without it, and the
outcomes are compared case by case: a case that CPython's own process fails, or skips, may do so beside firn too. Both run
in the same circumstances, one after the other. What differs runs three times more in both, alone: a case that fails now
and then without firn says nothing, and is named at the end of the run. `neighbour_differences.toml` has the cases that
differ for a reason that firn cannot mend.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
DIFFERENCES: dict[str, str] = tomllib.loads((HERE / "neighbour_differences.toml").read_text())["cases"]
SILENCE = 240  # seconds without a new outcome: the case hangs
REPEATS = 3
MISSING = ("missing", "")
THE_PROCESS = "the process"
SHARED = ("setUp", "tearDown", THE_PROCESS)  # what is no case of its own

# Quick ones, in every run; the rest in the long suite.
QUICK = ["test_pty", "test_posix", "test_ctypes.test_callbacks"]
ALL = [
    *("test_os", "test_posix", "test_pty", "test_subprocess", "test_multiprocessing_fork", "test_threading"),
    *("test_signal", "test_asyncio", "test_faulthandler", "test_ctypes", "test_fork1", "test_threadsignals"),
    *("test_wait3", "test_wait4", "test_thread", "test_atexit", "test_gc", "test_interpreters"),
]

type Outcomes = dict[str, tuple[str, str]]
"""Case -> outcome and error."""


def files_of(module: str) -> list[str]:
    """The test module, or those in it when it is a package."""
    if VERSION != "3.14" and module == "test_posix":
        module = "test_os.test_posix"
    spec = importlib.util.find_spec(f"test.{module}")
    assert spec is not None and spec.origin is not None
    if spec.submodule_search_locations is None:
        return [spec.name]
    found = sorted(file.stem for file in Path(spec.origin).parent.glob("test_*.py"))
    assert found, spec.origin
    return [f"{spec.name}.{name}" for name in found]


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def run_once(name: str, where: str, folder: Path, choice: list[str]) -> tuple[list[dict[str, Any]], str]:
    """The rows of a process, and what it said at its end when it did not reach the last one."""
    folder.mkdir(parents=True)
    results, log = folder / "results", folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", HERE / "neighbour_cases.py", results, where, name, *choice],
            cwd=folder,
            env=os.environ | {"FIRN_GUARD": "1", "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        size, since, said = 0, time.monotonic(), ""
        try:
            while True:
                try:
                    status = process.wait(1)
                    break
                except subprocess.TimeoutExpired:
                    pass
                now = results.stat().st_size if results.exists() else 0
                if now != size:
                    size, since = now, time.monotonic()
                elif time.monotonic() - since > SILENCE:
                    process.send_signal(signal.SIGABRT)
                    status = process.wait()
                    said = f"nothing happened for {SILENCE} s; "
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # what its cases have left behind
            except ProcessLookupError:
                pass
    rows = read(results)
    if status == 0 and rows and rows[-1]["outcome"] == "ended":
        assert not rows[-1]["error"], rows[-1]["error"]
        return rows, ""
    return rows, f"{said}the process ended with {status}:\n{log.read_text(errors='replace')[-3000:]}"


def outcomes(name: str, where: str, folder: Path, only: Collection[str] = ()) -> Outcomes:
    """All cases' outcomes, or those of some. A case that takes the process along has failed; the rest run in a new one."""
    found: Outcomes = {}
    for turn in range(50):
        left = [case for case in only if case not in found]
        choice = ["only", *left] if only else ["without", *found]
        rows, end = run_once(name, where, folder / f"{where}{turn}", choice)
        for row in rows:
            if row["outcome"] in ("passed", "failed", "skipped"):
                found[row["case"]] = (row["outcome"], row["error"])
        if not end:
            return found
        cut_off = bool(rows) and rows[-1]["outcome"] == "started"
        found[rows[-1]["case"] if cut_off else THE_PROCESS] = ("failed", end)
        if not cut_off or (only and found.keys() >= set(only)):
            return found
    raise AssertionError(f"{name} ends its process again and again: {found}")


def differing(alone: Outcomes, beside: Outcomes) -> list[str]:
    """Cases that fail, skip themselves or do not appear beside firn, and do not so without it."""
    found = []
    for case in alone | beside:
        without, there = (side.get(case, MISSING)[0] for side in (alone, beside))
        if there not in ("passed", without) and without != "failed":
            found.append(case)
    return found


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, marks=() if module in QUICK else pytest.mark.long)
        for module in dict.fromkeys([*QUICK, *ALL])
    ],
)
@pytest.mark.timeout(3600)
def test_cases_beside_firn(module: str, tmp_path: Path, judged_neighbour: dict[str, dict[str, Any]]) -> None:
    count = judged_neighbour[module] = {"passed": 0, "skipped": 0, "failed both": 0, "for a reason": 0, "unsteady": []}
    wrong = []
    for name in files_of(module):
        folder = tmp_path / name
        folder.mkdir()
        alone, beside = (outcomes(name, where, folder) for where in ("alone", "beside"))
        for outcome, _ in beside.values():
            count["failed both" if outcome == "failed" else outcome] += 1
        suspects = differing(alone, beside)
        for case in DIFFERENCES.keys() & alone.keys() - set(suspects):
            wrong.append(f"{case} is in neighbour_differences.toml, but does not differ: take it out")
        for case in suspects:
            count[beside.get(case, ("skipped", ""))[0].replace("failed", "failed both")] -= 1
            if case in DIFFERENCES:
                count["for a reason"] += 1
                continue
            again = [case] if case in alone and not case.startswith(SHARED) else []
            (repeats := folder / "again" / case[-100:].replace("/", "_")).mkdir(parents=True)
            both = [
                [outcomes(name, where, repeats / str(turn), again) for where in ("alone", "beside")]
                for turn in range(REPEATS)
            ]
            if all(case in differing(*pair) for pair in both):
                wrong.append(f"{case} beside firn: {beside.get(case, MISSING)}\nwithout: {alone.get(case, MISSING)}")
            else:
                count["unsteady"].append(case)
    assert not wrong, "\n".join(wrong)
    assert count["passed"] > 0


def test_what_differs_is_what_firn_breaks() -> None:
    alone = {"a": ("passed", ""), "b": ("failed", ""), "c": ("skipped", ""), "d": ("passed", ""), "e": ("passed", "")}
    beside = alone | {
        "a": ("failed", ""),
        "b": ("passed", ""),
        "c": ("passed", ""),
        "d": ("skipped", ""),
        "f": ("failed", ""),
    }
    del beside["e"]
    assert differing(alone, beside) == ["a", "d", "e", "f"]
    assert differing(alone, alone) == []


def test_the_table_gives_a_reason_for_each_case() -> None:
    for case, reason in DIFFERENCES.items():
        assert case.startswith("test.") and len(reason) > 30, (case, reason)
