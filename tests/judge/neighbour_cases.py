"""Runs the cases of one module or package of CPython's suite, as CPython does, in a process with firn at work or without.

    python neighbour_cases.py RESULTS alone|beside NAME only|without [CASE...]

`beside`: the process has a warm pool of two workers, frozen data that they read, and a world that was stopped once to
look for pointers. RESULTS grows by a line of JSON for each case, before and after it: `{"case": ..., "outcome": "started" |
"passed" | "failed" | "skipped", "error": text}`. The last line has the case "" and the outcome "ended".
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import time
import traceback
import unittest
import warnings
from pathlib import Path
from typing import Any

from suites import cases_in
from test import support  # type: ignore[import-not-found]

kept: list[Any] = []


def start_firn() -> None:
    """What a notebook has after a parallel cell: workers that wait, and values in read-only pages."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "pool"))
    import firn
    from firn import _core

    rows = firn.freeze([{"name": f"row {i}", "values": [i, i / 3, str(i)], "tags": {i, i + 1}} for i in range(2000)])
    passing = firn.freeze([[i] * 10 for i in range(1000)])
    pool = _core.Pool(2, "pool_runtime")
    source = "import asyncio, subprocess, threading\ndef run(start, stop): return [str(i) for i in range(start, stop)]"
    job = pool.submit((source, None), 100)
    while (event := job.next()) is not None:
        assert event.kind == "chunk", event.error
    firn.release(passing)
    while any(worker["state"] != "idle" for worker in pool.workers()):
        time.sleep(0.001)
    kept.extend([rows, pool])


class Results(unittest.TestResult):
    """Writes each outcome at once. Forked children that run on into the suite write nothing."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file
        self._pid = os.getpid()
        self._outcome, self._text = "passed", ""

    def tell(self, case: str, outcome: str, error: str = "") -> None:
        if os.getpid() == self._pid:
            with open(self._file, "a") as file:
                file.write(json.dumps({"case": case, "outcome": outcome, "error": error}) + "\n")

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._outcome, self._text = "passed", ""
        self.tell(test.id(), "started")

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self.tell(test.id(), self._outcome, self._text)

    def _failed(self, test: Any, error: Any) -> None:
        text = "".join(traceback.format_exception(*error))[-3000:]
        if isinstance(test, unittest.TestCase):
            self._outcome, self._text = "failed", self._text + text
        else:  # setUpClass, tearDownModule ...
            self.tell(test.id(), "failed", text)

    addError = addFailure = _failed

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._failed(test, err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._outcome = "failed"

    def addSkip(self, test: Any, reason: str) -> None:
        if not isinstance(test, unittest.TestCase):
            self.tell(test.id(), "skipped", reason)
        elif self._outcome == "passed":
            self._outcome, self._text = "skipped", reason


def main() -> None:
    file, where, name, choice, *chosen = sys.argv[1:]
    faulthandler.enable()
    if where == "beside":
        start_firn()
    # As CPython's own runner does by default: without what is slow, or needs a network or a screen.
    support.use_resources = ["subprocess"]
    support.record_original_stdout(sys.stdout)
    warnings.simplefilter("default")
    results = Results(file)
    loader = unittest.TestLoader()
    cases = cases_in(loader.loadTestsFromModule(importlib.import_module(name)))
    unittest.TestSuite(case for case in cases if (case.id() in chosen) == (choice == "only")).run(results)
    results.tell("", "ended", "".join(loader.errors))
    if where == "beside":
        assert all(worker["state"] == "idle" for worker in kept[1].workers())
        assert kept[0][1999]["values"] == [1999, 1999 / 3, "1999"]


if __name__ == "__main__":
    main()
