"""Cells that ask."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook, output, picture, result, wait_for_end

pytestmark = pytest.mark.browser


def test_input_and_getpass_ask_in_the_cell(notebook: Notebook) -> None:
    page = notebook.page
    cell = notebook.start(
        "import getpass\nname = input('Your name? ')\nword = getpass.getpass('Word? ')\nname, len(word)"
    )
    box = cell.locator("input.jp-Stdin-input:not([disabled])").last
    expect(cell.locator(".jp-Stdin-prompt")).to_have_text("Your name?")
    picture(page, "input")
    box.fill("Ada")
    box.press("Enter")
    expect(cell.locator(".jp-Stdin-prompt").last).to_have_text("Word?")
    expect(box).to_have_attribute("type", "password")
    box.fill("secret")
    box.press("Enter")
    wait_for_end(cell)
    expect(result(cell)).to_have_text("('Ada', 6)")
    expect(output(cell)).to_contain_text("Your name? Ada")
    expect(output(cell)).not_to_contain_text("secret")


@pytest.mark.long
def test_the_stop_button_ends_a_question(notebook: Notebook) -> None:
    cell = notebook.start("input('Well? ')")
    expect(cell.locator("input.jp-Stdin-input")).to_be_visible()
    notebook.stop()
    wait_for_end(cell)
    expect(output(cell)).to_contain_text("KeyboardInterrupt")
    expect(result(notebook.run("6 * 7"))).to_have_text("42")
