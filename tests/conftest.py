"""For all tests."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Takes what pytest itself has made of thousands of tests out of the collector's sight: a collection looked at all of
    it, for 0.2 s each, and the tests ask for thousands."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The same for what a file's tests leave behind for good (modules, caches, reports)."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()
