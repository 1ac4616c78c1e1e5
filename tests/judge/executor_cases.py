"""Runs CPython's own cases of concurrent.futures against `firn.Executor`; the parent reads a line of JSON for each.

    python executor_cases.py MODULE [CASE...]  (the named cases are left out)

A line: `{"case": "FirnExecutorTest.test_map", "outcome": "passed" | "failed" | "skipped", "error": text}`. CPython's test
classes for its thread pools and interpreter pools are given our executor, and its mixins are made classes with it.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import select
import sys
import types
import unittest
import warnings
from concurrent import futures
from pathlib import Path
from typing import Any

import firn
from run_cases import Outcome
from suites import cases_in
from test.test_concurrent_futures import util  # type: ignore

PACKAGE = "test.test_concurrent_futures"
# Module: the mixins that become classes of ours, and the module's own classes that run with our executor.
CLASSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "executor": (("ExecutorTest",), ()),
    "test_init": (("InitializerMixin", "FailingInitializerMixin"), ()),
    "test_shutdown": (("ExecutorShutdownTest",), ("ThreadPoolShutdownTest",)),
    "test_as_completed": (("AsCompletedTests",), ()),
    "test_wait": (("WaitTests",), ("ThreadPoolWaitTests",)),
    "test_thread_pool": ((), ("ThreadPoolExecutorTest",)),
    "test_interpreter_pool": ((), ("InterpreterPoolExecutorTest", "AsyncioTest")),
    "test_process_pool": (("ProcessPoolExecutorTest",), ()),
    "test_deadlock": (("ExecutorDeadlockTest",), ()),
}
# Scripts of the cases run apart from the environment (-I), where firn must be found.
_OURS = f"import sys; sys.path.insert(0, {str(Path(firn.__file__).parents[1])!r}); from firn import Executor"
IMPORTS = {
    "from concurrent.futures import Executor": _OURS,
    "from concurrent.futures import InterpreterPoolExecutor": f"{_OURS} as InterpreterPoolExecutor",
    "from concurrent.futures import ThreadPoolExecutor": f"{_OURS} as ThreadPoolExecutor",
}


class Executor(firn.Executor):
    """Takes, and forgets, the argument that the mixins for pools of processes have."""

    def __init__(self, *arguments: Any, mp_context: None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)


class Judged(Outcome):
    """A case that CPython itself expects to fail says nothing."""

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.outcome = "skipped"


class Event:
    """An event that all interpreters of the process share: the descriptors of an eventfd."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = os.eventfd(0) if descriptor is None else descriptor

    def __reduce__(self) -> Any:
        return Event, (self._descriptor,)

    def set(self) -> None:
        os.eventfd_write(self._descriptor, 1)

    def wait(self, timeout: float | None = None) -> bool:
        return bool(select.select([self._descriptor], [], [], timeout)[0])


class FirnMixin(util.ExecutorMixin):
    executor_type = Executor

    def create_event(self) -> Event:
        return Event()

    def get_context(self) -> None:
        return None


def of_ours(text: Any) -> Any:
    """The text of a script that imports our executor."""
    if isinstance(text, str):
        for theirs, ours in IMPORTS.items():
            text = text.replace(theirs, ours)
    return text


def with_our_imports(run: Any) -> Any:
    return lambda *words, **options: run(*map(of_ours, words), **options)


def without_inherited(made: Any, cls: type) -> Any:
    """The class with the cases that stand in `cls` itself; those of its bases run once, elsewhere."""
    for case in dir(made):
        if case.startswith("test_") and case not in vars(cls):
            setattr(made, case, None)
    return made


def classes_of(name: str) -> list[type[unittest.TestCase]]:
    module: Any = importlib.import_module(f"{PACKAGE}.{name}")
    mixins, own = CLASSES[name]
    found = []
    for mixin in mixins:
        base = getattr(module, mixin)
        # CPython's own function makes the class, and names it.
        namespace: dict[str, Any] = {"__name__": __name__}
        util.create_executor_tests(namespace, base, executor_mixins=(FirnMixin,))
        found += [without_inherited(value, base) for value in namespace.values() if isinstance(value, type)]
    for theirs in own:
        cls = getattr(module, theirs)
        made = type(theirs, (cls,), {"executor_type": Executor, "__module__": __name__})
        found.append(without_inherited(made, cls))
    for attribute, value in vars(module).copy().items():
        if value is futures:  # cases that make executors themselves
            ours = {"ThreadPoolExecutor": Executor, "InterpreterPoolExecutor": Executor}
            setattr(module, attribute, types.SimpleNamespace(**{**vars(futures), **ours}))
        elif attribute in ("assert_python_ok", "assert_python_failure"):
            setattr(module, attribute, with_our_imports(value))
    if hasattr(module, "script_helper"):
        module.script_helper.make_script = with_our_imports(module.script_helper.make_script)
    return found


def main() -> None:
    _, module, *done = sys.argv
    output, sys.stdout = sys.stdout, io.StringIO()
    warnings.simplefilter("ignore")

    def tell(**what: str) -> None:
        print(json.dumps(what), file=output, flush=True)

    for cls in classes_of(module):
        cls.setUpClass()
        for case in cases_in(unittest.defaultTestLoader.loadTestsFromTestCase(cls)):
            name = f"{cls.__name__}.{case._testMethodName}"
            if name in done:
                continue
            tell(case=name, outcome="started")
            result = Judged()
            case.run(result)
            tell(case=name, outcome=result.outcome, error=result.text)


if __name__ == "__main__":
    main()
