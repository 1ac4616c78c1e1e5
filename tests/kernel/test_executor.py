"""firn.Executor in the kernel: whose output it is, interrupts at the first press."""

import time

import pytest


def test_output_belongs_to_the_cell_that_submitted(kernel):
    cell = kernel.client.execute(
        "import firn, os, tempfile, time\ngate = tempfile.mktemp()\n"
        "def work(x):\n    while not os.path.exists(gate): time.sleep(0.01)\n    print('late', x)\n"
        "executor = firn.Executor(1)\nfuture = executor.submit(work, 7)"
    )
    assert kernel.finish(cell).status == "ok"
    other = kernel.client.execute("open(gate, 'w').close(); future.result(); print('other')")
    parents = {}
    end = time.monotonic() + 30
    while len(parents) < 2:
        message = kernel.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
        if message["msg_type"] == "stream":
            parents[message["content"]["text"]] = message["parent_header"]["msg_id"]
    assert parents == {"late 7\n": cell, "other\n": other}
    assert kernel.run("executor.shutdown()").status == "ok"


@pytest.mark.row("an interrupt stops it")
@pytest.mark.parametrize("by_message", [True, False])
def test_an_interrupt_of_a_with_block_stops_it_at_the_first_press(kernel, by_message):
    cell = kernel.client.execute(
        "import firn\ndef spin():\n    print('on', flush=True)\n    while True: pass\n"
        "with firn.Executor(1) as executor:\n    future = executor.submit(spin)\n    future.result()"
    )
    kernel.wait_for_text("on")
    time.sleep(0.2)
    kernel.interrupt(by_message)
    assert kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("type(future.exception()).__name__").result == "'BrokenWorkers'"
