"""The bench of whole cells: each workload gives one result, whoever runs it; its processes, peers, table and plot work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import firn
import pytest

from bench.cells import outcome, peers, plot
from bench.cells.processes import digest, measure
from bench.cells.workload import CONTROLS, SHARED, workload

PROJECT = Path(__file__).resolve().parents[2]
SMALL = 0.02


@pytest.mark.parametrize("key", SHARED + CONTROLS)
def test_a_workload_is_the_same_in_a_cell_in_pieces_and_in_parallel(notebook: Any, key: str) -> None:
    work = workload(key)
    names = work.make(SMALL)
    assert work.make(SMALL).keys() == names.keys()
    space = dict(names)
    exec(work.setup, space)
    exec(work.cell, space)
    found = repr(space["result"])
    assert len(space["result"]) > 3
    assert len(work.bounds(names)) > 1
    in_pieces = work.whole(lambda **new: [work.piece(names, *bounds, new) for bounds in work.bounds(names)], names)
    assert repr(in_pieces) == found
    notebook.ok(work.setup)
    notebook.shell.user_ns.update(names)
    notebook.ok("%%parallel --quiet\n" + work.cell)
    assert repr(notebook["result"]) == found
    report = firn.last_report()
    assert report is not None and report.way == "split"


def test_peers_agree_and_are_tabled_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shell of another test may have left its own __main__, which multiprocessing would look at.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    chosen = [peers.Serial, peers.Firn, peers.Interpreters, peers.Fork, peers.ForkAnew, peers.ForkServer]
    row = outcome.Row("pagerank", measure("pagerank", SMALL, 1, 2, chosen))
    assert [times.title for times in row.times] == [peer.title for peer in chosen]
    for times in row.times:
        assert 0 <= times.start < times.first and times.quickest > 0
    lines = list(outcome.tables([row]))
    assert sum(line.lstrip().startswith("PageRank") for line in lines) == len(outcome.MEASURES)
    assert [figure.name for figure in outcome.figures([row])] == ["PageRank, first cell", "PageRank, later cells"]
    plot.draw([row], tmp_path / "cells.svg")
    drawn = (tmp_path / "cells.svg").read_text()
    assert "PageRank" in drawn and all(times.title in drawn for times in row.times)


def test_results_that_differ_in_order_type_or_a_digit_have_other_digests() -> None:
    results = [
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
        {"a": 1, "b": True},
        {"a": 1.0, "b": 2},
        {"a": 1, "b": 2.0000000000000004},
    ]
    assert len({digest(result) for result in results}) == len(results)
    assert digest(results[0]) == digest(dict(results[0]))


@pytest.mark.long
def test_all_peers_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "cells", "--quick", "--plot", tmp_path / "cells.png"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    for peer in peers.PEERS:
        assert peer.title.replace("processes, ", "") in done.stdout
    assert (tmp_path / "cells.png").stat().st_size > 10_000
