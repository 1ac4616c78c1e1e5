"""The figures of a parallel cell: as data, as a line of text, as a card."""

from __future__ import annotations

import json
import re

import firn
import pytest
from firn.report import Loop, Pickled, Report, Shared, Span, count, seconds, size
from firn.report_html import render

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
    assert data["serial_seconds"] == pytest.approx(outside + busy + loop["read_seconds"])
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
    assert report.serial_seconds >= 1.2
    assert report.wall_seconds < report.serial_seconds
    assert report.speedup > 1


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


def test_a_sample_is_near_the_full_measure_in_bytes(notebook):
    notebook.ok(DATA)
    notebook.ok("%%parallel --compare full\nout = [len(r['text']) for r in data]")
    full = notebook.report.pickled.bytes
    notebook.ok("import time\n" + DATA)
    notebook.ok("%%parallel\nout = [len(r['text']) for r in data]\ntime.sleep(0.5)")
    assert notebook.report.pickled.bytes == pytest.approx(full, rel=0.3)


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
    report.pickled = Pickled(0.4, 0.5, 98_000_000, 2, "sample", "64 of 120 items of rows")
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_the_line_of_text():
    assert str(sample()) == (
        "firn [7]: 0.12 s instead of 0.16 s (1.3×) · list comprehension of 120 iterations on 2 workers · "
        "froze rows (3.0 million objects, 127 MB) in 10 ms · shared in 200 µs, by pickle 1.40 s, estimated"
    )


def test_slower_than_serial_comes_first():
    report = sample(wall_seconds=0.5)
    report.loops[0].wall_seconds = 0.49
    assert str(report).startswith("firn [7]: slower than serially, 0.50 s instead of 0.16 s")
    assert "Slower than serially" in render(report)


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
    assert "<script" not in html and "on" + "click" not in html
    body = html.partition("</style>")[2]
    opened = re.findall(r"<(\w+)(?:\s[^<>]*?)?(?<!/)>", body)
    closed = re.findall(r"</(\w+)>", body)
    assert sorted(opened) == sorted(closed)


def test_a_card_of_many_workers_and_chunks_stays_small():
    spans = [Span(n % 64, n, n + 1, n / 10_000, (n + 1) / 10_000) for n in range(10_000)]
    report = sample(wall_seconds=1.0)
    report.loops[0].spans = spans
    assert len(render(report)) < 200_000
    assert "and 48 more workers" in render(report)


def test_times_sizes_and_counts():
    assert [seconds(x) for x in (3.5e-5, 1.2e-3, 0.038, 0.38, 12.51, 185)] == [
        "35 µs", "1.2 ms", "38 ms", "0.38 s", "12.5 s", "3 min 5 s",
    ]  # fmt: skip
    assert [size(x) for x in (812, 3400, 127e6, 1.23e9)] == ["812 B", "3.4 kB", "127 MB", "1.2 GB"]
    assert [count(x) for x in (812, 70735, 3_104_221)] == ["812", "70,735", "3.1 million"]


def test_reports_are_kept_in_order(notebook):
    before = len(firn.reports())
    notebook.ok("%%parallel\na = [x for x in range(3)]")
    notebook.ok("%%parallel\nb = [x for x in range(4)]")
    assert [report.loops[0].items for report in firn.reports()[before:]] == [3, 4]
