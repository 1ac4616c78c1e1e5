"""The quickstart as `make run` executes it, in the firn kernel and in a stock ipykernel: its own checks hold, and
the work was done by the workers."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("kernel", ["firn", pytest.param("python3", marks=pytest.mark.long)])
def test_the_quickstart_holds_and_its_loops_run_in_the_workers(kernel: str, execute: Callable[..., Any]) -> None:
    done = execute("quickstart", kernel)
    assert len(done.reports) == 6, done.printed
    for cell in done.reports:
        report = cell["report"]
        assert report["way"] == "split" and not report["failed"], report["text"]
        assert report["text"] in done.printed
        for loop in report["loops"]:
            assert len({span["rank"] for span in loop["spans"]}) >= 2, report["text"]
            in_workers = sum(span["stop"] - span["start"] for span in loop["spans"])
            assert in_workers >= 0.8 * loop["items"], report["text"]
    assert done.page.count("by pickle") >= 1 and "the serial loop finds the same" in done.page
