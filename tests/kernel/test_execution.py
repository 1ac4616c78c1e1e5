"""Cells, their results and replies, as the messaging protocol has them."""

import importlib.metadata
import json
import time
from datetime import datetime

import firn
import pytest


@pytest.mark.row("shape of messages, busy and idle, parents")
def test_reply_and_messages_have_the_shape_of_the_protocol(kernel):
    outcome = kernel.run("print(1); 2")
    assert outcome.reply["content"] == {
        "status": "ok",
        "execution_count": outcome.of("execute_input")[0]["execution_count"],
        "payload": [],
        "user_expressions": {},
    }
    kinds = [m["msg_type"] for m in outcome.messages]
    assert kinds == ["status", "execute_input", "stream", "execute_result", "status"]
    assert outcome.of("status") == [{"execution_state": "busy"}, {"execution_state": "idle"}]
    for message in [outcome.reply, *outcome.messages]:
        assert message["header"]["version"].startswith("5.")
        assert {"msg_id", "session", "username", "date", "msg_type"} <= set(message["header"])
        assert message["header"]["session"] == outcome.reply["header"]["session"]
    ids = [m["header"]["msg_id"] for m in [outcome.reply, *outcome.messages]]
    assert len(set(ids)) == len(ids)


@pytest.mark.row("kinds of errors, by their names")
def test_error_names_the_exception_in_reply_and_message(kernel):
    outcome = kernel.run("def f():\n    return 1 / 0\nf()")
    (error,) = outcome.of("error")
    reply = outcome.reply["content"]
    assert error["ename"] == reply["ename"] == "ZeroDivisionError"
    assert error["evalue"] == reply["evalue"] == "division by zero"
    assert reply["traceback"] == error["traceback"] != []
    assert any("1" in line and "f" in line for line in reply["traceback"])


@pytest.mark.row("kinds of errors, by their names")
@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x = (", "_IncompleteInputError"),
        ("1 +* 2", "SyntaxError"),
        ("exit_ = 1; raise SystemExit(3)", "SystemExit"),
        ("%no_such_magic", "UsageError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_every_way_to_fail_is_an_error_reply_and_the_kernel_goes_on(kernel, code, name):
    outcome = kernel.run(code)
    assert outcome.status == "error"
    assert outcome.reply["content"]["ename"] == name
    assert kernel.run("6 * 7").result == "42"


@pytest.mark.row("kinds of errors, by their names")
def test_recursion_error_is_an_error(kernel):
    assert kernel.run("def f(): f()\nf()").reply["content"]["ename"] == "RecursionError"


@pytest.mark.row("started: when the cell started")
def test_started_is_the_start_of_the_cell(kernel):
    outcome = kernel.run("import time; time.sleep(1)")
    started = outcome.reply["metadata"]["started"]
    if isinstance(started, str):
        started = datetime.fromisoformat(started)
    assert (outcome.reply["header"]["date"] - started).total_seconds() >= 1
    busy, *_, idle = (m["header"]["date"] for m in outcome.messages)
    assert (idle - busy).total_seconds() >= 1
    assert outcome.reply["metadata"]["status"] == "ok"


@pytest.mark.row("execution_count, store_history, silent")
def test_execution_count_follows_the_stored_cells(kernel):
    first = kernel.run("1").reply["content"]["execution_count"]
    stored = kernel.run("4")
    assert stored.reply["content"]["execution_count"] == first + 1
    assert stored.of("execute_result")[0]["execution_count"] == first + 1
    assert kernel.run(f"Out[{first + 1}], In[{first + 1}]").result == "(4, '4')"
    assert kernel.run("3").reply["content"]["execution_count"] == first + 3


def test_a_cell_that_is_not_stored_has_the_number_that_the_next_one_gets(kernel):
    first = kernel.run("1").reply["content"]["execution_count"]
    unstored = kernel.run("2", store_history=False)
    assert unstored.reply["content"]["execution_count"] == first + 1
    assert unstored.of("execute_input")[0]["execution_count"] == first + 1
    stored = kernel.run("4")
    assert stored.reply["content"]["execution_count"] == first + 1
    assert stored.of("execute_result")[0]["execution_count"] == first + 1
    assert kernel.run(f"Out[{first + 1}], In[{first + 1}]").result == "(4, '4')"
    assert kernel.run("3").reply["content"]["execution_count"] == first + 3


@pytest.mark.row("execution_count, store_history, silent")
def test_silent_publishes_nothing_but_status(kernel):
    outcome = kernel.run("silently = 5; silently", silent=True)
    assert [m["msg_type"] for m in outcome.messages] == ["status", "status"]
    assert kernel.run("silently").result == "5"


@pytest.mark.row("user_expressions")
def test_user_expressions_are_rich_and_fail_one_by_one(kernel):
    outcome = kernel.run(
        "from IPython.display import HTML\nh = HTML('<b>x</b>')",
        user_expressions={"good": "h", "sum": "1+1", "bad": "1/0"},
    )
    expressions = outcome.reply["content"]["user_expressions"]
    assert expressions["good"]["data"]["text/html"] == "<b>x</b>"
    assert expressions["sum"] == {"status": "ok", "data": {"text/plain": "2"}, "metadata": {}}
    assert expressions["bad"]["status"] == "error" and expressions["bad"]["ename"] == "ZeroDivisionError"


@pytest.mark.row("payloads: pager, %load")
def test_pager_and_load_are_payloads(kernel, tmp_path):
    (page,) = kernel.run("zip?").reply["content"]["payload"]
    assert page["source"] == "page" and "zip" in page["data"]["text/plain"]
    script = tmp_path / "script.py"
    script.write_text("print('loaded')\n")
    (loaded,) = kernel.run(f"%load {script}").reply["content"]["payload"]
    assert loaded["source"] == "set_next_input" and loaded["replace"] and "print('loaded')" in loaded["text"]
    assert kernel.run("1").reply["content"]["payload"] == []


@pytest.mark.row("aborted cells: full replies, in order")
def test_queued_cells_after_an_error_are_aborted_in_full(kernel):
    cells = ["import time; time.sleep(0.5); 1/0", "ran = True", "ran = True"]
    ids = [kernel.client.execute(code) for code in cells]
    replies = {}
    while len(replies) < 3:
        message = kernel.client.get_shell_msg(timeout=20)
        replies[message["parent_header"]["msg_id"]] = message["content"]
    assert replies[ids[0]]["ename"] == "ZeroDivisionError"
    for aborted in ids[1:]:
        content = replies[aborted]
        assert content["status"] == "error" and content["ename"]
        assert {"evalue", "traceback", "execution_count"} <= set(content)
    assert kernel.run("'ran' in dir()").result == "False"


@pytest.mark.row("aborted cells: full replies, in order")
def test_the_failing_cells_idle_comes_before_the_aborted_cells_busy(kernel):
    ids = [kernel.client.execute("import time; time.sleep(0.3); 1/0"), kernel.client.execute("1")]
    states = []
    while len(states) < 4:
        message = kernel.client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "status" and message["parent_header"]["msg_id"] in ids:
            states.append((ids.index(message["parent_header"]["msg_id"]), message["content"]["execution_state"]))
    assert states == [(0, "busy"), (0, "idle"), (1, "busy"), (1, "idle")]


@pytest.mark.row("stop_on_error, its default and what it spares")
def test_what_is_sent_after_the_error_reply_is_not_aborted(kernel):
    for _ in range(100):
        assert kernel.reply(kernel.client.execute("1/0"))["content"]["status"] == "error"
        assert kernel.reply(kernel.client.execute("1"))["content"]["status"] == "ok"


@pytest.mark.row("stop_on_error, its default and what it spares")
def test_stop_on_error_is_the_default_and_can_be_turned_off(kernel):
    fail = {"code": "import time; time.sleep(0.3); 1/0", "silent": False, "store_history": True, "allow_stdin": False}
    kernel.shell("execute_request", fail)
    assert kernel.finish(kernel.client.execute("'after'")).status != "ok"
    kernel.shell("execute_request", {**fail, "stop_on_error": False})
    assert kernel.finish(kernel.client.execute("'after'")).status == "ok"


@pytest.mark.row("stop_on_error, its default and what it spares")
def test_other_requests_are_not_aborted(kernel):
    failing = kernel.client.execute("import time; time.sleep(0.3); 1/0")
    others = [kernel.client.kernel_info(), kernel.client.is_complete("1"), kernel.client.history()]
    replies = [kernel.client.get_shell_msg(timeout=60) for _ in range(4)]  # the first need not wait for the cell
    status = {reply["parent_header"]["msg_id"]: reply["content"]["status"] for reply in replies}
    assert [status[asked] for asked in (failing, *others)] == ["error", "ok", "complete", "ok"]


@pytest.mark.row("await, and tasks that go on between cells")
def test_top_level_await_and_tasks_that_go_on_between_cells(kernel):
    assert kernel.run("import asyncio\nawait asyncio.sleep(0.01, 'slept')").result == "'slept'"
    kernel.run(
        "ticks = 0\nasync def tick():\n    global ticks\n    while True:\n        ticks += 1\n        await asyncio.sleep(0.01)\ntask = asyncio.create_task(tick())"
    )
    time.sleep(0.3)
    assert int(kernel.run("ticks").result) > 5
    kernel.run("task.cancel()")


@pytest.mark.row("dates in displays, metadata=None, ill-formed text")
def test_json_display_takes_dates_and_no_metadata(kernel):
    outcome = kernel.run(
        "import datetime\n"
        "from IPython.display import display\n"
        "display({'application/json': {'day': datetime.date(2020, 1, 2), 'bytes': b'ab', 'nan': float('nan')}}, raw=True, metadata=None)"
    )
    (content,) = outcome.of("display_data")
    shown = content["data"]["application/json"]
    assert shown["day"].startswith("2020-01-02") and shown["bytes"].strip() == "YWI="
    assert content["metadata"] == {}


def test_what_json_lacks_has_one_form(kernel):
    outcome = kernel.run(
        "import datetime\n"
        "display({'application/json': {'day': datetime.date(2020, 1, 2), 'nan': float('nan')}}, raw=True)"
    )
    assert outcome.of("display_data")[0]["data"]["application/json"] == {"day": "2020-01-02", "nan": "nan"}


def test_what_json_lacks_is_an_error_of_the_cell(kernel):
    outcome = kernel.run("display({'application/json': object()}, raw=True)")
    assert outcome.status == "error" and "cannot be written as JSON" in outcome.reply["content"]["evalue"]


@pytest.mark.row("display_id, clear_output")
def test_displays_are_updated_by_their_id(kernel):
    outcome = kernel.run("handle = display('one', display_id='here'); handle.update('two')")
    (first,), (second,) = outcome.of("display_data"), outcome.of("update_display_data")
    assert first["transient"] == second["transient"] == {"display_id": "here"}
    assert (first["data"]["text/plain"], second["data"]["text/plain"]) == ("'one'", "'two'")


@pytest.mark.row("display_id, clear_output")
def test_clear_output(kernel):
    outcome = kernel.run("from IPython.display import clear_output; print(1); clear_output(wait=True); print(2)")
    assert outcome.of("clear_output") == [{"wait": True}]
    kinds = [m["msg_type"] for m in outcome.messages]
    assert kinds == ["status", "execute_input", "stream", "clear_output", "stream", "status"]


@pytest.mark.row("%matplotlib inline")
def test_images_and_figures(kernel):
    outcome = kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);")
    assert outcome.status == "ok", outcome.reply
    (figure,) = outcome.of("display_data")
    assert figure["data"]["image/png"].startswith("iVBOR")


@pytest.mark.row("dates in displays, metadata=None, ill-formed text")
def test_lone_surrogates_are_replaced(kernel):
    outcome = kernel.run(r"print('a\ud800b'); 'c\ud800'")
    assert outcome.text() == "a?b\n"
    assert outcome.result == r"'c\ud800'"


@pytest.mark.row("history over sessions")
def test_history_has_the_session_and_survives_it(new_kernel):
    first = new_kernel()
    first.run("remembered_by_firn = 1")
    tail = first.reply(first.client.history(hist_access_type="tail", n=1))["content"]["history"]
    assert tail[0][2] == "remembered_by_firn = 1" and tail[0][0] > 0
    first.stop()
    second = new_kernel()
    found = second.reply(second.client.history(hist_access_type="search", pattern="remembered_by*", n=5))
    assert [entry[2] for entry in found["content"]["history"]][-1:] == ["remembered_by_firn = 1"]


@pytest.mark.row("inspection, is_complete")
def test_inspection_and_its_absence(kernel):
    kernel.run("def documented(x):\n    'What it does.'")
    found = kernel.reply(kernel.client.inspect("documented(", cursor_pos=11))["content"]
    assert found["found"] and "What it does." in found["data"]["text/plain"]
    assert not kernel.reply(kernel.client.inspect("no_such_name"))["content"]["found"]


@pytest.mark.row("completion with types, positions in characters")
def test_completion_has_types(kernel):
    kernel.run("class Thing:\n    def method(self): pass\nthing = Thing()")
    content = kernel.reply(kernel.client.complete("thing.me"))["content"]
    assert content["matches"] == ["method"]
    (kind,) = content["metadata"]["_jupyter_types_experimental"]
    assert kind["type"] == "function" and (kind["start"], kind["end"]) == (6, 8)


@pytest.mark.row("completion with types, positions in characters")
@pytest.mark.parametrize("use_jedi", [False, True])
def test_completion_with_and_without_jedi(kernel, use_jedi):
    kernel.run(f"import os\n%config Completer.use_jedi = {use_jedi}")
    content = kernel.reply(kernel.client.complete("x = 1\nos.getc"))["content"]
    assert any(match.endswith("getcwd") for match in content["matches"])
    kernel.run("%config Completer.use_jedi = False")


@pytest.mark.parametrize("use_jedi", [False, True])
def test_frozen_data_is_explored_at_the_prompt(kernel, use_jedi):
    kernel.run("import firn\nrows = firn.freeze([dict(id=n, text='x') for n in range(3000)])")
    kernel.run(f"%config Completer.use_jedi = {use_jedi}")
    shown = kernel.run("rows").result
    assert shown.startswith("[{'id': 0, 'text': 'x'},\n {'id': 1") and shown.endswith("...]")
    assert kernel.reply(kernel.client.complete('rows[0]["te'))["content"]["matches"] == ["text"]
    content = kernel.reply(kernel.client.complete("rows[0].item"))["content"]
    assert content["matches"] == ["items"] and content["cursor_start"] == 8
    about = kernel.reply(kernel.client.inspect("rows"))["content"]["data"]["text/plain"]
    assert "shared by reference with all workers" in about and "FrozenList" not in about
    kernel.run("%config Completer.use_jedi = False")


@pytest.mark.row("completion with types, positions in characters")
def test_cursor_positions_count_characters(kernel):
    kernel.run("value_of_it = 1")
    content = kernel.reply(kernel.client.complete("'𝄞é'; value_of", cursor_pos=14))["content"]
    assert content["matches"] == ["value_of_it"] and content["cursor_start"] == 6


@pytest.mark.row("inspection, is_complete")
def test_is_complete_gives_the_indent(kernel):
    content = kernel.reply(kernel.client.is_complete("for i in x:\n    pass"))["content"]
    assert content == {"status": "incomplete", "indent": "    "}


def test_kernel_info(kernel):
    content = kernel.reply(kernel.client.kernel_info())["content"]
    assert content["implementation"] == "firn" and content["language_info"]["name"] == "python"
    assert content["implementation_version"] == firn.__version__ == importlib.metadata.version("firn")
    assert content["protocol_version"].startswith("5.")
    json.dumps(content)


def test_the_interpreter_looks_like_an_interactive_one(kernel):
    assert kernel.run("import sys; sys.path[0], sys.argv, __name__").result == "('', [''], '__main__')"


@pytest.mark.row("loaded when it is first used")
def test_a_sessions_start_does_not_load_what_it_may_never_use(new_kernel):
    heavy = "{'matplotlib', 'pandas', 'numpy', 'jedi', 'zmq', 'debugpy', 'ipykernel', 'fi' + 'rn'}"
    kernel = new_kernel()
    time.sleep(0.5)
    assert kernel.run(f"import sys; {heavy} & set(sys.modules)").result == "set()"


@pytest.mark.row("shell commands")
def test_shell_commands(kernel, tmp_path):
    (tmp_path / "a_file").touch()
    assert "a_file" in kernel.run(f"!ls {tmp_path}").text()
    assert kernel.run(f"files = !ls {tmp_path}\nlist(files)").result == "['a_file']"


@pytest.mark.row("unknown and ill-typed requests are answered")
def test_unknown_requests_are_answered(kernel):
    outcome = kernel.finish(kernel.shell("weather_request", {}))
    assert outcome.reply["msg_type"] == "weather_reply" and outcome.status == "error"
    assert kernel.control("weather_request", {})["content"]["status"] == "error"


@pytest.mark.row("usage_request")
def test_usage(kernel):
    content = kernel.control("usage_request", {})["content"]
    assert content["kernel_memory"] > 1_000_000 and content["pid"] == kernel.pid


@pytest.mark.row("cell ids")
def test_hooks_of_cells_get_their_ids(kernel):
    kernel.run("ids = []\nget_ipython().events.register('pre_run_cell', lambda info: ids.append(info.cell_id))")
    content = {"code": "pass", "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    kernel.finish(kernel.shell("execute_request", content, metadata={"cellId": "0a1b-2c3d"}))
    assert kernel.run("ids").result == "['0a1b-2c3d', None]"


@pytest.mark.row("event loops of toolkits are refused in words")
@pytest.mark.parametrize("gui", ["qt", "tk"])
def test_event_loops_of_toolkits_are_refused(kernel, gui):
    assert f"no event loop for {gui}" in kernel.run(f"%gui {gui}").text("stderr")


@pytest.mark.row("unknown and ill-typed requests are answered")
@pytest.mark.parametrize("content", [{}, {"code": 5}, {"code": "1", "silent": "no"}, {"code": None}])
def test_requests_with_fields_of_a_wrong_type_are_answered(kernel, content):
    outcome = kernel.finish(kernel.shell("execute_request", content))
    assert outcome.status in ("ok", "error")
    assert kernel.run("'goes on'").status == "ok"


@pytest.mark.parametrize("content", [{}, {"code": 5}, {"code": "1", "silent": "no"}, {"code": None}])
def test_fields_of_a_wrong_type_are_errors(kernel, content):
    assert kernel.finish(kernel.shell("execute_request", content)).reply["content"]["ename"] == "InvalidRequest"


@pytest.mark.row("unknown and ill-typed requests are answered")
def test_fields_that_are_null_count_as_left_out(kernel):
    outcome = kernel.finish(kernel.shell("execute_request", {"code": "'x'", "user_expressions": None, "silent": None}))
    assert outcome.status == "ok" and outcome.result == "'x'"
