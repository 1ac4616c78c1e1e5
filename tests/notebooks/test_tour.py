"""The tour in the firn kernel: its own checks hold, its loops are split, it fails where it means to and nowhere else, and
each of its cells shows what the text beside it says."""

from collections.abc import Callable
from typing import Any

SPLIT = {
    "functions": 1,
    "documented": 2,
    "from collections": 1,
    "from collections import defaultdict": 1,
    "nearest": 1,
    "from itertools": 1,
    "around": 1,
    "for module": 1,
    "import logging": 1,
    "for package": 1,
    "nodes": 1,
    "import random": 1,
    "again": 1,
    "vocabulary": 1,
    "squares": 1,
}
"""How each parallel cell that is split and ends begins, and how many split loops it has."""

FAILS = ["Refused", "Unloadable", "Unshippable", "AttributeError", "ParallelTimeout", "KeyboardInterrupt", "TypeError"]


def test_the_tour_holds(execute: Callable[..., Any]) -> None:
    done = execute("tour")
    assert [name for name, _ in done.errors()] == FAILS, done.printed
    assert done.text("stderr") == ""
    reports = [cell["report"] for cell in done.reports]

    split = [report for report in reports if report["way"] == "split" and not report["failed"]]
    assert len(split) == len(SPLIT), done.printed
    for (begins, loops), report in zip(SPLIT.items(), split, strict=True):
        lines = [cell.source for cell in done.cells if cell.get("execution_count") == report["cell"]]
        assert lines[0].partition("\n")[2].startswith(begins), report["text"]
        assert len(report["loops"]) == loops and all(loop["spans"] for loop in report["loops"]), report["text"]
    whole = [report for report in reports if report["way"] == "each"]
    assert len(whole) == 2 and all(report["workers"] == 2 for report in whole)
    failed = [report["failed"] for report in reports if report["failed"]]
    assert failed == [name for name in FAILS if name != "TypeError"]  # that is a plain cell's

    # The bootstrap ran in two workers, then in one; the peers of --compare full gave the same results.
    assert [report["workers"] for report in split if report["loops"][0]["items"] == 300][1] == 1
    peers = next(report["peers"] for report in reports if report["peers"])
    assert len(peers) == 3 and all(peer["equal"] for peer in peers), peers

    messages = dict(done.errors())
    assert "line 4: an iteration reads 'level'" in messages["Refused"]
    assert "log[0]['to']" in messages["Unshippable"] and "tolist()" in messages["Unloadable"]
    assert "functions = firn.thaw(functions)" in messages["TypeError"]

    explained = done.shown("Nothing has run")
    for line in (
        "loop       f",
        "temporary  name, size",
        "broadcast  functions",
        "reduction  by_module",
        "the best so far",
    ):
        assert line in explained, explained
    printed = done.text()
    for words in (
        "type(functions) is list",
        "functions of asyncio by their lines: {0: ",
        "notes of the authors to themselves",
        "WARNING: _pydecimal is long",
        "(Pdb) p f['doc']\nNone",
        "('__future__', '__init__')",
        "[0] worker 0 of 2",
        "[1] worker 1 of 2",
        "nodes; done",
        "profiles is frozen together with it",
        "functions of at least 200 lines",
    ):
        assert words in printed, printed
    assert done.shown("asyncio: lines of its functions").count(", ") == 59
    assert "failed: ParallelTimeout" in done.shown("saved: what getting the same data")
    assert "functions[*]['names']" in done.shown("functions[*]")
    for drawn in ("<rect", "firn-history", "InterpreterPoolExecutor"):
        assert drawn in done.page, drawn
