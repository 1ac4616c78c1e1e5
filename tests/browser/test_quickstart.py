"""The quickstart as a reader runs it."""

import shutil

import pytest
from playwright.sync_api import Page, expect

from .actions import Notebook, output, picture, wait_for_end
from .conftest import PROJECT, Lab

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_the_quickstart_runs_and_its_reports_are_seen(lab: Lab, page: Page) -> None:
    shutil.copy(PROJECT / "notebooks" / "quickstart.ipynb", lab.folder)
    page.goto(f"{lab.url}/lab/tree/quickstart.ipynb?reset")
    notebook = Notebook(page)
    notebook.wait_for_idle()
    notebook.menu("Run", "Run All Cells")
    wait_for_end(page.locator(".jp-CodeCell").last)
    notebook.wait_for_idle()
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    cell = notebook.cell(1)
    cell.scroll_into_view_if_needed()
    expect(output(cell)).to_contain_text("worker")
    picture(cell, "quickstart")
