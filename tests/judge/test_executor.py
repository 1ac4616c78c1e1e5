"""CPython's own tests of concurrent.futures' executors, run against `firn.Executor` under the guard.

`executor_left_out.toml` names each case that says nothing about it, with the reason. A case of the table that passes, and
a case outside it that fails, fail the suite. The counts are printed at the end of the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TABLE = tomllib.loads((HERE / "executor_left_out.toml").read_text())
LEFT_OUT: dict[str, dict[str, str]] = TABLE["cases"]
MODULES = (
    "executor",
    "test_init",
    "test_shutdown",
    "test_as_completed",
    "test_wait",
    "test_thread_pool",
    "test_interpreter_pool",
    "test_process_pool",
    "test_deadlock",
)
NOT_RUN = ("processes", "timing")


def run_cases(module: str) -> dict[str, tuple[str, str]]:
    """Case -> outcome and error. Those of the kinds `NOT_RUN` are not run."""
    table = LEFT_OUT.get(module, {})
    apart = [case for case, reason in table.items() if reason.startswith(NOT_RUN)]
    done = subprocess.run(
        [sys.executable, HERE / "executor_cases.py", module, *apart],
        env=os.environ | {"FIRN_GUARD": "1", "PYTHONFAULTHANDLER": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (rows[-1:], done.stderr[-4000:])
    return {row["case"]: (row["outcome"], row.get("error", "")) for row in rows}


@pytest.mark.parametrize("module", MODULES)
def test_cases_of_executors(module: str, judged_executor: dict[str, dict[str, int]]) -> None:
    table = LEFT_OUT.get(module, {})
    rows = run_cases(module)
    count = judged_executor[module] = {"passed": 0, "skipped": 0, "left out": len(table)}
    wrong: list[Any] = []
    for case, (outcome, error) in rows.items():
        reason = table.get(case)
        if reason is None and outcome == "failed":
            wrong.append(f"{case} fails:\n{error}")
        elif reason is not None and outcome != "failed":
            wrong.append(f"{case} is left out ({reason}), but {outcome}: take it out of executor_left_out.toml")
        elif reason is None:
            count[outcome] += 1
    assert not wrong, "\n".join(wrong)
    assert count["passed"] > 0


def test_the_table_gives_a_reason_for_each_case() -> None:
    for module, cases in LEFT_OUT.items():
        assert module in MODULES
        for case, reason in cases.items():
            kind, _, words = reason.partition(": ")
            assert kind in TABLE["reasons"] and len(words) > 10, (module, case, reason)
