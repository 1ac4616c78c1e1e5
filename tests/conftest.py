"""For all tests."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Takes what pytest itself has made of thousands of tests out of the collector's sight: a collection looked at all of
    it, for 0.2 s each, and the tests ask for thousands."""
    gc.collect()
    gc.freeze()
