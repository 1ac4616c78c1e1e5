"""Twins of all kinds, read in workers and in the notebook, held in odd places, changed, frozen again and dropped, in random
order: what is reached reads as it was left, whatever was retired and given back meanwhile."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

STEPS = """
import gc, random, sys, weakref
import firn
from firn import _core
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.extension_manager.load_extension("firn")
names = shell.user_ns

def run(cell):
    shell.run_cell(cell).raise_error()

run('''
import re
from decimal import Decimal
from types import SimpleNamespace
from functools import cached_property
from collections import deque
class Lazy:
    def __init__(self, n):
        self.n = n
    @cached_property
    def twice(self):
        return [self.n, [self.n]]
class Steps(deque):
    "Can be changed."
def make(seed, i):
    n = seed * 1000 + i
    ring = SimpleNamespace(n=n, mine=None)
    ring.inner = SimpleNamespace(outer=ring, text=str(n))
    return {
        "number": Decimal(n), "pattern": re.compile(f"a{n}"), "ring": ring, "error": OSError(n, "text"),
        "pair": (Decimal(n), [n, str(n)]), "keyed": {Decimal(n): [n], "k": n}, "members": {Decimal(n), n + 1},
        "lazy": Lazy(n), "steps": Steps([n, str(n)]), "plain": [str(n), {"n": n}], "inside": [[(Decimal(n), ring)]],
    }
def right(row, n):
    return (
        row["number"] == n and row["pattern"].pattern == f"a{n}" and row["ring"].n == n
        and row["ring"].inner.text == str(n) and row["ring"].inner.outer is row["ring"]
        and row["error"].args == (n, "text") and row["pair"] == (n, [n, str(n)]) and row["keyed"] == {n: [n], "k": n}
        and n in row["members"] and len(row["members"]) == 2 and row["lazy"].twice == [n, [n]]
        and list(row["steps"])[:2] == [n, str(n)] and row["plain"] == [str(n), {"n": n}]
        and row["inside"][0][0][0] == n and row["inside"][0][0][1] is row["ring"]
    )
''')
make, right = names["make"], names["right"]

draw = random.Random(SEED)
SIZE = 60
whole, parts = {}, {}  # what somebody holds: rows, and parts of rows: key -> (holder, check)
names["whole"] = whole

def holder_of(value):
    "A function that gives the value; it stands in a place of some kind."
    kind = draw.randrange(6)
    if kind == 0:
        return lambda box=[value]: box[0]
    if kind == 1:
        return lambda: value
    if kind == 2:
        def generate():
            mine = value
            while True:
                yield mine
        generator = generate()
        next(generator)
        return lambda: next(generator)
    if kind == 3:
        table = {"key": (value,)}
        return lambda: table["key"][0]
    if kind == 4:
        box = type("Box", (), {})()
        box.value = value
        return lambda: box.value
    iterator = [value, value]
    walk = iter(iterator * 10**4)
    return lambda: next(walk)

def part(row, n):
    "One object of a row, and how to tell that it is what it was."
    kind = draw.choice(["number", "pattern", "ring", "error", "pair", "keyed", "members", "lazy", "steps", "plain", "inside"])
    value = row[kind]
    if kind == "ring" and draw.random() < 0.7:
        value.mine = mark = [n, kind]
        return value.inner, lambda v: v.outer.mine is mark and v.text == str(n)
    if kind == "steps" and draw.random() < 0.5:
        value.append("changed")
        return value, lambda v: list(v)[:2] == [n, str(n)] and v[-1] == "changed"
    if kind == "lazy":
        value.twice.append("seen")
        return value, lambda v: v.twice[:2] == [n, [n]] and v.twice[-1] == "seen"
    if kind == "keyed":
        return iter(value.items()), lambda v: v.__length_hint__() == 2
    checks = {
        "number": lambda v: v == n, "pattern": lambda v: v.fullmatch(f"a{n}") is not None, "ring": lambda v: v.inner.outer.n == n,
        "error": lambda v: str(v) == f"[Errno {n}] text", "pair": lambda v: v == (n, [n, str(n)]),
        "members": lambda v: n in v and n + 1 in v, "steps": lambda v: v[1] == str(n), "plain": lambda v: v[1]["n"] == n,
        "inside": lambda v: v[0][0][0] == n and v[0][0][1].inner.text == str(n),
    }
    return value, checks[kind]

watched = []
for step in range(STEPS):
    seed = step + 1
    names["rows"] = [make(seed, i) for i in range(SIZE)]
    names["seed"] = seed
    run("%%parallel --quiet --workers 2\\nfine = [right(row, seed * 1000 + i) for i, row in enumerate(rows)]")
    assert all(names["fine"]) and len(names["fine"]) == SIZE, (step, names["fine"])
    rows = names["rows"]
    assert firn.is_frozen(rows)
    for _ in range(draw.randrange(4)):
        i = draw.randrange(1, SIZE, 2)  # other rows than those that are held whole: parts are changed
        parts[len(parts), seed, i] = (lambda value, check: (holder_of(value), check))(*part(rows[i], seed * 1000 + i))
    if draw.random() < 0.4:
        i = draw.randrange(0, SIZE, 2)
        whole[seed * 1000 + i] = rows[i]
    if draw.random() < 0.3:
        watched.append((weakref.ref(rows[5]["pattern"]), f"a{seed * 1000 + 5}"))
    del rows
    run("del rows, fine")
    if draw.random() < 0.6:
        assert _core.settle()
    if draw.random() < 0.4:
        gc.collect()
        _core.rescan()
    if whole and draw.random() < 0.4:  # what is left of older data is frozen anew, some of it from retired segments
        names["again"] = list(whole.items())
        run("%%parallel --quiet --workers 2\\nfine = [right(row, n) for n, row in again]")
        assert all(names["fine"]) and len(names["fine"]) == len(whole), (step, names["fine"])
        if draw.random() < 0.5:
            whole.update(names["again"])
        run("del again, fine")
    for key in draw.sample(sorted(parts), min(len(parts), 2)):
        if draw.random() < 0.6:
            del parts[key]
    for key in draw.sample(sorted(whole), min(len(whole), 1)):
        if draw.random() < 0.5:
            del whole[key]
    junk = [str(i) * 3 for i in range(20_000)]  # what would stand where something was given back too early
    for (_, seed, i), (get, check) in parts.items():
        assert check(get()), (step, seed, i)
    for n, row in whole.items():
        assert right(row, n), (step, n)
    for weak, text in watched:
        assert weak() is None or weak().pattern == text, step
parts.clear()
whole.clear()
watched.clear()
del get, check, row, weak, text, key
for _ in range(4):
    run("pass")
    gc.collect()
    _core.rescan()
    assert _core.settle()
figures = _core.scan_figures()
print(figures["freed"], "of", _core.count_segments(), "segments freed")
assert figures["problem"] == ""
assert figures["freed"] >= 0.6 * STEPS
"""


def check(run_python: Callable[..., CompletedProcess[str]], spool: Path, seed: int, steps: int) -> None:
    code = f"SEED, STEPS = {seed}, {steps}\n" + textwrap.dedent(STEPS)
    done = run_python(code, FIRN_SPOOL=str(spool), timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(spool.iterdir())


def test_twins_that_are_held_somewhere_always_read_right(
    run_python: Callable[..., CompletedProcess[str]], spool: Path
) -> None:
    check(run_python, spool, 7, 25)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_twins_that_are_held_somewhere_always_read_right_for_long(
    run_python: Callable[..., CompletedProcess[str]], spool: Path, seed: int
) -> None:
    check(run_python, spool, seed, 300)
