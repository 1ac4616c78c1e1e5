"""CPython's own tests of its builtins, run against frozen values under the guard.

`left_out.toml` names each case that cannot run, with the reason. A case of the table that passes, and a case outside it
that fails, fail the suite. The counts are printed at the end of the run.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# Module: what is frozen in it, and the modules that hold parts of its cases.
MODULES: dict[str, tuple[str, str]] = {
    "test_list": ("list", "list_tests,seq_tests"),
    "test_tuple": ("tuple", "seq_tests"),
    "test_dict": ("dict", "mapping_tests"),
    "test_set": ("set,frozenset", ""),
    "test_str": ("str,tuple", "string_tests"),
    "test_bytes": ("bytes", "string_tests,list_tests,seq_tests"),
    "test_dataclasses": ("dataclass", ""),
    "test_dictviews": ("dict", ""),
    "test_deque": ("deque", "seq_tests"),
    "test_ordered_dict": ("OrderedDict", "mapping_tests"),
    "test_defaultdict": ("defaultdict", ""),
    "test_memoryview": ("bytes,bytearray,array,memoryview", ""),
}
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
KINDS_OF_REASONS = tomllib.loads((HERE / "left_out.toml").read_text())["reasons"]
LEFT_OUT: dict[str, dict[str, str]] = tomllib.loads((HERE / "left_out.toml").read_text())["cases"]


@dataclasses.dataclass
class Count:
    """Cases of one module: run with frozen values; left out because they write; left out otherwise; the rest."""

    run: int = 0
    writing: int = 0
    reading_left_out: int = 0
    without: int = 0  # nothing of the kind is made in them, or CPython itself skips them

    @property
    def share(self) -> float:
        """The part of the cases that only read which runs."""
        return self.run / (self.run + self.reading_left_out)


def run_cases(module: str) -> list[dict[str, Any]]:
    """One row for each case. A case that crashes is one that failed; the others run in a new process."""
    kinds, also = MODULES[module]
    rows: list[dict[str, Any]] = []
    while True:
        done = subprocess.run(
            [sys.executable, HERE / "run_cases.py", module, kinds, also, *(row["case"] for row in rows)],
            env=os.environ | {"FIRN_GUARD": "1", "PYTHONFAULTHANDLER": "1"},
            capture_output=True,
            text=True,
            timeout=280,
        )
        new = [json.loads(line) for line in done.stdout.splitlines()]
        rows += [row for row in new if row["outcome"] != "started"]
        if done.returncode == 0:
            return rows
        assert new and new[-1]["outcome"] == "started", done.stderr[-4000:]
        crash = f"the process ended with {done.returncode}:\n{done.stderr[-3000:]}"
        rows.append({"case": new[-1]["case"], "outcome": "failed", "made": 1, "error": crash})


@pytest.mark.parametrize("module", MODULES)
def test_cases_that_read(module: str, judged: dict[str, Count]) -> None:
    rows = run_cases(module)
    table = LEFT_OUT.get(module, {})
    count = judged[module] = Count()
    wrong = []
    for row in rows:
        case, passed = row["case"], row["outcome"] == "passed"
        reason = table.get(case) or table.get(f"{VERSION} {case}")
        kind = reason.partition(":")[0] if reason else None
        if row["outcome"] == "skipped" or (passed and not row["made"]):
            count.without += 1
        elif passed:
            count.run += 1
        elif kind == "writes":
            count.writing += 1
        else:
            count.reading_left_out += 1
        if reason is None and row["outcome"] == "failed":
            wrong.append(f"{case} fails:\n{row['error']}")
        elif kind is not None and row["outcome"] != "failed":
            wrong.append(f"{case} is left out ({reason}), but {row['outcome']}: take it out of left_out.toml")
    assert not wrong, "\n".join(wrong)
    assert count.share >= 0.8, count


def test_the_table_gives_a_reason_for_each_case() -> None:
    for module, cases in LEFT_OUT.items():
        assert module in MODULES
        for case, reason in cases.items():
            kind, _, words = reason.partition(": ")
            assert kind in KINDS_OF_REASONS and len(words) > 10, (module, case, reason)
