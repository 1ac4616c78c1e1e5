import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firn import _core

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def _runtime_on_path() -> Iterator[None]:
    """The workers import pool_runtime from here: they follow the notebook's sys.path."""
    sys.path.insert(0, HERE)
    yield
    sys.path.remove(HERE)


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[_core.Pool]:
    pool = _core.Pool(2, "pool_runtime")
    yield pool
    pool.close()


@pytest.fixture
def pool(shared_pool: _core.Pool) -> _core.Pool:
    return shared_pool


Run = Callable[..., list[_core.Event]]


@pytest.fixture
def run(pool: _core.Pool) -> Run:
    """Runs the source of `run(start, stop)` over `count` items and returns every event."""

    def run(source: str, count: int, data: object = None, **options: object) -> list[_core.Event]:
        job = pool.submit((source, data), count, **options)  # type: ignore[arg-type]
        events = []
        while (event := job.next()) is not None:
            events.append(event)
        assert job.done
        return events

    return run
