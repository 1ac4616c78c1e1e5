"""Who may talk to the kernel: encryption (CurveZMQ), sockets of the owner alone, no message twice."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import zmq


@pytest.mark.row("CurveZMQ")
def test_an_encrypted_kernel(new_kernel):
    kernel = new_kernel(transport_encryption="required")
    assert kernel.connection["curve_publickey"] and kernel.connection["curve_secretkey"]
    assert kernel.run("6 * 7").result == "42"
    assert kernel.control("usage_request", {})["content"]["kernel_memory"] > 0
    kernel.client.hb_channel.unpause()
    assert kernel.client.hb_channel.is_beating()
    kernel.client.stdin_channel  # noqa: B018  connects it
    cell = kernel.client.execute("input('who? ')", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=20)["content"]["prompt"] == "who? "
    kernel.client.input("me")
    assert kernel.finish(cell).result == "'me'"


@pytest.mark.row("CurveZMQ")
def test_who_does_not_encrypt_gets_nothing(new_kernel, raw):
    kernel = new_kernel(transport_encryption="required")
    clients = [raw(port, kernel) for port in ("shell_port", "control_port", "stdin_port", "hb_port")]
    listener = zmq.Context.instance().socket(zmq.SUB)
    listener.linger = 0
    try:
        listener.subscribe(b"")
        listener.connect(f"tcp://127.0.0.1:{kernel.connection['iopub_port']}")
        for client in clients:
            with suppress(zmq.Again):  # once it has been turned away, it has nobody to send to
                client.socket.sndtimeo = 200
                client.send(client.frames("execute_request", {"code": "acted_upon = True"}))
        assert kernel.run("'acted_upon' in globals()").result == "False"
        assert [client.receive(0.2) for client in clients] == [None] * 4
        assert not listener.poll(200)
    finally:
        listener.close()


@pytest.mark.row("unusable connection files and taken ports are named")
@pytest.mark.parametrize(
    "keys",
    [
        {"curve_publickey": "x" * 40},
        {"curve_secretkey": "x" * 40},
        {"curve_publickey": "x" * 40, "curve_secretkey": "x" * 39},
        {"curve_publickey": "x" * 40, "curve_secretkey": " " * 40},
        {"curve_publickey": zmq.curve_keypair()[0].decode(), "curve_secretkey": zmq.curve_keypair()[1].decode()},
    ],
)
def test_unusable_keys_start_no_kernel(tmp_path, keys):
    """Rather no kernel than one that talks in the clear."""
    file = tmp_path / "connection.json"
    ports = {name: 0 for name in ("shell_port", "control_port", "stdin_port", "iopub_port", "hb_port")}
    file.write_text(json.dumps({"ip": "127.0.0.1", "transport": "tcp", "key": "k", **ports, **keys}))
    kernel = subprocess.run(
        [sys.executable, "-P", "-m", "firn_kernel", "-f", str(file)], capture_output=True, text=True, timeout=60
    )
    assert kernel.returncode != 0
    assert "curve_secretkey" in kernel.stderr and "Traceback" not in kernel.stderr


@pytest.mark.row("ipc, with sockets of the owner's alone")
def test_sockets_in_the_file_system_are_the_owners_alone(new_kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    kernel = new_kernel(transport="ipc")
    assert kernel.run("6 * 7").result == "42"
    name = kernel.connection["ip"]
    places = [Path(f"{name}-{kernel.connection[port]}") for port in kernel.connection if port.endswith("_port")]
    assert len(places) == 5
    for place in places:
        assert stat.S_ISSOCK(place.stat().st_mode) and place.stat().st_mode & 0o077 == 0, place
    assert stat.S_IMODE(Path(kernel.manager.connection_file).stat().st_mode) & 0o077 == 0
    assert kernel.run("import os; mask = os.umask(0o022); mask != 0o077").result == "True"


@pytest.mark.row("messages that came before are refused")
@pytest.mark.parametrize("port", ["shell_port", "control_port"])
def test_a_message_that_came_before_is_refused(kernel, raw, port):
    client = raw(port)
    frames = client.frames("kernel_info_request", {})
    client.send(frames)
    while client.receive(20)["header"]["msg_type"] != "kernel_info_reply":
        pass
    client.send(frames)
    raw(port).send(frames)  # also from somebody else
    assert client.receive(0.3) is None


@pytest.mark.row("messages that came before are refused")
def test_a_cell_that_came_before_runs_once(kernel, raw):
    kernel.run("runs = 0")
    client = raw()
    frames = client.frames("execute_request", {"code": "runs += 1", "silent": False, "user_expressions": {}})
    for _ in range(3):
        client.send(frames)
    while client.receive(20)["header"]["msg_type"] != "execute_reply":
        pass
    assert kernel.run("runs").result == "1"
