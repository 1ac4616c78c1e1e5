"""Executes the project's notebooks, each in a process of its own, as `make run` does it with the quickstart."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Executed:
    """A notebook that has run: what was printed meanwhile, its parallel cells' reports, its cells, and its page."""

    printed: str
    reports: list[dict[str, Any]]
    cells: list[Any]
    page: str

    def errors(self) -> list[tuple[str, str]]:
        """(exception, first words of its message) of the cells that failed."""
        outputs = [output for cell in self.cells for output in cell.get("outputs", [])]
        return [(output.ename, output.evalue) for output in outputs if output.output_type == "error"]

    def text(self, stream: str = "stdout") -> str:
        """All that the cells wrote."""
        outputs = [output for cell in self.cells for output in cell.get("outputs", [])]
        return "".join(output.text for output in outputs if output.get("name") == stream)

    def shown(self, words: str) -> str:
        """The plain text of the first result or display that has these words in it."""
        for cell in self.cells:
            for output in cell.get("outputs", []):
                text: str = output.get("data", {}).get("text/plain", "")
                if words in text:
                    return text
        raise AssertionError(f"no cell shows {words!r}")


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., Executed]:
    """Runs one of the notebooks in a kernel with two workers, also on a machine with one core."""

    def run(name: str, kernel: str = "firn") -> Executed:
        done = subprocess.run(
            [
                *(sys.executable, PROJECT / "tools" / "quickstart.py", "--notebook", name),
                *("--kernel", kernel, "--out", tmp_path),
            ],
            env=os.environ | {"FIRN_WORKERS": "2", "IPYTHONDIR": str(tmp_path / "ipython")},
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        reports = json.loads((tmp_path / "report.json").read_text())
        cells = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4).cells
        return Executed(done.stdout, reports, cells, (tmp_path / f"{name}.html").read_text())

    return run
