"""Widgets and figures."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook, output, picture

pytestmark = pytest.mark.browser

SETUP = """import ipywidgets
words = [f'{n:b}' for n in range(20_000)]
slider = ipywidgets.IntSlider(value=1, min=1, max=9, description='ones')
shown = ipywidgets.Output()
label = ipywidgets.Label()

def count(change):
    global ones
    ones = change['new']
    shown.clear_output(wait=True)
    with shown:
        get_ipython().run_cell_magic('parallel', '', 'found = [word for word in words if word.count("1") == ones]')
    label.value = f'{len(found)} words'

slider.observe(count, names='value')
ipywidgets.VBox([slider, label, shown])"""


def test_a_slider_drives_a_parallel_cell(notebook: Notebook) -> None:
    cell = notebook.run(SETUP)
    handle = cell.locator(".widget-slider .noUi-handle")
    expect(handle).to_be_visible()
    label = cell.locator(".widget-label").filter(has_text="words")
    handle.focus()
    for ones in (2, 3):
        notebook.page.keyboard.press("ArrowRight")
        expect(label).to_have_text(f"{sum(f'{n:b}'.count('1') == ones for n in range(20_000))} words")
    expect(cell.locator(".firn")).to_contain_text("found = [word for word in words")
    picture(notebook.page, "slider")
    after = notebook.run("slider.value = 5\nones, len(found)")
    expect(label).to_have_text(f"{sum(f'{n:b}'.count('1') == 5 for n in range(20_000))} words")
    expect(cell.locator(".widget-readout")).to_have_text("5")
    expect(output(after)).to_contain_text("(5, ")


def test_a_figure_of_matplotlib_is_drawn_below_its_cell(notebook: Notebook) -> None:
    notebook.run("%matplotlib inline\nimport matplotlib.pyplot as plt")
    cell = notebook.run("%%parallel --quiet\nheights = [n * n % 97 for n in range(500)]\nplt.plot(heights);")
    figure = output(cell).locator("img[src^='data:image/png']")
    expect(figure).to_have_count(1)
    assert figure.evaluate("image => image.naturalWidth") > 300
    picture(cell, "figure")
