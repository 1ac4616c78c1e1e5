"""The quickstart as `make run` executes it, in the firn kernel and in a stock ipykernel: its own checks hold, and
the work was done by the workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("kernel", ["firn", "python3"])
def test_the_quickstart_holds_and_its_loops_run_in_the_workers(kernel: str, tmp_path: Path) -> None:
    # Two workers also on a machine with one core.
    done = subprocess.run(
        [sys.executable, PROJECT / "tools" / "quickstart.py", "--kernel", kernel, "--out", tmp_path],
        env=os.environ | {"FIRN_WORKERS": "2", "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((tmp_path / "report.json").read_text())
    assert len(cells) == 6, done.stdout
    for cell in cells:
        report = cell["report"]
        assert report["way"] == "split" and not report["failed"], report["text"]
        assert report["text"] in done.stdout
        for loop in report["loops"]:
            assert len({span["rank"] for span in loop["spans"]}) >= 2, report["text"]
            in_workers = sum(span["stop"] - span["start"] for span in loop["spans"])
            assert in_workers >= 0.8 * loop["items"], report["text"]
    page = (tmp_path / "quickstart.html").read_text()
    assert page.count("by pickle") >= 1 and "the serial loop finds the same" in page
