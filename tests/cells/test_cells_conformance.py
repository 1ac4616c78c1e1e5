"""The analysis's conformance suite once more, through the pool: workers, frozen variables, real output."""

from __future__ import annotations

import ast
import contextlib
import io
import tomllib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import firn
import pytest
from firn import transform
from firn.analysis import CellPlan, Refusal, analyze
from firn.compare import Comparison
from firn.driver import Result, Run
from firn.notebook import Calls
from firn.options import Options
from firn.session import SESSION

from tests.cells.conformance import conftest as suite
from tests.cells.conformance.test_conformance import test_like_serial as like_serial

FILENAME = "<cell>"
CELLS = []
for path in sorted((Path(__file__).parent / "conformance").glob("*.toml")):
    data = tomllib.loads(path.read_text())
    for cell in data["cell"]:
        CELLS.append(
            pytest.param({**cell, "setup": data["setup"] + cell.get("setup", "")}, id=f"{path.stem}: {cell['name']}")
        )


class Watched(Calls):
    """Keeps what the namespace was before each loop, and a refusal as the analysis raised it."""

    def __init__(self, outcome: Any) -> None:
        super().__init__()
        self.found = outcome

    def split(self, number: int, index: int, iterable: Any) -> Result:
        self.found.before = suite.canonical(thawed(self.found.namespace))
        self.found.splits += 1
        return super().split(number, index, iterable)


def thawed(namespace: dict[str, Any]) -> dict[str, Any]:
    """The variables with plain values in place of the frozen ones; sets that were plain stay, for a copy has an order
    of its own."""
    plain = {name: value for name, value in namespace.items() if not name.startswith("__")}
    copy = firn.thaw(plain)
    todo: list[tuple[Any, Any]] = [(plain, copy)]
    seen = set()
    while todo:
        original, thawed = todo.pop()
        if id(original) in seen or firn.is_frozen(original):
            continue
        seen.add(id(original))
        keys = original.keys() if isinstance(original, dict) else range(len(original))
        for key in keys:
            if type(original[key]) is set:
                thawed[key] = original[key]
            elif isinstance(original[key], (dict, list, deque)):
                todo.append((original[key], thawed[key]))
    return copy


@pytest.fixture(params=["--chunk 1", "--chunk 3", ""])
def run_cell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    monkeypatch.setenv("FIRN_WORKERS", "2")

    def run(setup: str, code: str) -> Any:
        outcome = suite.Outcome(suite.fresh(setup))
        tree = ast.parse(code)
        plan: CellPlan = analyze(tree, source=code, filename=FILENAME, namespace=outcome.namespace)
        outcome.plan = plan
        calls = Watched(outcome)
        calls.add(
            Run(
                number=0,
                cell=None,
                options=Options(chunk=int(request.param.split()[1]) if request.param else 0),
                source=code,
                filename=FILENAME,
                namespace=outcome.namespace,
                session=SESSION,
                comparison=Comparison(),
                tree=tree,
                plan=plan,
            )
        )
        outcome.namespace["__firn__"] = calls
        module = ast.fix_missing_locations(transform.bind(plan.module, 0))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                suite.execute(module, outcome.namespace)
            except BaseException as error:
                outcome.error = error
        if outcome.error is not None and type(outcome.error).__name__ == "Refused":
            outcome.error = Refusal(outcome.error.line, outcome.error.name, "refused while it ran.", "see the message")
        elif outcome.error is not None and "firn.FrozenList" in str(outcome.error):
            # CPython puts the name of the C type into this message of its own.
            outcome.error = type(outcome.error)(str(outcome.error).replace("firn.FrozenList", "list"))
        outcome.printed = printed.getvalue()
        outcome.namespace = thawed(outcome.namespace)
        if "points" in outcome.namespace and outcome.error is None:
            # Instances of notebook classes cross as copies: the last one is equal to the list's own, not the same.
            original, last = outcome.namespace["points"][-1], outcome.namespace["p"]
            assert type(last) is type(original) and vars(last) == vars(original)
            outcome.namespace["p"] = original
        return outcome

    return run


@pytest.mark.parametrize("cell", CELLS)
def test_in_the_pool_like_serial(cell: dict[str, Any], run_cell: Callable[[str, str], Any]) -> None:
    like_serial(cell, run_cell, suite.serial, suite.canonical)
