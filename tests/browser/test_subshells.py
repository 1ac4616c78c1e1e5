"""A console that answers while the notebook's cell runs (JEP 91)."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook, output, picture, result, wait_for_end

pytestmark = pytest.mark.browser


def test_a_subshell_console_answers_while_a_cell_runs(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run("import time\nready, progress = False, 0")
    busy = notebook.start("print('running')\nwhile not ready:\n    progress += 1\n    time.sleep(0.01)\n'ended'")
    expect(output(busy)).to_contain_text("running")
    frames: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    busy.click(button="right")
    page.locator(".lm-Menu").get_by_text("New Subshell Console for Notebook", exact=True).click()
    console = page.locator(".jp-ConsolePanel")
    expect(console).to_contain_text("%%parallel? explains it")  # the banner: the kernel has answered beside the cell
    while not any(b"create_subshell_reply" in as_bytes(frame) for frame in frames):
        page.wait_for_timeout(20)  # what is typed before that goes to the notebook's shell, behind the cell
    prompt = console.locator(".jp-CodeConsole-promptCell .cm-content")
    prompt.click()
    page.keyboard.insert_text("progress > 0")
    page.keyboard.press("Shift+Enter")
    answer = console.locator(".jp-CodeConsole-content .jp-OutputArea-executeResult .jp-OutputArea-output")
    expect(answer).to_have_text("True")
    expect(busy.locator(".jp-InputPrompt")).to_have_text("[*]:")
    picture(page, "subshell")
    prompt.click()
    page.keyboard.insert_text("ready = True")
    page.keyboard.press("Shift+Enter")
    wait_for_end(busy)
    expect(result(busy)).to_have_text("'ended'")


def as_bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame
