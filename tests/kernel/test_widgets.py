"""ipywidgets: a front end's change arrives, the kernel's change is published, both with their parents."""

import pytest


@pytest.mark.row("ipywidgets, both ways")
def test_a_slider_both_ways(kernel):
    outcome = kernel.run(
        "import ipywidgets\nslider = ipywidgets.IntSlider(value=3)\n"
        "slider.observe(lambda change: print('moved to', change['new']), 'value')\nslider"
    )
    assert outcome.status == "ok", outcome.reply
    opened = [content for content in outcome.of("comm_open") if content["data"]["state"].get("value") == 3]
    (shown,) = outcome.of("execute_result")
    identity = opened[0]["comm_id"]
    assert shown["data"]["application/vnd.jupyter.widget-view+json"]["model_id"] == identity
    update = {"comm_id": identity, "data": {"method": "update", "state": {"value": 7}, "buffer_paths": []}}
    moving = kernel.published(kernel.shell("comm_msg", update))
    assert "".join(m["content"]["text"] for m in moving if m["msg_type"] == "stream") == "moved to 7\n"
    assert kernel.run("slider.value").result == "7"
    (message,) = kernel.run("slider.value = 9").of("comm_msg")
    assert message["comm_id"] == identity and message["data"]["state"] == {"value": 9}


@pytest.mark.row("ipywidgets, both ways")
def test_an_output_widget_captures_what_is_printed_in_it(kernel):
    outcome = kernel.run(
        "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('inside')\nprint('beside')"
    )
    assert outcome.status == "ok", outcome.reply
    states = [content["data"].get("state", {}) for content in outcome.of("comm_msg")]
    assert outcome.messages[0]["parent_header"]["msg_id"] in [state.get("msg_id") for state in states]


@pytest.mark.parametrize(
    "question",
    [
        "get_ipython().__class__.__name__ == 'ZMQInteractiveShell'",
        "'IPKernelApp' in get_ipython().config",
        "isinstance(get_ipython(), __import__('ipykernel.zmqshell', fromlist=['x']).ZMQInteractiveShell)",
    ],
)
def test_libraries_see_that_they_are_in_a_notebook(kernel, question):
    assert kernel.run(question).result == "True"


def test_a_bar_that_chooses_its_form_is_a_widget_and_moves_with_a_parallel_cell(kernel):
    cell = "%%parallel --quiet --chunk 10\nsquares = [n * n for n in tqdm(range(100))]"
    outcome = kernel.run("from tqdm.auto import tqdm\n")
    assert outcome.status == "ok", outcome.reply
    outcome = kernel.run(cell)
    assert outcome.status == "ok", outcome.reply
    opened = {content["comm_id"]: content["data"]["state"] for content in outcome.of("comm_open")}
    (bar,) = [identity for identity, state in opened.items() if state.get("_model_name") == "FloatProgressModel"]
    moved = [content["data"]["state"] for content in outcome.of("comm_msg") if content["comm_id"] == bar]
    assert [state["value"] for state in moved if "value" in state][-1] == 100
    assert {"bar_style": "success"} in [{"bar_style": state.get("bar_style")} for state in moved]
    assert kernel.run("squares[-1]").result == "9801"
