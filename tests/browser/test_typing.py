"""Help while a cell is written: completion and tooltips."""

from contextlib import suppress

import pytest
from playwright.sync_api import Locator, expect

from .actions import Notebook, picture, result

pytestmark = pytest.mark.browser


def press_tab(cell: Locator, seen: Locator) -> None:
    """Until something is seen of it: what is asked for while the page still takes in what was typed goes unanswered."""
    for seconds in (2, 4, 8, 16, 30):
        cell.page.keyboard.press("Tab")
        with suppress(AssertionError):
            expect(seen).to_be_visible(timeout=1000 * seconds)
            return


def test_tab_completes_names_and_the_options_of_parallel(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run("temperatures = {'north': 1}\nimport firn")
    cell = notebook.write("temperature")
    press_tab(cell, cell.locator(".cm-content").get_by_text("temperatures"))
    expect(cell.locator(".cm-content")).to_have_text("temperatures")
    page.keyboard.insert_text("\ntemperatures.")
    completer = page.locator(".jp-Completer.jp-HoverBox")
    press_tab(cell, completer)
    expect(completer).to_contain_text("setdefault")
    page.keyboard.press("Escape")
    for _ in range(2):
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
    page.keyboard.insert_text("%%parallel --")
    press_tab(cell, completer)
    for option in ("--workers", "--each", "--explain", "--timeout", "--compare"):
        expect(completer).to_contain_text(option)
    picture(page, "completion")
    page.keyboard.insert_text("wor")
    page.keyboard.press("Enter")
    expect(cell.locator(".cm-content")).to_have_text("%%parallel --workers")


def test_shift_tab_and_a_question_mark_show_what_a_name_is(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run(
        "def area(width: float, height: float = 2.0) -> float:\n    'The area of a rectangle.'\n    return width * height"
    )
    notebook.write("area(")
    page.keyboard.press("Shift+Tab")
    tooltip = page.locator(".jp-Tooltip")
    expect(tooltip).to_contain_text("area(width: float, height: float = 2.0) -> float")
    expect(tooltip).to_contain_text("The area of a rectangle.")
    picture(page, "tooltip")
    page.keyboard.press("Escape")
    page.keyboard.insert_text("3)")
    page.keyboard.press("Shift+Enter")
    expect(result(notebook.cell(1))).to_have_text("6.0")
    manual = notebook.run("%%parallel?").locator(".jp-OutputArea").first
    expect(manual).to_contain_text("--workers")
    picture(page, "manual")
