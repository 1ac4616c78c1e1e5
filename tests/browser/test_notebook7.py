"""Notebook 7, the other front end: a notebook is opened, runs, stops and starts anew as in JupyterLab."""

from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Page, expect

from .actions import Notebook, output, picture, result, wait_for_end
from .conftest import Lab

pytestmark = pytest.mark.browser


class SimpleNotebook(Notebook):
    """A notebook in Notebook 7, which has no status bar."""

    def wait_for_idle(self) -> None:
        # The indicator beside the kernel's name says "idle" as long as nobody knows; the status in the menu bar, which
        # has no text for a kernel that is connected, does not.
        connected = self.page.locator(".jp-NotebookKernelStatus-fade:not(.jp-NotebookKernelStatus-info)")
        expect(connected).to_be_attached(timeout=120_000)
        indicator = self.page.locator(".jp-Notebook-ExecutionIndicator")
        expect(indicator).to_have_attribute("data-status", "idle", timeout=120_000)


@pytest.fixture
def simple(lab: Lab, page: Page) -> Iterator[SimpleNotebook]:
    """An empty notebook of the firn kernel."""
    spec = {"kernelspec": {"name": "firn", "display_name": "firn (Python)", "language": "python"}}
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")], metadata=spec)
    nbformat.write(empty, lab.folder / "simple.ipynb")
    page.goto(f"{lab.url}/notebooks/simple.ipynb")
    notebook = SimpleNotebook(page)
    notebook.wait_for_idle()
    yield notebook
    page.goto("about:blank")
    lab.stop_kernels()


def test_a_parallel_cell_its_report_interrupt_and_restart(simple: SimpleNotebook) -> None:
    simple.run("rows = list(range(1000))")
    cell = simple.run("%%parallel\nsquares = [n * n for n in rows]\nsum(squares)")
    expect(result(cell)).to_have_text(str(sum(n * n for n in range(1000))))
    expect(cell.locator(".firn").first).to_be_visible()
    picture(simple.page, "notebook7")

    endless = "%%parallel\nfor n in rows:\n    print('on', flush=True)\n    while True:\n        n += 1"
    busy = simple.start(endless)
    expect(output(busy)).to_contain_text("on")
    simple.stop()
    wait_for_end(busy)
    expect(output(busy)).to_contain_text("KeyboardInterrupt")
    expect(result(simple.run("len(squares)"))).to_have_text("1000")

    expect(output(simple.start(endless))).to_contain_text("on")
    simple.restart()
    simple.wait_for_idle()  # it was busy before
    fresh = simple.run("'squares' in globals()")
    expect(result(fresh)).to_have_text("False")
    expect(fresh.locator(".jp-InputPrompt")).to_have_text("[1]:")
