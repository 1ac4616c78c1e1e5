"""Start, shutdown, restart, a client that was killed, installation."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import venv

import psutil
import pytest


def gone(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_shutdown_ends_the_process_without_a_word(new_kernel, tmp_path):
    log = tmp_path / "log"
    with open(log, "wb") as out:
        kernel = new_kernel(stdout=out, stderr=out)
        kernel.run(
            "import threading, asyncio, atexit; print('in the notebook'); input_ = 1\nasyncio.create_task(asyncio.sleep(100))\natexit.register(print, 'at exit')"
        )
        reply = kernel.control("shutdown_request", {"restart": False})
        assert reply["content"] == {"status": "ok", "restart": False}
        assert kernel.manager.provisioner.process.wait(20) == 0
    assert log.read_text() == "at exit\n"


@pytest.mark.row("shutdown and restart, at any time")
def test_shutdown_in_the_middle_of_a_cell(new_kernel):
    kernel = new_kernel()
    kernel.client.execute("print('on', flush=True)\nwhile True: pass")
    kernel.wait_for_text("on")
    kernel.control("shutdown_request", {"restart": False})
    assert gone(kernel.pid, 20)


def test_the_shutdown_is_announced_on_iopub(new_kernel):
    kernel = new_kernel()
    message_id = kernel.control("shutdown_request", {"restart": True})["parent_header"]["msg_id"]
    kinds = [m["msg_type"] for m in kernel.published(message_id)]
    assert kinds == ["status", "shutdown_reply", "status"]


@pytest.mark.row("shutdown and restart, at any time")
def test_restart_gives_a_fresh_namespace(new_kernel):
    kernel = new_kernel()
    kernel.run("old = 1")
    before = kernel.pid
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=30)
    assert kernel.pid != before
    assert kernel.run("'old' in globals()").result == "False"


@pytest.mark.row("shutdown and restart, at any time")
def test_exit_in_a_cell_ends_the_kernel(new_kernel):
    kernel = new_kernel()
    outcome = kernel.run("exit")
    assert outcome.reply["content"]["payload"] == [{"source": "ask_exit", "keepkernel": False}]
    assert gone(kernel.pid, 20)


@pytest.mark.row("SIGTERM in the middle of a cell ends it in order")
@pytest.mark.parametrize(
    "cell", ["while True: pass", "import asyncio; await asyncio.sleep(1000)", "import time; time.sleep(1000)"]
)
def test_sigterm_ends_the_kernel_in_order(new_kernel, tmp_path, cell):
    ended = tmp_path / "ended"
    kernel = new_kernel()
    kernel.run(f"import atexit, pathlib; atexit.register(pathlib.Path({str(ended)!r}).touch)")
    running = kernel.client.execute(f"print('on', flush=True)\n{cell}")
    kernel.wait_for_text("on")
    time.sleep(0.1)
    os.kill(kernel.pid, signal.SIGTERM)
    assert kernel.finish(running).status == "error"
    assert gone(kernel.pid, 20) and ended.exists()


def test_sigterm_ends_an_idle_kernel_in_order(new_kernel):
    kernel = new_kernel()
    os.kill(kernel.pid, signal.SIGTERM)
    assert kernel.manager.provisioner.process.wait(20) == 0


@pytest.mark.row("forked children of a cell")
def test_children_end_by_sigterm(kernel):
    outcome = kernel.run(
        "import multiprocessing, time\nchild = multiprocessing.get_context('fork').Process(target=time.sleep, args=(1000,))\n"
        "child.start(); time.sleep(0.2); child.terminate(); child.join(20); child.exitcode"
    )
    assert outcome.result == "-15"
    assert kernel.run("6 * 7").result == "42"


@pytest.mark.row("a full disk under the history")
def test_a_full_disk_under_the_history_costs_the_history_alone(new_kernel):
    kernel = new_kernel()
    kernel.run("import resource\nhard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]")
    kernel.run("resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))  # no file can grow")
    for number in range(10):
        assert kernel.run(f"{number}  # {'x' * 5000}").result == str(number)
    assert kernel.reply(kernel.client.history(hist_access_type="tail", n=1))["content"]["status"] == "ok"
    assert kernel.run("resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)); 'room again'").result == "'room again'"
    assert kernel.run("6 * 7").result == "42"


@pytest.mark.row("a client that was killed leaves no kernel")
@pytest.mark.parametrize("cell", ["'idle'", "while True: pass", "import time; time.sleep(1000)"])
def test_a_client_that_was_killed_leaves_no_kernel(cell, kernel_name):
    script = (
        "import sys, time\n"
        "from jupyter_client.manager import start_new_kernel\n"
        f"manager, client = start_new_kernel(kernel_name={kernel_name!r})\n"
        f"client.execute({cell!r})\n"
        "print(manager.provisioner.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        time.sleep(0.3)
        client.send_signal(signal.SIGKILL)
    try:
        assert gone(pid, 20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def beside(tmp_path, *names):
    for name in names:
        (tmp_path / f"{name}.py").write_text("beside = 'the notebook'\n")
    return str(tmp_path)


@pytest.mark.row("modules beside the notebook, startup files")
def test_a_module_beside_the_notebook_cannot_break_the_start_and_can_be_imported(new_kernel, tmp_path):
    kernel = new_kernel(cwd=beside(tmp_path, "selectors", "random", "shutil", "mine"))
    assert kernel.run("import mine; mine.beside").result == "'the notebook'"


@pytest.mark.row("a module beside the notebook cannot break it")
def test_a_module_beside_the_notebook_cannot_break_parallel_cells(new_kernel, tmp_path):
    kernel = new_kernel(cwd=beside(tmp_path, "selectors", "random", "shutil", "firn"))
    assert kernel.run("%%parallel --quiet\nsquares = [n * n for n in range(10)]").status == "ok"
    assert kernel.run("squares[3]").result == "9"


@pytest.mark.row("modules beside the notebook, startup files")
def test_the_users_startup_files_run_and_an_error_in_one_does_not_stop_the_kernel(new_kernel, tmp_path, monkeypatch):
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("from_startup = 11\n")
    (startup / "10.py").write_text("1 / 0\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    assert new_kernel().run("from_startup").result == "11"


@pytest.mark.row("unusable connection files and taken ports are named")
def test_a_port_that_is_taken_and_a_file_that_is_wrong_are_named(tmp_path):
    for content, word in [("{}", "shell_port"), ("nonsense", "not usable"), (None, "cannot read")]:
        file = tmp_path / "connection.json"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        done = subprocess.run(
            [sys.executable, "-m", "firn_kernel", "-f", str(file)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1 and str(file) in done.stderr and word in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.row("unusable connection files and taken ports are named")
def test_an_unknown_signature_scheme_is_named(tmp_path):
    file = tmp_path / "connection.json"
    ports = {f"{name}_port": 0 for name in ("shell", "control", "stdin", "iopub", "hb")}
    file.write_text(json.dumps({**ports, "key": "k", "signature_scheme": "hmac-unheard-of"}))
    command = [sys.executable, "-m", "firn_kernel", "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "hmac-unheard-of" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.row("unusable connection files and taken ports are named")
def test_a_taken_port_is_named(new_kernel, tmp_path):
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(new_kernel().connection))
    done = subprocess.run(
        [sys.executable, "-m", "firn_kernel", "-f", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "cannot listen on tcp://127.0.0.1:" in done.stderr


@pytest.mark.row("control channel while a cell runs")
def test_the_control_channel_answers_from_the_first_moment_on(kernel_name):
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name=kernel_name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.control_channel.send(client.session.msg("kernel_info_request", {}))
        reply = client.get_control_msg(timeout=30)
        assert reply["content"]["status"] == "ok" and reply["content"]["language_info"]["name"] == "python"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@pytest.mark.row("control channel while a cell runs")
def test_the_control_channel_answers_while_a_cell_runs(new_kernel):
    kernel = new_kernel()
    cell = kernel.client.execute("print('on', flush=True)\nwhile True:\n    pass")
    kernel.wait_for_text("on")
    assert kernel.control("kernel_info_request", {})["content"]["status"] == "ok"
    assert kernel.control("usage_request", {})["content"]["pid"] == kernel.pid
    kernel.control("interrupt_request", {})
    assert kernel.reply(cell)["content"]["ename"] == "KeyboardInterrupt"


@pytest.mark.row("ipc, with sockets of the owner's alone")
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_transports(transport, tmp_path, kernel_name):
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name=kernel_name, transport=transport, connection_file=str(tmp_path / "kernel.json"))
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        assert client.execute_interactive("1", timeout=20)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@pytest.mark.row("--user, --sys-prefix, --prefix")
@pytest.mark.parametrize("where", ["--prefix", "--user"])
def test_install_puts_the_kernelspec_where_jupyter_looks(where, tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "JUPYTER_DATA_DIR": str(tmp_path / "share" / "jupyter")}
    place = ["--prefix", str(tmp_path)] if where == "--prefix" else ["--user"]
    command = [
        sys.executable,
        "-m",
        "firn_kernel",
        "install",
        *place,
        "--name",
        "my-firn",
        "--display-name",
        "My firn",
        "--env",
        "FIRN_TEST",
        "a value",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    folder = tmp_path / "share" / "jupyter" / "kernels" / "my-firn"
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable and spec["argv"][-1] == "{connection_file}"
    assert spec["display_name"] == "My firn" and spec["interrupt_mode"] == "message"
    assert spec["env"] == {"FIRN_TEST": "a value"}
    assert {p.name for p in folder.iterdir()} == {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"}


@pytest.mark.row("--user, --sys-prefix, --prefix")
def test_install_in_the_environment_and_under_several_names(tmp_path):
    code = "import sys; from firn_kernel.install import main; sys.prefix = sys.argv[1]; sys.exit(main(sys.argv[2:]))"
    for name, level in (("one", "1"), ("two", "2"), ("two", "3")):  # the last in place of the one before
        options = ["--sys-prefix", "--name", name, "--env", "FIRN_TEST", level, "--env", "OTHER", "x y"]
        command = [sys.executable, "-c", code, str(tmp_path), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    specs = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.glob("share/jupyter/kernels/*/kernel.json")}
    assert {name: spec["env"]["FIRN_TEST"] for name, spec in specs.items()} == {"one": "1", "two": "3"}
    assert all(spec["env"]["OTHER"] == "x y" and spec["display_name"] == "firn (Python)" for spec in specs.values())


@pytest.mark.row("--name, environment variables, several Pythons")
def test_two_pythons_side_by_side(new_kernel, tmp_path, monkeypatch):
    """Each under its name; a variable of the kernelspec is the kernel's."""
    venv.create(tmp_path / "other", symlinks=True)
    pythons = {"firn-here": sys.executable, "firn-other": str(tmp_path / "other" / "bin" / "python")}
    path = os.pathsep.join(each for each in sys.path if each)
    for name, python in pythons.items():
        options = ["--prefix", str(tmp_path), "--name", name, "--env", "PYTHONPATH", path, "--env", "FIRN_TEST", name]
        command = [python, "-m", "firn_kernel", "install", *options]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    for name, python in pythons.items():
        kernel = new_kernel(spec=name)
        assert (
            kernel.run("import os, sys\nprint(sys.executable, os.environ['FIRN_TEST'])").text() == f"{python} {name}\n"
        )


@pytest.mark.row("says what is wrong")
def test_install_says_what_is_wrong():
    done = subprocess.run(
        [sys.executable, "-m", "firn_kernel", "install", "--user", "--sys-prefix"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and "not allowed with" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "firn_kernel", "install", "--user", "--name", "no spaces"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "no spaces" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.row("shutdown and restart, at any time")
def test_background_tasks_that_refuse_to_end_do_not_hold_up_the_shutdown(new_kernel):
    kernel = new_kernel()
    kernel.run(
        "import asyncio\nasync def stubborn():\n    while True:\n        try:\n            await asyncio.sleep(100)\n"
        "        except asyncio.CancelledError:\n            pass\ntask = asyncio.create_task(stubborn())\nawait asyncio.sleep(0)"
    )
    kernel.control("shutdown_request", {"restart": False})
    assert gone(kernel.pid, 10)
