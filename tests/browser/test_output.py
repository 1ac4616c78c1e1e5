"""What a parallel cell prints, and what it says when it fails."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook, output, wait_for_end
from .conftest import Lab

pytestmark = pytest.mark.browser

STREAMS = """%%parallel --chunk 1
for n in range(8):
    while n > 4 and not os.path.exists('printed'):
        time.sleep(0.01)
    print(f'row {n}')"""

FAILS = """%%parallel
def share(row):
    return 100 / row['parts']

shares = [share(row) for row in rows]"""


def test_output_is_seen_while_the_cell_runs(lab: Lab, notebook: Notebook) -> None:
    notebook.run("import os, time")
    cell = notebook.start(STREAMS)
    expect(output(cell)).to_contain_text("row 4")
    expect(cell.locator(".jp-InputPrompt")).to_have_text("[*]:")
    assert "row 5" not in output(cell).inner_text()
    (lab.folder / "printed").touch()
    wait_for_end(cell)
    printed = cell.locator("[data-mime-type='application/vnd.jupyter.stdout']")
    expect(printed).to_have_count(1)
    assert printed.inner_text().split("\n")[:8] == [f"row {n}" for n in range(8)]
    notebook.pictures(cell, "output")


def test_an_error_in_a_worker_is_one_traceback_with_the_lines_of_the_notebook(notebook: Notebook) -> None:
    notebook.run("rows = [{'parts': abs(n - 700) % 701} for n in range(2000)]")
    cell = notebook.run(FAILS)
    error = cell.locator("[data-mime-type='application/vnd.jupyter.stderr']")
    expect(error).to_have_count(1)
    expect(error).to_contain_text("ZeroDivisionError")
    expect(error).to_contain_text("row = {'parts': 0}")
    expect(error).to_contain_text("----> 5 shares = [share(row) for row in rows]")
    expect(error).to_contain_text("----> 3     return 100 / row['parts']")
    assert error.inner_text().count("Traceback (most recent call last)") == 1
    assert "firn/" not in error.inner_text()
    notebook.pictures(cell, "error")
