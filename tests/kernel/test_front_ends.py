"""The programs that people run kernels with: nbclient, nbconvert, papermill and jupyter console."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "firn", "display_name": "firn"}})


@pytest.mark.row("nbclient and nbconvert")
def test_nbclient_executes_a_notebook():
    executed = notebook(
        "print('out')",
        "6 * 7",
        "handle = display('old', display_id=True)",
        "handle.update('new')",
        "%%parallel --quiet\nsquares = [n * n for n in range(100)]",
        "squares[-1]",
    )
    NotebookClient(executed, timeout=60, kernel_name="firn").execute()
    first, second, third, _, _, last = (cell.outputs for cell in executed.cells)
    assert first == [{"output_type": "stream", "name": "stdout", "text": "out\n"}]
    assert second[0]["data"]["text/plain"] == "42" and second[0]["execution_count"] == 2
    assert third[0]["data"]["text/plain"] == "'new'"
    assert last[0]["data"]["text/plain"] == "9801"


@pytest.mark.row("nbclient and nbconvert")
def test_nbclient_shows_an_error_with_the_cells_line():
    executed = notebook("x = 1\n1 / 0", "'never'")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        NotebookClient(executed, timeout=60, kernel_name="firn").execute()
    assert executed.cells[0].outputs[0]["ename"] == "ZeroDivisionError"


@pytest.mark.row("papermill")
def test_papermill_executes_a_notebook_with_parameters(tmp_path):
    source = notebook("count = 1", "%%parallel --quiet\nsquares = [n * n for n in range(count)]", "len(squares)")
    source.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(source, tmp_path / "in.ipynb")
    paths = str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb")
    papermill.execute_notebook(
        *paths, parameters={"count": 70}, kernel_name="firn", language="python", progress_bar=False
    )
    executed = nbformat.read(paths[1], as_version=4)
    assert executed.cells[-1].outputs[0]["data"]["text/plain"] == "70"
    assert [cell.metadata["papermill"]["status"] for cell in executed.cells] == ["completed"] * 4


@pytest.mark.row("jupyter console")
def test_jupyter_console():
    """A terminal session: input, output, a question, an error, the end."""
    main, other = pty.openpty()
    command = [sys.executable, "-m", "jupyter_console", "--kernel", "firn", "--simple-prompt"]
    process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, close_fds=True, start_new_session=True)
    os.close(other)
    seen = ""

    def more() -> bool:
        """Reads on; False when the other end has closed."""
        nonlocal seen
        if select.select([main], [], [], 1)[0]:
            try:
                seen += os.read(main, 65536).decode("utf-8", "replace")
            except OSError:
                return False
        return True

    def expect(pattern):
        nonlocal seen
        end = time.monotonic() + 60
        while (found := re.search(pattern, seen)) is None:
            assert time.monotonic() < end and more(), seen
        seen = seen[found.end() :]

    def enter(line):
        """Types as a person does: once there is a prompt."""
        expect(r"In \[\d+\]: ")
        os.write(main, line.encode() + b"\n")

    try:
        # The console shows its prompt before its subscription to what is published has arrived, and then waits for ever
        # for the first cell's idle. A person takes a moment, too.
        expect(r"(?=In \[1\]: )")
        time.sleep(1)
        enter("print('six times seven is', 6 * 7)")
        expect("six times seven is 42")
        enter("'result' + 'ing'")
        expect("'resulting'")
        enter("input('name' + '? ') + '!'")
        expect(r"name\? ")
        os.write(main, b"firn\n")
        expect("'firn!'")
        enter("1/0")
        expect("division by zero")
        enter("exit")
        end = time.monotonic() + 60
        while more():  # a terminal that nobody reads holds its program up
            assert time.monotonic() < end, seen
        assert process.wait(30) == 0, seen
    finally:
        process.kill()
        process.wait()
        os.close(main)
