"""Runs the cases of one module of CPython's suite against frozen values; the parent reads a line of JSON for each.

    python run_cases.py MODULE KINDS ALSO_CHANGED [CASE...]  (the named cases are left out)

KINDS: what is frozen, with commas. ALSO_CHANGED: modules that hold parts of the cases, with commas. A line:
`{"case": "ListTest.test_len", "outcome": "passed" | "failed" | "skipped", "made": frozen values, "error": text}`.
"""

from __future__ import annotations

import importlib
import io
import json
import random
import sys
import traceback
import unittest
import warnings
from typing import Any

import frozen_source
from suites import cases_in


class Outcome(unittest.TestResult):
    """Remembers the first error of a case."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome = "passed"
        self.error: BaseException | None = None
        self.text = ""

    def failed(self, error: Any) -> None:
        if self.outcome != "failed":
            self.outcome = "failed"
            self.error = error[1]
            lines = traceback.format_exception(*error)
            self.text = "".join(lines[-4:])

    def addError(self, test: Any, err: Any) -> None:
        self.failed(err)

    def addFailure(self, test: Any, err: Any) -> None:
        self.failed(err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.failed(err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.outcome = "failed"

    def addSkip(self, test: Any, reason: str) -> None:
        self.outcome = "skipped" if self.outcome == "passed" else self.outcome


def look_through_makers(name: str) -> None:
    """`assertIs(type(x), self.type2test)` and others see the type that the maker stands for."""
    original = getattr(unittest.TestCase, name)

    def assertion(self: unittest.TestCase, one: object, other: object, msg: object = None) -> None:
        kinds = [part.kind if isinstance(part, frozen_source.Maker) else part for part in (one, other)]
        original(self, *kinds, msg)

    setattr(unittest.TestCase, name, assertion)


def main() -> None:
    for name in ("assertIs", "assertIsNot", "assertIsSubclass"):
        look_through_makers(name)
    module_name, kinds, also, *done = sys.argv[1:]
    names = [f"test.{name}" for name in [module_name, *filter(None, also.split(","))]]
    judged = frozen_source.install(names, kinds.split(","))
    module = importlib.import_module(names[0])
    warnings.simplefilter("ignore")
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    output, sys.stdout = sys.stdout, io.StringIO()
    seen: set[str] = set()
    classes: set[type] = set()
    for case in cases_in(suite):
        name = case.id().removeprefix(f"{names[0]}.")
        if name in seen or name in done:
            continue
        seen.add(name)
        print(json.dumps({"case": name, "outcome": "started"}), file=output, flush=True)
        result = Outcome()
        judged.made = judged.members = 0
        random.seed(name)
        if type(case) not in classes and not getattr(type(case), "__unittest_skip__", False):
            classes.add(type(case))
            type(case).setUpClass()
        case.run(result)
        print(
            json.dumps(
                {
                    "case": name,
                    "outcome": result.outcome,
                    "made": judged.made,
                    "writes": "is frozen" in str(result.error),
                    "error": result.text,
                }
            ),
            file=output,
            flush=True,
        )


if __name__ == "__main__":
    main()
