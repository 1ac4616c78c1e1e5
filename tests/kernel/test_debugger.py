"""The debugger: breakpoints in cells and functions, stepping, variables, and what goes on while a cell stands still."""

from __future__ import annotations

import time

import pytest
from firn_kernel import cell_files
from hypothesis import given
from hypothesis import strategies as st
from ipykernel.compiler import murmur2_x86

TIMEOUT = 30

CELL = """
def total(items):
    result = 0
    for item in items:
        result += item
    return result

numbers = [1, 2, 3]
answer = total(numbers)
answer
"""


class Session:
    """A front end's debugger."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.seq = 0

    def ask(self, command, **arguments):
        self.seq += 1
        request = {"type": "request", "seq": self.seq, "command": command, "arguments": arguments}
        reply = self.kernel.control("debug_request", request)
        assert reply["msg_type"] == "debug_reply"
        content = reply["content"]
        assert (content["type"], content["request_seq"], content["command"]) == ("response", self.seq, command)
        return content

    def done(self, command, **arguments):
        content = self.ask(command, **arguments)
        assert content["success"], content
        return content.get("body", {})

    def start(self):
        self.done("initialize", clientID="test", adapterID="", linesStartAt1=True, columnsStartAt1=True)
        self.done("attach")
        self.done("configurationDone")

    def break_at(self, code, *lines):
        path = self.done("dumpCell", code=code)["sourcePath"]
        body = self.done("setBreakpoints", source={"path": path}, breakpoints=[{"line": line} for line in lines])
        assert all(point["verified"] for point in body["breakpoints"])
        return path

    def event(self, name):
        end = time.monotonic() + TIMEOUT
        while True:
            message = self.kernel.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
            if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
                return message["content"].get("body", {})

    def frames(self, thread):
        return self.done("stackTrace", threadId=thread)["stackFrames"]

    def variables(self, frame):
        (scope, *_) = self.done("scopes", frameId=frame["id"])["scopes"]
        return {
            v["name"]: v for v in self.done("variables", variablesReference=scope["variablesReference"])["variables"]
        }


@pytest.fixture
def debug(new_kernel):
    kernel = new_kernel()
    session = Session(kernel)
    session.start()
    return session


def test_the_kernel_says_that_it_debugs(kernel):
    kernel.client.kernel_info()
    assert "debugger" in kernel.client.get_shell_msg(timeout=TIMEOUT)["content"]["supported_features"]


@given(st.text())
def test_cells_have_the_names_that_front_ends_work_out(source):
    hashed = murmur2_x86(source.encode(errors="replace").decode(), cell_files.HASH_SEED)
    assert cell_files.name_of(source) == f"{cell_files.PREFIX}{hashed}.py"


@pytest.mark.row("breakpoints and steps")
def test_a_breakpoint_in_a_cell_and_steps(debug):
    path = debug.break_at(CELL, 9)
    cell = debug.kernel.client.execute(CELL)
    thread = debug.event("stopped")["threadId"]
    assert debug.done("debugInfo")["stoppedThreads"] == [thread]
    (frame,) = debug.frames(thread)
    assert (frame["line"], frame["source"]["path"]) == (9, path)
    assert debug.variables(frame)["numbers"]["value"] == "[1, 2, 3]"
    debug.done("stepIn", threadId=thread)
    debug.event("stopped")
    inner, outer = debug.frames(thread)
    assert (inner["name"], outer["line"]) == ("total", 9)
    debug.done("next", threadId=thread)
    debug.event("stopped")
    debug.done("stepOut", threadId=thread)
    debug.event("stopped")
    assert [frame["name"] for frame in debug.frames(thread)] == ["<module>"]
    debug.done("continue", threadId=thread)
    assert debug.kernel.finish(cell).result == "6"
    assert debug.done("debugInfo")["stoppedThreads"] == []


@pytest.mark.row("breakpoints and steps")
def test_a_breakpoint_in_a_function_of_an_earlier_cell(debug):
    debug.kernel.run(CELL)
    debug.break_at(CELL, 5)
    cell = debug.kernel.client.execute("total(range(20))")
    for item in range(20):  # one stop after the other, the next one perhaps before "continue" is answered
        thread = debug.event("stopped")["threadId"]
        frame, below = debug.frames(thread)
        assert (frame["line"], frame["name"], below["name"]) == (5, "total", "<module>")
        assert debug.variables(frame)["item"]["value"] == str(item)
        debug.done("continue", threadId=thread)
    assert debug.kernel.finish(cell).result == "190"


@pytest.mark.row("variables, rich ones, copyToGlobals")
def test_variables_where_it_stands_still(debug):
    debug.break_at(CELL, 6)
    cell = debug.kernel.client.execute(CELL)
    thread = debug.event("stopped")["threadId"]
    frame = debug.frames(thread)[0]
    rich = debug.done("richInspectVariables", variableName="result", frameId=frame["id"])
    assert rich["data"] == {"text/plain": "6"}
    debug.done("copyToGlobals", srcVariableName="item", dstVariableName="copied", srcFrameId=frame["id"])
    assert debug.done("evaluate", expression="result * 7", frameId=frame["id"])["result"] == "42"
    debug.done("continue", threadId=thread)
    debug.kernel.finish(cell)
    assert debug.kernel.run("copied").result == "3"


@pytest.mark.row("variables, rich ones, copyToGlobals")
def test_variables_between_cells(debug):
    debug.kernel.run(
        "import collections\nrows = [{'a': 1, 'b': [2, 3]}]\nclass C: pass\nc = C(); c.size = 3\nbig = [0] * 10**6"
    )
    found = {v["name"]: v for v in debug.done("inspectVariables")["variables"]}
    assert found["rows"]["value"] == "[{'a': 1, 'b': [2, 3]}]" and found["rows"]["type"] == "list"
    assert "In" not in found and "get_ipython" not in found and "_i1" not in found
    assert len(found["big"]["value"]) < 100
    (row,) = debug.done("variables", variablesReference=found["rows"]["variablesReference"])["variables"]
    parts = debug.done("variables", variablesReference=row["variablesReference"])["variables"]
    assert [(part["name"], part["value"]) for part in parts] == [("'a'", "1"), ("'b'", "[2, 3]")]
    assert (
        debug.done("variables", variablesReference=found["c"]["variablesReference"])["variables"][0]["name"] == "size"
    )
    assert debug.done("richInspectVariables", variableName="rows")["data"]["text/plain"] == found["rows"]["value"]


def test_frozen_values_between_cells(debug):
    debug.kernel.run("import firn\nrows = firn.freeze([{'a': n} for n in range(10**5)])")
    found = {v["name"]: v for v in debug.done("inspectVariables")["variables"]}
    assert found["rows"]["value"].startswith("[{'a': 0}") and len(found["rows"]["value"]) < 250
    rows = debug.done("variables", variablesReference=found["rows"]["variablesReference"])["variables"]
    assert (rows[7]["name"], rows[7]["value"]) == ("7", "{'a': 7}")


def test_a_value_whose_repr_raises(debug):
    debug.kernel.run("class Bad:\n    def __repr__(self): 1 / 0\nbad = Bad()")
    found = {v["name"]: v for v in debug.done("inspectVariables")["variables"]}
    assert found["bad"]["value"] == "<Bad, whose repr raised ZeroDivisionError>"


@pytest.mark.row("ends and interrupts what stands still")
def test_the_end_of_a_session_lets_the_cell_go_on(debug):
    debug.break_at(CELL, 9)
    cell = debug.kernel.client.execute(CELL)
    debug.event("stopped")
    debug.done("disconnect")
    assert debug.kernel.finish(cell).result == "6"
    info = debug.done("debugInfo")
    assert (info["isStarted"], info["breakpoints"], info["stoppedThreads"]) == (False, [], [])
    debug.start()  # and another session
    debug.break_at(CELL, 9)
    cell = debug.kernel.client.execute(CELL)
    debug.done("continue", threadId=debug.event("stopped")["threadId"])
    assert debug.kernel.finish(cell).result == "6"


@pytest.mark.row("ends and interrupts what stands still")
def test_an_interrupt_ends_a_cell_that_stands_still(debug):
    debug.break_at(CELL, 9)
    cell = debug.kernel.client.execute(CELL)
    debug.event("stopped")
    debug.kernel.manager.interrupt_kernel()
    assert debug.kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"
    assert debug.kernel.run("6 * 7").result == "42"


@pytest.mark.row("ends and interrupts what stands still")
def test_the_kernel_stops_while_a_cell_stands_still(debug):
    debug.break_at(CELL, 9)
    debug.kernel.client.execute(CELL)
    debug.event("stopped")
    debug.kernel.control("shutdown_request", {"restart": False})
    assert debug.kernel.manager.provisioner.process.wait(TIMEOUT) == 0


def test_a_parallel_cell_beside_the_debugger(debug):
    outcome = debug.kernel.run(
        "%%parallel\nsquares = []\nfor n in range(1000):\n    squares.append(n * n)\nprint(sum(squares))"
    )
    assert outcome.text() == f"{sum(n * n for n in range(1000))}\n"


def test_before_it_is_started(kernel):
    session = Session(kernel)
    info = session.done("debugInfo")
    assert (info["isStarted"], info["hashMethod"], info["breakpoints"]) == (False, "Murmur2", [])
    for command in ("stackTrace", "setBreakpoints", "attach", "no such command"):
        answer = session.ask(command, source={"path": "x"})
        assert not answer["success"] and "not started" in answer["message"]
    assert not session.ask("dumpCell")["success"]
    assert not session.ask("source", source={"path": "/nowhere"})["success"]
    session.done("disconnect")
    assert kernel.run("6 * 7").result == "42"


def test_a_session_leaves_the_shells_transformations_as_they_were(debug):
    debug.done("disconnect")
    transforms = "get_ipython().input_transformer_manager.cleanup_transforms"
    named = "[getattr(each, '__name__', '') for each in %s]"
    kernel = debug.kernel
    kernel.run(f"{transforms}.insert(0, lambda lines: lines)\nbefore = list({transforms})")
    for there in ("True", "False"):
        assert kernel.run(f"'leading_empty_lines' in {named % transforms}").result == there
        debug.start()
        assert kernel.run(f"'leading_empty_lines' in {named % transforms}").result == "False"
        debug.done("disconnect")
        assert kernel.run(f"before == {transforms}").result == "True"
        # And where there was none to take away.
        kernel.run(f"del {transforms}[1]; before = list({transforms})")
