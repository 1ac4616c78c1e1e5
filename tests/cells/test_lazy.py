"""What a loop runs over is read first: where the serial cell would show that, it is refused."""

import pytest

SETUP = """
def permutations(a, i=0):
    if i == len(a):
        yield a
    for j in range(i, len(a)):
        a[i], a[j] = a[j], a[i]
        yield from permutations(a, i + 1)
        a[i], a[j] = a[j], a[i]
def filled():
    row = {}
    for i in range(5):
        row["i"] = i
        yield row
class Tokens:
    def __init__(self, text): self.text, self.line, self.at = text, 1, 0
    def __iter__(self):
        for letter in self.text:
            if letter == "|": self.line += 1
            else: yield letter
    def move(self, n):
        self.at = n
        return self
tokens, state, seen = Tokens("ab|c|de"), {"n": 0}, []
def counted():
    for i in range(5):
        state["n"] += 1
        yield i
def logged(x):
    seen.append(x)
    return x
def loud():
    for i in range(3):
        print("make", i)
        yield i
def batches(rows, n):
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == n:
            yield batch
            batch = []
from dataclasses import dataclass
class Node:
    def __init__(self, n): self.n = n
@dataclass(frozen=True)
class Fixed:
    n: int
nodes, fixed = [Node(1)] * 3, [Fixed(2)] * 3
def each(xs):
    for x in xs: yield x
def marked(xs):
    for n, x in enumerate(xs):
        x.n = n
        yield x
def counted_fixed():
    state["n"] += 1
    for x in fixed: yield x
rows = [{"n": n} for n in range(12)]
twice = [rows[0], rows[0], rows[1]]
"""

MORE = """
from itertools import accumulate, groupby, islice
import numpy as np
def trimmed():
    w = []
    for i in range(20):
        w.append(i)
        del w[:-3]
        yield w
def paired():
    cur = {}
    for i in range(9):
        cur["v"] = i
        yield i, cur
def arrays():
    b = np.zeros(3)
    for i in range(9):
        b[:] = i
        yield b[:2]
def alternating():
    a, b = [], []
    for i in range(9):
        c = a if i % 2 else b
        c.clear()
        c.append(i)
        yield c
def note(i): seen.append(i)
def noted():
    for i in range(9):
        note(i)
        yield i
class Reader:
    def __init__(self): self.line = 0
    def _rows(self):
        for i in range(9):
            self.line += 1
            yield i
    def rows(self):
        yield from self._rows()
reader = Reader()
def look(): return state["n"]
def aliased():
    t = state
    for i in range(9):
        t["n"] = i
        yield i
def key(x):
    state["n"] += 1
    return x // 3
def adding(a, b):
    state["n"] += b
    return a + b
def say(x): print("say", x)
def talking():
    for i in range(3):
        say(i)
        yield i
config, EMPTY = {"w": 2}, {}
def weighted(xs):
    acc = []
    for x in xs:
        acc.append(x * config["w"])
        if len(acc) == 3:
            yield acc
            acc = []
def mostly(xs):
    for x in xs: yield EMPTY
g, it = trimmed(), iter(range(30))
"""
SETUP += MORE

REFUSED = {
    "out = [sum(w) for w in islice(trimmed(), 2, 9)]": "same list",
    "out = [(i, sum(w)) for i, w in zip(range(9), trimmed())]": "same list",
    "out = [cur['v'] for i, cur in paired()]": "same dict",
    "out = [float(b[0]) for b in arrays()]": "same ndarray",
    "out = [c[0] for c in alternating()]": "same list",
    "out = [(x, len(seen)) for x in noted()]": "'seen'",
    "out = [(x, reader.line) for x in reader.rows()]": "'reader'",
    "out = [(x, look()) for x in counted()]": "'state'",
    "out = [(x, state['n']) for x in aliased()]": "'state'",
    "out = [(k, state['n']) for k, group in groupby(range(9), key)]": "'state'",
    "out = [(x, state['n']) for x in accumulate(range(9), adding)]": "'state'",
    "for x in talking(): print('use', x)": "prints",
    "for x in islice(talking(), 2): say(x)": "prints",
    "out = all(x < 3 for x in noted())": "'seen'",
    "out = [tuple(p) for p in permutations([1, 2, 3])]": "same list",
    "out = [(i, tuple(p)) for i, p in enumerate(permutations([1, 2, 3]))]": "same list",
    "out = []\nfor row in filled(): out.append(row['i'])": "same dict",
    "out = [t.at for t in map(tokens.move, range(5))]": "same Tokens",
    "out = [(tokens.line, letter) for letter in tokens]": "'tokens'",
    "out = [(tokens.at, t.text) for t in map(tokens.move, range(5))]": "'tokens'",
    "out = [(x, state['n']) for x in counted()]": "'state'",
    "out = [(x, len(seen)) for x in map(logged, range(5))]": "'seen'",
    "out = [(x, y, len(seen)) for x, y in zip(range(5), map(logged, range(5)))]": "'seen'",
    "for x in loud(): print('use', x)": "prints",
    "out = [node.n for node in marked(nodes)]": "same Node",
}


@pytest.mark.parametrize("cell", REFUSED)
def test_what_shows_that_the_items_are_read_first_is_refused(notebook, cell):
    notebook.ok(SETUP)
    error = notebook.fails(f"%%parallel --chunk 1\n{cell}")
    assert REFUSED[cell] in str(error) and ("--serial" in str(error) or "list(...)" in str(error))
    notebook.ok(f"%%parallel --serial\n{cell}")


ALIKE = {
    "out = [sum(r['n'] for r in b) / len(rows) for b in batches(rows, 3)]",
    "out = [r['n'] for r in (r for r in twice)]",
    "out = [len(b) for b in batches(iter(rows), 4)]",
    "out = []\nfor i in loud(): out.append(i)",
    "out = [x + 1 for x in map(logged, range(5))]",
    "out = [letter.upper() for letter in tokens]",
    "out = [node.n for node in each(nodes)]",
    "out = [sum(b) + config['w'] for b in weighted(range(9))]",
    "out = [len(d) for d in mostly(range(9))]",
    "out = [a + b for a, b in islice(zip(it, range(9)), 5)]",
    "out = [node.n for node in list(marked(nodes))]",
    "out = [x.n for x in counted_fixed()]",
    "out = [d is rows[0] for d in map({'a': rows[0]}.get, 'aab')]",
}


@pytest.mark.parametrize("cell", sorted(ALIKE))
def test_where_nothing_shows_it_is_split(notebook, cell):
    notebook.ok(f"{SETUP}{cell}")
    expected = notebook["out"]
    notebook.ok(f"{SETUP}\ndel out")
    notebook.ok(f"%%parallel --chunk 1\n{cell}")
    assert notebook["out"] == expected and notebook.report.way == "split"


def test_what_is_refused_beforehand_reads_nothing(notebook, tmp_path):
    (tmp_path / "text").write_text("one\ntwo\nthree\n")
    notebook.ok(
        f"import csv, io, re, threading\nlock = threading.Lock()\nf = open({str(tmp_path / 'text')!r})\n"
        "table = csv.DictReader(io.StringIO('a,b\\n1,2\\n3,4\\n'))\nfound = re.finditer('a', 'banana')"
    )
    for cell in (
        "out = [line + missing for line in f]",
        "out = [(row, lock) for row in table]",
        "out = []\nfor line in f:\n    with lock: out.append(line)",
        "out = [m.group() + missing for m in found]",
    ):
        notebook.fails(f"%%parallel\n{cell}")
    notebook.ok("%%parallel\nout = [line.strip() for line in f], [row['b'] for row in table]")
    assert notebook["out"] == (["one", "two", "three"], ["2", "4"])
    assert notebook.ok("[m.start() for m in found]") == [1, 3, 5]


def test_what_is_refused_for_its_items_is_not_lost(notebook):
    notebook.ok(SETUP)
    notebook.fails("%%parallel\nout = [sum(w) for w in g]")
    assert notebook.ok("len(list(g))") == 20
