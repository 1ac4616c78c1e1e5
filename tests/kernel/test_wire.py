"""What is refused, what is repaired, and what goes on whatever happens; with a raw ZeroMQ client."""

import json
import time

import pytest
import zmq

RUN = {"code": "acted_upon = True", "silent": False}


def answered(kernel):
    assert kernel.run("6 * 7").result == "42"
    assert kernel.run("'acted_upon' in globals()").result == "False"


@pytest.mark.row("unsigned and malformed messages are refused")
@pytest.mark.parametrize("port", ["shell_port", "control_port", "stdin_port"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda f: [*f[:1], b"", *f[2:]],
        lambda f: [*f[:1], b"0" * 64, *f[2:]],
        lambda f: [*f[:1], f[1][:-1], *f[2:]],
        lambda f: [*f[:-1], f[-1].replace(b"True", b"None")],
        lambda f: f[1:],
        lambda f: f[:4],
        lambda f: [b""],
        lambda f: [b"<IDS|MSG>"],
        lambda f: [*f[:2], b"{}", *f[3:]],
    ],
    ids=[
        "no signature",
        "wrong",
        "short",
        "changed content",
        "no delimiter",
        "few frames",
        "empty",
        "delimiter",
        "other header",
    ],
)
def test_unsigned_and_malformed_messages_are_refused(kernel, raw, port, damage):
    client = raw(port)
    client.send(damage(client.frames("execute_request", RUN)))
    assert client.receive(0.1) is None
    answered(kernel)


@pytest.mark.row("unsigned and malformed messages are refused")
@pytest.mark.parametrize(
    "parts",
    [
        [b"", b"", b"", b""],
        [b"[]", b"{}", b"{}", b"{}"],
        [b"{}", b"{}", b"{}", b"{}"],
        [b'{"msg_type": 5, "msg_id": "a"}', b"{}", b"{}", b"{}"],
        [b'{"msg_type": "execute_request", "msg_id": "a"}', b"{}", b"{}", b"not json"],
        [b'{"msg_type": "execute_request", "msg_id": "a"}', b"{}", b"{}", b"[1]"],
        [b"\xff\xfe", b"\xff", b"\xff", b"\xff"],
        [b"[" * 100_000, b"{}", b"{}", b"{}"],
        [b'{"msg_type": "execute_request", "msg_id": "a"}', b"{}", b"{}", b'{"a": ' * 100_000 + b"1" + b"}" * 100_000],
    ],
)
def test_signed_nonsense_is_refused(kernel, raw, parts):
    client = raw()
    client.send(client.signed(parts))
    assert client.receive(0.1) is None
    answered(kernel)


def header(client, kind="execute_request"):
    return json.dumps(client.session.msg_header(kind), default=str).encode()


def wait_reply(client, kind):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        message = client.receive(20)
        assert message is not None
        if message["header"]["msg_type"] == kind:
            return message["content"]
    raise TimeoutError


@pytest.mark.row("ill-formed UTF-8 in messages")
@pytest.mark.parametrize("code", [b'"\\ud800"', b"\"'\xff'\"", b"\"'\\ud83d\\ude00'\""])
def test_ill_formed_text_is_repaired(kernel, raw, code):
    client = raw()
    client.send(client.signed([header(client), b"{}", b"{}", b'{"code": ' + code + b', "user_expressions": {}}']))
    assert wait_reply(client, "execute_reply")["status"] in ("ok", "error")
    answered(kernel)


@pytest.mark.parametrize("port", ["shell_port", "control_port"])
def test_a_reply_to_an_odd_type_is_well_formed(kernel, raw, port):
    client = raw(port)
    for kind in ('"_request', "\\_request", "\n_request", "_request"):
        client.send(client.frames(kind, {}))
        reply = client.receive(20)
        assert reply["content"]["ename"] == "UnknownRequest"
    answered(kernel)


@pytest.mark.parametrize("status", [5, "error", "ok", [], {}])
@pytest.mark.parametrize("port, kind", [("control_port", "usage_request"), ("shell_port", "comm_info_request")])
def test_fields_of_a_reply_mean_nothing_in_a_request(kernel, raw, port, kind, status):
    client = raw(port)
    client.send(client.frames(kind, {"status": status, "ename": 5}))
    assert wait_reply(client, kind.replace("request", "reply"))["status"] == "ok"


@pytest.mark.parametrize("content", [{}, {"hist_access_type": "range"}, {"hist_access_type": "search", "raw": None}])
def test_what_a_request_for_history_leaves_out_is_as_usual(kernel, content):
    kernel.run("the_last_cell = 1")
    (*_, last) = kernel.reply(kernel.shell("history_request", content))["content"]["history"]
    assert last[2] == "the_last_cell = 1"


def test_history_of_an_unknown_kind_is_refused(kernel):
    reply = kernel.reply(kernel.shell("history_request", {"hist_access_type": "tale"}))["content"]
    assert reply["status"] == "error" and "tail, range or search" in reply["evalue"]


@pytest.mark.row("a message of 100 MB")
def test_a_message_of_a_hundred_megabytes(kernel):
    kernel.run(
        "import comm\nbig = comm.create_comm(target_name='front', comm_id='big')\n"
        "big.on_msg(lambda m: print(len(m['content']['data']), len(m['buffers'][0])))"
    )
    content = {"comm_id": "big", "data": "x" * 50_000_000}
    messages = kernel.published(kernel.shell("comm_msg", content, buffers=[b"y" * 50_000_000]))
    assert [m["content"]["text"] for m in messages if m["msg_type"] == "stream"] == ["50000000 50000000\n"]
    assert kernel.run(f"len({'x' * 10_000_000!r})", store_history=False).result == "10000000"


@pytest.mark.row("3,000 requests at once")
def test_three_thousand_pipelined_requests_are_answered_in_order(kernel):
    ids = [kernel.client.kernel_info() for _ in range(3000)]
    assert [kernel.client.get_shell_msg(timeout=30)["parent_header"]["msg_id"] for _ in ids] == ids


@pytest.mark.row("50 clients, and those that vanish")
def test_fifty_clients_half_of_which_vanish(kernel, raw):
    clients = [raw() for _ in range(50)]
    options = {"silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    for number, client in enumerate(clients):
        client.send(client.frames("execute_request", {"code": f"import time; time.sleep(0.01); {number}", **options}))
    for client in clients[1::2]:
        client.close()
    for client in clients[::2]:
        assert wait_reply(client, "execute_reply")["status"] == "ok"
    assert kernel.run("6 * 7").result == "42"


@pytest.mark.row("each subscriber is welcomed")
def test_every_subscriber_is_welcomed(kernel):
    for topic in (b"", b"kernel_core"):
        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.linger = 0
        try:
            socket.subscribe(topic)
            socket.connect(f"tcp://127.0.0.1:{kernel.connection['iopub_port']}")
            assert socket.poll(20_000)
            frames = socket.recv_multipart()
            assert json.loads(frames[3])["msg_type"] == "iopub_welcome"
            assert json.loads(frames[6]) == {"subscription": topic.decode()}
        finally:
            socket.close()


@pytest.mark.row("heartbeat while C code holds the interpreter")
def test_heartbeat_goes_on_while_a_cell_holds_the_interpreter(kernel):
    socket = zmq.Context.instance().socket(zmq.REQ)
    socket.linger = 0
    socket.connect(f"tcp://127.0.0.1:{kernel.connection['hb_port']}")
    try:
        cell = kernel.client.execute("import re\nprint('on', flush=True)\nre.match('(a*)*b', 'a' * 27)")
        kernel.wait_for_text("on")
        for i in range(20):
            socket.send(str(i).encode())
            assert socket.poll(5000)
            assert socket.recv() == str(i).encode()
        kernel.client.control_channel.send(kernel.client.session.msg("interrupt_request", {}))
        kernel.reply(cell)
    finally:
        socket.close()


@pytest.mark.row("a front end that reads late loses nothing")
def test_a_subscriber_that_reads_late_gets_everything(kernel):
    """More than ZeroMQ keeps for a subscriber by default (1000 messages): nothing is dropped."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.linger = 0
    socket.rcvhwm = 10
    socket.rcvbuf = 4096
    socket.subscribe(b"")
    socket.connect(f"tcp://127.0.0.1:{kernel.connection['iopub_port']}")
    try:
        assert socket.poll(20_000)
        cell = kernel.client.execute(
            "for i in range(5000):\n    display({'text/plain': 'x' * 1000 + str(i)}, raw=True)"
        )
        time.sleep(1.5)
        numbers = []
        while len(numbers) < 5000:
            assert socket.poll(20_000), f"{len(numbers)} messages came"
            frames = socket.recv_multipart()
            if json.loads(frames[3])["msg_type"] == "display_data":
                numbers.append(int(json.loads(frames[6])["data"]["text/plain"].lstrip("x")))
        assert numbers == list(range(5000))
        kernel.finish(cell)
    finally:
        socket.close()
