"""Cells run, stop and start anew as a person expects."""

from pathlib import Path

import pytest
from jupyter_client import BlockingKernelClient
from playwright.sync_api import expect

from .actions import Notebook, output, picture, result, wait_for_end
from .conftest import Lab

pytestmark = pytest.mark.browser


def test_a_parallel_cell_gives_its_result_and_its_report(notebook: Notebook) -> None:
    notebook.run("rows = [{'n': n, 'text': 'x' * (n % 7)} for n in range(20_000)]")
    cell = notebook.run("%%parallel\nlengths = [len(row['text']) * row['n'] for row in rows]\nsum(lengths)")
    expect(result(cell)).to_have_text(str(sum(n % 7 * n for n in range(20_000))))
    expect(output(cell)).to_contain_text("worker")
    expect(output(cell)).to_contain_text("frozen")


def test_the_stop_button_ends_a_parallel_cell(notebook: Notebook) -> None:
    cell = notebook.start(
        "%%parallel\nfor n in range(100):\n    print('at', n, flush=True)\n    while True:\n        n += 1"
    )
    expect(output(cell)).to_contain_text("at 0")
    notebook.stop()
    wait_for_end(cell)
    expect(output(cell)).to_contain_text("KeyboardInterrupt")
    expect(result(notebook.run("6 * 7"))).to_have_text("42")
    notebook.pictures(cell, "interrupt")


@pytest.mark.long
def test_the_stop_button_ends_a_cell_of_the_notebook(notebook: Notebook) -> None:
    cell = notebook.start("print('on')\nwhile True:\n    pass")
    expect(output(cell)).to_contain_text("on")
    notebook.stop()
    wait_for_end(cell)
    expect(output(cell)).to_contain_text("KeyboardInterrupt")
    expect(result(notebook.run("6 * 7"))).to_have_text("42")


def test_a_restart_in_the_middle_of_a_cell_gives_a_fresh_kernel(notebook: Notebook) -> None:
    notebook.run("before = 1")
    cell = notebook.start(
        "%%parallel\nfor n in range(2):\n    print('at', n, flush=True)\n    while True:\n        n += 1"
    )
    expect(output(cell)).to_contain_text("at 0")
    notebook.restart()
    notebook.wait_for_idle()
    fresh = notebook.run("'before' in globals()")
    expect(result(fresh)).to_have_text("False")
    expect(fresh.locator(".jp-InputPrompt")).to_have_text("[1]:")
    picture(notebook.page, "restart")


def test_a_busy_kernel_is_shown_as_busy_when_another_front_end_connects(
    notebook: Notebook, lab: Lab, tmp_path: Path
) -> None:
    """The other one is answered beside the cell, and its `idle` comes to all."""
    notebook.run(
        "import os, time\ndef wait_for(name):\n    while not os.path.exists(name):\n        time.sleep(0.01)\n"
        f"os.chdir({str(tmp_path)!r})"
    )
    busy = notebook.start("print('on')\nwait_for('first')\nprint('goes on')\nwait_for('second')")
    expect(output(busy)).to_contain_text("on")
    (connection,) = lab.connection_files()
    other = BlockingKernelClient(connection_file=str(connection))
    other.load_connection_file()
    other.start_channels()
    other.wait_for_ready(timeout=60)
    other.stop_channels()
    (tmp_path / "first").touch()
    expect(output(busy)).to_contain_text("goes on")  # what comes to the page after the other one's messages
    status = notebook.page.locator("#jp-main-statusbar")
    assert "firn (Python) | Busy" in status.inner_text()
    (tmp_path / "second").touch()
    wait_for_end(busy)
    expect(status).to_contain_text("firn (Python) | Idle")
