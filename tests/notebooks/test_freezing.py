"""The freezing notebook, in the firn kernel and in a stock ipykernel: its own checks hold, its loops run in the workers,
and its messages are those of a person's mistakes only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("kernel", ["firn", "python3"])
def test_the_freezing_notebook_holds(kernel: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, PROJECT / "tools" / "quickstart.py", "--notebook", "freezing"),
            *("--kernel", kernel, "--out", tmp_path),
        ],
        env=os.environ | {"FIRN_WORKERS": "2", "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((tmp_path / "report.json").read_text())
    assert len(cells) == 5, done.stdout
    for cell in cells:
        report = cell["report"]
        assert report["way"] == "split" and not report["failed"], report["text"]
    # A loop of a few milliseconds may be over before the second worker gets to it.
    ranks = [{span["rank"] for span in loop["spans"]} for cell in cells for loop in cell["report"]["loops"]]
    assert any(len(used) >= 2 for used in ranks), done.stdout
    page = (tmp_path / "freezing.html").read_text()
    for shown in ("where its memory goes", "trips[*]", "firn.thaw", "logbook", "image/png", "times faster"):
        assert shown in page, shown
    assert "Warning" not in page
