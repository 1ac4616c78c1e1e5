"""Small cells that run serially and split, in every chunking: nothing that a user can see may differ."""

import tomllib
from pathlib import Path

import firn
import pytest
from firn.analysis import Refusal

HERE = Path(__file__).parent
CELLS = []
for path in sorted(HERE.glob("*.toml")):
    data = tomllib.loads(path.read_text())
    for cell in data["cell"]:
        setup = data["setup"] + cell.get("setup", "")
        CELLS.append({**cell, "setup": setup, "code": cell["code"], "file": path.stem})


IN_PROCESS = ("one by one", "one by one, gathered", "by twos", "by threes", "all at once")
LONG = ("by twos",)
POOLS = ("1 worker", "2 workers, one by one", "5 workers, one by one")
WAYS = []
for cell in CELLS:
    # What is refused before it runs, or left serial, does not meet the workers.
    ways = (*IN_PROCESS, *POOLS) if cell.get("verdict", "split") == "split" else ("all at once", POOLS[1])
    WAYS += [
        pytest.param(
            cell,
            way,
            id=f"{way}-{cell['file']}: {cell['name']}",
            marks=[pytest.mark.long] if way in LONG else [],
        )
        for way in ways
    ]


@pytest.mark.parametrize(("cell", "run_cell"), WAYS, indirect=["run_cell"])
def test_like_serial(cell, run_cell, run_serial, show, conforming):  # type: ignore[no-untyped-def]
    verdict = cell.get("verdict", "split")
    if verdict == "refused":
        refused(cell, run_cell)
        conforming["times refused, with line, name, reason and remedy"] += 1
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

    workers = getattr(run_cell, "workers", 0)
    if verdict == "split" and workers:
        report = firn.last_report()
        ran = any(loop.spans for loop in report.loops)
        assert cell.get("empty") or (report.way == "split" and ran), "split in name only"
        conforming[f"times split, in {workers} worker{'s' if workers > 1 else ''}"] += 1
    else:
        how = "split, chunk by chunk in this process" if verdict == "split" else "left serial, with the reason"
        conforming[f"times {how}"] += 1


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


def test_most_cells_are_split(conforming) -> None:
    verdicts = [cell.get("verdict", "split") for cell in CELLS]
    split = [cell for cell in CELLS if cell.get("verdict", "split") == "split" and not cell.get("empty")]
    assert len(CELLS) >= 150 and len(split) >= 100
    conforming["cells"] = len(CELLS)
    conforming["of them split, with iterations in the workers"] = len(split)
    conforming["of them split, with nothing to run over"] = verdicts.count("split") - len(split)
    conforming["of them serial"], conforming["of them refused"] = map(verdicts.count, ("serial", "refused"))
