"""What the start puts off is there when somebody asks for it."""

import os

import pytest

SERVER = """
import asyncio, ssl
def context(side):
    made = ssl.SSLContext(side)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers('PSK')
    return made
ours, theirs = context(ssl.PROTOCOL_TLS_SERVER), context(ssl.PROTOCOL_TLS_CLIENT)
ours.set_psk_server_callback(lambda name: b'key')
theirs.set_psk_client_callback(lambda hint: ('name', b'key'))
async def greet(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.close()
server = await asyncio.start_server(greet, '127.0.0.1', 0, ssl=ours)
port = server.sockets[0].getsockname()[1]
reader, writer = await asyncio.open_connection('127.0.0.1', port, ssl=theirs)
writer.write(b'hello\\n')
answer = await reader.read()
writer.close()
answer
"""


@pytest.mark.row("loaded when it is first used")
def test_sessions_do_not_load_tls_and_temporary_files_before_they_use_them(new_kernel):
    kernel = new_kernel()
    kernel.manager.restart_kernel()  # the first start of all makes the person's profile, and copies a file for it
    kernel.client.wait_for_ready(timeout=60)
    assert (
        kernel.run("import sys; {'ssl', 'asyncio.sslproto', 'tempfile', 'random'} & set(sys.modules)").result == "set()"
    )


def test_asyncio_makes_tls_connections(new_kernel):
    outcome = new_kernel().run(SERVER)
    assert outcome.status == "ok", outcome.reply
    assert outcome.result == "b'HELLO\\n'"


def test_asyncio_finds_tls_by_itself(new_kernel):
    cell = (
        "import asyncio\nserver = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n"
        "await asyncio.open_connection('127.0.0.1', server.sockets[0].getsockname()[1], ssl=True)"
    )
    assert new_kernel().run(cell).reply["content"]["ename"] in ("SSLEOFError", "ConnectionResetError")


@pytest.mark.parametrize(
    "code", ["asyncio.sslproto.SSLProtocol.__module__", "asyncio.base_events.ssl.SSLContext.__module__"]
)
def test_what_code_reaches_through_asyncio_is_what_it_imports(new_kernel, code):
    kernel = new_kernel()
    assert kernel.run(f"import asyncio; {code}").status == "ok"
    same = kernel.run(
        "import ssl, asyncio.sslproto as p; asyncio.base_events.ssl.SSLSocket is ssl.SSLSocket, asyncio.sslproto is p"
    )
    assert same.result == "(True, True)"


def test_temporary_files_of_a_home_that_cannot_be_written_to(new_kernel, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()  # what is below a file nobody can make, root neither
    kernel = new_kernel(env=os.environ | {"IPYTHONDIR": str(blocked / "ipython"), "TMPDIR": str(tmp_path)})
    assert kernel.run(f"get_ipython().ipython_dir.startswith({str(tmp_path)!r})").result == "True"
    assert kernel.run("import tempfile; tempfile.gettempdir()").result == repr(str(tmp_path))
    assert kernel.run("(lambda: 0).__code__.co_filename").result.startswith(f"'{tmp_path}/firn_kernel_")
