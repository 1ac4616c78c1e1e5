"""Definite assignment: which reads may see an earlier iteration's value."""

import ast
import textwrap

import pytest
from firn.analysis.classify import cannot_swallow
from firn.analysis.flow import Flow


def exposed(body: str, names: str = "x a b c") -> list[str]:
    [loop] = ast.parse("for x in xs:\n" + textwrap.indent(textwrap.dedent(body), "    ")).body
    assert isinstance(loop, ast.For)
    flow = Flow(names.split(), cannot_swallow)
    flow.iteration(loop.target, loop.body)
    return [name for name, _ in flow.exposed]


SAFE = [
    "a = x; a",
    "if x:\n    a = 1\nelse:\n    a = 2\na",
    "if x:\n    a = 1\nelse:\n    continue\na",
    "if x:\n    a = 1\nelse:\n    raise E\na",
    "if (a := x) and a: a",
    "if x and (a := x): a",
    "if not (x and (a := x)): pass\nelse: a",
    "if x or (a := x): pass\nelse: a",
    "(a := x) + a",
    "a = 1 if (b := x) else b",
    "while True:\n    a = 1\n    if a: break\na",
    "for b in x: b",
    "for a in x: c = a; c",
    "try: a = x\nexcept E: a = 2\na",
    "try: a = x\nexcept E: continue\na",
    "try: pass\nfinally: a = 1\na",
    "try: b = 1\nexcept E as a: a",
    "with open(x) as b: a = b\na",
    "with lock as b: a = b; a",
    "match x:\n    case [a, *b]: a; b\n    case {'k': c}: c",
    "match x:\n    case 1: a = 1\n    case _: a = 2\na",
    "match x:\n    case [a] | {'k': a}: a",
    "import a; a",
    "assert (a := x); a",
    "a, (b, *c) = x; a; b; c",
    "[a for a in x]",
    "a = [b for c in x if (b := c)]; a",
    "a = 1; del a; a = 2; a",
    "a = 0; a += 1",
    "lambda a: a",
]

EXPOSED = [
    ("a", ["a"]),
    ("a += 1", ["a"]),
    ("del a", ["a"]),
    ("if x: a = 1\na", ["a"]),
    ("while x: a = 1\na", ["a"]),
    ("for b in x: a = 1\na", ["a"]),
    ("for b in x: pass\nb", ["b"]),
    ("while True:\n    if x: break\n    a = 1\na", ["a"]),
    ("try: a = x\nexcept E: pass\na", ["a"]),
    ("try: a = x\nfinally: a", ["a"]),
    ("try: pass\nexcept E as a: pass\na", ["a"]),
    ("with suppress(E): a = 1\na", ["a"]),
    ("match x:\n    case 1: a = 1\na", ["a"]),
    ("match x:\n    case 1: a = 1\n    case _ if x: a = 2\na", ["a"]),
    ("x and (a := x)\na", ["a"]),
    ("1 if x else (a := x)\na", ["a"]),
    ("[(a := b) for b in x]\na", ["a"]),
    ("[(a := b) + c for b in x]\nc = 1", ["c"]),
    ("a = 1; del a; a", ["a"]),
    ("a = 1\ntry: del a\nexcept E: a", ["a"]),
    ("f = lambda: a\na = 1", ["a"]),
    ("x < 1 < (a := x)\na", ["a"]),
    ("if x or (a := x): a", ["a"]),
]


@pytest.mark.parametrize("body", SAFE)
def test_assigned_first(body: str) -> None:
    assert exposed(body) == []


@pytest.mark.parametrize(("body", "names"), EXPOSED)
def test_may_be_an_earlier_value(body: str, names: list[str]) -> None:
    assert exposed(body) == names
