"""Interrupts: the first press, by message and by signal, wherever the cell is; never the kernel."""

import os
import signal
import time
from pathlib import Path

import pytest


@pytest.fixture(params=["SIGINT", "interrupt_request"])
def interrupt(kernel, request):
    def press():
        kernel.interrupt(by_message=request.param == "interrupt_request")

    return press


BUSY = {
    "python": "print('on', flush=True)\nwhile True:\n    pass",
    "sleep": "import time\nprint('on', flush=True)\ntime.sleep(100)",
    "lock": "import threading\nlock = threading.Lock(); lock.acquire()\nprint('on', flush=True)\nlock.acquire()",
    "subprocess": "import subprocess\nprint('on', flush=True)\nsubprocess.run(['sleep', '100'])",
    "in a try": "print('on', flush=True)\ntry:\n    while True:\n        pass\nexcept ValueError:\n    pass",
}


AWAITING = {
    "itself": "import asyncio\nprint('on', flush=True)\nawait asyncio.sleep(100)",
    "in a function": "import asyncio\nasync def f():\n    await asyncio.sleep(100)\nprint('on', flush=True)\nawait f()",
}


def press_and_see(kernel, interrupt, code):
    cell = kernel.client.execute(code)
    kernel.wait_for_text("on")
    time.sleep(0.1)
    interrupt()
    outcome = kernel.finish(cell)
    assert outcome.reply["content"]["ename"] == "KeyboardInterrupt"
    assert outcome.of("error")[0]["ename"] == "KeyboardInterrupt"
    assert kernel.run("6 * 7").result == "42"


@pytest.mark.row("{interrupt} in a cell")
@pytest.mark.parametrize("where", BUSY)
def test_a_cell_stops_at_the_first_press(kernel, interrupt, where):
    press_and_see(kernel, interrupt, BUSY[where])


@pytest.mark.row("{interrupt} in a cell")
def test_the_traceback_ends_in_the_cell(kernel, interrupt):
    cell = kernel.client.execute("def spin():\n    while True:\n        pass\nprint('on', flush=True)\nspin()")
    kernel.wait_for_text("on")
    interrupt()
    shown = "\n".join(kernel.finish(cell).of("error")[0]["traceback"])
    assert "spin" in shown and "firn_kernel/" not in shown


@pytest.mark.row("in await")
@pytest.mark.parametrize("where", AWAITING)
def test_a_cell_that_awaits_stops_at_the_first_press(kernel, interrupt, where):
    press_and_see(kernel, interrupt, AWAITING[where])


@pytest.mark.row("{interrupt} in a cell")
def test_one_that_comes_as_the_cell_begins_to_wait_is_not_lost(kernel, interrupt):
    """Between the event loop's last look at signals and its waiting."""
    for _ in range(40):
        cell = kernel.client.execute("import asyncio\nprint('on', flush=True)\nawait asyncio.sleep(1000)")
        kernel.wait_for_text("on")
        interrupt()
        assert kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"


def test_a_cell_can_catch_it(kernel, interrupt):
    cell = kernel.client.execute(
        "try:\n    print('on', flush=True)\n    while True: pass\nexcept KeyboardInterrupt:\n    print('caught')"
    )
    kernel.wait_for_text("on")
    interrupt()
    outcome = kernel.finish(cell)
    assert outcome.status == "ok" and outcome.text() == "caught\n"


@pytest.mark.row("{interrupt} when idle")
def test_an_idle_kernel_ignores_it(kernel, interrupt):
    for _ in range(3):
        interrupt()
        time.sleep(0.05)
    assert kernel.run("'unharmed'").result == "'unharmed'"


@pytest.mark.row("queued cells are aborted")
def test_cells_that_wait_are_aborted_by_it(kernel, interrupt):
    cell = kernel.client.execute(BUSY["python"])
    waiting = kernel.client.execute("'must not run'")
    kernel.wait_for_text("on")
    interrupt()
    assert kernel.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.reply(waiting)["content"]["status"] != "ok"
    kernel.published(waiting)


@pytest.mark.row("in input()")
def test_input_stops_at_the_first_press(kernel, interrupt):
    cell = kernel.client.execute("input('name? ')", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=20)["content"]["prompt"] == "name? "
    interrupt()
    assert kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"
    # An answer to the old question is no answer to the next one.
    kernel.client.input("too late")
    time.sleep(0.3)
    cell = kernel.client.execute("input('again? ')", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=20)["content"]["prompt"] == "again? "
    kernel.client.input("in time")
    assert kernel.finish(cell).result == "'in time'"


@pytest.mark.row("in a completion that hangs")
def test_a_completion_that_hangs_stops(kernel, interrupt):
    kernel.run(
        "import time\nclass Slow:\n    def __dir__(self):\n        print('on', flush=True); time.sleep(100)\nslow = Slow()\n%config Completer.use_jedi = False"
    )
    request = kernel.client.complete("slow.")
    kernel.wait_for_text("on")
    interrupt()
    kernel.reply(request)
    assert kernel.run("'goes on'").status == "ok"


@pytest.mark.row("a hundred at any moment")
def test_a_hundred_interrupts_at_any_moment(kernel):
    """Pressed at random distances from the start of a cell that awaits: none is lost, none hits the kernel."""
    for i in range(100):
        cell = kernel.client.execute(
            "import asyncio\nprint('on', flush=True)\nwhile True:\n    await asyncio.sleep(0)\n    sum(range(100))"
        )
        kernel.wait_for_text("on")
        time.sleep(i % 10 * 0.001)
        os.kill(kernel.pid, signal.SIGINT)
        assert kernel.finish(cell).status == "error"


def test_a_background_task_that_blocks_an_idle_kernel_stops(kernel, interrupt):
    kernel.run(
        "import asyncio\nasync def block():\n    print('on', flush=True)\n    while True:\n        pass\ntask = asyncio.get_running_loop().create_task(block())"
    )
    time.sleep(0.5)
    interrupt()
    assert kernel.run("'answers'").result == "'answers'"


def wait_until_python_runs(pid: int) -> None:
    """Until a process has worked for 0.1 s, however long that takes: before that, an interrupt ends any Python."""
    for _ in range(1000):
        *_, user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:13]
        if int(user) + int(system) >= 0.1 * os.sysconf("SC_CLK_TCK"):
            return
        time.sleep(0.005)


@pytest.mark.row("while the kernel starts")
def test_while_it_starts_an_interrupt_does_not_kill_it(kernel_name):
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name=kernel_name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        wait_until_python_runs(manager.provisioner.pid)
        for _ in range(20):
            os.kill(manager.provisioner.pid, signal.SIGINT)
            time.sleep(0.02)
        client.wait_for_ready(timeout=30)
        assert manager.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def test_a_callback_that_blocks_an_idle_kernel_stops(kernel, interrupt):
    kernel.run(
        "import asyncio\ndef block():\n    print('on', flush=True)\n    while True:\n        pass\nasyncio.get_running_loop().call_later(0.2, block);"
    )
    time.sleep(0.5)
    interrupt()
    assert kernel.run("'answers'").result == "'answers'"


def test_pressed_again_it_stops_a_task_that_keeps_an_awaiting_cell_waiting(kernel):
    cell = kernel.client.execute(
        "import asyncio\nasync def block():\n    await asyncio.sleep(0.2)\n    print('on', flush=True)\n    while True:\n        pass\n"
        "task = asyncio.create_task(block())\nawait asyncio.sleep(100)"
    )
    kernel.wait_for_text("on")
    os.kill(kernel.pid, signal.SIGINT)
    time.sleep(0.2)
    os.kill(kernel.pid, signal.SIGINT)
    assert kernel.finish(cell).reply["content"]["ename"] == "KeyboardInterrupt"


@pytest.mark.parametrize(
    "before", ["", "import signal\nsignal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))\n"]
)
def test_an_interrupt_that_comes_just_before_a_call_that_sleeps(kernel, before):
    """No bytecode runs between the signal and the call, where Python would look for it."""
    assert kernel.run(f"{before}import ctypes, functools, operator, time").status == "ok"
    cell = (
        "interrupt = functools.partial(getattr(ctypes.CDLL(None), 'raise'), 2)\n"
        "list(map(operator.call, [interrupt, functools.partial(time.sleep, 1000)]))"
    )
    assert kernel.run(cell).reply["content"]["ename"] == "KeyboardInterrupt"


def test_what_a_cell_calls_after_an_interrupt_is_not_broken_off(kernel):
    """What wakes a call that an interrupt would miss stops once Python has seen it."""
    cell = (
        "import ctypes, time\nlibc = ctypes.CDLL(None)\n"
        "try:\n    print('on', flush=True)\n    time.sleep(1000)\nexcept KeyboardInterrupt:\n    result = libc.poll(None, 0, 700)\nresult"
    )
    cell = kernel.client.execute(cell)
    kernel.wait_for_text("on")
    os.kill(kernel.pid, signal.SIGINT)
    assert kernel.finish(cell).result == "0"


@pytest.mark.row("interrupts are the main thread's alone")
def test_no_other_thread_of_the_kernels_takes_an_interrupt(new_kernel):
    """The system would give it to one while another signal waits for the main thread, and it could come late: in the cell
    after the one that it was meant for."""
    kernel = new_kernel()
    assert kernel.control("create_subshell_request", {})["content"]["status"] == "ok"
    assert kernel.run("%%parallel --quiet\nsquares = [n * n for n in range(100)]").status == "ok"
    assert kernel.run("import os\nif (child := os.fork()) == 0: os._exit(0)\nos.waitpid(child, 0)[1]").result == "0"
    takers = kernel.run(
        "from pathlib import Path\n"
        "[task.name for task in Path('/proc/self/task').iterdir()"
        " if not int((task / 'status').read_text().split('SigBlk:')[1].split()[0], 16) & 2] == [str(os.getpid())]"
    )
    assert takers.result == "True"


def test_one_that_comes_as_history_takes_a_lock_stops_the_cell_afterwards(kernel):
    """The lock would stay taken, and all cells take it."""
    hook = (
        "import signal, threading\nhistory = get_ipython().history_manager\nlock = history.db_input_cache_lock\n"
        "class Interrupted:\n"
        "    def __enter__(self):\n"
        "        lock.__enter__()\n"
        "        if threading.current_thread() is threading.main_thread(): signal.raise_signal(signal.SIGINT)\n"
        "    def __exit__(self, *exception):\n        lock.__exit__(*exception)\n"
        "history.db_input_cache_lock = Interrupted()"
    )
    assert kernel.run(hook).status == "ok"
    assert kernel.run("'never'").reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("history.db_input_cache_lock = lock", store_history=False).status == "ok"
    assert kernel.run("'goes on'").result == "'goes on'"


@pytest.mark.parametrize("apart", [False, True], ids=["main thread", "subshell"])
def test_one_that_comes_when_the_cell_is_over_ends_nothing(kernel, apart):
    """What looks after frozen data at the end of each cell takes locks. IPython would print an error in a callback."""
    hook = (
        "import firn, os, signal, time, firn.lifetime\nended, log = firn.lifetime.LIFETIME.cell_ended, []\n"
        "def interrupted(namespaces):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.3)\n"
        "    ended(namespaces)\n"
        "    log.append('whole')"
    )
    assert kernel.run(hook).status == "ok"
    message = kernel.client.session.msg("execute_request", {"code": "firn.lifetime.LIFETIME.cell_ended = interrupted"})
    if apart:
        subshell = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
        message["header"]["subshell_id"] = subshell
    kernel.client.shell_channel.send(message)
    outcome = kernel.finish(message["header"]["msg_id"])
    assert outcome.status == "ok" and outcome.text() == outcome.text("stderr") == "", outcome
    assert kernel.run("del firn.lifetime.LIFETIME.cell_ended; log").result == "['whole']"
    if apart:
        assert kernel.control("delete_subshell_request", {"subshell_id": subshell})["content"]["status"] == "ok"
