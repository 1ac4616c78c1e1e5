"""Counts of CPython's cases, printed when the run ends."""

from __future__ import annotations

from typing import Any

import pytest

COUNTS = pytest.StashKey[dict[str, Any]]()
EXECUTOR = pytest.StashKey[dict[str, dict[str, int]]]()
NEIGHBOUR = pytest.StashKey[dict[str, dict[str, Any]]]()


@pytest.fixture
def judged(request: pytest.FixtureRequest) -> dict[str, Any]:
    counts: dict[str, Any] = request.config.stash.setdefault(COUNTS, {})
    return counts


@pytest.fixture
def judged_executor(request: pytest.FixtureRequest) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = request.config.stash.setdefault(EXECUTOR, {})
    return counts


@pytest.fixture
def judged_neighbour(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, Any]] = request.config.stash.setdefault(NEIGHBOUR, {})
    return counts


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    executor = config.stash.get(EXECUTOR, {})
    if executor:
        terminalreporter.section("CPython's cases of executors against firn.Executor")
        columns = "{:<22} {:>8} {:>18} {:>10}"
        terminalreporter.line(columns.format("", "passed", "skip themselves", "left out"))
        for module, count in executor.items():
            terminalreporter.line(columns.format(module, *count.values()))
    neighbour = config.stash.get(NEIGHBOUR, {})
    if neighbour:
        terminalreporter.section("CPython's cases beside a warm pool, compared with none")
        columns = "{:<28} {:>8} {:>18} {:>14} {:>24}  {}"
        names = ("passed", "skip themselves", "fail without", "differ for a reason", "now and then")
        terminalreporter.line(columns.format("", *names))
        for module, count in neighbour.items():
            *numbers, unsteady = count.values()
            terminalreporter.line(columns.format(module, *numbers, ", ".join(unsteady)))
    counts = config.stash.get(COUNTS, {})
    if not counts:
        return
    terminalreporter.section("CPython's cases against frozen values")
    columns = "{:<20} {:>6} {:>18} {:>18} {:>12} {:>22}"
    terminalreporter.line(
        columns.format("", "run", "left out: write", "left out: others", "share run", "nothing to freeze")
    )
    for module, count in counts.items():
        terminalreporter.line(
            columns.format(
                module, count.run, count.writing, count.reading_left_out, f"{count.share:.0%}", count.without
            )
        )
