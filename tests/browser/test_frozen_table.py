"""The table of what is frozen."""

import pytest
from playwright.sync_api import expect

from .actions import Notebook

pytestmark = pytest.mark.browser


def test_the_table_of_frozen_data(notebook: Notebook) -> None:
    notebook.run(
        "rows = [{'n': n, 'name': f'row {n}'} for n in range(50_000)]\nothers = [[n, str(n)] for n in range(3000)]"
    )
    notebook.run("%%parallel --quiet\nlengths = [len(row['name']) for row in rows]")
    notebook.run("%%parallel --quiet\nfirsts = [first for first, _ in others]\nkept = [others[7]]")
    notebook.run("del others")
    cell = notebook.run("%frozen")
    table = cell.locator(".firn")
    expect(table).to_have_count(1)
    for text in ("rows", "list", "live, memory", "retired", "in memory", "%thaw NAME"):
        expect(table).to_contain_text(text)
    notebook.pictures(cell, "frozen")
