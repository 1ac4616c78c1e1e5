"""`--compare full`: the loops once more in other pools, over pickled copies; the cell itself is as without it."""

from __future__ import annotations

import json
import time
import types
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import firn
import nbclient
import nbformat
import pytest
from firn import peers
from firn.peers import same

DATA = "data = [{'n': i, 'text': 'x' * (i % 50)} for i in range(5_000)]"
NAMES = ["firn with pickled copies", "InterpreterPoolExecutor", "ProcessPoolExecutor"]


def test_three_pools_run_the_same_chunks_to_the_same_result(notebook):
    notebook.ok(DATA)
    notebook.ok("%%parallel --compare full --chunk 500\nout = [len(r['text']) * r['n'] for r in data]")
    report = notebook.report
    assert [peer.name for peer in report.peers] == NAMES
    assert [peer.problem for peer in report.peers] == [""] * 3
    assert [peer.equal for peer in report.peers] == [True] * 3
    chunks = sorted((span.start, span.stop) for span in report.loops[0].spans)
    for peer in report.peers:
        assert sorted((span.start, span.stop) for span in peer.spans) == chunks
        assert peer.bytes > 20_000 and 0 < peer.dumps_seconds < peer.wall_seconds
        assert all(peer.dumps_seconds <= span.began <= span.ended <= peer.wall_seconds for span in peer.spans)
        loaded = {span.rank for span in peer.spans if span.setup_seconds > 0}
        assert loaded == {span.rank for span in peer.spans} and peer.loads_seconds > 0
    assert report.pickled.measured == "full"
    data = json.loads(json.dumps(report.to_dict()))
    assert [peer["equal"] for peer in data["peers"]] == [True] * 3 and data["peers"][0]["loads_seconds"] > 0
    assert "line 2 elsewhere: firn with pickled copies" in str(report)
    html = notebook.reports[0]["text/html"].partition("</style>")[2]
    ElementTree.fromstring(html)
    assert html.count("the same result") == 3 and html.count("role='img'") == 6


def test_the_cell_is_as_without_it(notebook):
    notebook.ok(DATA + "\nfound = ['before']")
    notebook.ok(
        "%%parallel --compare full\nfor r in data:\n    if r['n'] % 1000 == 0:\n        print('row', r['n'])\n"
        "        found.append(r['n'])\nlast = r['n']"
    )
    assert notebook.out.split() == [word for n in range(0, 5000, 1000) for word in ("row", str(n))]
    assert notebook.err == ""
    assert notebook["found"] == ["before", 0, 1000, 2000, 3000, 4000] and notebook["last"] == 4999
    assert [peer.equal for peer in notebook.report.peers] == [True] * 3


def test_what_the_comparison_alone_needs_is_not_in_the_cells_time(notebook, monkeypatch):
    """Neither what is loaded and made for it, nor giving its copies back: nothing of it is a merge."""

    class Slow(peers.Task):
        def __post_init__(self) -> None:
            time.sleep(0.4)
            super().__post_init__()

        def __del__(self) -> None:
            time.sleep(0.4)

    def load(name: str) -> Any:
        time.sleep(0.4)
        return {"Task": Slow, "compare": lambda task: []}[name]

    unloaded = types.ModuleType("firn.peers")
    unloaded.__getattr__ = load
    monkeypatch.setattr(firn, "peers", unloaded)
    notebook.ok("%%parallel --compare full\nout = [n + 1 for n in range(4)]")
    report = notebook.report
    assert report.wall_seconds < 0.4 and sum(report.phases().values()) == pytest.approx(report.wall_seconds)


def test_the_clock_of_the_cell_stands_still_meanwhile(notebook):
    notebook.ok("import time")
    began = time.perf_counter()
    notebook.ok("%%parallel --compare full --chunk 1\nout = [time.sleep(0.2) for n in range(4)]\ntime.sleep(0.1)")
    passed = time.perf_counter() - began
    report = notebook.report
    assert all(peer.wall_seconds >= 0.4 for peer in report.peers)
    assert 0.5 <= report.wall_seconds <= passed - sum(peer.wall_seconds for peer in report.peers)
    assert sum(report.phases().values()) == pytest.approx(report.wall_seconds, rel=1e-6)


def test_what_pickle_cannot_find_runs_with_firn_alone_and_the_others_say_why(notebook):
    notebook.ok(
        DATA + "\nfrom dataclasses import dataclass\n@dataclass\nclass Ride:\n    n: int\n"
        "rides = [Ride(n) for n in range(50)]\ndef length(n):\n    return len(data[n]['text'])"
    )
    notebook.ok("%%parallel --compare full\nout = [length(n) for n in range(100)]")
    ours, *others = notebook.report.peers
    assert ours.equal and not ours.problem
    assert {peer.problem for peer in others} == {
        "cannot run this loop: length is defined in the notebook, where no worker can import it from"
    }
    assert "InterpreterPoolExecutor cannot run it" in str(notebook.report)
    assert "length is defined in the notebook" in notebook.reports[0]["text/html"]
    notebook.ok("%%parallel --compare full\nodd = [ride for ride in rides if ride.n % 2]")
    ours, *others = notebook.report.peers
    assert ours.equal and all("no attribute 'Ride'" in peer.problem for peer in others)


def test_of_a_module_that_does_not_load_there_its_name_is_told(notebook):
    pytest.importorskip("numpy")
    notebook.ok("import numpy\narray = numpy.arange(12.0).reshape(4, 3)")
    notebook.ok("%%parallel --compare full\nout = [float(array[n].sum()) for n in range(4)]")
    assert [peer.problem for peer in notebook.report.peers[:2]] == [
        "cannot run this loop: numpy does not load in subinterpreters"
    ] * 2


def test_a_peer_with_another_result_is_told(notebook):
    notebook.ok("import os")
    notebook.ok("%%parallel --compare full\nout = [os.getpid() for n in range(6)]")
    assert [peer.equal for peer in notebook.report.peers] == [True, True, False]
    assert "another result" in notebook.reports[0]["text/html"]
    assert str(notebook.report).count("with another result") == 1


def test_what_does_not_pickle_at_all(notebook):
    notebook.ok("view = memoryview(b'abcdef')")
    notebook.ok("%%parallel --compare full\nout = [view[n] for n in range(6)]")
    assert notebook["out"] == list(b"abcdef")
    ours, *others = notebook.report.peers
    assert ours.equal  # cloudpickle has its way with it
    assert all("what it reads does not pickle" in peer.problem for peer in others)


def test_random_numbers_are_not_compared_and_failed_loops_are_not_run_again(notebook):
    notebook.ok("import random")
    notebook.ok("%%parallel --compare full\nout = [random.random() for n in range(6)]")
    assert [(peer.equal, peer.note) for peer in notebook.report.peers] == [(None, "it draws other random numbers")] * 3
    notebook.fails("%%parallel --compare full\nout = [1 // n for n in range(6)]")
    assert notebook.report.peers == []
    notebook.ok("%%parallel --compare full --each\nx = parallel.rank")
    assert notebook.report.peers == [] and any("--compare full" in note for note in notebook.report.notes)
    notebook.ok("%%parallel\nout = [n for n in range(6)]")
    assert notebook.report.peers == []


def test_a_loop_that_is_decided_early_and_two_loops_in_a_line(notebook):
    notebook.ok(DATA)
    notebook.ok(
        "%%parallel --compare full\na = any(r['n'] == 100 for r in data); b = {r['n']: r for r in data if r['n'] < 9}"
    )
    assert notebook["a"] is True and len(notebook["b"]) == 9
    assert [(peer.loop, peer.equal) for peer in notebook.report.peers] == [(0, True)] * 3 + [(1, True)] * 3


def test_two_results_are_the_same_with_their_types_and_order():
    class Plain:
        def __init__(self, n: Any) -> None:
            self.n = n

    @dataclass
    class Ride:
        n: int

    deep: list[Any] = []
    other: list[Any] = []
    alike = [
        (1, 1), (float("nan"), float("nan")), ([1, {2: {3}}], [1, {2: {3}}]), (Plain([1]), Plain([1])),
        (Ride(1), Ride(1)), (firn.freeze([1, {2: 3}]), [1, {2: 3}]),
    ]  # fmt: skip
    different = [
        (1, True), (1, 1.0), ([1], (1,)), ([1], [1, 2]), ({1: 1, 2: 2}, {2: 2, 1: 1}), (Plain(1), Plain(2)),
        (Ride(1), Ride(2)), ({1}, {2}), (OrderedDict(a=1), {"a": 1}), (float("nan"), 1.0),
    ]  # fmt: skip
    assert all(same(one, other) for one, other in alike)
    assert not any(same(one, other) for one, other in different)
    for _ in range(100_000):
        deep, other = [deep], [other]
    with pytest.raises(RecursionError):
        same(deep, other)


@pytest.mark.parametrize("kernel", ["firn", "python3"])
def test_the_pools_start_in_a_kernel(kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("FIRN_WORKERS", "2")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cells = [
        "%load_ext firn\n" + DATA,
        "%%parallel --compare full\nout = [r['n'] for r in data]",
        "import firn\nprint([(peer.equal, peer.problem) for peer in firn.last_report().peers])",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbclient.NotebookClient(book, kernel_name=kernel, timeout=120).execute()
    assert book.cells[2].outputs[0].text.strip() == str([(True, "")] * 3)
    [card] = book.cells[1].outputs
    assert card["data"]["text/html"].count("the same result") == 3
