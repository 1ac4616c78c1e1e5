"""Pools come and go: threads, interpreters and memory with them."""

import concurrent.interpreters
import os
import threading
import time
from pathlib import Path

import pytest
from firn import _core

SOURCE = "def run(start, stop): return [str(i) * 100 for i in range(start, stop)]"


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_use_and_close(workers: int) -> None:
    pool = _core.Pool(workers, "pool_runtime")
    job = pool.submit((SOURCE, None), 1000)
    while (event := job.next()) is not None:
        assert event.kind == "chunk", event.error
    pool.close()
    assert pool.workers() == []


def settled(expected: int) -> bool:
    deadline = time.monotonic() + 10
    while threads() > expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return threads() <= expected


def test_twenty_pools_leave_nothing_behind() -> None:
    for _ in range(5):
        open_use_and_close(4)
    before = resident(), len(concurrent.interpreters.list_all())
    here = threads()
    for _ in range(20):
        open_use_and_close(4)
    assert settled(here)
    assert len(concurrent.interpreters.list_all()) == before[1]
    # One interpreter that is not given back is 2 MB; there were 80.
    assert resident() - before[0] < 20_000_000


def test_a_pool_that_is_dropped_ends_its_workers() -> None:
    here = threads()
    for _ in range(3):
        pool = _core.Pool(2, "pool_runtime")
        job = pool.submit((SOURCE, None), 10)
        while job.next() is not None:
            pass
        del pool, job
    assert settled(here)


def test_a_pool_may_be_dropped_before_its_jobs() -> None:
    pool = _core.Pool(2, "pool_runtime")
    job = pool.submit((SOURCE, None), 10)
    del pool
    while job.next() is not None:
        pass
    assert job.done


def test_closing_ends_the_jobs_of_other_threads() -> None:
    pool = _core.Pool(1, "pool_runtime")
    job = pool.submit(("def run(start, stop):\n while True: pass", None), 10)
    threading.Timer(0.1, pool.close).start()
    with pytest.raises(RuntimeError, match="the pool is closed"):
        while (event := job.next()) is not None:
            assert event.kind == "failed"


def test_a_pool_is_resized() -> None:
    pool = _core.Pool(1, "pool_runtime")
    for size in (3, 1, 4, 2):
        pool.resize(size)
        assert pool.size == size
        job = pool.submit(("def run(start, stop): return start", None), size, pinned=True)
        ranks = set()
        while (event := job.next()) is not None:
            assert event.result == event.rank
            ranks.add(event.rank)
        assert ranks == set(range(size))
        deadline = time.monotonic() + 10
        while len(pool.workers()) != size and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [worker["rank"] for worker in pool.workers()] == list(range(size))
    pool.close()


def test_what_a_worker_keeps_survives_a_resize() -> None:
    pool = _core.Pool(2, "pool_runtime")

    def pinned(source: str) -> list[object]:
        job = pool.submit((source, None), pool.size, pinned=True)
        events = []
        while (event := job.next()) is not None:
            events.append(event)
        return [event.result for event in sorted(events, key=lambda event: event.rank)]

    pinned("def run(start, stop): kept['rank'] = start")
    pool.resize(3)
    assert pinned("def run(start, stop): return kept.get('rank')") == [0, 1, None]
    pool.close()


def test_a_closed_pool_says_so() -> None:
    pool = _core.Pool(2, "pool_runtime")
    pool.warm()
    pool.close()
    for use in (pool.warm, lambda: pool.resize(2), lambda: pool.submit((SOURCE, None), 1)):
        with pytest.raises(RuntimeError, match="the pool is closed"):
            use()
    pool.close()


def test_many_pools_at_once_start_without_harm() -> None:
    pools = [_core.Pool(4, "pool_runtime") for _ in range(5)]
    for pool in pools:
        pool.warm()
    for pool in pools:
        job = pool.submit((SOURCE, None), 100)
        while (event := job.next()) is not None:
            assert event.kind == "chunk", event.error
        pool.close()


def test_the_pool_is_sized_by_what_the_process_may_use() -> None:
    usable = os.process_cpu_count()
    assert usable is not None
    assert 1 <= _core.cpu_count() <= usable
