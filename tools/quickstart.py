"""Executes a notebook in the firn kernel, and shows what its parallel cells report while it goes.

Writes build/quickstart.html and build/quickstart.ipynb, the executed notebook, and build/report.json, the figures of every
parallel cell; of notebooks/tour.ipynb (--notebook tour) it is build/tour.html. In another kernel (--kernel python3) the
notebook starts with %load_ext firn.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOKS = PROJECT / "notebooks"

# What the kernel is asked after a parallel cell: the new reports as text and as data (a cell in the background has its
# report later, one that only explains has none).
QUESTION = "__import__('json').dumps([(str(one), one.to_dict()) for one in __import__('firn').reports()[{known}:]])"


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


class Quickstart:
    """The execution of one notebook: prints each parallel cell's report, and keeps its figures."""

    def __init__(self, notebook: nbformat.NotebookNode, kernel: str) -> None:
        self.notebook = notebook
        self.client = NotebookClient(
            notebook,
            kernel_name=kernel,
            timeout=300,
            resources={"metadata": {"path": str(NOTEBOOKS)}},
            on_cell_executed=self.show,
        )
        self.reports: list[dict[str, Any]] = []

    async def show(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        count = execute_reply["content"].get("execution_count")
        if not cell.source.startswith("%%parallel"):
            for output in cell.outputs:
                if output.get("name") == "stdout" and len(output.text.splitlines()) == 1:
                    print(f"       {output.text.rstrip()}", flush=True)
            return
        print(bold(f"  [{count}] {cell.source.splitlines()[1]}"), flush=True)
        kc = self.client.kc
        assert kc is not None
        question = QUESTION.format(known=len(self.reports))
        request = kc.execute("", silent=True, user_expressions={"reports": question})
        reply = await self.client.async_wait_for_reply(request)
        answer = reply["content"]["user_expressions"]["reports"]
        if answer["status"] != "ok":
            raise RuntimeError(f"the kernel has no report of this cell: {answer['ename']}: {answer['evalue']}")
        for text, figures in json.loads(ast.literal_eval(answer["data"]["text/plain"])):
            self.reports.append({"cell": count, "source": cell.source, "report": figures})
            for line in text.splitlines():
                print(f"       {line}", flush=True)

    def run(self) -> CellExecutionError | None:
        """Executes all cells; the error of the one that failed, if one did."""
        try:
            asyncio.run(self.client.async_execute())
        except CellExecutionError as error:
            return error
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    names = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    parser.add_argument("--notebook", default="quickstart", choices=names, help="which one (default: quickstart)")
    parser.add_argument("--kernel", default="firn", help="the name of a kernelspec (default: firn)")
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "build", help="folder for what it writes (default: build)"
    )
    options = parser.parse_args()
    began = time.perf_counter()
    notebook = nbformat.read(NOTEBOOKS / f"{options.notebook}.ipynb", as_version=4)
    if options.kernel != "firn":
        notebook.cells.insert(0, nbformat.v4.new_code_cell("%load_ext firn"))
    print(
        bold(f"notebooks/{options.notebook}.ipynb in the {options.kernel} kernel, Python {sys.version.split()[0]}"),
        flush=True,
    )
    quickstart = Quickstart(notebook, options.kernel)
    error = quickstart.run()
    options.out.mkdir(parents=True, exist_ok=True)
    html, report = options.out / f"{options.notebook}.html", options.out / "report.json"
    page, _ = HTMLExporter().from_notebook_node(quickstart.notebook, {"metadata": {"name": f"firn {options.notebook}"}})
    html.write_text(page)
    nbformat.write(quickstart.notebook, options.out / f"{options.notebook}.ipynb")
    report.write_text(json.dumps(quickstart.reports, indent=1) + "\n")
    if error is not None:
        print(f"\n{error}", file=sys.stderr)
    print(f"\n{bold('notebook, executed')}  {html}\n{bold('figures of each cell')} {report}")
    print(f"{len(quickstart.reports)} parallel cells, {time.perf_counter() - began:.0f} s in all")
    return 1 if error is not None else 0


if __name__ == "__main__":
    sys.exit(main())
