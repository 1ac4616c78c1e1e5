"""When frozen data leaves memory: what retires at which cell's end, and what `%frozen` and the report say of it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import time

import firn
import pytest
from firn import _core

LOAD = "{name} = [{{'n': i, 'text': 'x' * 100 + str(i)}} for i in range(3000)]"
SUM = "%%parallel\nout = [len(r['text']) for r in {name}]"


@pytest.fixture
def frozen(notebook, spool, monkeypatch):
    """Freezes `rows` in a parallel cell; the number of its segment."""
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    notebook.ok(LOAD.format(name="rows"))
    notebook.ok(SUM.format(name="rows"))
    return segment_of(notebook["rows"])


def segment_of(value):
    (segment,) = _core.segments_of([value])
    return segment


def backing(segment):
    """Where a segment is, or "gone"; waits for the end of a scan or a move."""
    assert _core.settle()
    return next((info["backing"] for info in _core.segments() if info["id"] == segment), "gone")


def goes(segment):
    """Whether a segment is given back for good."""
    end = time.monotonic() + 5
    while backing(segment) != "gone" and time.monotonic() < end:
        gc.collect()
        _core.rescan()
    return backing(segment) == "gone"


def held():
    """What the last scan found: for each segment that stays where the word is that may be a pointer into it."""
    with open("/proc/self/maps") as maps:
        places = [(*(int(end, 16) for end in line.split()[0].split("-")), line.split(maxsplit=5)[5:]) for line in maps]
    found = []
    for one in _core.segments():
        holder = one["holder"]
        if one["retired"]:
            found.append((one["id"], one["names"], hex(holder), [p for p in places if p[0] <= holder < p[1]]))
    return found


@pytest.mark.parametrize("loop", ["for node in nodes:\n    pause(node)", "out = [pause(node) for node in nodes]"])
def test_the_originals_go_while_the_workers_run(notebook, loop):
    """Giving back millions of objects takes its time, which the notebook has while it waits."""
    notebook.ok(
        """import time, weakref
class Node: pass
def pause(node): time.sleep(0.1)
nodes = [Node() for _ in range(8)]
gone = []
last = weakref.finalize(nodes[-1], lambda: gone.append(time.perf_counter()))"""
    )
    notebook.ok(f"%%parallel\n{loop}\nended = time.perf_counter()")
    assert notebook.ok("len(gone)") == 1 and notebook["ended"] - notebook["gone"][0] > 0.2


def table(notebook):
    """What `%frozen` shows."""
    notebook.ok("%frozen")
    return notebook.reports[-1]["text/plain"]


def some_go(notebook, steps):
    """Whether a segment goes once `steps` (a function) have run: in one of a few rounds, for the scan is conservative, and
    what a long process leaves in memory that is used again for something else may look like a pointer."""
    for _ in range(6):
        notebook.ok(LOAD.format(name="rows"))
        notebook.ok(SUM.format(name="rows"))
        segment = segment_of(notebook["rows"])
        steps(segment)
        if goes(segment):
            return True
    return False


@pytest.mark.parametrize("cell", ["del rows", "rows = 1", "%reset -f", LOAD.format(name="rows")])
def test_it_goes_when_the_last_name_goes(notebook, frozen, cell):
    def steps(segment):
        notebook.ok("1")
        assert backing(segment) == "memory"
        notebook.ok(cell)

    assert some_go(notebook, steps)


def test_what_thawing_keeps_goes_with_the_copy(notebook, frozen):
    def steps(segment):
        notebook.ok("%thaw rows")
        assert backing(segment) == "file"  # the copy has its strings
        notebook.ok("rows = [{name: str(value)[:-1] for name, value in row.items()} for row in rows]")

    assert some_go(notebook, steps)


@pytest.mark.parametrize("copied", ["firn.thaw(row)", "copy.deepcopy(row)"])
def test_a_copy_with_frozen_strings_keeps_it(notebook, frozen, copied):
    notebook.ok(f"import copy\nrow = rows[5]\nrow = {copied}\ndel rows")
    assert notebook.ok("firn.is_frozen(row['text'])") and backing(frozen) == "file"


@pytest.mark.parametrize("kept", ["row", "row['text']"])
def test_a_pickled_copy_keeps_nothing_of_it(notebook, frozen, kept):
    def steps(segment):
        notebook.ok(f"import pickle\nrow = rows[5]\nrow = pickle.loads(pickle.dumps({kept}))\ndel rows")
        text = notebook["row"] if kept != "row" else notebook["row"]["text"]
        assert text == "x" * 100 + "5" and not firn.is_frozen(text)

    assert some_go(notebook, steps)


def test_it_goes_when_the_cell_that_drops_it_fails(notebook, frozen):
    assert some_go(notebook, lambda segment: notebook.fails("del rows\n1 / 0"))


@pytest.mark.parametrize("keep", ["alias = rows", "first = rows[0]", "text = rows[5]['text']"])
def test_a_variable_that_is_bound_to_a_part_keeps_it_in_memory(notebook, frozen, keep):
    name = keep.split()[0]

    def steps(segment):
        notebook.ok(keep)
        notebook.ok("del rows")
        assert backing(segment) == "memory"
        assert any(
            line.startswith(name + " ") and line.endswith("live, memory") for line in table(notebook).splitlines()
        )
        notebook.ok(f"del {name}")

    assert some_go(notebook, steps)


def test_classes_and_members_that_data_refers_to_keep_it_not_in_memory(notebook, spool, monkeypatch):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    notebook.ok(
        "import enum\nclass Color(enum.Enum):\n    RED = 1\nclass Plain: pass\nred, text = Color.RED, 'x' * 100"
    )
    notebook.ok("rows = [(Color.RED, Color, Plain, text + str(i)) for i in range(3000)]")
    notebook.ok("%%parallel\nfound = sum([r[0] is red and r[1] is Color and r[2] is Plain for r in rows])")
    assert notebook["found"] == 3000
    segment = segment_of(notebook["rows"])
    notebook.ok("1")
    assert backing(segment) == "memory"
    assert table(notebook).splitlines()[1].startswith("rows ")
    notebook.ok("del rows")
    assert backing(segment) in ("file", "gone")
    notebook.ok("assert red is Color.RED and isinstance(Plain(), Plain)")


def test_what_cells_showed_keeps_nothing_in_memory(notebook, frozen):
    notebook.ok("rows[0]")
    notebook.ok("rows")
    notebook.ok("del rows")
    assert backing(frozen) == "file"  # out of memory, and Out still has it
    assert notebook.ok("_")[5]["n"] == 5


def test_pointers_that_are_left_read_the_right_values(notebook, frozen):
    notebook.ok("hits = [r for r in rows if r['n'] % 100 == 7]\nrest = {'all': rows}")
    notebook.ok("%%parallel\nfound = [r for r in rows if r['n'] % 100 == 8]")
    notebook.ok("del rows")
    assert backing(frozen) == "file"
    assert notebook["hits"] == [{"n": i, "text": "x" * 100 + str(i)} for i in range(7, 3000, 100)]
    assert notebook["found"] == [{"n": i, "text": "x" * 100 + str(i)} for i in range(8, 3000, 100)]
    notebook.ok("rows = rest['all']")
    assert backing(frozen) == "file"  # it stays there
    notebook.ok("%%parallel\ntotal = sum(r['n'] for r in rows)")
    assert notebook["total"] == sum(range(3000))
    assert any(line.startswith("rows ") and line.endswith("live, disk") for line in table(notebook).splitlines())


def test_workers_read_on_what_retired(notebook, frozen):
    notebook.ok("%%parallel --each\nmine = rows[parallel.rank::2]\nwhole = rows")
    notebook.ok("del rows")
    assert backing(frozen) == "file"
    notebook.ok("%%parallel --gather n\nn = (sum(r['n'] for r in mine), sum(r['n'] for r in whole))")
    assert notebook["n"] == [(sum(range(rank, 3000, 2)), sum(range(3000))) for rank in range(2)]


@pytest.mark.parametrize(
    ("setup", "cell", "keeps"),
    [
        (
            "table = ['y' * 90 + str(i) for i in range(3000)]",
            "%%parallel --copy table\nout = [len(t) for t in table]",
            "",
        ),
        ("pass", "%%parallel\nout = [len(t) for t in map(str, range(10**9, 10**9 + 9000))]", ""),
        (
            "def f(i, table=['y' * 90 + str(i) for i in range(3000)]):\n    return len(table[i])",
            "%%parallel\nout = [f(i) for i in range(3000)]",
            "f has it still",
        ),
    ],
)
def test_what_was_frozen_without_a_name_retires_after_the_next_cell(notebook, frozen, setup, cell, keeps):
    notebook.ok(setup)
    before = _core.count_segments()
    notebook.ok(cell)
    new = [segment for segment in _core.segments() if segment["id"] > before and segment["bytes"] > 100_000]
    assert len(new) == 1 and new[0]["backing"] == "memory"
    notebook.ok("1")
    assert backing(new[0]["id"]) in (("gone", "file") if not keeps else ("file",))
    notebook.ok("once, out = out, None")
    notebook.ok(cell)
    assert notebook["out"] == notebook["once"]
    assert backing(frozen) == "memory"


def test_frozen_says_what_retired(notebook, frozen, spool):
    assert any(line.startswith("rows ") and line.endswith("live, memory") for line in table(notebook).splitlines())
    notebook.ok("hits = list(rows[:2])\ndel rows")
    assert backing(frozen) == "file"
    shown = table(notebook)
    assert any(line.startswith("(rows) ") and line.endswith("retired, disk") for line in shown.splitlines())
    assert f"on disk in {spool}" in shown and "retired: no variable is bound to it" in shown
    (html,) = [one["text/html"] for one in notebook.reports]
    assert ">(rows)</code>" in html and "retired, disk" in html


@pytest.mark.parametrize("call", ["firn.release('rows')", "firn.release(rows)"])
def test_release_gives_memory_back_at_once(notebook, frozen, call):
    notebook.ok("import firn")
    freed = 0
    for _ in range(4):
        bytes_ = next(one["bytes"] for one in _core.segments() if one["id"] == segment_of(notebook["rows"]))
        notebook.ok(f"answer = {call}")
        assert "rows" not in notebook
        if notebook["answer"] == bytes_:
            assert str(notebook["answer"]).endswith("given back") and notebook["answer"].held == ()
            freed += 1
            break
        notebook.ok(LOAD.format(name="rows"))
        notebook.ok(SUM.format(name="rows"))
    assert freed


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        ("hits = {'a': [rows[5]]}", "hits holds values of it"),
        ("alias = rows[3]", "alias is frozen together with it"),
        ("rows[4]", "holds values of it"),
        ("other = firn.freeze({'row': rows[7], 'more': 'x' * 999})", "other frozen data refers to it"),
        ("rest = iter(rows[8])", "rest"),
    ],
)
def test_release_says_who_holds_it(notebook, frozen, keep, words):
    notebook.ok("import firn")
    notebook.ok(keep)
    notebook.ok("answer = firn.release('rows')")
    assert notebook["answer"] == 0 and "rows" not in notebook
    assert words in str(notebook["answer"]) or words == "rest"
    assert notebook["answer"].held


def test_release_of_what_is_not_frozen(notebook):
    notebook.ok("import firn\nplain = [1]")
    assert "is not frozen" in str(notebook.fails("firn.release('plain')"))
    assert "no notebook has a variable 'nowhere'" in str(notebook.fails("firn.release('nowhere')"))
    assert "is not frozen" in str(notebook.fails("firn.release([2])"))


def test_a_folder_that_cannot_take_it_is_named_once(notebook, frozen, spool, monkeypatch):
    missing = spool / "missing"
    monkeypatch.setenv("FIRN_SPOOL", str(missing))
    notebook.ok("hits = rows[:2]\ndel rows")
    assert backing(frozen) == "kept"
    told = []
    for name in ("a", "b"):
        notebook.ok(LOAD.format(name=name))
        notebook.ok(SUM.format(name=name))
        told.append(f"{missing} cannot take it" in str(notebook.report))
    assert told == [True, False]
    shown = table(notebook)
    assert f"{missing} cannot take it (No such file or directory)" in shown and "FIRN_SPOOL" in shown
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    a = notebook["a"]
    notebook.ok("del a")  # the next one takes it along
    notebook.ok("1")
    assert backing(segment_of(a)) == "file" and backing(frozen) in ("file", "gone")
    assert "cannot take" not in table(notebook)


def test_rounds_of_loading_and_running_need_the_memory_of_one(spool):
    code = """
        from IPython.core.interactiveshell import InteractiveShell
        from firn import _core
        shell = InteractiveShell.instance()
        shell.history_manager.enabled = False
        shell.extension_manager.load_extension("firn")
        resident = []
        for round in range(10):
            shell.run_cell("rows = [{'n': i, 'text': 'x' * 1000 + str(i)} for i in range(80_000)]").raise_error()
            shell.run_cell("%%parallel --quiet\\nhits = [r for r in rows if r['n'] % 9999 == 5]").raise_error()
            assert _core.settle()
            lines = open("/proc/self/smaps_rollup").read().splitlines()
            resident.append(next(int(line.split()[1]) for line in lines if line.startswith("Rss:")) // 1024)
            assert [hit["n"] for hit in shell.user_ns["hits"]] == list(range(5, 80_000, 9999))
        assert max(resident) < 1.5 * resident[0], resident
        print(resident)
    """
    environment = os.environ | {"FIRN_SPOOL": str(spool), "FIRN_WORKERS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert not list(spool.iterdir())


SETUP = """
import enum, re
from decimal import Decimal
from types import SimpleNamespace
class Color(enum.Enum):
    RED = 1
def ring(i):
    a = SimpleNamespace(n=i)
    a.b = SimpleNamespace(a=a, rows=[str(i)])
    return a
"""


def gone_after_rounds(notebook, make, use, then):
    """Whether a segment with twins that workers have read goes when `then` has run and the name is dropped: in one of a few
    rounds, as in some_go()."""
    notebook.ok(SETUP)
    for _ in range(6):
        notebook.ok(f"rows = [{make} for i in range(2000)]")
        notebook.ok(f"%%parallel\ntotal = sum([{use} for r in rows])")
        segment = segment_of(notebook["rows"])
        notebook.ok(then)
        notebook.ok("del rows")
        if goes(segment):
            return True
    return False


@pytest.mark.parametrize(
    ("make", "use"),
    [
        ("Decimal(i)", "int(r)"),
        ("re.compile(f'a{i % 50}')", "len(r.pattern)"),
        ("(Decimal(i), [i])", "int(r[0]) + r[1][0]"),
        ("{Decimal(i): [i], 'k': i}", "r['k'] + len(r)"),
        ("(Color.RED, i)", "r[1] + (r[0] is Color.RED)"),
    ],
)
def test_what_interpreters_made_of_twins_keeps_no_segment(notebook, spool, monkeypatch, make, use):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    assert gone_after_rounds(notebook, make, use, f"assert total == sum([{use} for r in rows])")


@pytest.mark.parametrize(
    ("make", "use"),
    [
        ("SimpleNamespace(n=i, rows=[str(i)])", "r.n + len(r.rows)"),
        ("ring(i)", "r.n + len(r.b.rows) + (r.b.a is r)"),
    ],
)
def test_what_workers_made_of_twins_that_can_be_changed_keeps_no_segment(notebook, spool, monkeypatch, make, use):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    assert gone_after_rounds(notebook, make, use, "assert len(rows) == 2000")


@pytest.mark.parametrize(
    "make",
    [
        "SimpleNamespace(n=i, rows=[str(i)])",
        "ring(i)",
        "OSError(i, 'text')",
        "Steps([[i], str(i)])",
        "Sorted(n=[str(i)])",
        "Lazy(i)",
    ],
)
def test_what_the_notebook_changed_keeps_no_segment_that_nothing_else_leads_to(notebook, spool, monkeypatch, make):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    notebook.ok(
        SETUP
        + """
from collections import OrderedDict, deque
from functools import cached_property
class Steps(deque):
    "With a __dict__."
class Sorted(OrderedDict):
    "With a __dict__."
class Lazy:
    def __init__(self, n):
        self.held = [str(n)]
    @cached_property
    def twice(self):
        return [self.held, self.held]
"""
    )
    change = "r.twice" if make == "Lazy(i)" else "r.mine = rows[0]"
    for _ in range(6):
        notebook.ok(f"rows = [{make} for i in range(2000)]")
        notebook.ok("%%parallel\ntotal = sum([r is not None for r in rows])")
        segment = segment_of(notebook["rows"])
        notebook.ok(f"for r in rows: {change}")
        notebook.ok("del rows, r")
        if goes(segment):
            return
    pytest.fail(f"no round's data is given back: {held()[-3:]}")


def test_what_only_changed_objects_lead_to_stays_and_goes_with_them(notebook, spool, monkeypatch):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    notebook.ok(SETUP)
    for _ in range(6):
        notebook.ok("first = [SimpleNamespace(n=i) for i in range(5000)]\nsecond = [[i, str(i)] for i in range(20000)]")
        notebook.ok("%%parallel\none = sum([r.n for r in first])")
        notebook.ok("%%parallel\ntwo = sum([r[0] for r in second])")
        segments = [segment_of(notebook["first"]), segment_of(notebook["second"])]
        notebook.ok("first[3].mine = second\nheld = [first]\ndel first, second")
        for _ in range(3):
            _core.rescan()
            assert _core.settle()
        assert "gone" not in [backing(segment) for segment in segments]
        notebook.ok("assert held[0][3].mine[19_999] == [19_999, '19999']")
        notebook.ok("del held")
        if all(goes(segment) for segment in segments):
            return
    pytest.fail(f"no round's data is given back: {held()[-3:]}")


def test_what_the_notebook_changed_or_watches_stays_as_long_as_it_can_be_reached(notebook, spool, monkeypatch):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    notebook.ok(SETUP)
    notebook.ok("import weakref\nrows = [(SimpleNamespace(n=i), re.compile(f'b{i}'), [i]) for i in range(2000)]")
    notebook.ok("%%parallel\ntotal = sum([r[0].n + len(r[1].pattern) for r in rows])")
    notebook.ok("rows[9][0].mine = 2\nwatched, held = weakref.ref(rows[9][1]), [rows]\ndel rows")
    for _ in range(3):
        notebook.ok("gc = __import__('gc').collect()")
        _core.rescan()
        assert _core.settle()
    assert backing(segment_of(notebook["held"][0])) != "memory"
    notebook.ok("assert held[0][9][0].mine == 2 and watched() is held[0][9][1]")


def test_objects_that_somebody_holds_stay_what_they_are(notebook, spool, monkeypatch):
    monkeypatch.setenv("FIRN_SPOOL", str(spool))
    notebook.ok(SETUP)
    notebook.ok("rows = [(SimpleNamespace(n=i), Decimal(i), i) for i in range(2000)]")
    notebook.ok("%%parallel\ntotal = sum([r[0].n + int(r[1]) for r in rows])")
    notebook.ok("held, number = [rows[7], rows], rows[8][1]\nspace = rows[7][0]\nspace.mine = 1\ndel rows")
    notebook.ok("1")
    notebook.ok("assert held[0][0] is space and space.mine == 1 and held[1][7][0] is space")
    notebook.ok("assert held[1][8][1] == number == 8 and type(number) is Decimal")
    notebook.ok("assert [(r[0].n, int(r[1]), r[2]) for r in held[1]] == [(i, i, i) for i in range(2000)]")
    notebook.ok("rows = [number, number, Decimal(9)] * 100")
    notebook.ok("%%parallel\nagain = sum([int(r) for r in rows])")
    assert notebook["again"] == 2500
