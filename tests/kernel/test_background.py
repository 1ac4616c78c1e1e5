"""%%parallel --background in the kernel: it goes on while the kernel is idle, and never in the middle of a cell."""

import time

import pytest

WAIT = (
    "import os, time, asyncio, pathlib, tempfile\n"
    "gate = tempfile.mktemp()\n"
    "def wait(x):\n    while not os.path.exists(gate): time.sleep(0.01)\n    return x\n"
)


@pytest.mark.row("in the background")
def test_an_idle_kernel_merges_it_and_its_output_is_the_cells(kernel):
    assert kernel.run(WAIT).status == "ok"
    cell = "%%parallel --background job\nfound = [wait(x) for x in range(4)]\nprint('merged', sum(found))"
    started = kernel.client.execute(cell)
    outcome = kernel.finish(started)
    assert "running, 0 of 4 iterations" in outcome.result and outcome.text() == ""
    opened = kernel.client.execute("pathlib.Path(gate).touch()")
    kernel.finish(opened)
    end = time.monotonic() + 30
    while True:  # without another cell
        message = kernel.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
        if message["msg_type"] == "stream":
            assert message["content"]["text"] == "merged 6\n"
            assert message["parent_header"]["msg_id"] == started
            break
    assert kernel.run("found").result == "[0, 1, 2, 3]"


@pytest.mark.row("in the background")
def test_nothing_is_merged_in_the_middle_of_a_cell_that_awaits(kernel):
    assert kernel.run(WAIT + "found = None").status == "ok"
    assert kernel.run("%%parallel --background job\nfound = [wait(x) for x in range(4)]").status == "ok"
    outcome = kernel.run(
        "pathlib.Path(gate).touch()\n"
        "while not job._watched.ended: await asyncio.sleep(0.01)\n"
        "for _ in range(20): await asyncio.sleep(0.01)\n"
        "found"
    )
    assert outcome.status == "ok" and not outcome.of("execute_result")
    assert kernel.run("found").result == "[0, 1, 2, 3]"


@pytest.mark.row("in the background")
def test_a_cell_that_awaits_it_gets_it(kernel):
    assert kernel.run(WAIT).status == "ok"
    assert kernel.run("%%parallel --background job\nfound = [wait(x) for x in range(4)]\nsum(found)").status == "ok"
    assert kernel.run("asyncio.get_running_loop().call_later(0.1, pathlib.Path(gate).touch)\nawait job").result == "6"


@pytest.mark.row("in the background")
def test_a_kernel_that_is_shut_down_ends_it(new_kernel):
    kernel = new_kernel()
    kernel.run("def spin(x):\n    while True: pass")
    kernel.run("%%parallel --background job\nfound = [spin(x) for x in range(4)]")
    process = kernel.process
    kernel.client.shutdown()
    process.wait(30)
    assert not process.is_running()
