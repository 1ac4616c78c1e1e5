"""What the scripts that run CPython's own tests share; it imports nothing of firn's."""

from __future__ import annotations

import unittest
from collections.abc import Iterator


def cases_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases_in(test)
        else:
            yield test
