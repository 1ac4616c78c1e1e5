"""With a warm pool everything else in the process works as before: each case is a script of its own.

Every script must end by itself with the expected status, and with nothing on stderr.
"""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent

WARM = f"""
import os, sys, textwrap, warnings
# Python's own, in every process that has threads.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
sys.path.insert(0, {str(HERE)!r})
from firn import _core

def compute(pool, source="def run(start, stop): return list(range(start, stop))", count=10):
    job = pool.submit((textwrap.dedent(source), None), count)
    found = []
    while (event := job.next()) is not None:
        assert event.kind == "chunk", event.error
        found.append((event.start, event.result))
    return [result for _, result in sorted(found)]

def warm_pool():
    pool = _core.Pool(2, "pool_runtime")
    assert sum(compute(pool), []) == list(range(10))
    while any(worker["state"] != "idle" for worker in pool.workers()):
        pass
    return pool
"""


@pytest.fixture
def script(tmp_path: Path):  # type: ignore[no-untyped-def]
    def run(body: str, status: int = 0, stderr: str | None = "", warm: bool = True, timeout: float = 60) -> str:
        start = "if __name__ == '__main__':\n    pool = warm_pool()\n" if warm else "if __name__ == '__main__':\n"
        file = tmp_path / "script.py"
        file.write_text(WARM + start + textwrap.indent(textwrap.dedent(body), "    "))
        done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=timeout)
        assert done.returncode == status, done.stderr
        if stderr is not None:
            assert done.stderr == stderr
        return done.stdout

    return run


def test_os_fork(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        for _ in range(20):
            child = os.fork()
            if child == 0:
                import json
                assert json.loads("[1]") == [1]
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert sum(compute(pool), []) == list(range(10))
    """)


def test_a_forked_child_ends_as_any_process(script) -> None:  # type: ignore[no-untyped-def]
    out = script("""
        import atexit
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            atexit.register(print, "exit handler")
            sys.exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        print("parent", sum(compute(pool), []) == list(range(10)))
    """)
    assert out == "exit handler\nparent True\n"


def test_in_a_forked_child_the_pool_is_empty_and_says_so(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        running = pool.submit(("def run(start, stop):\\n  while True: pass", None), 2)
        assert running.next(0.05) is None
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert pool.size == 0 and pool.workers() == []
                for use in (lambda: pool.submit(None, 1), pool.warm, lambda: pool.resize(1), running.next,
                            running.cancel, lambda: running.truncate(0), lambda: running.done):
                    try:
                        use()
                    except RuntimeError as error:
                        assert "forked" in str(error)
                    else:
                        raise AssertionError("no error")
                pool.close()
                del running, pool
                fresh = warm_pool()
                assert sum(compute(fresh), []) == list(range(10))
                fresh.close()
                status = 5
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        assert running.cancel() == []
    """)


def test_a_pool_made_in_a_forked_child_is_closed_when_that_ends(script) -> None:  # type: ignore[no-untyped-def]
    out = script("""
        child = os.fork()
        if child == 0:
            fresh = warm_pool()
            print("child", flush=True)
            sys.exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
        print("parent", sum(compute(pool), []) == list(range(10)))
    """)
    assert out == "child\nparent True\n"


def test_fork_while_workers_start_and_compute(script) -> None:  # type: ignore[no-untyped-def]
    script(
        """
        for turn in range(15):
            pool = _core.Pool(3, "pool_runtime")
            pool.warm()
            job = pool.submit(("def run(start, stop):\\n  return [str(i) for i in range(100000)]", None), 6, chunk=1)
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    os._exit(len([str(i) for i in range(9)]))
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
            while job.next() is not None: pass
            pool.close()
        """,
        warm=False,
    )


def test_a_pty_child(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import pty
        child, fd = pty.fork()
        if child == 0:
            print("from the child", flush=True)
            os._exit(0)
        got = b""
        try:
            while part := os.read(fd, 100):
                got += part
        except OSError:
            pass
        assert b"from the child" in got, got
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """)


def test_ipython_shell_commands(script) -> None:  # type: ignore[no-untyped-def]
    out = script("""
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance(history_length=0)
        shell.history_manager.enabled = False
        shell.run_cell("!echo from a $((20 + 3))", store_history=False)
        assert shell.user_ns["_exit_code"] == 0
        shell.run_cell("lines = %sx echo one; echo two", store_history=False)
        shell.run_cell("more = !seq 3", store_history=False)
        assert shell.user_ns["lines"] == ["one", "two"]
        assert shell.user_ns["more"] == ["1", "2", "3"]
        shell.run_cell("!exit 4", store_history=False)
        assert shell.user_ns["_exit_code"] == 4
        assert sum(compute(pool), []) == list(range(10))
    """)
    assert "from a 23" in out


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(script, method: str) -> None:  # type: ignore[no-untyped-def]
    script(
        f"""
        import math, multiprocessing
        with multiprocessing.get_context({method!r}).Pool(2) as processes:
            assert processes.map(math.factorial, range(20)) == [math.factorial(i) for i in range(20)]
        assert sum(compute(pool), []) == list(range(10))
        """
    )


def test_process_pool_executor_beside_the_pool(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import concurrent.futures, math
        with concurrent.futures.ProcessPoolExecutor(2) as executor:
            assert list(executor.map(math.sqrt, [4, 9])) == [2, 3]
    """)


def test_interpreter_pool_executor_beside_the_pool(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import concurrent.futures, math
        with concurrent.futures.InterpreterPoolExecutor(2) as executor:
            assert list(executor.map(math.sqrt, [4, 9])) == [2, 3]
        assert sum(compute(pool), []) == list(range(10))
    """)


def test_subprocess(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import subprocess
        assert subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout == "hello\\n"
        assert subprocess.run("exit 5", shell=True, preexec_fn=lambda: None).returncode == 5
        child = subprocess.Popen(["sleep", "100"])
        child.terminate()
        assert child.wait() == -15
    """)


def test_subprocess_in_a_worker(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        found = compute(pool, '''
        import subprocess
        def run(start, stop):
            child = subprocess.Popen(["sleep", "100"])
            child.terminate()
            return subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout, child.wait()
        ''', 1)
        assert found == [("hello\\n", -15)]
    """)


def test_fork_and_exec_in_a_worker_are_refused_clearly(script) -> None:  # type: ignore[no-untyped-def]
    out = script("""
        job = pool.submit(("import os\\ndef run(start, stop): os.fork()", None), 1)
        print(job.next().error)
        job = pool.submit(("import os\\ndef run(start, stop): os.execv('/bin/true', ['true'])", None), 1)
        print(job.next().error)
    """)
    assert "RuntimeError: fork not supported for isolated subinterpreters" in out
    assert "RuntimeError: exec not supported for isolated subinterpreters" in out


def test_numpy_and_pandas_in_the_main_interpreter(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import numpy, pandas
        assert numpy.arange(1000).reshape(10, 100).dot(numpy.ones(100)).sum() == 499500
        assert pandas.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]}).groupby("a")["b"].sum().tolist() == [3, 3]
        assert sum(compute(pool), []) == list(range(10))
    """)


def test_threads_and_asyncio_go_on_while_a_job_is_awaited(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import asyncio, threading, time
        ticks = []
        stop = threading.Event()
        def tick():
            while not stop.wait(0.005):
                ticks.append(time.perf_counter())
        thread = threading.Thread(target=tick)
        thread.start()
        compute(pool, "import time\\ndef run(start, stop): time.sleep(0.5)", 2)
        stop.set()
        thread.join()
        assert len(ticks) > 20, len(ticks)

        async def main():
            waiting = asyncio.to_thread(compute, pool, "import time\\ndef run(start, stop): time.sleep(0.3)", 2)
            beats = 0
            task = asyncio.create_task(waiting)
            while not task.done():
                await asyncio.sleep(0.005)
                beats += 1
            assert beats > 10, beats
        asyncio.run(main())
    """)


def test_faulthandler(script) -> None:  # type: ignore[no-untyped-def]
    script(
        """
        import faulthandler, tempfile
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            assert "script.py" in file.read()
        faulthandler.enable()
        assert sum(compute(pool), []) == list(range(10))
        """
    )


def test_signals_reach_the_main_thread(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import signal, threading, time
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(threading.current_thread() is threading.main_thread()))
        signal.signal(signal.SIGALRM, lambda *_: seen.append(True))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.2)
        job = pool.submit(("import time\\ndef run(start, stop): time.sleep(0.2)", None), 2)
        os.kill(os.getpid(), signal.SIGUSR1)
        while job.next() is not None: pass
        assert seen == [True] * 3
    """)


def test_importing_firn_starts_nothing(script) -> None:  # type: ignore[no-untyped-def]
    script(
        """
        import firn, concurrent.interpreters
        pool = _core.Pool(2, "pool_runtime")
        assert len(os.listdir("/proc/self/task")) == 1
        assert len(concurrent.interpreters.list_all()) == 1
        assert pool.workers() == [] and pool.size == 2
        """,
        warm=False,
    )


@pytest.mark.parametrize(
    "ending, status, stderr",
    [
        ("pass", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(17)", 17, ""),
        ("sys.exit('why')", 1, "why\n"),
        ("raise SystemExit(3)", 3, ""),
        ("os._exit(9)", 9, ""),
        ("raise ValueError('boom')", 1, None),
        ("os.kill(os.getpid(), 15)", -signal.SIGTERM, ""),
        ("raise KeyboardInterrupt", -signal.SIGINT, None),
        ("pool.close()", 0, ""),
        ("del pool", 0, ""),
        ("import threading; threading.Thread(target=pool.close).start()", 0, ""),
    ],
)
@pytest.mark.parametrize(
    "state",
    [
        "idle",
        "computing",
        "in a call",
        "swallowing",
    ],
)
def test_exit_keeps_its_status_and_says_nothing(
    script, state: str, ending: str, status: int, stderr: str | None
) -> None:  # type: ignore[no-untyped-def]
    sources = {
        "idle": None,
        "computing": "def run(start, stop):\\n  while True: pass",
        "in a call": "def run(start, stop): return sum(range(10 ** 14))",
        "swallowing": "def run(start, stop):\\n while True:\\n  try:\\n   while True: pass\\n  except BaseException: pass",
    }
    source = sources[state]
    running = f'job = pool.submit(("{source}", None), 2)\nassert job.next(0.05) is None\n' if source else ""
    out = script(
        "import atexit\natexit.register(print, 'exit handler')\nprint('printed', end=' ')\n" + running + ending,
        status,
        stderr,
        timeout=30,
    )
    assert out.endswith("exit handler\n") != ending.startswith("os.")


def test_exit_is_prompt(script) -> None:  # type: ignore[no-untyped-def]
    """A comparison, not a figure: an exit with idle workers waits for nothing."""
    before = time.perf_counter()
    script("pass")
    idle = time.perf_counter() - before
    before = time.perf_counter()
    script("job = pool.submit(('import time\\ndef run(start, stop): time.sleep(1000)', None), 2); job.next(0.1)")
    assert time.perf_counter() - before < idle + 30


def test_a_worker_that_was_abandoned_does_not_keep_the_process(script) -> None:  # type: ignore[no-untyped-def]
    out = script(
        """
        import atexit
        atexit.register(print, "exit handler")
        job = pool.submit(("import time\\ndef run(start, stop): time.sleep(1000)", None), 2)
        assert job.next(0.1) is None
        assert job.cancel(0.1) == [0, 1]
        assert sum(compute(pool), []) == list(range(10))
        sys.exit(4)
        """,
        4,
        timeout=30,
    )
    assert out == "exit handler\n"


def test_many_pools_at_exit(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        pools = [warm_pool() for _ in range(4)]
        del pools[0]
    """)


def test_a_forked_child_gets_its_own_signals(script) -> None:  # type: ignore[no-untyped-def]
    script("""
        import signal
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                os._exit(6)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    """)
