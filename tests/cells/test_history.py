"""`%parallel history`: a row for each parallel cell of the session, as text and as a table."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import firn
from firn import history
from firn.kept_reports import KeptReports
from firn.report import Loop, Pickled, Report, Span


def reports() -> list[Report]:
    def split(cell: int, wall: float, busy: float, source: str) -> Report:
        loop = Loop(2, "list comprehension", source, 100, 2, 2, 0.0, wall, 0.0, busy, 5_000, 2_000_000, 0.01)
        loop.spans = [Span(0, 0, 50, 0.02, 0.02 + busy / 2), Span(1, 50, 100, 0.02, 0.02 + busy / 2)]
        return Report(cell, "split", wall, [loop])

    quick = split(3, 0.5, 0.9, "hits = [f(p) for p in packages if p < '<b>']")
    quick.pickled = Pickled(0.2, 0.3, 1_000, 2, "sample", "1 of 2 items", cpus=2)
    slow = split(4, 0.5, 0.2, "few = [x for x in few]")
    failed = split(5, 0.1, 0.1, "bad = [1 / x for x in few]")
    failed.failed = "ZeroDivisionError"
    return [quick, slow, failed, Report(6, "serial", 0.02, why=["--serial asks for it"]), Report(None, "each", 0.3)]


def test_the_figures_of_a_row():
    rows = [history.row(report) for report in reports()]
    assert rows[0] == (
        "[3]",
        "0.50 s",
        "0.90 s",
        "1.8×",
        "2.0 MB",
        "≈ 0.49 s",
        "hits = [f(p) for p in packages if p < '<b>']",
    )
    assert rows[1][:4] == ("[4]", "0.50 s", "0.20 s", "0.4×") and rows[1][-1].startswith("slower: bringing the results")
    assert rows[2] == ("[5]", "0.10 s", "", "", "2.0 MB", "", "failed: ZeroDivisionError")
    assert rows[3] == ("[6]", "20 ms", "", "", "", "", "serially: --serial asks for it")
    assert rows[4][:4] == ("", "0.30 s", "", "")


def test_a_transfer_that_cost_more_than_pickling_is_a_loss():
    report = reports()[0]
    report.pickled.dumps_seconds = report.pickled.loads_seconds = 0.001
    assert history.row(report)[5] == "≈ −8.0 ms"


def test_the_text_is_in_columns():
    lines = history.text(reports()).splitlines()
    assert len(lines) == 7 and lines[0].split() == list(history.HEAD)
    end = lines[0].index("speedup") + len("speedup")
    assert [line[:end].split()[-1] for line in lines[1:3]] == ["1.8×", "0.4×"]
    assert max(map(len, lines[:-1])) <= 120


def test_the_table_is_plain_html_without_markup_from_cells():
    page = history.html(reports()).partition("</style>")[2]
    table = ElementTree.fromstring(page)
    rows = list(table.iter("tr"))
    assert [cell.text for cell in rows[0]] == list(history.HEAD)
    assert ["".join(cell.itertext()) for cell in rows[1]] == list(history.row(reports()[0]))
    assert "<script" not in page and len(rows) == 6


def test_the_magic_shows_the_cells_of_the_session(notebook):
    before = min(len(firn.reports()), 200 - 2)  # the oldest go
    notebook.ok("%%parallel\na = [x for x in range(3)]")
    notebook.ok("%%parallel --serial\nb = [x for x in range(4)]")
    notebook.ok("%parallel history")
    [shown] = notebook.reports
    lines = shown["text/plain"].splitlines()
    assert len(lines) == before + 4  # the head, two cells, the note
    assert "--serial asks for it" in lines[-2]
    assert shown["text/html"].count("<tr>") == before + 3


def test_older_reports_are_packed_and_equal():
    kept = KeptReports(30)
    assert kept.last() is None and list(kept) == []
    made = [replace(reports()[n % 5], cell=n) for n in range(100)]
    made[75].loops = [
        Loop(line=1, what="loop", source="many", spans=[Span(0, n, n + 1, 0.0, 1.0) for n in range(2000)])
    ]
    for report in made:
        kept.append(report)
    assert kept.last() is made[-1] and len(kept) == 30
    assert list(kept) == made[-30:] and all(type(report) is Report for report in kept)
    assert sum(any(report is one for one in made) for report in kept) == 20 + 1  # the rest are new objects
    assert {report.cell: str(report) for report in kept} == {report.cell: str(report) for report in made[-30:]}


def test_before_the_first_cell_it_says_so():
    assert history.text([]) in history.html([])


def test_a_refused_cell_has_not_run_serially(notebook):
    notebook.fails("%%parallel\ntotal = 0\nfor x in range(9):\n    total = 2 * total + x")
    report = firn.last_report()
    assert report.failed == "Refused" and history.row(report)[-1] == "refused"
    assert "serial" not in str(report) and "(Refused)" in str(report)
