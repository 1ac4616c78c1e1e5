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
