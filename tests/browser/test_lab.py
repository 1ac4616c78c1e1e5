"""What a person sees in JupyterLab."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Lab

pytestmark = pytest.mark.browser

expect.set_options(timeout=60_000)

PROJECT = Path(__file__).parents[2]


def wait_for_idle(page: Page) -> None:
    """Waits until the page itself is connected to an idle kernel: a cell that runs before that does nothing at all."""
    expect(page.locator("#jp-main-statusbar")).to_contain_text("firn (Python) | Idle", timeout=120_000)


def run_cell(page: Page, index: int, code: str) -> Locator:
    """Types code into the empty cell of that index, runs it with Shift+Enter, and waits until it has its number."""
    cell = page.locator(".jp-CodeCell").nth(index)
    editor = cell.locator(".cm-content")
    editor.click()
    expect(editor).to_be_focused()
    page.keyboard.insert_text(code)
    expect(editor).to_contain_text(code.splitlines()[-1])
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-CodeCell").nth(index + 1).locator(".cm-content")).to_be_focused()
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
    return cell


def test_a_parallel_cell_in_a_new_notebook_gives_its_result_and_its_report(lab: Lab, page: Page) -> None:
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.locator('.jp-LauncherCard[data-category="Notebook"][title^="firn"]').first.click()
    wait_for_idle(page)
    run_cell(page, 0, "rows = [{'n': n, 'text': 'x' * (n % 7)} for n in range(20_000)]")
    cell = run_cell(page, 1, "%%parallel\nlengths = [len(row['text']) * row['n'] for row in rows]\nsum(lengths)")
    expected = sum(n % 7 * n for n in range(20_000))
    expect(cell.locator(".jp-OutputArea-executeResult")).to_have_text(re.compile(rf"{expected}$"))
    expect(cell.locator(".jp-OutputArea")).to_contain_text("worker")
    expect(cell.locator(".jp-OutputArea")).to_contain_text("frozen")


def test_the_quickstart_runs_and_its_reports_are_seen(lab: Lab, page: Page) -> None:
    shutil.copy(PROJECT / "notebooks" / "quickstart.ipynb", lab.folder)
    page.goto(f"{lab.url}/lab/tree/quickstart.ipynb?token={lab.token}&reset")
    wait_for_idle(page)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    last = page.locator(".jp-CodeCell").last
    expect(last.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"), timeout=120_000)
    wait_for_idle(page)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    cell = page.locator(".jp-CodeCell").nth(1)
    cell.scroll_into_view_if_needed()
    expect(cell.locator(".jp-OutputArea")).to_contain_text("worker")
    image = PROJECT / "build" / "quickstart.png"
    image.parent.mkdir(exist_ok=True)
    cell.screenshot(path=image)
    assert image.stat().st_size > 10_000
