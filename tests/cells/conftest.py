"""A real IPython shell in this process, with firn loaded."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import firn
import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell


@dataclass
class Notebook:
    """Runs cells and keeps what they showed: `out` (stdout), `err` (stderr and tracebacks), `reports` (display data)."""

    shell: InteractiveShell
    out: str = ""
    err: str = ""
    reports: list[dict[str, Any]] = field(default_factory=list)

    def run(self, cell: str) -> ExecutionResult:
        """Runs a cell as a front end does; its output is in `out`, `err` and `reports` afterwards."""
        self.reports.clear()
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        try:
            return self.shell.run_cell(cell, store_history=True)
        finally:
            self.out, self.err = plain(sys.stdout.getvalue()), plain(sys.stderr.getvalue())
            sys.stdout, sys.stderr = streams

    def ok(self, cell: str) -> Any:
        """Runs a cell that must succeed; the value of its last expression."""
        result = self.run(cell)
        result.raise_error()
        return result.result

    def fails(self, cell: str) -> BaseException:
        """Runs a cell that must fail; its exception."""
        result = self.run(cell)
        error = result.error_before_exec or result.error_in_exec
        assert error is not None, f"the cell succeeded: {self.out}"
        return error

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.shell.user_ns

    @property
    def shown(self) -> str:
        """What an error looked like."""
        return self.out + self.err

    @property
    def report(self) -> Any:
        report = firn.last_report()
        assert report is not None
        return report


def plain(text: str) -> str:
    """Text without the terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture(scope="session")
def shell() -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def notebook(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook of two workers with nothing in it; the pool is the process's and stays warm between the tests."""
    monkeypatch.setenv("FIRN_WORKERS", "2")
    shell.extension_manager.load_extension("firn")
    shell.reset(new_session=False)
    notebook = Notebook(shell)

    def publish(data: dict[str, Any], metadata: Any = None, **_: Any) -> None:
        notebook.reports.append(data)

    monkeypatch.setattr(shell.display_pub, "publish", publish)
    yield notebook
    firn.load_ipython_extension(shell)


@pytest.fixture
def goes_on(notebook: Notebook) -> Iterator[None]:
    """After the test a plain cell and a parallel one work, and the variable that nobody touched is what it was."""
    notebook.ok("keep = [1, 2, 3]")
    yield
    assert notebook["keep"] == [1, 2, 3]
    notebook.ok("%%parallel\ncheck = [x + 1 for x in range(10)]")
    assert notebook["check"] == list(range(1, 11))


@pytest.fixture
def spool() -> Iterator[Path]:
    """An empty folder for spool files, on a disk: the folder of temporary files may be memory."""
    with tempfile.TemporaryDirectory(prefix="firn-test-", dir="/var/tmp") as folder:
        yield Path(folder)
