"""The freezing notebook, in the firn kernel and in a stock ipykernel: its own checks hold, its loops run in the workers,
and its messages are those of a person's mistakes only."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("kernel", ["firn", pytest.param("python3", marks=pytest.mark.long)])
def test_the_freezing_notebook_holds(kernel: str, execute: Callable[..., Any]) -> None:
    done = execute("freezing", kernel)
    assert len(done.reports) == 5, done.printed
    for cell in done.reports:
        report = cell["report"]
        assert report["way"] == "split" and not report["failed"], report["text"]
    # A loop of a few milliseconds may be over before the second worker gets to it.
    ranks = [{span["rank"] for span in loop["spans"]} for cell in done.reports for loop in cell["report"]["loops"]]
    assert any(len(used) >= 2 for used in ranks), done.printed
    for shown in ("where its memory goes", "trips[*]", "firn.thaw", "logbook", "image/png", "times faster"):
        assert shown in done.page, shown
    assert "Warning" not in done.page
