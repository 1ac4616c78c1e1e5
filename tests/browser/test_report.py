"""What a person sees of a long parallel cell in JupyterLab: its progress, then its timeline, in both themes."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Lab
from .test_lab import PROJECT, run_cell, wait_for_idle

pytestmark = pytest.mark.browser

SETUP = "import time\nwaits = [0.04 + 0.03 * (n % 5) for n in range(120)]\nwaits[50] = 0.9"
LONG = "%%parallel\nslept = [time.sleep(w) or round(w, 2) for w in waits]\nfor n in waits[:8]:\n    time.sleep(n)\nlen(slept)"
BRIGHTNESS = """element => {
  const [r, g, b] = getComputedStyle(element).fill.match(/[0-9.]+/g).map(Number);
  return (r + g + b) / 3;
}"""


def start_cell(page: Page, index: int, code: str) -> Locator:
    """Types code into the empty cell of that index and starts it."""
    cell = page.locator(".jp-CodeCell").nth(index)
    editor = cell.locator(".cm-content")
    editor.click()
    expect(editor).to_be_focused()
    page.keyboard.insert_text(code)
    expect(editor).to_contain_text(code.splitlines()[-1])
    page.keyboard.press("Shift+Enter")
    return cell


def choose_theme(page: Page, name: str) -> None:
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text(name, exact=True).click()
    expect(page.locator(f"body[data-jp-theme-name='{name}']")).to_be_attached()


def picture(place: Locator, name: str) -> None:
    image = PROJECT / "build" / f"{name}.png"
    image.parent.mkdir(exist_ok=True)
    place.screenshot(path=image)
    assert image.stat().st_size > 5_000


def test_progress_and_timeline_in_both_themes(lab: Lab, page: Page) -> None:
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.locator('.jp-LauncherCard[data-category="Notebook"][title^="firn"]').first.click()
    wait_for_idle(page)
    choose_theme(page, "JupyterLab Light")
    run_cell(page, 0, SETUP)
    cell = start_cell(page, 1, LONG)
    bar = cell.get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(cell.locator(".jp-OutputArea")).to_contain_text(re.compile(r"\d+ of 120 iterations"))
    picture(cell.locator(".jp-OutputArea"), "progress-light")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
    expect(bar).to_have_count(0)
    assert cell.get_by_text("of 120 iterations").count() == 0

    card = cell.locator(".firn")
    expect(card.locator("svg").first).to_be_visible()
    expect(card).to_contain_text("Slowest iterations")
    expect(card).to_contain_text("50 line 2 0.9")
    timeline = card.locator("svg").first
    area, drawing = card.bounding_box(), timeline.bounding_box()
    assert area is not None and drawing is not None
    for rectangle in timeline.locator("rect").all():
        box = rectangle.bounding_box()
        assert box is not None
        assert drawing["x"] - 1 <= box["x"] and box["x"] + box["width"] <= drawing["x"] + drawing["width"] + 1
    assert drawing["width"] > area["width"] / 2
    picture(cell, "timeline-light")
    text = card.locator("svg text").first
    light = text.evaluate(BRIGHTNESS)
    choose_theme(page, "JupyterLab Dark")
    picture(cell, "timeline-dark")
    assert light < 100 < 150 < text.evaluate(BRIGHTNESS)

    again = start_cell(page, 2, "%%parallel\nslept = [time.sleep(w) for w in waits]")
    expect(again.get_by_role("progressbar")).to_be_visible()
    picture(again.locator(".jp-OutputArea"), "progress-dark")
    expect(again.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
    start_cell(page, 3, "%parallel history")
    table = page.locator(".jp-CodeCell").nth(3).locator(".firn-history")
    expect(table.locator("tr")).to_have_count(3)
    picture(table, "history-dark")
    choose_theme(page, "JupyterLab Light")
    picture(table, "history-light")
