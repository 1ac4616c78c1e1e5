"""The debugger as a person uses it in JupyterLab."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook, picture, result

pytestmark = pytest.mark.browser

CODE = "numbers = [1, 2, 3]\nanswer = sum(numbers)\nanswer"


def test_a_breakpoint_in_a_cell(notebook: Notebook) -> None:
    page = notebook.page
    button = page.locator(".jp-DebuggerBugButton")
    expect(button).to_have_attribute("aria-disabled", "false")  # the kernel has told that it has a debugger
    button.click()
    sidebar = page.locator(".jp-DebuggerSidebar")
    expect(sidebar).to_be_visible()
    cell = notebook.write(CODE)
    cell.locator(".cm-breakpoint-gutter .cm-gutterElement").nth(2).click()  # the first gives the gutter its width
    expect(sidebar.locator(".jp-DebuggerBreakpoints")).to_contain_text("2")
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(sidebar.locator(".jp-DebuggerCallstack")).to_contain_text("<module>")
    expect(sidebar.locator(".jp-DebuggerVariables")).to_contain_text("numbers")
    picture(page, "debugger")
    page.locator('[data-command="debugger:continue"]').first.click()
    expect(result(cell)).to_have_text("6")
    expect(sidebar.locator(".jp-DebuggerCallstack")).not_to_contain_text("<module>")
