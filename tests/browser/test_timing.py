"""Execution times, which JupyterLab records in the notebook."""

import json
from datetime import datetime

import pytest
from playwright.sync_api import expect

from .actions import Notebook, picture
from .conftest import Lab

pytestmark = pytest.mark.browser


def test_recorded_times_are_those_of_the_cell(lab: Lab, notebook: Notebook) -> None:
    page = notebook.page
    notebook.run("import time\nbegan = time.time()\ntime.sleep(0.5)\nended = time.time()\nprint(began, ended)").click()
    page.get_by_role("tab", name="Property Inspector").click()
    page.locator(".jp-NotebookTools .jp-Collapse-header").filter(has_text="Advanced Tools").click()
    metadata = page.locator(".jp-MetadataEditorTool").first
    expect(metadata).to_contain_text("shell.execute_reply.started")
    picture(page, "timing")
    notebook.menu("File", "Save Notebook")
    page.get_by_role("button", name="Rename and Save").click()
    expect(page.locator(".lm-DockPanel-tabBar .lm-mod-current.jp-mod-dirty")).to_have_count(0)
    newest = max(lab.folder.glob("Untitled*.ipynb"), key=lambda file: file.stat().st_mtime_ns)
    (cell, _) = json.loads(newest.read_text())["cells"]
    began, ended = map(float, cell["outputs"][0]["text"][0].split())
    recorded = {key: datetime.fromisoformat(at).timestamp() for key, at in cell["metadata"]["execution"].items()}
    assert max(recorded["iopub.status.busy"], recorded["shell.execute_reply.started"]) <= began
    assert ended <= recorded["shell.execute_reply"] <= recorded["iopub.status.idle"]
