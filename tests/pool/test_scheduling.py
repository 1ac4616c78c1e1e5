"""Chunks: every item once, sizes that adapt, pinned items, turns."""

import threading
import time
from collections.abc import Callable

import pytest
from firn import _core

type Run = Callable[..., list[_core.Event]]

RANGE = "def run(start, stop): return list(range(start, stop))"


def items(events: list[_core.Event]) -> list[object]:
    chunks = sorted((event for event in events if event.kind == "chunk"), key=lambda event: event.start)
    return [item for event in chunks for item in event.result]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000, 100_003])
def test_every_item_is_computed_once(run: Run, count: int) -> None:
    assert items(run(RANGE, count)) == list(range(count))


@pytest.mark.parametrize("chunk", [1, 3, 10, 1000])
def test_a_fixed_chunk_size_is_kept(run: Run, chunk: int) -> None:
    sizes = [event.stop - event.start for event in sorted(run(RANGE, 100, chunk=chunk), key=lambda event: event.start)]
    assert all(size == chunk for size in sizes[:-1])
    assert 1 <= sizes[-1] <= chunk


def test_cheap_items_come_in_large_chunks(run: Run) -> None:
    events = run("def run(start, stop): return None", 10_000_000)
    assert len(events) < 200


def test_items_with_results_of_their_own_come_in_chunks_that_fit_a_cache(run: Run) -> None:
    """Longer ones save no merging, and what they make would come from memory."""
    events = run("def run(start, stop): return [str(n) for n in range(start, stop)]", 1_000_000)
    assert max(event.stop - event.start for event in events) < 100_000
    assert items(events) == [str(n) for n in range(1_000_000)]


def test_results_that_many_items_share_come_in_large_chunks(run: Run) -> None:
    events = run("def run(start, stop): return {n % 100 for n in range(start, stop)}", 10_000_000)
    assert max(event.stop - event.start for event in events) > 300_000


def test_results_that_turn_out_to_be_shared_come_in_large_chunks(run: Run) -> None:
    """Of few items every one seems to have its own."""
    events = run("def run(start, stop): return {hash((n, 1)) % 20_000 for n in range(start, stop)}", 3_000_000)
    assert max(event.stop - event.start for event in events) > 20_000


def test_dear_items_come_alone(run: Run) -> None:
    events = run("import time\ndef run(start, stop): time.sleep(0.25 * (stop - start))", 8)
    assert [event.stop - event.start for event in events] == [1] * 8


def test_all_workers_take_part(run: Run) -> None:
    assert {event.rank for event in run("import time\ndef run(start, stop): time.sleep(0.02)", 10)} == {0, 1}


def test_fewer_workers_on_request(run: Run) -> None:
    events = run("import time\ndef run(start, stop): time.sleep(0.01)", 10, workers=1)
    assert {event.rank for event in events} == {0}


def test_a_pinned_item_runs_on_its_own_worker(run: Run) -> None:
    for _ in range(5):
        events = run("def run(start, stop): return start, stop", 2, pinned=True)
        assert sorted((event.rank, event.result) for event in events) == [(0, (0, 1)), (1, (1, 2))]


def test_more_pinned_items_than_workers_are_refused(pool: _core.Pool) -> None:
    with pytest.raises(ValueError, match="cannot pin 3 items to 2 workers"):
        pool.submit((RANGE, None), 3, pinned=True)


def test_begin_is_called_once_per_job_and_worker(run: Run) -> None:
    source = "data.append(0)\ndef run(start, stop): return len(data)"
    events = run(source, 50, data=[], chunk=1)
    assert {event.result for event in events} == {1}


def test_a_second_job_from_another_thread_waits_its_turn(pool: _core.Pool, run: Run) -> None:
    first = pool.submit(("import time\ndef run(start, stop): time.sleep(0.02)", None), 20, chunk=1)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(items(run(RANGE, 100))))
    thread.start()
    ended = []
    while (event := first.next()) is not None:
        ended.append(event.ended)
    thread.join()
    assert found == list(range(100))
    assert len(ended) == 20


def test_times_are_those_of_perf_counter(run: Run) -> None:
    before = time.perf_counter()
    events = run("import time\ndef run(start, stop): time.sleep(0.01)", 4, chunk=1)
    after = time.perf_counter()
    for event in events:
        assert before <= event.began <= event.ended <= after
        assert event.ended - event.began >= 0.01
        assert event.setup_seconds >= 0
        assert event.freeze_seconds >= 0


def test_next_returns_after_its_timeout(pool: _core.Pool) -> None:
    job = pool.submit(("import time\ndef run(start, stop): time.sleep(0.2)", None), 1)
    before = time.perf_counter()
    assert job.next(0.05) is None
    assert not job.done
    assert time.perf_counter() - before >= 0.05
    event = job.next()
    assert event is not None
    assert event.kind == "chunk"


def test_truncate_drops_what_is_not_wanted(pool: _core.Pool) -> None:
    job = pool.submit(("def run(start, stop):\n while start > 2: pass\n return start", None), 100, chunk=1)
    first = job.next()
    assert first is not None
    time.sleep(0.05)
    job.truncate(3)
    events = [first]
    while (event := job.next()) is not None:
        events.append(event)
    assert job.done
    assert sorted(event.result for event in events) == [0, 1, 2]


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 worker"):
        _core.Pool(0)
