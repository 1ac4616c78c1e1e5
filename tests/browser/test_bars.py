"""The user's own bars and loggers, in a parallel cell."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook

pytestmark = pytest.mark.browser

CELL = """%%parallel --chunk 25
for n in tqdm(range(200)):
    time.sleep(0.01)
    if n % 80 == 79:
        log.warning("at %d", n)"""


def test_the_bar_of_tqdm_moves_and_log_records_appear_in_order(notebook: Notebook) -> None:
    notebook.run(
        "import logging, sys, time\nfrom tqdm import tqdm\n"
        "logging.basicConfig(stream=sys.stdout, format='%(levelname)s %(name)s: %(message)s', force=True)\n"
        "log = logging.getLogger('study')"
    )
    cell = notebook.run(CELL)
    expect(cell.locator("[data-mime-type='application/vnd.jupyter.stderr']").last).to_contain_text("200/200")
    expect(cell.locator("[role=progressbar]")).to_have_count(0)  # firn's own
    printed = cell.locator("[data-mime-type='application/vnd.jupyter.stdout']").all_inner_texts()
    assert "".join(printed).split("\n")[:2] == ["WARNING study: at 79", "WARNING study: at 159"]
    expect(cell.locator(".firn")).to_contain_text("200 iterations")
    notebook.pictures(cell, "bars")


def test_a_bar_that_chooses_its_form_is_a_widget(notebook: Notebook) -> None:
    notebook.run("import time\nfrom tqdm.auto import tqdm")
    cell = notebook.run("%%parallel --chunk 10\nfor n in tqdm(range(200), desc='studies'):\n    time.sleep(0.01)")
    bar = cell.locator(".jupyter-widgets.widget-hbox")
    expect(bar).to_contain_text("studies: 100%")
    expect(bar).to_contain_text("200/200")
    expect(cell.locator("[role=progressbar]:not(.jupyter-widgets *)")).to_have_count(0)  # firn's own
    notebook.pictures(cell, "widget_bar")
