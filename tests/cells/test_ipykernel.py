"""%load_ext firn in a stock ipykernel, through jupyter_client: what a front end sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from jupyter_client.manager import KernelManager


@dataclass
class Answer:
    """The reply to a cell and all that it showed."""

    reply: dict[str, Any]
    stdout: str = ""
    stderr: str = ""
    result: str | None = None
    displays: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    order: list[str] = field(default_factory=list)  # of what was printed and displayed

    @property
    def traceback(self) -> str:
        assert self.error is not None
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(self.error["traceback"]))


class Client:
    """A front end with one kernel."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, *, interrupt_at: str = "") -> Answer:
        """Runs a cell to its idle message; interrupts it when this text appears on its stdout."""
        request = self.client.execute(code, store_history=True)
        answer = Answer({})
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    text = content["text"]
                    answer.order.append(text)
                    answer.stdout += text if content["name"] == "stdout" else ""
                    answer.stderr += text if content["name"] == "stderr" else ""
                    if interrupt_at and interrupt_at in answer.stdout:
                        interrupt_at = ""
                        self.manager.interrupt_kernel()
                case "execute_result":
                    answer.result = content["data"]["text/plain"]
                case "display_data":
                    answer.displays.append(content["data"])
                    answer.order.append(content["data"].get("text/html", ""))
                case "error":
                    answer.error = content
                case "status" if content["execution_state"] == "idle":
                    break
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == request:
                answer.reply = reply["content"]
                return answer

    def ok(self, code: str) -> Answer:
        answer = self.run(code)
        assert answer.reply["status"] == "ok", answer.traceback
        return answer


@pytest.fixture(scope="module")
def kernel() -> Iterator[Client]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = Client(manager)
    try:
        client.ok("import os; os.environ['FIRN_WORKERS'] = '2'")
        client.ok("%load_ext firn")
        yield client
    finally:
        client.client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_cell_its_result_and_its_report(kernel):
    kernel.ok("rows = [{'n': i} for i in range(3000)]")
    answer = kernel.ok("%%parallel\ntotal = sum(r['n'] for r in rows)\nprint('total', total)\ntotal + 1")
    assert answer.stdout == "total 4498500\n"
    assert answer.result == "4498501"
    (card,) = answer.displays
    assert "3,000 iterations" in card["text/plain"]
    assert "<svg" in card["text/html"] and "<script" not in card["text/html"]
    assert kernel.ok("import firn; firn.last_report().way").result == "'split'"


def test_output_of_workers_is_in_the_cell(kernel):
    answer = kernel.ok("%%parallel\nfor i in range(200):\n    print('row', i)")
    assert answer.stdout == "".join(f"row {i}\n" for i in range(200))


def test_what_workers_display_comes_in_order_with_what_they_print(kernel):
    answer = kernel.ok("""%%parallel --quiet --chunk 1
from IPython.display import HTML
for i in range(5):
    print("before", i)
    display(HTML(f"<b>{i}</b>"))
    print("after", i)
""")
    texts = [text.strip() for text in answer.order]
    assert "\n".join(texts) == "\n".join(f"before {i}\n<b>{i}</b>\nafter {i}" for i in range(5))


def test_await_shell_commands_and_magics(kernel):
    answer = kernel.ok("""%%parallel
import asyncio
await asyncio.sleep(0.01)
!echo from the shell
squares = [n * n for n in range(50)]
%who list
""")
    assert "from the shell" in answer.stdout and "squares" in answer.stdout


def test_an_error_of_a_worker(kernel):
    kernel.ok("def invert(x):\n    return 1 / x")
    answer = kernel.run("%%parallel\nout = [invert(x) for x in (1, 0)]")
    assert answer.reply["status"] == "error" and answer.reply["ename"] == "ZeroDivisionError"
    assert "return 1 / x" in answer.traceback and "out = [invert(x)" in answer.traceback
    assert "firn/" not in answer.traceback


def test_a_refusal_and_an_option(kernel):
    answer = kernel.run("%%parallel\nlast = 0\nfor x in range(3):\n    last = 2 * last + x")
    assert answer.reply["status"] == "error" and answer.reply["ename"] == "Refused"
    assert "line 4" in answer.traceback and "Traceback" not in answer.traceback
    answer = kernel.run("%%parallel --wrokers 2\nx = 1")
    assert "did you mean --workers?" in answer.traceback


@pytest.mark.parametrize("first", ["", "import asyncio; await asyncio.sleep(0)\n"])
def test_interrupt(kernel, first):
    kernel.ok("total = 5")
    answer = kernel.run(
        f"%%parallel\n{first}for x in range(2):\n    print('started', flush=True)\n    while True:\n        pass\n    total += x",
        interrupt_at="started",
    )
    assert answer.reply["status"] == "error" and answer.reply["ename"] == "KeyboardInterrupt"
    assert kernel.ok("total").result == "5"
    assert kernel.ok("%%parallel\nsum(x for x in range(10))").result == "45"


def test_manual_and_completion(kernel):
    client = kernel.client
    request = client.inspect("%%parallel", cursor_pos=10)
    while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    assert "--workers" in reply["content"]["data"]["text/plain"]
    code = "%%parallel --ti"
    request = client.complete(code, cursor_pos=len(code))
    while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    content = reply["content"]
    completed = [
        code[: content["cursor_start"]] + match + code[content["cursor_end"] :] for match in content["matches"]
    ]
    assert "%%parallel --timeout" in completed


def test_frozen_data_is_explored_at_the_prompt(kernel):
    kernel.ok("import firn\nrows = firn.freeze([{'id': n, 'text': 'x'} for n in range(3000)])")
    shown = kernel.ok("rows").result
    assert shown.startswith("[{'id': 0, 'text': 'x'},\n {'id': 1") and shown.endswith("...]")
    client = kernel.client
    request = client.complete('rows[0]["te')
    while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    assert reply["content"]["matches"] == ["text"]
    request = client.inspect("rows")
    while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    assert "shared by reference with all workers" in reply["content"]["data"]["text/plain"]
    (tree,) = kernel.ok("%frozen rows").displays
    assert "rows[*]  " in tree["text/plain"] and "3,000" in tree["text/plain"]


def test_a_background_cell_goes_on_while_the_kernel_is_idle(kernel, tmp_path):
    gate = tmp_path / "gate"
    kernel.ok(
        f"import os, time\ndef wait(x):\n    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return x\n"
    )
    answer = kernel.ok(
        "%%parallel --background job\nfound = [wait(x) for x in range(4)]\nprint('merged', sum(found))\nsum(found)"
    )
    assert answer.result is not None and "running, 0 of 4 iterations" in answer.result
    gate.touch()
    text = ""
    while "merged 6" not in text:  # without another cell
        message = kernel.client.get_iopub_msg(timeout=60)
        text += message["content"]["text"] if message["msg_type"] == "stream" else ""
    assert kernel.ok("found, await job").result == "([0, 1, 2, 3], 6)"


def test_an_executor_is_interrupted_at_the_first_press(kernel):
    kernel.ok("import firn\ndef spin():\n    print('on', flush=True)\n    while True: pass")
    answer = kernel.run(
        "with firn.Executor(1) as executor:\n    future = executor.submit(spin)\n    future.result()", interrupt_at="on"
    )
    assert answer.error is not None and answer.error["ename"] == "KeyboardInterrupt"
    assert kernel.ok("type(future.exception(10)).__name__").result == "'BrokenWorkers'"
