"""%%parallel --explain: a verdict on each loop, a class for each variable, and nothing runs."""

from __future__ import annotations

import html
import re

import firn
import pytest

SETUP = """
from collections import Counter
rows = [{"k": i % 3, "n": i} for i in range(10)]
LIMIT = {5, 6}
def small(row):
    return row["n"] not in LIMIT
def load(n):
    return [x for x in range(n)]
"""


def explained(notebook, code: str, options: str = "") -> str:
    notebook.ok(f"%%parallel --explain {options}\n{code}")
    [data] = notebook.reports
    return data["text/plain"]


def variables(text: str) -> dict[str, str]:
    """class -> the names in it."""
    text = re.sub(r"\n {21}", " ", text)  # one line each
    found = re.findall(r"^ +(loop|temporary|broadcast|reduction|output) +(.*)$", text, re.MULTILINE)
    return {kind: re.sub(r" \([^)]*\)", "", names) for kind, names in found}


@pytest.fixture(autouse=True)
def setup(notebook):
    notebook.ok(SETUP)


def test_nothing_runs_and_nothing_is_frozen(notebook):
    before = firn.last_report()
    explained(notebook, "print('ran')\nout = [r['n'] for r in rows]")
    assert notebook.out == "" and "out" not in notebook
    assert type(notebook["rows"]) is list and type(notebook["LIMIT"]) is set
    assert firn.last_report() is before


def test_the_classes_of_a_loops_variables(notebook):
    text = explained(
        notebook,
        "found = []\ncounts = Counter()\nbest = 0\nwho = None\nfor r in rows:\n    n = r['n']\n    if small(r):\n"
        "        found.append(n)\n    counts[r['k']] += 1\n    if n > best:\n        best, who = n, r",
    )
    assert variables(text) == {
        "loop": "r", "temporary": "n", "broadcast": "rows, small, LIMIT", "output": "found",
        "reduction": "counts, best, who",
    }  # fmt: skip
    assert "1 loop would be split" in text
    assert "counts (an augmented item assignment)" in text and "rows (list of 10)" in text


def test_the_classes_of_a_comprehension(notebook):
    text = explained(notebook, "total = sum(r['n'] for r in rows if small(r))")
    assert variables(text) == {"loop": "r", "broadcast": "rows, small, LIMIT", "output": "total"}
    assert "split (sum() over a comprehension)" in text


def test_each_refusal_has_its_line_its_reason_and_what_to_write_instead(notebook):
    text = explained(
        notebook,
        "ok = [r for r in rows]\nlast = 0\nfor r in rows:\n    last = last * 2 + r['n']\nbad = [nmae for r in rows]",
    )
    assert "2 loops cannot be split, 1 loop could be" in text
    assert re.search(r"^-->\s+5 │     last = last \* 2", text, re.MULTILINE)
    assert re.search(r"^-->\s+6 │ bad", text, re.MULTILINE)
    assert "line 5: an iteration reads 'last'" in text and "line 6: the name 'nmae' is not defined" in text
    assert text.count("Instead: ") == 2


@pytest.mark.parametrize(
    "code",
    [
        "for r in rows:\n    break",
        "for r in rows:\n    rows.append(r)",
        "n = 0\ndef f(x):\n    global n\n    n += x\nout = [f(x) for x in range(3)]",
        "out = [undefined for r in rows]",
        "import threading\nit = iter([1])\nout = [next(it) for r in rows]",
        "last = 0\nfor r in rows:\n    last = last * 2 + r['n']",
        "for r in rows:\n    input()",
    ],
)
def test_the_verdict_is_what_the_cell_meets(notebook, code):
    """The reason stands word for word in the refusal of the cell that runs."""
    *setup, last = re.split(r"\n(?=out = |for r)", code)
    notebook.ok("\n".join(setup))
    text = explained(notebook, last)
    assert "the cell would be refused" in text
    error = notebook.fails(f"%%parallel\n{last}")
    words = re.sub(r"^line \d+: ", "", str(error)).replace("\n", " Instead: ", 1)
    assert words in " ".join(text.split())


def test_loops_that_are_not_the_cells_own(notebook):
    text = explained(notebook, "def f():\n    for r in rows: pass\nwhile False:\n    for r in rows: pass\nxs = load(3)")
    assert "the loops of the function 'f' were left serial: only top-level ones are split" in text
    assert "the loops inside 'while' were left serial" in text
    assert "line 6: load() has loops of its own, which are not split" in text
    assert "the cell would run serially" in text


def test_a_function_with_loops_is_named_in_the_report_too(notebook):
    notebook.ok("%%parallel\nxs = load(3)")
    assert "load() has loops of its own" in str(notebook.report)
    notebook.ok("%%parallel\nys = [load(x) for x in range(3)]")
    assert "load()" not in str(notebook.report)


def test_names_that_the_cell_makes_are_known_later(notebook):
    text = explained(notebook, "first = [r['n'] for r in rows]\nsecond = [x + len(first) for x in first]")
    assert "2 loops would be split" in text


def test_other_ways(notebook):
    assert "once in every worker" in explained(notebook, "print(parallel.rank)")
    assert "--serial asks for it" in explained(notebook, "out = [r for r in rows]", "--serial")
    assert "copied" in explained(notebook, "out = [len(rows) for r in rows]\nrows.append(1)")
    assert "frozen already" not in explained(notebook, "out = [r for r in rows]")
    notebook.ok("%%parallel\nout = [r['n'] for r in rows]")
    assert "rows (list of 10, frozen already)" in explained(notebook, "out = [r for r in rows]")


def test_html_has_the_code_with_its_variables_marked(notebook):
    notebook.ok(
        "%%parallel --explain\ngröße = [r['n'] < 3 for r in rows]  # <b>\nlast = 0\nfor r in rows: last = r['n'] - last"
    )
    page = notebook.reports[0]["text/html"]
    assert "<span class='loop' title='loop'>r</span>[" in page
    assert "<span class='output' title='output'>größe</span>" in page
    assert "&lt;b&gt;" in page and "class='bad'" in page
    text = html.unescape(re.sub(r"<[^>]*>", "", page.partition("</style>")[2]))
    assert "größe = [r['n'] < 3 for r in rows]  # <b>" in text


@pytest.mark.parametrize(
    ("value", "cell", "path"),
    [
        ("[1, {'l': threading.Lock()}]", "out = [len(data) for x in range(3)]", "data[1]['l']"),
        ("[1, {'l': threading.Lock()}]", "out = [str(x) for x in data]", "data[1]['l']"),
        ("{'a': Held(open('/dev/null'))}", "for x in range(3):\n    len(data)", "data['a'].value"),
        ("(1, [2, (n for n in [])])", "out = [x for n, x in enumerate(data)]", "data[1][1]"),
        ("deque([iter([1])])", "out = [len(data) for x in range(3)]", "data[0]"),
        ("[functools.partial(print, threading.Lock())]", "out = [len(data) for x in range(3)]", "data[0]"),
        ("Slotted(io.BytesIO())", "def size(x):\n    return data\nout = [size(x) for x in range(3)]", "data.value"),
        ("[random.Random(1)]", "out = [len(data) for x in range(3)]", "data[0]"),
        ("Many([threading.Lock()])", "out = [len(data) for x in range(3)]", "data[0]"),
    ],
)
def test_what_cannot_be_frozen_is_found_with_its_path_and_nothing_is_frozen(notebook, value, cell, path):
    """In the same words as when the cell runs."""
    notebook.ok("""
import functools, io, random, threading
from collections import deque
class Held:
    def __init__(self, value):
        self.value = value
class Slotted:
    __slots__ = ("value",)
    def __init__(self, value):
        self.value = value
class Many(list):
    pass
""")
    notebook.ok(f"data = {value}")
    *setup, cell = re.split(r"\n(?=out = )", cell)
    notebook.ok("\n".join(setup))
    segments = firn._core.count_segments()
    text = explained(notebook, cell)
    assert firn._core.count_segments() == segments
    assert "the cell would be refused" in text and path in text and "Instead: " in text
    error = notebook.fails(f"%%parallel\n{cell}")
    assert str(error).replace("\n", " Instead: ") in " ".join(text.split())


def test_data_that_freezes_is_no_reason_to_refuse(notebook):
    notebook.ok("""
import decimal, re, datetime, enum, dataclasses, pathlib, functools, operator
class Colour(enum.Enum):
    RED = 1
@dataclasses.dataclass(slots=True)
class Ride:
    start: str
    to: "Ride | None" = None
    colour: Colour = Colour.RED
class Lazy:
    def __init__(self):
        self.lock = __import__("threading").Lock()
    def __reduce__(self):
        return type(self), ()  # by no name: later tests of this process have none of these
loop = [1]
loop.append(loop)
data = [Ride("a", Ride("b")), {Colour.RED: decimal.Decimal(1)}, re.compile("x"), pathlib.Path("/"), loop, print, Ride,
        functools.partial(operator.add, 1), {(1, "a"): {frozenset([1, (2,)])}}, datetime.datetime.now(), Lazy(), len, [].append]
""")
    notebook.ok("data.pop()")
    assert "1 loop would be split" in explained(notebook, "out = [len(data) for x in range(3)]")
    notebook.ok("%%parallel\nout = [len(data) for x in range(3)]")


def test_iterators_and_locks(notebook):
    notebook.ok("import io, threading\nf, lock = io.StringIO('a'), threading.Lock()\ng = (n for n in range(9))")
    for cell in ("out = [line for line in f]", "out = [n for n in g]", "out = [n for n in enumerate(f)]"):
        text = explained(notebook, cell)
        assert "split (list comprehension)" in text and "refused" not in text
    text = explained(notebook, "for n in range(3):\n    with lock: print(n)")
    assert "refused" in text and "lock" in text
