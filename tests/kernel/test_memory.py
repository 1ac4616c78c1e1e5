"""What the kernel holds of the system's memory."""

import os
import re
import time

import pytest


@pytest.mark.row("memory goes back to the system")
@pytest.mark.unsanitized
def test_memory_that_cells_have_freed_goes_back_to_the_system(new_kernel):
    """Also where some of what lives lies behind it, so that the C library would keep it."""
    kernel = new_kernel()
    assert kernel.run("many = [bytes(1000) for n in range(100_000)]").status == "ok"
    assert kernel.process.memory_info().rss > 100e6
    assert kernel.run("few = many[::1000]\ndel many").status == "ok"
    end = time.monotonic() + 60
    while kernel.process.memory_info().rss > 60e6:
        assert time.monotonic() < end, kernel.process.memory_info()
        time.sleep(0.1)
    assert kernel.run("len(few), set(map(len, few))").result == "(100, {1000})"


@pytest.mark.unsanitized
def test_memory_that_workers_have_freed_goes_back_to_the_system(new_kernel):
    """Also where what lives keeps each of CPython's arenas in use."""
    kernel = new_kernel()
    cell = "import sys\nmany = [(n,) for n in range(1_000_000)]\nsys.few = many[::3000]\ndel many"
    assert kernel.run(f"%%parallel --each --quiet --workers 1\n{cell}").status == "ok"
    most = kernel.process.memory_info().rss
    end = time.monotonic() + 60
    while kernel.process.memory_info().rss > most - 40e6:
        assert time.monotonic() < end, (most, kernel.process.memory_info())
        time.sleep(0.1)
    read = "import sys\nright = sys.few == [(n,) for n in range(0, 1_000_000, 3000)]"
    assert kernel.run(f"%%parallel --each --quiet --workers 1 --gather right\n{read}").status == "ok"
    assert kernel.run("list(right)").result == "[True]"


REMEMBERED = """
import executing.executing as library
kinds = [library.Source, *library.Source.__subclasses__()]
caches = [vars(kind).get(name, {}) for kind in kinds for name in ("__source_cache_with_lines", "__executing_cache")]
cells = [key for cache in caches for key in cache if "firn_kernel_" in str(key)]
sum(map(len, caches)), len(cells), library.Source.statements_at_line.cache_info().currsize
"""


def test_what_failing_cells_looked_like_is_forgotten(new_kernel):
    kernel = new_kernel()
    kernel.run("import json\ndef fail(n):\n    json.loads('{' * n)")
    for n in range(20):
        assert kernel.run(f"value = {n} + 1\nfail(value)").reply["content"]["ename"] == "JSONDecodeError"
    # Nobody knows how many of them were forgotten meanwhile; the modules in the tracebacks stay.
    end = time.monotonic() + 60
    while (found := eval(kernel.run(REMEMBERED).result))[1:] != (0, 0):
        assert time.monotonic() < end, found
        time.sleep(0.5)
    assert found[0] > 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(kernel.run("fail(3)").reply["content"]["traceback"]))
    assert "json.loads('{' * n)" in text


def test_what_runs_cells_is_forgotten_with_them(new_kernel):
    kernel = new_kernel()
    kernel.run("import asyncio")
    machinery = REMEMBERED.replace("firn_kernel_", "asyncio")
    end = time.monotonic() + 60
    seen = 0
    while not seen:  # it is forgotten five seconds after a cell
        assert time.monotonic() < end
        outcome = kernel.run("await asyncio.wait_for(asyncio.sleep(9), 0.01)")
        assert outcome.reply["content"]["ename"] == "TimeoutError"
        seen = eval(kernel.run(machinery).result)[1]
    while (found := eval(kernel.run(machinery).result))[1]:
        assert time.monotonic() < end, found
        time.sleep(0.5)


@pytest.mark.row("memory goes back to the system")
@pytest.mark.unsanitized
def test_frozen_data_that_no_variable_needs_is_given_back(new_kernel):
    """For that all threads that Python knows must be stopped for a moment, the kernel's own among them."""
    kernel = new_kernel()
    subshell = kernel.control("create_subshell_request", {})["content"]["subshell_id"]
    for n in range(12):
        assert kernel.run(f"rows = [[f'row {{n}}', n + {n}] for n in range(5000)]").status == "ok"
        outcome = kernel.run("%%parallel --quiet\nfound = [len(row) for row in rows]\nsum(found)")
        assert outcome.result == "10000"
    assert kernel.run("del rows\nfrom firn import _core").status == "ok"
    end = time.monotonic() + 60
    while kernel.run("_core.scan_figures()['freed'] >= 10", store_history=False).result != "True":
        assert time.monotonic() < end, kernel.run("_core.scan_figures(), _core.segments()").result
        kernel.run("_core.rescan(True), _core.settle()", store_history=False)
    assert kernel.control("delete_subshell_request", {"subshell_id": subshell})["content"]["status"] == "ok"


ARENAS = """
import ctypes
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
def arenas(path):
    stream = libc.fopen(path.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    return open(path).read().count("<heap nr=")
"""


@pytest.mark.unsanitized
def test_threads_that_came_and_went_leave_no_arenas_behind(new_kernel, tmp_path):
    kernel = new_kernel()
    assert kernel.run(ARENAS).status == "ok"
    for n in range(4):
        assert kernel.run(f"%%parallel --each --quiet\nprint({n})").status == "ok"
        assert kernel.run(f"%%parallel --background job\nlater = [{n} for n in range(100)]").status == "ok"
        assert kernel.run("await job\nlen(later)").result == "100"
        assert kernel.run("%parallel restart").status == "ok"
    assert 1 < int(kernel.run(f"arenas({str(tmp_path / 'arenas')!r})").result) <= max(2, os.cpu_count()) + 1
