"""Comms, both ways, and what widget libraries need of them."""

from typing import Any

import pytest

SETUP = """
import comm
opened = []
def target(c, message):
    opened.append(c)
    print('opened', message['content']['data'])
    @c.on_msg
    def handle(message):
        print('got', message['content']['data'], [bytes(b) for b in message['buffers']])
        c.send({'echo': message['content']['data']}, buffers=[b'\\x00\\xff'])
    @c.on_close
    def closed(message):
        print('closed')
comm.get_comm_manager().register_target('test', target)
"""


def send(kernel, kind: str, content: dict[str, Any], **parts: Any) -> list[dict[str, Any]]:
    return kernel.published(kernel.shell(kind, content, **parts))


def texts(messages):
    return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


@pytest.mark.row("comms, both ways")
def test_a_front_end_opens_talks_and_closes(kernel):
    kernel.run(SETUP)
    identity = {"comm_id": "c1"}
    opening = send(kernel, "comm_open", {**identity, "target_name": "test", "data": {"n": 1}})
    assert texts(opening) == "opened {'n': 1}\n"
    talking = send(kernel, "comm_msg", {**identity, "data": {"n": 2}}, buffers=[b"\x01\x02"])
    assert texts(talking) == "got {'n': 2} [b'\\x01\\x02']\n"
    (echo,) = [m for m in talking if m["msg_type"] == "comm_msg"]
    assert echo["content"] == {"comm_id": "c1", "data": {"echo": {"n": 2}}}
    assert [bytes(b) for b in echo["buffers"]] == [b"\x00\xff"]
    listed = kernel.reply(kernel.shell("comm_info_request", {"target_name": "test"}))["content"]
    assert listed == {"status": "ok", "comms": {"c1": {"target_name": "test"}}}
    assert texts(send(kernel, "comm_close", {**identity, "data": {}})) == "closed\n"
    assert kernel.reply(kernel.shell("comm_info_request", {}))["content"]["comms"] == {}


def test_data_that_is_nothing_much_arrives_as_it_is(kernel):
    kernel.run("import comm; channel = comm.create_comm(target_name='front end')")
    for data in ("0", "''", "[]", "{}"):
        assert kernel.run(f"channel.send({data})").of("comm_msg")[0]["data"] == eval(data)
    assert kernel.run("channel.send()").of("comm_msg")[0]["data"] == {}


@pytest.mark.row("comms, both ways")
def test_the_kernel_opens_a_comm(kernel):
    outcome = kernel.run(
        "import comm\nmine = comm.create_comm(target_name='front', data={'x': 1}, metadata={'version': 2})"
    )
    (opened,) = outcome.of("comm_open")
    assert opened["target_name"] == "front" and opened["data"] == {"x": 1}
    kernel.run("mine.on_msg(lambda m: print('hello', m['content']['data']))")
    assert texts(send(kernel, "comm_msg", {"comm_id": opened["comm_id"], "data": 5})) == "hello 5\n"
    assert kernel.run("mine.close()").of("comm_close")[0]["comm_id"] == opened["comm_id"]


@pytest.mark.row("comms, both ways")
def test_a_target_that_does_not_exist_closes_the_comm(kernel):
    messages = send(kernel, "comm_open", {"comm_id": "nobody", "target_name": "no such", "data": {}})
    assert [m["content"]["comm_id"] for m in messages if m["msg_type"] == "comm_close"] == ["nobody"]


@pytest.mark.row("comms, both ways")
def test_a_handler_that_fails_and_an_unknown_comm_leave_the_kernel_answering(kernel):
    kernel.run("import comm\nbad = comm.create_comm(target_name='x', comm_id='bad')\nbad.on_msg(lambda m: 1/0)")
    messages = send(kernel, "comm_msg", {"comm_id": "bad", "data": {}})
    assert "ZeroDivisionError" in texts(messages)
    send(kernel, "comm_msg", {"comm_id": "never opened", "data": {}})
    assert kernel.run("'goes on'").status == "ok"


@pytest.mark.row("output of a comm's handler is the message's")
def test_a_handlers_output_of_every_kind_belongs_to_its_message(kernel):
    kernel.run(
        "import comm, os, subprocess\nc = comm.create_comm(target_name='x', comm_id='out')\n"
        "def handle(m):\n    print('printed'); os.write(1, b'written\\n'); subprocess.run(['echo', 'child']); display('shown')\nc.on_msg(handle)"
    )
    kernel.run("pass")
    messages = send(kernel, "comm_msg", {"comm_id": "out", "data": {}})
    assert texts(messages) == "printed\nwritten\nchild\n"
    assert [m["msg_type"] for m in messages if m["msg_type"] not in ("stream", "status")] == ["display_data"]


@pytest.mark.row("a slider drives it")
def test_a_widget_is_moved_from_both_sides_and_drives_a_parallel_cell(kernel):
    made = kernel.run(
        "import ipywidgets\nslider, label = ipywidgets.IntSlider(value=1, max=9), ipywidgets.Label()\n"
        "words = [f'{n:b}' for n in range(1000)]\n"
        "def count(change):\n    global ones; ones = change['new']\n"
        "    get_ipython().run_cell_magic('parallel', '--quiet', 'found = [w for w in words if w.count(\"1\") == ones]')\n"
        "    label.value = f'{len(found)} words'\n"
        "slider.observe(count, 'value')\nslider"
    )
    (shown,) = made.of("execute_result")
    view = shown["data"]["application/vnd.jupyter.widget-view+json"]
    models = {opened["comm_id"]: opened["data"]["state"]["_model_name"] for opened in made.of("comm_open")}
    assert models[view["model_id"]] == "IntSliderModel"
    (label,) = [identity for identity, model in models.items() if model == "LabelModel"]

    def told(messages):
        """What the front end is told: (the widget, the part of its state that is new)."""
        contents = [m["content"] for m in messages if m["msg_type"] == "comm_msg"]
        return [(c["comm_id"], c["data"]["state"]) for c in contents if c["data"]["method"] == "update"]

    def words(ones):
        return {"value": f"{sum(f'{n:b}'.count('1') == ones for n in range(1000))} words"}

    moved = {"method": "update", "state": {"value": 3}, "buffer_paths": []}
    assert (label, words(3)) in told(send(kernel, "comm_msg", {"comm_id": view["model_id"], "data": moved}))
    assert kernel.run("slider.value, ones").result == "(3, 3)"
    messages = told(kernel.run("slider.value = 2").messages)
    assert (view["model_id"], {"value": 2}) in messages and (label, words(2)) in messages
