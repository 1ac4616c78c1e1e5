"""What workers print: whole, in the order of the items, as it comes, in bounded memory."""

import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from firn import _core

type Run = Callable[..., list[_core.Event]]


def written(events: list[_core.Event], stream: str = "stdout") -> str:
    return "".join(event.text for event in events if event.kind == "output" and event.stream == stream)


@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_output_comes_in_the_order_of_the_items(run: Run, chunk: int) -> None:
    source = """
import random, sys, time
def run(start, stop):
    for i in range(start, stop):
        time.sleep(random.random() * 0.002)
        print("item", i)
        print("error", i, file=sys.stderr)
"""
    events = run(source, 150, chunk=chunk)
    assert written(events) == "".join(f"item {i}\n" for i in range(150))
    assert written(events, "stderr") == "".join(f"error {i}\n" for i in range(150))


def test_the_streams_keep_their_order_among_each_other(run: Run) -> None:
    source = """
import sys
def run(start, stop):
    for i in range(start, stop):
        sys.stdout.write(f"o{i} ")
        sys.stderr.write(f"e{i} ")
"""
    events = run(source, 100)
    assert "".join(event.text for event in events if event.kind == "output") == "".join(
        f"o{i} e{i} " for i in range(100)
    )


def test_the_first_chunk_writes_through_while_it_runs(pool: _core.Pool) -> None:
    source = """
import time
def run(start, stop):
    print("at once")
    while not data_exists(): time.sleep(0.01)
import os
def data_exists(): return os.environ.get("FIRN_TEST_GO") or start_time + 20 < time.monotonic()
start_time = time.monotonic()
"""
    job = pool.submit((source, None), 1)
    event = job.next(10)
    assert event is not None
    assert (event.kind, event.text, event.start, event.stop) == ("output", "at once\n", 0, 1)
    assert not job.done
    job.cancel()


def test_a_cancelled_job_gives_what_had_been_printed_in_its_turn(pool: _core.Pool, tmp_path: Path) -> None:
    source = """
import pathlib, time
def run(start, stop):
    print(f"begun {start}")
    if start == 2:
        print("second line")
        pathlib.Path(data).touch()
    while start: time.sleep(0.005)
"""
    printed = tmp_path / "printed"
    job = pool.submit((source, str(printed)), 4, chunk=2)
    event = job.next(10)
    while event is None or event.kind != "chunk":
        event = job.next(10)
    while not printed.exists():
        time.sleep(0.005)
    assert job.cancel() == [] and not job.done
    text = ""
    while (event := job.next()) is not None:
        assert event.kind == "output"
        text += event.text
    assert text == "begun 2\nsecond line\n" and job.done


def test_the_output_of_a_chunk_comes_before_its_result(run: Run) -> None:
    events = run("def run(start, stop): print(start)", 1)
    assert [event.kind for event in events] == ["output", "chunk"]


def test_pinned_output_is_live(pool: _core.Pool) -> None:
    job = pool.submit(
        ("def run(start, stop):\n print('rank', start, flush=True)\n while True: pass", None), 2, pinned=True
    )
    texts = set()
    for _ in range(2):
        event = job.next(10)
        assert event is not None
        assert event.text == f"rank {event.rank}\n"
        texts.add(event.text)
    assert texts == {"rank 0\n", "rank 1\n"}
    job.cancel()


@pytest.mark.parametrize("megabytes", [10, 100])
def test_much_output_arrives_whole(run: Run, megabytes: int) -> None:
    lines = megabytes * 1000
    source = f"""
import sys
line = "x" * 992 + "%07d\\n"
def run(start, stop):
    for i in range(start * {lines // 10}, stop * {lines // 10}):
        sys.stdout.write(line % i)
"""
    text = written(run(source, 10))
    assert len(text) == megabytes * 1_000_000
    assert [int(line[-7:]) for line in text.split("\n")[:-1]] == list(range(lines))


def test_one_write_of_100_megabytes(run: Run) -> None:
    events = run("def run(start, stop): print('é' * 50_000_000)", 1)
    assert written(events) == "é" * 50_000_000 + "\n"


def test_unread_output_is_bounded(pool: _core.Pool) -> None:
    """Every worker waits until what it wrote is read, also those whose chunk is not the first."""
    source = "def run(start, stop):\n for _ in range(500): print('x' * 1_000_000)"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    job = pool.submit((source, None), 2, chunk=1)
    time.sleep(1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    total = 0
    while (event := job.next()) is not None:
        if event.kind == "output":
            total += len(event.text)
    assert total == 2 * 500 * 1_000_001


def test_a_worker_that_waits_to_be_read_can_be_cancelled(pool: _core.Pool) -> None:
    job = pool.submit(("def run(start, stop):\n while True: print('x' * 1_000_000)", None), 4, chunk=1)
    time.sleep(0.3)
    assert job.cancel() == []
    while (event := job.next()) is not None:
        assert event.kind == "output"
    assert job.done


def test_the_output_of_truncated_items_is_dropped(pool: _core.Pool) -> None:
    job = pool.submit(("import time\ndef run(start, stop):\n print(start); time.sleep(0.05)", None), 8, chunk=1)
    time.sleep(0.1)
    job.truncate(2)
    events = []
    while (event := job.next()) is not None:
        events.append(event)
    assert written(events) == "0\n1\n"


def test_text_of_every_kind(run: Run) -> None:
    text = "a\0b é 漢 🎉 \ud800 \r\n"
    assert written(run(f"def run(start, stop): print({text!r}, end='')", 1)) == text


def test_a_thread_in_a_worker_writes_too(run: Run) -> None:
    source = """
import threading
def run(start, stop):
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
"""
    assert written(run(source, 1)) == "from a thread\n"


def test_two_jobs_keep_their_output_apart(pool: _core.Pool) -> None:
    found: dict[str, str] = {}

    def read(name: str) -> None:
        job = pool.submit((f"def run(start, stop):\n for i in range(start, stop): print({name!r}, i)", None), 500)
        events = []
        while (event := job.next()) is not None:
            events.append(event)
        found[name] = written(events)

    threads = [threading.Thread(target=read, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: "".join(f"{name} {i}\n" for i in range(500)) for name in "abc"}


def test_the_notebook_is_no_worker() -> None:
    with pytest.raises(RuntimeError, match="for workers"):
        _core.worker_write(1, "x")
