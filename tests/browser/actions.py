"""What a person does in JupyterLab, for the tests to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

expect.set_options(timeout=60_000)

PICTURES = Path(__file__).parents[2] / "build"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


class Notebook:
    """A notebook with the firn kernel, open in JupyterLab; its last cell is empty. Cells are counted from 0."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._written = 0  # cells that have code

    def wait_for_idle(self) -> None:
        """Waits until the page itself is connected to an idle kernel: a cell that runs before that does nothing."""
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("firn (Python) | Idle", timeout=120_000)

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def write(self, code: str) -> Locator:
        """Types code into the empty cell at the end; gives the cell."""
        cell = self.cell(self._written)
        self._written += 1
        editor = cell.locator(".cm-content")
        editor.click()
        expect(editor).to_be_focused()
        self.page.keyboard.insert_text(code)
        expect(editor).to_contain_text(code.splitlines()[-1])
        return cell

    def start(self, code: str) -> Locator:
        """Writes a cell and runs it with Shift+Enter; gives the cell at once."""
        cell = self.write(code)
        self.page.keyboard.press("Shift+Enter")
        expect(self.cell(self._written)).to_be_visible()  # the next one
        return cell

    def run(self, code: str) -> Locator:
        """Writes a cell, runs it and waits until it has ended."""
        cell = self.start(code)
        wait_for_end(cell)
        return cell

    def stop(self) -> None:
        """The stop button of the toolbar."""
        self.page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:interrupt-kernel']").first.click()

    def restart(self) -> None:
        """The restart button of the toolbar, and yes."""
        self.page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:restart-kernel']").first.click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)

    def menu(self, *words: str) -> None:
        """Chooses from the menus: the word of the bar, then one entry below the other."""
        self.page.get_by_role("menuitem", name=words[0], exact=True).click()
        for word in words[1:-1]:
            self.page.locator(".lm-Menu").get_by_text(word, exact=True).hover()
        self.page.locator(".lm-Menu").get_by_text(words[-1], exact=True).click()

    def command(self, label: str) -> None:
        """Runs a command by its name in the command palette."""
        self.page.keyboard.press("Control+Shift+C")
        search = self.page.locator(".lm-CommandPalette-input")
        search.fill(label)
        self.page.locator(".lm-CommandPalette-item").get_by_text(label, exact=True).first.click()

    def choose_theme(self, name: str) -> None:
        """The theme "light" or "dark"."""
        self.menu("Settings", "Theme", THEMES[name])
        expect(self.page.locator(f"body[data-jp-theme-name='{THEMES[name]}']")).to_be_attached()

    @contextmanager
    def dark(self) -> Iterator[None]:
        """The dark theme for a while."""
        self.choose_theme("dark")
        yield
        self.choose_theme("light")

    def pictures(self, place: Locator, name: str) -> None:
        """A picture in either theme."""
        picture(place, f"{name}-light")
        with self.dark():
            picture(place, f"{name}-dark")


def output(cell: Locator) -> Locator:
    return cell.locator(".jp-OutputArea").first


def result(cell: Locator) -> Locator:
    """The value of the cell's last expression."""
    return cell.locator(".jp-OutputArea-executeResult .jp-OutputArea-output")


def wait_for_end(cell: Locator) -> None:
    """Waits until a running cell has its number."""
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))


def picture(place: Locator | Page, name: str) -> None:
    """Writes build/name.png: for people to look at."""
    PICTURES.mkdir(exist_ok=True)
    image = PICTURES / f"{name}.png"
    place.screenshot(path=image, animations="disabled")
    assert image.stat().st_size > 1_000
