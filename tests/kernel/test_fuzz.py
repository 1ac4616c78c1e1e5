"""Mutated messages on every channel, with and without a valid signature: nothing crashes, nothing hangs, nothing that is
unsigned is acted upon.

The short form sends about a thousand messages a channel, the long one a hundred thousand. After each batch the kernel
answers on both channels, its heart beats, and a tell-tale variable says whether a forged message was acted upon. A
signed request that is still one, whatever stands in its content, must be answered, with an idle.
"""

from __future__ import annotations

import json
import random
import socket
import time

import pytest
import zmq
from mutations import DELIMITER, FORGED, Mutations

BATCH = 250
SEED = 6
SIZES = [pytest.param(1_000, id="short"), pytest.param(100_000, id="full", marks=pytest.mark.long)]


def parsed(client):
    """The next message. Its parent may hold what jupyter_client does not read: a date of the 31st of February."""
    frames = client.socket.recv_multipart()
    signature, *parts = frames[frames.index(DELIMITER) + 1 :][:5]
    assert signature == client.session.sign(parts)
    names = ("header", "parent_header", "metadata", "content")
    return {name: json.loads(part) for name, part in zip(names, parts, strict=True)}


class Fuzzed:
    """A kernel under fire, and who looks whether it is well."""

    def __init__(self, kernel, raw):
        self.kernel, self.raw = kernel, raw
        self.pid = kernel.pid
        self.probes = {port: self.raw(f"{port}_port", kernel) for port in ("shell", "control")}
        self.listener = zmq.Context.instance().socket(zmq.SUB)
        self.listener.linger = 0
        self.listener.rcvhwm = 0
        self.listener.subscribe(b"kernel")
        self.listener.connect(f"tcp://127.0.0.1:{kernel.connection['iopub_port']}")
        assert self.listener.poll(20_000)  # welcome
        self.ask(self.probes["shell"], "execute_request", {"code": "tell_tale = 'unchanged'", "silent": True})

    def ask(self, client, kind, content):
        """The reply to a request, and the ids of all requests that were answered before it."""
        frames = client.frames(kind, content)
        message_id = json.loads(frames[2])["msg_id"]
        client.send(frames)
        answered = []
        while True:
            alive = self.kernel.manager.is_alive()
            assert client.socket.poll(60_000 if alive else 1000), f"no reply to {kind}; the kernel lives: {alive}"
            reply = parsed(client)
            if reply["parent_header"].get("msg_id") == message_id:
                return reply, answered
            answered.append(reply["parent_header"].get("msg_id"))

    def idles(self, message_id):
        """The ids of the requests whose idle came, up to that one's."""
        found = set()
        while message_id not in found:
            assert self.listener.poll(60_000), "no idle"
            frames = self.listener.recv_multipart()
            if frames[0].endswith(b".status") and json.loads(frames[-1])["execution_state"] == "idle":
                found.add(json.loads(frames[4]).get("msg_id"))
        return found

    def is_well(self):
        for probe in self.probes.values():
            assert self.ask(probe, "kernel_info_request", {})[0]["content"]["status"] == "ok"
        subshells = self.ask(self.probes["control"], "list_subshell_request", {})[0]["content"]["subshell_id"]
        assert subshells == []
        state = "(tell_tale, 'acted_upon' in globals())"
        content = {"code": "", "silent": True, "user_expressions": {"state": state}}
        reply, _ = self.ask(self.probes["shell"], "execute_request", content)
        said = reply["content"]["user_expressions"]["state"]["data"]["text/plain"]
        assert said == "('unchanged', False)"
        assert self.kernel.pid == self.pid and self.kernel.manager.is_alive()
        return reply["parent_header"]["msg_id"]

    def close(self):
        self.listener.close()


@pytest.fixture
def fuzzed(new_kernel, raw):
    fuzzed = Fuzzed(new_kernel(), raw)
    yield fuzzed
    fuzzed.close()


@pytest.mark.row("mutated messages on each channel")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_requests(fuzzed, raw, channel, count):
    client = raw(f"{channel}_port", fuzzed.kernel)
    client.socket.rcvhwm = client.socket.sndhwm = 0
    mutations = Mutations(channel, client.session, SEED)
    last = {"shell": "is_complete_request", "control": "kernel_info_request"}[channel]  # answered in its turn
    for _ in range(count // BATCH):
        messages = [mutations.signed() if i % 2 else mutations.unsigned() for i in range(BATCH)]
        for message in messages:
            client.send(message.frames or [b""])
        _, answered = fuzzed.ask(client, last, {"code": ""})
        idle = fuzzed.idles(fuzzed.is_well())
        answered += fuzzed.ask(client, last, {"code": ""})[1]  # kernel_info is answered beside what the shell does
        expected = [message for message in messages if message.is_answered]
        assert expected
        for message in expected:
            assert message.id in answered and message.id in idle, message
        for message in messages:
            assert message.is_valid or message.id not in answered, message


@pytest.mark.row("mutated messages on each channel")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", SIZES)
def test_replies_to_input(fuzzed, raw, count):
    """A cell asks and asks; whatever else comes, it ends with the genuine answer and has seen no forged one."""
    client = raw("stdin_port", fuzzed.kernel)
    client.socket.routing_id = b"the one that asks"
    shell = raw("shell_port", fuzzed.kernel)
    shell.socket.routing_id = b"the one that asks"
    for one, port in ((client, "stdin_port"), (shell, "shell_port")):
        address = f"tcp://127.0.0.1:{fuzzed.kernel.connection[port]}"
        one.socket.disconnect(address)  # a routing id counts from the next connection on
        one.socket.connect(address)
        one.socket.rcvhwm = one.socket.sndhwm = 0
    mutations = Mutations("stdin", client.session, SEED)
    for _ in range(count // BATCH):
        cell = shell.frames(
            "execute_request",
            {
                "code": "given = []\nwhile (a := input()) != 'genuine': given.append(a)",
                "silent": True,
                "allow_stdin": True,
            },
        )
        shell.send(cell)
        for i in range(BATCH):
            message = mutations.signed() if i % 2 else mutations.unsigned()
            client.send(message.frames or [b""])
        end = time.monotonic() + 60
        while (reply := shell.receive(0.02)) is None:
            assert time.monotonic() < end
            client.send(client.frames("input_reply", {"value": "genuine"}))
            while client.socket.poll(0):
                client.socket.recv_multipart()
        assert reply["content"]["status"] == "ok"
        content = {"code": "", "silent": True, "user_expressions": {"forged": "'forged' in given"}}
        reply, _ = fuzzed.ask(shell, "execute_request", content)
        assert reply["content"]["user_expressions"]["forged"]["data"]["text/plain"] == "False"
        fuzzed.is_well()


@pytest.mark.row("mutated messages on each channel")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", SIZES)
def test_heartbeats(fuzzed, raw, count):
    chance = random.Random(SEED)
    client = raw("hb_port", fuzzed.kernel)
    client.socket.rcvhwm = client.socket.sndhwm = 0
    for _ in range(count // BATCH):
        sent = [
            [chance.randbytes(chance.choice([0, 1, 5, 300])) for _ in range(chance.choice([1, 1, 2, 9]))]
            for _ in range(BATCH)
        ]
        for frames in sent:
            client.socket.send_multipart(frames)
        for frames in sent:
            assert client.socket.poll(60_000)
            assert client.socket.recv_multipart() == frames
        fuzzed.is_well()


@pytest.mark.row("mutated messages on each channel")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", SIZES)
def test_subscriptions(fuzzed, count):
    """An XSUB client says anything on iopub; its subscriptions come and go; others get everything."""
    chance = random.Random(SEED)
    topics = [b"", b"kernel", b"kernel_core", b"\xff" * 9, b"x" * 300, FORGED.encode(), b"<IDS|MSG>", b'"\\ud800']
    for _ in range(max(1, count // 10_000)):
        client = zmq.Context.instance().socket(zmq.XSUB)
        client.linger = 0
        client.rcvhwm = client.sndhwm = 0
        client.connect(f"tcp://127.0.0.1:{fuzzed.kernel.connection['iopub_port']}")
        try:
            for _ in range(min(count, 10_000) // BATCH):
                for _ in range(BATCH):
                    topic = chance.choice([*topics, chance.randbytes(chance.randrange(12))])
                    frames = [chance.choice([b"\1", b"\0", b"\1", b"\2", b""]) + topic]
                    client.send_multipart(frames * chance.choice([1, 1, 1, 3]))
                fuzzed.idles(fuzzed.is_well())
                while client.poll(0):
                    client.recv_multipart()
        finally:
            client.close()  # leaves its subscriptions, and what it has not read


@pytest.mark.row("mutated messages on each channel")
def test_what_is_not_zeromq(fuzzed):
    """Bytes of other protocols, and connections that say nothing or vanish in the middle of a greeting."""
    chance = random.Random(SEED)
    greeting = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01NULL" + b"\0" * 48
    connections = []
    for i in range(200):
        port = ("shell_port", "control_port", "stdin_port", "hb_port", "iopub_port")[i % 5]
        connection = socket.create_connection(("127.0.0.1", fuzzed.kernel.connection[port]))
        said = chance.choice([b"", b"GET / HTTP/1.1\r\n\r\n", greeting, greeting[:20]])
        connection.sendall(said + chance.randbytes(chance.randrange(200)))
        connections.append(connection)
        if chance.random() < 0.5:
            connections.pop(0).close()
    fuzzed.is_well()
    for connection in connections:
        connection.close()
    fuzzed.is_well()
