"""Retired segments: their pages move to unlinked files while others read, and every pointer stays right."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from firn import _core

# For the processes that the tests start: what is where, and waiting for a move to end.
TOOLS = """
import os, sys, time, firn
from firn import _core

def memory(what):
    lines = dict(line.split(":") for line in open("/proc/self/smaps_rollup") if ":" in line.partition("kB")[0])
    return int(lines[what].split()[0]) * 1024

def backing(segment):
    return next((s["backing"] for s in _core.segments() if s["id"] == segment), "gone")

def settle(segment):
    end = time.monotonic() + 60
    while backing(segment) in ("memory", "moving"):
        assert time.monotonic() < end, backing(segment)
        time.sleep(0.005)
    return backing(segment)

def freeze(megabytes):
    plain = {"rows": [b"%09d" % i + b"x" * 990 for i in range(megabytes * 1000)]}
    result = _core.freeze_roots(plain)
    return result.frozen["rows"], result.segment

def right(rows):
    return all(row == b"%09d" % i + b"x" * 990 for i, row in enumerate(rows))
"""


@pytest.fixture
def python(run_python, spool):
    def run(code, **options):
        done = run_python(TOOLS + textwrap.dedent(code), **({"FIRN_SPOOL": str(spool)} | options))
        assert done.returncode == 0, done.stderr
        assert not list(spool.iterdir())
        return done.stdout

    return run


def test_two_interpreters_read_the_right_bytes_while_the_pages_move(readers, spool, monkeypatch):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    rows = [{"number": i, "text": f"text {i}", "parts": (i, [i, {i}])} for i in range(60_000)]
    result = _core.freeze_roots({"rows": rows})
    readers.run(
        """
        import concurrent.interpreters as interpreters
        reading = interpreters.get_current() != interpreters.get_main()
        state = "file"
        while True:
            if reading:
                state = next((s["backing"] for s in _core.segments() if s["id"] == segment), "gone")
            for i, row in enumerate(frozen):
                assert row["number"] == i and row["text"] == f"text {i}"
                assert row["parts"] == (i, [i, {i}]) and hash(row["text"]) == hash(f"text {i}")
                if reading and state == "memory" and i == 1000:
                    _core.retire([segment])
            assert state != "kept"
            if state == "file":
                break
        """,
        result.frozen["rows"],
        segment=result.segment,
    )
    assert result.frozen["rows"] == rows


@pytest.mark.parametrize("guard", [True, False])
def test_memory_is_given_back_at_once(python, guard):
    python(
        """
        rows, segment = freeze(200)
        before, before_private = memory("Rss"), memory("Anonymous")
        _core.retire([segment])
        assert settle(segment) == "file"
        assert before - memory("Rss") > 190_000_000, (before, memory("Rss"))
        assert before_private - memory("Anonymous") > 190_000_000
        assert right(rows) and len(rows) == 200_000
        """,
        FIRN_GUARD=str(int(guard)),
    )


def test_the_file_is_private_and_has_no_name(python):
    python(
        """
        spool = os.environ["FIRN_SPOOL"]
        rows, segment = freeze(200)
        _core.retire([segment])
        modes = []
        while backing(segment) != "file":
            for file in os.listdir("/proc/self/fd"):
                try:
                    if os.readlink("/proc/self/fd/" + file).startswith(spool):
                        modes.append(os.stat("/proc/self/fd/" + file))
                except OSError:
                    pass
            assert os.listdir(spool) == []
        assert modes and all(mode.st_mode & 0o777 == 0o600 and mode.st_nlink == 0 for mode in modes), modes
        maps = [line.split() for line in open("/proc/self/maps") if spool in line]
        assert maps and all(line[1] == "r--p" and line[-1] == "(deleted)" for line in maps), maps
        assert not any(spool in os.readlink(f"/proc/self/fd/{f}") for f in os.listdir("/proc/self/fd")
                       if os.path.lexists(f"/proc/self/fd/{f}"))
        """
    )


@pytest.mark.parametrize("moment", ["moving", "file"])
def test_nothing_is_left_after_a_kill(spool, moment):
    code = f"""
        rows, segment = freeze(200)
        _core.retire([segment])
        while backing(segment) != {moment!r}:
            pass
        print("now", flush=True)
        time.sleep(60)
    """
    environment = os.environ | {"FIRN_SPOOL": str(spool)}
    command = [sys.executable, "-c", TOOLS + textwrap.dedent(code)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "now\n"
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert not list(spool.iterdir())


def test_a_process_that_ends_while_pages_move_ends_well(python):
    assert python("rows, segment = freeze(200)\n_core.retire([segment])\nprint('end')") == "end\n"


def test_without_room_data_stays_in_memory_until_there_is_some(python):
    python(
        """
        import resource
        rows, segment = freeze(20)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, unlimited[1]))
        _core.retire([segment])
        assert settle(segment) == "kept"
        assert _core.spool_problem() == (os.environ["FIRN_SPOOL"], os.strerror(27)), _core.spool_problem()
        assert right(rows)

        fits, small = freeze(2)
        _core.retire([small])
        assert settle(small) == "file" and backing(segment) == "kept" and _core.spool_problem()

        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        others, other = freeze(2)
        _core.retire([other])
        assert settle(other) == "file" and backing(segment) == "file" and _core.spool_problem() is None
        assert right(rows) and right(fits) and right(others)
        """
    )


@pytest.mark.parametrize(
    ("folder", "reason"), [("/dev/shm", "it is memory itself (tmpfs)"), ("/proc/no", os.strerror(2))]
)
def test_a_folder_that_is_memory_or_missing_is_not_used(python, folder, reason):
    if folder == "/dev/shm":
        kinds = {line.split()[1]: line.split()[2] for line in Path("/proc/mounts").read_text().splitlines()}
        assert kinds.get(folder) == "tmpfs", "Linux has a tmpfs there"
    python(
        f"""
        rows, segment = freeze(2)
        _core.retire([segment])
        assert settle(segment) == "kept" and _core.spool_problem() == ({folder!r}, {reason!r}), _core.spool_problem()
        assert right(rows)
        """,
        FIRN_SPOOL=folder,
    )


def test_children_read_what_retired_and_retire_what_is_theirs(python):
    python(
        """
        def child(*segments):
            number = os.fork()
            if number == 0:
                status = 1
                try:
                    mine, own = freeze(5)
                    _core.retire([own])
                    good = settle(own) == "file" and all(settle(segment) == "file" for segment in segments)
                    status = 0 if good and right(mine) and right(rows) and right(firn.thaw(rows)) else 2
                finally:
                    os._exit(status)
            return number

        rows, segment = freeze(200)
        _core.retire([segment])
        children = []
        while backing(segment) != "file":  # forks in the middle of it
            if len(children) < 3:
                children.append(child(segment))
            time.sleep(0.001)
        assert backing(segment) == "file" and children
        children.append(child(segment))
        later, other = freeze(5)
        _core.retire([other])
        assert settle(other) == "file"
        assert [os.waitpid(number, 0)[1] for number in children] == [0] * len(children)
        assert right(rows) and right(later)
        """
    )


def test_retired_data_is_frozen_still(python, run_python, spool):
    write = """
        import ctypes
        rows, segment = freeze(2)
        _core.retire([segment])
        assert settle(segment) == "file"
        ctypes.c_uint32.from_address(id(rows[5])).value = ctypes.c_uint32.from_address(id(rows[5])).value
        print("written")
    """
    guarded = run_python(TOOLS + textwrap.dedent(write), FIRN_SPOOL=str(spool))
    assert guarded.returncode == -signal.SIGSEGV and "written" not in guarded.stdout
    assert python(write, FIRN_GUARD="0") == "written\n"


def test_frozen_anew_with_retired_data_inside(python):
    python(
        """
        rows, segment = freeze(20)
        _core.retire([segment])
        again = firn.freeze({"rows": rows, "row": rows[7]})  # while they move
        assert settle(segment) == "file"
        assert again["rows"] is rows and again["row"] is rows[7] and right(again["rows"])
        assert right(firn.thaw(again)["rows"])
        """
    )


def test_retiring_twice_or_what_is_no_segment_does_nothing(python):
    python(
        """
        rows, segment = freeze(2)
        few, tiny = freeze(0), _core.freeze_roots({"few": [1.5, "ab"]}).segment
        _core.retire([segment, segment, tiny, 0, 10**9])
        assert settle(segment) == "file" and backing(tiny) == "gone"
        _core.retire([segment])
        time.sleep(0.05)
        assert backing(segment) == "file" and _core.spool_problem() is None and right(rows)
        assert _core.segments_of([rows, rows[3], tiny, [rows], None]) == [segment]
        assert _core.count_segments() == len(_core.segments()) + 1
        """
    )


@pytest.mark.long
def test_thousands_of_retired_segments(python):
    python(
        """
        import resource
        kept, ids = [], []
        for i in range(3000):
            result = _core.freeze_roots({"part": [b"%06d" % i * 20_000, b"%06d" % i]})
            kept.append(result.frozen["part"])
            ids.append(result.segment)
        files = len(os.listdir("/proc/self/fd"))
        _core.retire(ids[::2])
        assert {settle(segment) for segment in ids[::2]} == {"file"}
        assert len(os.listdir("/proc/self/fd")) == files
        assert all(part == [b"%06d" % i * 20_000, b"%06d" % i] for i, part in enumerate(kept))
        """
    )
