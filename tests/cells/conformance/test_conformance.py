"""Small cells that run serially and split, in every chunking: nothing that a user can see may differ."""

import tomllib
from pathlib import Path

import pytest
from firn.analysis import Refusal

HERE = Path(__file__).parent
CELLS = []
for path in sorted(HERE.glob("*.toml")):
    data = tomllib.loads(path.read_text())
    for cell in data["cell"]:
        setup = data["setup"] + cell.get("setup", "")
        code = cell["code"]
        CELLS.append(pytest.param({**cell, "setup": setup, "code": code}, id=f"{path.stem}: {cell['name']}"))


@pytest.mark.parametrize("cell", CELLS)
def test_like_serial(cell, run_cell, run_serial, show):  # type: ignore[no-untyped-def]
    verdict = cell.get("verdict", "split")
    if verdict == "refused":
        refused(cell, run_cell)
        return
    expected = run_serial(cell["setup"], cell["code"])
    outcome = run_cell(cell["setup"], cell["code"])
    if outcome.plan is not None:
        whats = [loop.what for loop in outcome.plan.loops]
        assert bool(whats) == (verdict == "split"), outcome.plan.notes
        assert "loops" not in cell or whats == cell["loops"]
        if verdict == "serial":
            assert outcome.plan.notes
    assert outcome.printed == expected.printed
    if expected.error is None:
        assert outcome.error is None
        # Last values that cannot be brought back are unbound, never stale.
        for name in cell.get("lost", ()):
            assert name not in outcome.namespace
            del expected.namespace[name]
        assert show(outcome.namespace) == show(expected.namespace)
    else:
        assert outcome.error is not None
        assert type(outcome.error).__name__ == type(expected.error).__name__
        assert str(outcome.error) == str(expected.error)
        # A loop that fails merges nothing.
        if outcome.before:
            assert show(outcome.namespace) == outcome.before


def refused(cell, run_cell):  # type: ignore[no-untyped-def]
    try:
        outcome = run_cell(cell["setup"], cell["code"])
    except Refusal as refusal:
        found = refusal
    else:
        assert isinstance(outcome.error, Refusal), "the cell was not refused"
        found = outcome.error
    assert found.line == cell.get("line", found.line)
    assert found.name == cell.get("variable", found.name) or f"'{cell['variable']}'" in found.reason
    assert found.reason.endswith(".") and found.remedy


def test_most_cells_are_split() -> None:
    verdicts = [parameters.values[0].get("verdict", "split") for parameters in CELLS]
    assert len(CELLS) >= 150
    assert verdicts.count("split") >= 100
