"""What fails in the kernel's C++ while it answers: an error reply and idle all the same, a line on the terminal that it was
started from, and the next request is answered. The same for each class alone, and for memory: cpp/test_exceptions.cpp."""

import pytest

# The Python half answers with what is no JSON, so that C++ throws; a cell's reply is one of these answers, too.
BREAK = "from firn_kernel import messages\nright = messages.encode\nmessages.encode = lambda *a, **k: b'{'"
MEND = "messages.encode = right"


@pytest.fixture(scope="module")
def watched(start_kernel, tmp_path_factory):
    """The module's kernel, and the terminal that it was started from."""
    terminal = tmp_path_factory.mktemp("terminal") / "stderr"
    with terminal.open("w") as stderr:
        return start_kernel(stderr=stderr), terminal


@pytest.fixture
def broken(watched):
    """The kernel while its Python half answers nonsense."""
    kernel = watched[0]
    assert kernel.run(BREAK, silent=True).status == "error"  # its own reply, too
    yield watched
    assert kernel.run(MEND, silent=True).status == "ok"
    assert kernel.run("6 * 7").result == "42"
    assert kernel.control("usage_request", {})["content"]["pid"] == kernel.pid


@pytest.mark.row("what a request throws in C++ is its error")
@pytest.mark.parametrize(
    "kind, content",
    [
        ("complete_request", {"code": "pri", "cursor_pos": 3}),
        ("inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0}),
        ("is_complete_request", {"code": "if"}),
        ("history_request", {"hist_access_type": "tail", "n": 3}),
        ("kernel_info_request", {}),
        ("comm_info_request", {}),
    ],
)
def test_an_exception_in_a_cell_runners_thread(broken, kind, content):
    kernel, terminal = broken
    outcome = kernel.finish(kernel.shell(kind, content))
    assert outcome.status == "error" and outcome.reply["content"]["ename"] == "KernelError"
    assert "parse error" in outcome.reply["content"]["evalue"]
    assert f"could not answer {kind}: " in terminal.read_text()


@pytest.mark.row("what a request throws in C++ is its error")
@pytest.mark.parametrize("kind", ["usage_request", "kernel_info_request", "create_subshell_request", "debug_request"])
def test_an_exception_in_the_control_thread(broken, kind):
    kernel, terminal = broken
    reply = kernel.control(kind, {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}})
    assert reply["content"]["status"] == "error" and reply["content"]["ename"] == "KernelError"
    assert kernel.published(reply["parent_header"]["msg_id"])
    assert f"could not answer {kind}: " in terminal.read_text()


@pytest.mark.row("what a request throws in C++ is its error")
def test_an_exception_at_a_cells_end(broken):
    kernel, terminal = broken
    outcome = kernel.run("1 + 1", silent=True)
    assert outcome.reply["content"]["ename"] == "KernelError"
    assert isinstance(outcome.reply["content"]["execution_count"], int)
    assert "could not answer execute_request: " in terminal.read_text()
