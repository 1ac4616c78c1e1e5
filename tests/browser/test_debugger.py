"""The debugger as a person uses it in JupyterLab."""

import pytest
from playwright.sync_api import Page, expect

from .conftest import Lab
from .test_lab import PROJECT, wait_for_idle

pytestmark = pytest.mark.browser

CODE = "numbers = [1, 2, 3]\nanswer = sum(numbers)\nanswer"


def test_a_breakpoint_in_a_cell(lab: Lab, page: Page) -> None:
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.locator('.jp-LauncherCard[data-category="Notebook"][title^="firn"]').first.click()
    wait_for_idle(page)
    page.locator(".jp-DebuggerBugButton").click()
    sidebar = page.locator(".jp-DebuggerSidebar")
    expect(sidebar).to_be_visible()
    cell = page.locator(".jp-CodeCell").first
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(CODE)
    cell.locator(".cm-breakpoint-gutter .cm-gutterElement").nth(2).click()  # the first gives the gutter its width
    expect(sidebar.locator(".jp-DebuggerBreakpoints")).to_contain_text("2")
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(sidebar.locator(".jp-DebuggerCallstack")).to_contain_text("<module>")
    expect(sidebar.locator(".jp-DebuggerVariables")).to_contain_text("numbers")
    image = PROJECT / "build" / "debugger.png"
    image.parent.mkdir(exist_ok=True)
    page.screenshot(path=image)
    page.locator('[data-command="debugger:continue"]').first.click()
    expect(cell.locator(".jp-OutputArea-executeResult")).to_contain_text("6")
    expect(sidebar.locator(".jp-DebuggerCallstack")).not_to_contain_text("<module>")
