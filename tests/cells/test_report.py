"""The figures of a parallel cell: as data, as a line of text, as a card."""

from __future__ import annotations

import json
import pickle
import re
import signal
import threading
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree

import firn
import pytest
from firn import _core, account, compare
from firn.readable import count, seconds, size
from firn.report import PHASES, Loop, Pickled, Report, Shared, Slow, Span
from firn.report_html import render
from firn.slowest import short
from firn.timeline import rows_of, ticks

SVG = "{http://www.w3.org/2000/svg}"

DATA = "data = [{'n': i, 'text': 'x' * (i % 50)} for i in range(20_000)]"


def test_the_figures_of_a_split_cell(notebook):
    notebook.ok(DATA)
    notebook.ok("%%parallel\nout = [sum(range(r['n'] % 500)) for r in data]")
    data = json.loads(json.dumps(notebook.report.to_dict()))
    (loop,) = data["loops"]
    assert data["way"] == "split" and loop["items"] == 20_000 and loop["line"] == 2
    assert loop["chunks"] == len(loop["spans"])
    assert sorted(n for span in loop["spans"] for n in range(span["start"], span["stop"])) == list(range(20_000))
    for span in loop["spans"]:
        assert 0 <= span["began"] <= span["ended"] <= data["wall_seconds"]
    busy = sum(span["ended"] - span["began"] for span in loop["spans"])
    assert loop["busy_seconds"] == pytest.approx(busy)
    outside = data["wall_seconds"] - loop["wall_seconds"]
    delay = sum(span["delay_seconds"] for span in loop["spans"])
    assert 0 <= delay <= busy
    assert data["serial_seconds"] == pytest.approx(outside + busy - delay + loop["read_seconds"])
    assert data["speedup"] == pytest.approx(data["serial_seconds"] / data["wall_seconds"])
    assert [item["name"] for item in data["shared"]] == ["data"]
    assert data["objects"] >= 40_000 and data["bytes"] > 0 and data["freeze_seconds"] > 0
    assert data["text"] == str(notebook.report)


def test_the_serial_equivalent_is_near_a_serial_run(notebook):
    """Two sleeps take the time that they take, whatever else the machine does."""
    notebook.ok("import time")
    notebook.ok("%%parallel --chunk 1\nout = [time.sleep(0.3) for i in range(4)]")
    report = notebook.report
    assert report.busy_seconds >= 1.2
    assert report.serial_seconds >= 1.1  # less what they waited for a CPU when they woke up
    assert report.wall_seconds < report.serial_seconds
    assert report.speedup > 1


def test_what_workers_waited_for_cpus_is_no_serial_work(notebook):
    """The serial loop's CPU time does not depend on what else the machine does; nor does the serial equivalent."""
    notebook.ok("import time\nbegan = time.thread_time()\nout = [sum(range(20_000)) for n in range(1500)]")
    notebook.ok("serially = time.thread_time() - began")
    workers = 4 * _core.cpu_count()
    notebook.ok(f"%parallel workers {workers}")
    try:
        notebook.ok("%%parallel\nout = [sum(range(20_000)) for n in range(1500)]")
        html = notebook.reports[0]["text/html"]
    finally:
        notebook.ok("%parallel workers 2")
    report = notebook.report
    assert report.busy_seconds - report.delay_seconds < 3 * notebook["serially"]
    assert report.delay_seconds > 0.3 * notebook["serially"]  # three in four workers have no CPU at any time
    assert "without a CPU" in html


def test_reading_an_iterator_is_the_serial_cells_work_too(notebook):
    notebook.ok("import time\ndef slow():\n    for i in range(4):\n        time.sleep(0.1)\n        yield i")
    notebook.ok("%%parallel\nout = [x for x in slow()]")
    report = notebook.report
    assert report.loops[0].read_seconds >= 0.4 and report.serial_seconds >= 0.4
    assert "reading the iterator" in notebook.reports[0]["text/html"]


@pytest.mark.parametrize("compare, measured", [("full", "full"), ("sample", None)])
def test_the_cost_of_pickling_says_how_it_was_measured(notebook, compare, measured):
    notebook.ok(DATA)
    notebook.ok(f"%%parallel --compare {compare}\nout = [len(r['text']) for r in data]")
    pickled = notebook.report.pickled
    assert pickled.seconds == pytest.approx(pickled.dumps_seconds + pickled.workers * pickled.loads_seconds)
    assert pickled.bytes > 20_000
    assert pickled.measured == measured or (measured is None and pickled.measured in ("sample", "full"))
    if pickled.measured == "sample":
        assert "of 20,000 items of data" in pickled.sampled
    assert ("estimated" in str(notebook.report)) == (pickled.measured == "sample")


KINDS = {
    "rows": "[{'n': i, 'text': 'x' * (i % 50), 'tags': [str(i % 7)] * 3} for i in range(20_000)]",
    "table": "{f'key{i}': (i, i / 3) for i in range(40_000)}",
    "words": "['word%d' % (i % 5000) for i in range(100_000)]",
    "groups": "{g: [(i, str(i)) for i in range(5_000)] for g in range(6)}",
    "many groups": "{g: [(i, str(i)) for i in range(1_000)] for g in range(60)}",
    "tree": "tree(13)",
    "forest": "[tree(10) for _ in range(400)]",
    "tree of instances": "Tree(12)",
    "tables of tables": "{i: {j: {'v': [i, j, str(i * j)]} for j in range(100)} for i in range(100)}",
    "chain": "chain(60)",
    "rows with a common part": "[{'n': i, 'of': OWNERS[i % 9]} for i in range(20_000)]",
}


OWNERS = [{"name": f"owner {i}", "has": [str(n) for n in range(300)]} for i in range(9)]


def tree(depth: int) -> object:
    return {"depth": depth, "below": [tree(depth - 1), tree(depth - 1)] if depth else []}


class Tree:
    def __init__(self, depth: int) -> None:
        self.depth, self.name = depth, f"at {depth}"
        self.left, self.right = (Tree(depth - 1), Tree(depth - 1)) if depth else (None, None)


def chain(length: int) -> object:
    """Each link has some rows, too."""
    found: object = None
    for number in range(length):
        found = {"next": found, "rows": [[number, str(row)] for row in range(200)]}
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_has_the_bytes_and_the_memory_of_the_whole(kind):
    """What is counted, not timed: of any kind of data, whatever the budget allowed to look at."""
    value = firn.freeze(eval(KINDS[kind]))
    whole = compare._cost(value, None)
    for budget in (0.0005, 0.005, 0.02):
        sampled = compare._cost(value, budget)
        assert whole.in_full and not sampled.in_full and sampled.part < sampled.whole
        assert sampled.bytes == pytest.approx(whole.bytes, rel=0.35)
        assert sampled.memory == pytest.approx(whole.memory, rel=0.5)


def test_what_measuring_costs_does_not_grow_with_the_data():
    """A tree has few items, and any part of a graph leads to all of it."""
    small, large = firn.freeze(tree(12)), firn.freeze(tree(17))
    taken = []
    for value in (small, large):
        began = time.thread_time()
        assert isinstance(compare._cost(value, 0.001), compare.Cost)
        taken.append(time.thread_time() - began)
    assert taken[1] < 8 * taken[0] + 0.02  # it leads to 32 times as much


def test_no_figure_is_better_than_one_that_leaves_out_most(notebook):
    notebook.ok(
        """class Node:
    def __init__(self, n):
        self.n, self.others = n, []
nodes = [Node(i) for i in range(30_000)]
for node in nodes:
    node.others = [nodes[(node.n + 1) % 30_000], nodes[node.n * 31 % 30_000]]
few = [1, 2, 3]"""
    )
    notebook.ok("%%parallel --chunk 10000\nout = [len(node.others) + few[0] for node in nodes]")
    assert notebook.report.pickled is None
    assert "no figure for pickled transfer: nodes hangs together" in str(notebook.report)
    notebook.ok("%%parallel --compare full\nout = [node.n for node in nodes]")
    assert notebook.report.pickled is None and "nodes does not pickle (RecursionError)" in str(notebook.report)


def test_the_memory_of_an_array_is_that_of_its_numbers():
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(100_000.0)
    for one in (array, array.reshape(100, 1000)[3:], pickle.loads(pickle.dumps(array, 5)), [array, array[::2]]):
        assert 800_000 <= compare.memory(one) < 802_000


def test_sampled_times_are_called_a_lower_bound(notebook, monkeypatch):
    monkeypatch.setattr(account, "BUDGET", 1e-6)
    notebook.ok("import time\n" + DATA)
    notebook.ok("%%parallel\nout = [len(r['text']) for r in data]")
    assert notebook.report.pickled.measured == "sample"
    assert re.search(r"by pickle at least .*, estimated", str(notebook.report))
    assert "by pickle, at least" in notebook.reports[0]["text/html"]
    notebook.ok("%%parallel --compare full\nout = [len(r['text']) for r in data]")
    assert "at least" not in str(notebook.report) + notebook.reports[0]["text/html"]


def test_no_comparison_when_it_is_switched_off(notebook):
    notebook.ok(DATA)
    notebook.ok("%%parallel --compare off\nout = [len(r['text']) for r in data]")
    assert notebook.report.pickled is None


def sample(**changes) -> Report:
    spans = [Span(0, 0, 50, 0.02, 0.08), Span(1, 50, 100, 0.02, 0.09), Span(0, 100, 120, 0.0801, 0.1)]
    loop = Loop(2, "list comprehension", "hits = [f(p) for p in rows if p < '<&>']", 120, 2, 3, 0.001, 0.11, 0.0, 0.15)
    loop.spans, loop.objects, loop.bytes, loop.freeze_seconds, loop.share_seconds = spans, 3_000_000, 127e6, 0.01, 2e-4
    report = Report(
        7, "split", 0.12, [loop], [Shared("rows", "list", "frozen"), Shared("f", "function", "shipped", 812)]
    )
    report.pickled = Pickled(0.4, 0.5, 98_000_000, 2, "sample", "64 of 120 items of rows", 150_000_000, 127_000_000, 2)
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_the_line_of_text():
    assert str(sample()) == (
        "firn [7]: 0.12 s instead of 0.16 s (1.3×) · list comprehension of 120 iterations on 2 workers · "
        "froze rows (3.0 million objects, 127 MB) in 10 ms · shared in 200 µs, by pickle at least 0.90 s, estimated"
    )


def test_slower_than_serial_comes_first():
    report = sample(wall_seconds=0.5)
    report.loops[0].wall_seconds = 0.49
    why = "bringing the results back took 0.39 s"
    assert str(report).startswith(f"firn [7]: slower than serially, 0.50 s instead of 0.16 s: {why}")
    assert render(report).index("Slower than serially") < render(report).index(why.capitalize())
    assert report.to_dict()["because"] == why


def test_why_a_cell_was_slower_is_what_cost_most():
    def slower(**changes: float) -> str:
        loop = Loop(1, "for loop", "for x in xs:", 100, 2, 2, 0.0, 2.0, 0.0, 0.2, offered=2)
        loop.spans = [Span(0, 0, 50, 1.0, 1.1), Span(1, 50, 100, 1.0, 1.1)]
        for name, value in changes.items():
            setattr(loop, name, value)
        report = Report(1, "split", loop.wall_seconds, [loop])
        assert report.slower
        return report.because()

    assert "bringing the results back took 0.90 s" in slower(freeze_seconds=0.8)
    assert slower(freeze_seconds=0.95).startswith("freezing took 0.95 s, which later cells")
    assert slower(share_seconds=0.95) == "getting ready what the workers need took 0.95 s"
    assert slower(wall_seconds=1.1).startswith("the workers took 1.00 s to start")
    waited = [Span(0, 0, 99, 0.0, 1.0, delay_seconds=0.95), Span(1, 99, 100, 0.0, 0.1)]
    assert slower(spans=waited, wall_seconds=1.0, busy_seconds=1.1).startswith("other programs had the CPUs")
    alone = {"spans": [Span(0, 0, 1, 0.1, 1.0), Span(1, 1, 100, 0.1, 0.11)], "wall_seconds": 1.1, "busy_seconds": 0.91}
    assert slower(**alone).startswith("the workers had nothing to do for 0.45 s")
    assert slower(**alone, slowest_are="items", slowest=[Slow(0, 1, 0.9)]).startswith("iteration 0 alone took 0.90 s")
    assert slower(turn_seconds=0.95).startswith("it waited 0.95 s for its turn")
    early = [Span(0, 0, 50, 0.1, 0.2), Span(1, 50, 100, 0.1, 0.2)]
    assert slower(spans=early, unmerged_seconds=1.5).startswith(
        "its results were ready 1.50 s before the notebook had time"
    )
    assert slower(busy_seconds=0.001) == "the loop took 1.0 ms, too little to be worth handing out"


def test_a_tenth_more_is_not_called_slower():
    """Times vary by more than that from run to run."""
    loop = sample().loops[0]
    loop.wall_seconds, loop.busy_seconds, loop.read_seconds = 1.0, 0.95, 0.0
    report = sample(wall_seconds=1.0, loops=[loop])
    assert report.wall_seconds > report.serial_seconds and not report.slower
    assert str(report).startswith("firn [7]: 1.00 s instead of 0.95 s (0.9×)")
    loop.busy_seconds = 0.9
    assert report.slower and str(report).startswith("firn [7]: slower than serially, 1.00 s instead of 0.90 s: ")


def test_waiting_for_a_turn_and_for_the_notebook_is_waiting():
    loop = Loop(1, "for loop", "for x in xs:", 100, 2, 2, 0.0, 2.0, 0.0, 0.2, offered=2)
    loop.spans = [Span(0, 0, 50, 1.0, 1.1), Span(1, 50, 100, 1.0, 1.1)]
    loop.turn_seconds, loop.unmerged_seconds = 0.75, 0.5
    phases = loop.phases()
    assert sum(phases.values()) == pytest.approx(2.0)
    assert phases["start"] == pytest.approx(0.25) and phases["merge"] == pytest.approx(0.4)
    assert phases["wait"] == pytest.approx(1.25)


def test_the_phases_add_up_to_the_wall_time(notebook):
    """Whatever was frozen, read or waited for, and also when a loop failed or had nothing to do."""
    notebook.ok(DATA)
    notebook.ok("import time")
    cells = (
        "a = [len(r['text']) for r in data]\ntime.sleep(0.05)\nb = [time.sleep(0.001) for r in data[:20]]",
        "c = [x * 2 for x in iter([1, 2, 3])]",
        "d = [x for x in []]",
        "e = [1 // (10 - x) for x in range(20)]",
    )
    for cell in cells:
        notebook.run(f"%%parallel\n{cell}")
        report = notebook.report
        assert list(report.phases()) == list(PHASES)
        assert all(value >= 0 for value in report.phases().values()), report.phases()
        assert sum(report.phases().values()) == pytest.approx(report.wall_seconds, rel=1e-6)
        for loop in report.loops:
            assert sum(loop.phases().values()) == pytest.approx(loop.wall_seconds, rel=1e-6)
        assert report.to_dict()["phases"] == report.phases()
    notebook.ok("%%parallel --each\nx = parallel.rank")
    assert sum(notebook.report.phases().values()) == pytest.approx(notebook.report.wall_seconds, rel=1e-6)


def test_a_sleep_in_the_loop_is_run_and_one_beside_it_is_not(notebook):
    notebook.ok("import time")
    notebook.ok("%%parallel --chunk 1\na = [time.sleep(0.2) for i in range(4)]\ntime.sleep(0.3)")
    phases = notebook.report.phases()
    assert phases["run"] >= 0.4 and phases["notebook"] >= 0.3
    assert phases["notebook"] < notebook.report.wall_seconds - 0.4


def test_the_slowest_iterations_are_named(notebook):
    notebook.ok("import time\nwaits = [0.01] * 30\nwaits[7], waits[21] = 0.2, 0.3")
    notebook.ok("%%parallel\nout = [time.sleep(w) for w in waits]")
    (loop,) = notebook.report.loops
    assert loop.slowest_are == "items" and len(loop.slowest) == 5
    assert [(slow.start, slow.item) for slow in loop.slowest[:2]] == [(21, "0.3"), (7, "0.2")]
    assert loop.slowest[0].seconds == pytest.approx(0.3, abs=0.15)
    assert "Slowest iterations" in notebook.reports[0]["text/html"]


def test_of_quick_iterations_the_slowest_chunks_are_named(notebook):
    notebook.ok("out = None")
    notebook.ok("%%parallel --chunk 20_000\nout = [x ** 3 % 7 + x ** 5 % 11 for x in range(200_000)]")
    (loop,) = notebook.report.loops
    assert loop.slowest_are == "chunks" and len(loop.slowest) == 5
    assert all(slow.stop - slow.start == 20_000 and not slow.item for slow in loop.slowest)
    assert "Slowest chunks" in notebook.reports[0]["text/html"]


def test_short_forms_of_items_run_no_code_of_the_notebook():
    class Loud:
        def __init__(self) -> None:
            self.n = 3

        def __repr__(self) -> str:
            raise AssertionError

    @dataclass
    class Ride:
        start: str
        stops: list[int]

    forms = {
        f"'{'x' * 55}…": "x" * 10_000,
        "[1, 2, 3, …]": list(range(1, 1_000_000)),
        "{'a': [1], 'b': {2}}": {"a": [1], "b": {2}},
        "(1,)": (1,),
        "Loud(n=3)": Loud(),
        "Ride(start='Zoo', stops=[1, 2])": Ride("Zoo", [1, 2]),
        "Decimal('1.5')": Decimal("1.5"),
        "<an int of 10,001 bits>": 1 << 10_000,
        "None": None,
        "[[[[…]]]]": [[[[1]]]],
    }
    found = [short(value) for value in forms.values()]
    assert found == list(forms)
    assert short(firn.freeze([Ride("Zoo", [1, 2])])[0]) == "Ride(start='Zoo', stops=[1, 2])"
    assert short(firn.freeze({"a": [1, 2, 3, 4]})) == "{'a': [1, 2, 3, …]}"


def test_the_slowest_items_of_dicts_and_enumerations_are_found(notebook):
    notebook.ok("import time\nwaits = {f'k{n}': 0.01 + 0.2 * (n == 5) for n in range(8)}")
    notebook.ok("%%parallel\nout = [time.sleep(w) for w in waits.values()]")
    assert notebook.report.loops[0].slowest[0].item == "0.21000000000000002"[:19]
    notebook.ok("%%parallel\nfor n, (k, w) in enumerate(waits.items()):\n    time.sleep(w)")
    slowest = notebook.report.loops[0].slowest[0]
    assert slowest.start == 5 and slowest.item.startswith("(5, ('k5', 0.21")


@pytest.mark.parametrize(
    "report",
    [
        sample(),
        sample(failed="ValueError"),
        sample(way="each"),
        sample(way="serial", loops=[], why=["a <reason> & more"]),
        sample(kept=["Out[3]"], notes=["<script>alert(1)</script>"]),
        Report(),
    ],
)
def test_the_card_is_plain_well_formed_html(report):
    html = render(report)
    assert not re.search(r"<script|<[^>]*\son\w+=|javascript:|url\(", html)
    card = ElementTree.fromstring(html.partition("</style>")[2])
    assert card.tag == "div" and card.get("class", "").startswith("firn")
    for drawing in card.iter(f"{SVG}svg"):
        bars = list(drawing.iter(f"{SVG}rect"))
        assert bars or report.wall_seconds == 0
        for bar in bars:
            x, width = (float(bar.get(name, "nan").removesuffix("%")) for name in ("x", "width"))
            assert 0 <= x <= 100 and width > 0 and x + width <= 100.01
            assert 0 <= float(bar.get("y", "nan")) <= float(drawing.get("height", "nan"))


def test_the_timeline_shows_each_worker_and_the_notebook():
    report = sample()
    rows = rows_of(report)
    assert [row.label for row in rows] == ["notebook", "worker 0", "worker 1"]
    assert [bar.phase for bar in rows[0].bars] == ["notebook", "read", "freeze", "share", "merge", "notebook"]
    assert [(bar.began, bar.ended) for bar in rows[1].bars] == [(0.02, 0.08), (0.0801, 0.1)]
    assert rows[1].bars[0].title == "iterations 0 to 49: 60 ms"
    assert rows[1].figure == "67 % busy"
    report.loops[0].offered = 3
    assert [row.label for row in rows_of(report)][3:] == ["worker 2"]
    assert rows_of(report)[-1].figure == "0 % busy"


def hatched(html: str) -> list[str]:
    card = ElementTree.fromstring(html.partition("</style>")[2])
    return [line.get("style", "") for line in card.iter(f"{SVG}line") if line.get("stroke-dasharray")]


def test_what_came_to_nothing_is_hatched_and_is_no_serial_work():
    report = sample(failed="KeyboardInterrupt")
    assert not hatched(render(report)) and "stopped" not in render(report)
    before = report.serial_seconds
    report.loops[0].spans.append(Span(1, 120, 130, 0.0901, 0.11, lost="stopped"))
    assert [bar.lost for bar in rows_of(report)[2].bars] == [False, True]
    assert rows_of(report)[2].bars[1].title == "iterations 120 to 129: stopped after 20 ms"
    assert rows_of(report)[2].figure == "75 % busy"
    assert len(hatched(render(report))) == 1 and "stopped before its end" in render(report)
    assert report.serial_seconds == before
    report.loops[0].spans.append(Span(0, 130, 131, 0.1001, 0.105, lost="unused"))
    assert rows_of(report)[1].bars[-1].title == "iteration 130: not used, 4.9 ms"
    assert "stopped or not used" in render(report)


def test_an_interrupted_cells_report_shows_what_was_interrupted(notebook):
    notebook.ok("import time, threading, signal")
    threading.Timer(1.0, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)).start()
    error = notebook.fails("%%parallel --chunk 1\nfor x in range(8):\n    while x > 1: pass\n    time.sleep(0.05)")
    assert isinstance(error, KeyboardInterrupt)
    report = notebook.report
    (loop,) = report.loops
    stopped = [span for span in loop.spans if span.lost == "stopped"]
    assert {span.rank for span in stopped} == {0, 1} and sorted(span.start for span in stopped) == [2, 3]
    assert sorted(span.start for span in loop.spans if not span.lost) == [0, 1] and loop.chunks == 2
    assert all(span.began < 1.0 < span.ended + 0.5 for span in stopped)
    assert sum(report.phases().values()) == pytest.approx(report.wall_seconds)
    assert report.phases()["run"] > 0.5 * report.wall_seconds
    assert len(hatched(notebook.reports[-1]["text/html"])) == 2
    assert "2 of 8 iterations done, 2 chunks ran, 2 chunks stopped" in notebook.reports[-1]["text/html"]
    assert "for loop, 2 of 8 iterations done on 2 workers" in str(report)
    json.dumps(report.to_dict())


def test_chunks_after_a_failure_and_after_a_decision_are_told_apart(notebook):
    cell = "%%parallel --chunk 1\n{}"
    notebook.ok(
        "import time\ndef f(x):\n    time.sleep(0.3 if x == 0 else 0)\n    while x == 1: pass\n    return 1 / x"
    )
    notebook.fails(cell.format("out = [f(x) for x in range(2)]"))
    assert "2 iterations, 1 chunk ran, 1 chunk stopped" in notebook.reports[-1]["text/html"]
    lost = {span.start: span.lost for span in notebook.report.loops[0].spans}
    assert lost == {0: "", 1: "stopped"}
    notebook.ok("def g(x):\n    while x == 1: pass\n    time.sleep(0.3)\n    return True")
    notebook.ok(cell.format("found = any(g(x) for x in range(2))"))
    assert {span.start: span.lost for span in notebook.report.loops[0].spans} == {0: "", 1: "stopped"}
    assert notebook.report.busy_seconds == pytest.approx(0.3, abs=0.25)


def test_the_slowest_of_a_range_are_numbers_once(notebook):
    notebook.ok("import time")
    notebook.ok("%%parallel\nout = [time.sleep(0.3 * (n == 5)) for n in range(6)]")
    assert notebook.report.loops[0].slowest[0].item == "5"
    html = notebook.reports[-1]["text/html"]
    assert "<span>5</span>" in html and "<code>5</code>" not in html
    notebook.ok("%%parallel\nout = [time.sleep(0.3 * (n == 7)) for n in range(2, 8)]")
    assert "<span>5 <code>7</code></span>" in notebook.reports[-1]["text/html"]


def test_the_key_has_the_colours_of_all_loops():
    report = sample()
    assert "--firn-run2," not in render(report).partition("</style>")[2]
    report.loops.append(replace(report.loops[0], line=5, source="other", began=0.111, spans=[]))
    html = render(report).partition("</style>")[2]
    key = html[html.index("class='key'") :]
    assert key.index("--firn-run,") < key.index("--firn-run2,") < key.index("running")
    assert "--firn-run2," in key[key.index("Split") :]


@pytest.mark.parametrize("wall", [3e-6, 1.7e-3, 0.0999, 1.0, 7.3, 59.0, 4000.0])
def test_the_ticks_of_an_axis_are_round_and_inside(wall):
    found = ticks(wall)
    assert 3 <= len(found) <= 8
    assert all(0 <= at <= wall for at, _ in found)
    steps = {round((later - at) / wall, 6) for (at, _), (later, _) in pairwise(found)}
    assert len(steps) == 1
    assert found[0][1] == "0" and all(len(text) <= 8 for _, text in found)


def test_the_card_has_both_themes_and_no_text_from_data_is_markup():
    report = sample(notes=["<b>&'\"</b>"])
    report.loops[0].slowest, report.loops[0].slowest_are = [Slow(3, 4, 0.05, "'<img src=x>'")], "items"
    html = render(report)
    assert "prefers-color-scheme:dark" in html and "data-jp-theme-light=false" in html
    assert "<b>&" not in html and "<img" not in html and "&lt;img src=x&gt;" in html


def test_a_card_of_many_workers_and_chunks_stays_small():
    spans = [Span(n % 64, n, n + 1, n / 10_000, (n + 1) / 10_000) for n in range(10_000)]
    report = sample(wall_seconds=1.0)
    report.loops[0].spans = spans
    assert len(render(report)) < 200_000
    assert "and 48 more workers" in render(report)


def test_times_sizes_and_counts():
    assert [seconds(x) for x in (0, 4e-8, 3.5e-5, 1.2e-3, 0.038, 0.38, 12.51, 185)] == [
        "0 µs", "40 ns", "35 µs", "1.2 ms", "38 ms", "0.38 s", "12.5 s", "3 min 5 s",
    ]  # fmt: skip
    assert [size(x) for x in (812, 3400, 127e6, 1.23e9)] == ["812 B", "3.4 kB", "127 MB", "1.2 GB"]
    assert [count(x) for x in (812, 70735, 3_104_221)] == ["812", "70,735", "3.1 million"]


def test_reports_are_kept_in_order(notebook):
    notebook.ok("%%parallel\na = [x for x in range(3)]")
    notebook.ok("%%parallel\nb = [x for x in range(4)]")
    assert [report.loops[0].items for report in firn.reports()[-2:]] == [3, 4]
