"""What a person sees of a long parallel cell in JupyterLab: its progress, then its timeline and its place in the
history, in both themes."""

import re

import pytest
from playwright.sync_api import Locator, expect

from .actions import Notebook, output, picture, wait_for_end
from .conftest import Lab

pytestmark = pytest.mark.browser

SETUP = "import os, time\nwaits = [0.02 + 0.01 * (n % 5) for n in range(60)]\nwaits[50] = 0.3"
LONG = """%%parallel --chunk 1
for n, wait in enumerate(waits):
    time.sleep(wait)
    while n > 40 and not os.path.exists('seen'):
        time.sleep(0.01)
slept = [time.sleep(w) or round(w, 2) for w in waits[::4]]
len(slept)"""
BRIGHTNESS = """element => {
  const [r, g, b] = getComputedStyle(element).fill.match(/[0-9.]+/g).map(Number);
  return (r + g + b) / 3;
}"""


def lies_within(inner: Locator, outer: Locator) -> bool:
    one, other = inner.bounding_box(), outer.bounding_box()
    assert one is not None and other is not None
    return other["x"] - 1 <= one["x"] and one["x"] + one["width"] <= other["x"] + other["width"] + 1


def test_progress_timeline_and_history_in_both_themes(lab: Lab, notebook: Notebook) -> None:
    notebook.run(SETUP)
    cell = notebook.start(LONG)
    bar = cell.get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(output(cell)).to_contain_text(re.compile(r"4\d of 60 iterations"))
    notebook.pictures(output(cell), "progress")
    (lab.folder / "seen").touch()
    wait_for_end(cell)
    expect(bar).to_have_count(0)
    assert cell.get_by_text("of 60 iterations").count() == 0

    card = cell.locator(".firn")
    timeline = card.locator("svg").first
    expect(timeline).to_be_visible()
    expect(card).to_contain_text("Slowest iterations")
    assert lies_within(timeline, card)
    assert all(lies_within(bar, timeline) for bar in timeline.locator("rect").all()[::5])
    text = card.locator("svg text").first
    picture(cell, "timeline-light")
    light = text.evaluate(BRIGHTNESS)
    with notebook.dark():
        picture(cell, "timeline-dark")
        assert light < 100 < 150 < text.evaluate(BRIGHTNESS)

    notebook.run("%%parallel\nsquares = [w * w for w in waits * 1000]")
    table = notebook.run("%parallel history").locator(".firn-history")
    expect(table.locator("tr")).to_have_count(3)
    notebook.pictures(table, "history")
