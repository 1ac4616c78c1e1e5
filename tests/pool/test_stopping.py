"""Interrupts, cancelled jobs, workers that do not stop."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from firn import _core

type Run = Callable[..., list[_core.Event]]

SPIN = "def run(start, stop):\n  while True: pass"
SLEEP = "import time\ndef run(start, stop): time.sleep(1000)"
NAP = "import time\ndef run(start, stop): time.sleep(3)"
SWALLOW = """
def run(start, stop):
    while True:
        try:
            while True: pass
        except BaseException:
            pass
"""
IN_C = "def run(start, stop): return sum(range(3 * 10 ** 8))"


@pytest.fixture
def own_pool() -> Iterator[_core.Pool]:
    pool = _core.Pool(2, "pool_runtime")
    yield pool
    pool.close()


def start(pool: _core.Pool, source: str, count: int, **options: bool) -> _core.Job:
    """A job that computes on as many workers as it can."""
    job = pool.submit((source, None), count, **options)
    deadline = time.monotonic() + 30
    while [worker["state"] for worker in pool.workers()].count("busy") < min(count, pool.size):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(0.05)  # begin() is over, most likely
    assert job.next(0) is None
    return job


def works(pool: _core.Pool) -> bool:
    job = pool.submit(("def run(start, stop): return list(range(start, stop))", None), 20)
    found: list[int] = []
    while (event := job.next()) is not None:
        assert event.kind == "chunk", event.error
        found += event.result
    return sorted(found) == list(range(20))


def generations(pool: _core.Pool) -> list[int]:
    return [worker["generation"] for worker in pool.workers() if worker["state"] != "abandoned"]


@pytest.mark.parametrize("turn", range(3))
def test_an_endless_loop_is_stopped_without_replacing_the_worker(pool: _core.Pool, turn: int) -> None:
    before = generations(pool)
    job = start(pool, SPIN, 10)
    assert job.cancel() == []
    assert job.done
    assert job.next() is None
    assert works(pool)
    assert generations(pool) == before or turn == 0


def test_stopping_never_hits_the_next_job(pool: _core.Pool) -> None:
    """Short chunks end by themselves at the very moment when they are told to stop."""
    source = "def run(start, stop):\n for _ in range(data): pass"
    for turn in range(300):
        job = pool.submit((source, 50 * turn), 1000, chunk=1)
        job.next()
        assert job.cancel() == []
        assert works(pool)


def test_truncating_never_hits_what_is_wanted(pool: _core.Pool) -> None:
    source = "def run(start, stop):\n for _ in range(data): pass\n return start"
    for turn in range(200):
        job = pool.submit((source, 100 * turn), 40, chunk=1)
        first = job.next()
        assert first is not None
        job.truncate(20)
        found = [first.result]
        while (event := job.next()) is not None:
            assert event.kind == "chunk", event.error
            found.append(event.result)
        assert sorted(found) == sorted(set(found))
        assert set(range(20)) <= set(found)


@pytest.mark.parametrize("source", [SWALLOW, IN_C, SLEEP], ids=["swallows everything", "in C", "sleeps"])
def test_a_worker_that_does_not_stop_is_replaced(own_pool: _core.Pool, source: str) -> None:
    assert works(own_pool)
    job = start(own_pool, source, 2)
    assert sorted(job.cancel(0.1)) == [0, 1]
    assert job.done
    assert works(own_pool)
    assert generations(own_pool) == [1, 1]


def test_an_abandoned_worker_that_comes_back_is_cleaned_up(own_pool: _core.Pool) -> None:
    job = start(own_pool, NAP, 2)
    assert sorted(job.cancel(0.1)) == [0, 1]
    assert sorted(worker["state"] for worker in own_pool.workers()).count("abandoned") == 2
    deadline = time.monotonic() + 30
    while len(own_pool.workers()) > 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [(worker["rank"], worker["generation"]) for worker in own_pool.workers()] == [(0, 1), (1, 1)]


def test_code_that_swallows_one_stop_gets_another(pool: _core.Pool) -> None:
    source = """
def run(start, stop):
    try:
        while True: pass
    except BaseException:
        while True: pass
"""
    job = start(pool, source, 1)
    assert job.cancel(5) == []


def test_finally_runs_when_a_chunk_is_stopped(pool: _core.Pool, run: Run) -> None:
    source = """
def run(start, stop):
    try:
        while True: pass
    finally:
        kept["cleaned"] = kept.get("cleaned", 0) + 1
"""
    count = "def run(start, stop): return kept.pop('cleaned', 0)"
    run(count, 2, pinned=True)
    job = start(pool, source, 2, pinned=True)
    assert job.cancel() == []
    assert [event.result for event in run(count, 2, pinned=True)] == [1, 1]


def test_a_truncated_chunk_that_does_not_stop_does_not_hold_up_the_job(own_pool: _core.Pool) -> None:
    source = "import time\ndef run(start, stop):\n if start: time.sleep(60)\n return start"
    job = own_pool.submit((source, None), 2, chunk=1)
    first = job.next()
    assert first is not None
    while "busy" not in [worker["state"] for worker in own_pool.workers()]:
        time.sleep(0.01)
    time.sleep(0.05)
    job.truncate(1)
    assert job.next() is None
    assert job.done


def press(after: float) -> None:
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()


@pytest.mark.parametrize("source", [SPIN, SLEEP], ids=["computes", "sleeps"])
def test_ctrl_c_wakes_the_notebook_at_once(own_pool: _core.Pool, source: str) -> None:
    for _ in range(3):
        job = start(own_pool, source, 2)
        press(0.2)
        with pytest.raises(KeyboardInterrupt):
            job.next(60)
        job.cancel(0.2)
        assert works(own_pool)


def test_a_second_ctrl_c_abandons_at_once(own_pool: _core.Pool) -> None:
    job = start(own_pool, SLEEP, 2)
    press(0.2)
    with pytest.raises(KeyboardInterrupt):
        job.cancel(1000)
    assert job.done
    assert works(own_pool)
    assert generations(own_pool) == [1, 1]


def test_ctrl_c_while_the_workers_start() -> None:
    for pause in (0.0, 0.002, 0.005, 0.01, 0.03):
        pool = _core.Pool(3, "pool_runtime")
        try:
            try:
                press(pause)
                assert works(pool)
                pool.resize(5)
                pool.resize(1)
                time.sleep(0.5)
            except KeyboardInterrupt:
                pass
            assert works(pool)
        finally:
            pool.close()


def test_ctrl_c_while_the_pool_closes() -> None:
    pool = _core.Pool(2, "pool_runtime")
    job = start(pool, SLEEP, 2)  # noqa: F841
    press(0.2)
    with pytest.raises(KeyboardInterrupt):
        pool.close()
    pool.close()
    with pytest.raises(RuntimeError, match="the pool is closed"):
        pool.submit((SPIN, None), 1)


def test_what_was_stopped_is_accounted_for(own_pool: _core.Pool) -> None:
    """A chunk that was stopped, one whose worker had to be abandoned, and one that was whole when nobody wanted it."""
    job = start(own_pool, "import time\ndef run(start, stop):\n  while start: pass\n  time.sleep(10)", 2, chunk=1)
    before = time.perf_counter()
    assert job.cancel(0.5)
    found = {lost[0]: lost for lost in job.lost}
    assert sorted(found) == [0, 1]
    for start_, stop, rank, began, ended, *_, whole in found.values():
        assert stop == start_ + 1 and rank in (0, 1) and not whole
        assert began < before < ended <= time.perf_counter()
    job = own_pool.submit(("def run(start, stop): return start", None), 2, chunk=1, workers=1)
    after = own_pool.submit(("def run(start, stop): return start", None), 1, workers=1)
    while after.next() is not None:
        pass
    job.truncate(0)
    assert sorted((lost[0], lost[-1]) for lost in job.lost) == [(0, True), (1, True)]


def test_a_dropped_job_is_stopped(pool: _core.Pool) -> None:
    job = start(pool, SPIN, 100)
    del job
    assert works(pool)


def test_a_stop_during_begin(pool: _core.Pool) -> None:
    job = start(pool, "while True: pass", 2)
    assert job.cancel() == []
    assert works(pool)


def test_a_stop_reaches_code_while_a_thread_of_the_worker_runs(own_pool: _core.Pool) -> None:
    source = """
import threading
flag = threading.Event()
def spin():
    while not flag.is_set(): pass
def run(start, stop):
    thread = threading.Thread(target=spin)
    thread.start()
    try:
        while True: pass
    finally:
        flag.set()
"""
    job = start(own_pool, source, 2)
    assert job.cancel(10) == []
    assert works(own_pool)


def test_closing_with_busy_workers_and_open_jobs() -> None:
    pool = _core.Pool(2, "pool_runtime")
    jobs = [start(pool, SPIN, 100), pool.submit((SPIN, None), 100)]
    pool.close()
    assert pool.workers() == []
    for job in jobs:
        job.close()
