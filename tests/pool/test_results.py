"""Results come whole and are given back, whatever their size."""

import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from firn import _core

type Run = Callable[..., list[_core.Event]]


def resident() -> int:
    """Bytes of this process in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(10**50), 1.5, 2j, "", "text é \ud800", b"bytes", (), (1, (2,)), [], [1, [2]], {}, {"a": {1: 2}},
        {1, 2}, frozenset({3}), range(5), slice(1, 2),
    ],
)  # fmt: skip
def test_a_result_is_what_the_serial_code_gives(run: Run, value: object) -> None:
    result = run(f"def run(start, stop): return {value!r}", 1)[0].result
    assert result == value
    assert type(result) is type(value)


def test_containers_are_plain_and_mutable(run: Run) -> None:
    result = run("def run(start, stop): return {'rows': [{'tags': set('ab')}]}", 1)[0].result
    result["rows"][0]["tags"].add("c")
    result["rows"].append(1)
    assert result == {"rows": [{"tags": {"a", "b", "c"}}, 1]}
    assert type(result["rows"]) is list


def test_frozen_values_cross_both_ways_as_the_same_pointers(run: Run) -> None:
    rows = _core.freeze([{"id": i} for i in range(1000)])
    events = run("def run(start, stop): return data, data[start:stop]", 1000, data=rows, chunk=500)
    for event in sorted(events, key=lambda event: event.start):
        whole, part = event.result
        assert whole is rows
        assert all(ours is theirs for ours, theirs in zip(part, list(rows)[event.start : event.stop], strict=True))


def test_sharing_and_cycles_are_kept(run: Run) -> None:
    source = "def run(start, stop):\n x = []\n x.append(x)\n y = {}\n return [x, y, y]"
    x, y, z = run(source, 1)[0].result
    assert x[0] is x
    assert y is z


def test_the_result_is_made_once(run: Run) -> None:
    event = run("def run(start, stop): return [1]", 1)[0]
    assert event.result is event.result
    assert not event.pickled


def test_what_cannot_be_frozen_is_packed_by_the_runtime(run: Run) -> None:
    import decimal
    import pickle

    event = run("import decimal\ndef run(start, stop): return [decimal.Decimal('1.1')]", 1)[0]
    assert event.pickled
    assert pickle.loads(event.result) == [decimal.Decimal("1.1")]


def test_only_a_chunk_has_a_result(run: Run) -> None:
    event = run("1 / 0", 1)[0]
    with pytest.raises(AttributeError, match="kind 'chunk'"):
        event.result  # noqa: B018


@pytest.mark.parametrize("read", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_result_of_one_gigabyte_works_and_is_given_back(run: Run, read: bool) -> None:
    before = resident()
    for _ in range(2):
        event = run("def run(start, stop): return [bytes([7]) * 1_000_000_000]", 1)[0]
        if read:
            result = event.result
            assert len(result[0]) == 1_000_000_000
            assert result[0][:: 10**8] == b"\7" * 10
            del result
        del event
    # The worker's own copy is freed before its next job at the latest.
    run("def run(start, stop): pass", 2, pinned=True)
    deadline = time.monotonic() + 20
    while resident() - before > 200_000_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert resident() - before < 200_000_000


def test_results_that_nobody_reads_are_given_back(pool: _core.Pool) -> None:
    before = resident()
    for _ in range(10):
        job = pool.submit(
            ("def run(start, stop): return ['x' * 1000 + str(i) for i in range(20_000)]", None), 8, chunk=1
        )
        job.next()
        job.cancel()
        del job
    assert resident() - before < 200_000_000


def test_a_job_lets_go_of_its_setup(run: Run, pool: _core.Pool) -> None:
    """Workers keep what begin() gave only until the job has been computed."""
    source = """
import weakref
class Kept: pass
thing = Kept()
kept['thing'] = weakref.ref(thing)
def run(start, stop): return thing is not None
"""
    run(source, 2, pinned=True)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if all(event.result for event in run("def run(start, stop): return kept['thing']() is None", 2, pinned=True)):
            return
    raise AssertionError("a worker still has the setup of an old job")


def test_events_and_jobs_are_freed(pool: _core.Pool) -> None:
    class Marker(list[int]):
        pass

    marker = Marker()
    reference = weakref.ref(marker)
    job = pool.submit(("def run(start, stop): return 1", list(marker)), 1)
    event = job.next()
    assert event is not None
    del marker, job, event
    assert reference() is None
