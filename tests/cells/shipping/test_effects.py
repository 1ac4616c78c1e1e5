"""Code that changes something outside of the loop is refused before anything runs; code that does not is not."""

from __future__ import annotations

from typing import Any

import pytest
from firn.effects import LostEffect

from .conftest import Failed

LOST = {
    "a global": ("total = 0\ndef f(x):\n    global total\n    total += x\n", "f(x)", "total", 4),
    "a deleted global": ("total = 0\ndef f(x):\n    global total\n    del total\n", "f(x)", "total", 4),
    "a global in a nested function": (
        "total = 0\ndef f(x):\n    def g():\n        global total\n        total = x\n    g()\n", "f(x)", "total", 5,
    ),
    "a captured variable": (
        "def make():\n    n = 0\n    def f(x):\n        nonlocal n\n        n += x\n        return n\n    return f\nf = make()\n",
        "f(x)", "n", 5,
    ),
    "a captured variable, further in": (
        "def make():\n    n = 0\n    def f(x):\n        def g():\n            nonlocal n\n            n += x\n"
        "        g()\n    return f\nf = make()\n", "f(x)", "n", 6,
    ),
    "a function of a function": (
        "total = 0\ndef g(x):\n    global total\n    total += x\ndef f(x): return g(x)\n", "f(x)", "total", 4,
    ),
    "an attribute of a class": ("class C:\n    n = 0\ndef f(x):\n    C.n += 1\n", "f(x)", "C", 4),
    "a class in __init__": ("class C:\n    n = 0\n    def __init__(self):\n        C.n += 1\n", "C()", "C", 4),
    "its own class": ("class C:\n    n = 0\n    def m(self):\n        type(self).n += 1\n", "C().m()", "type(self)", 4),
    "its own class's list": ("class C:\n    a = []\n    def m(self):\n        self.__class__.a.append(1)\n", "C().m()", "self", 4),
    "cls": ("class C:\n    n = 0\n    @classmethod\n    def m(cls):\n        cls.n = 1\n", "C.m()", "cls", 5),
    "an attribute of a module": ("import json\ndef f(x):\n    json.mine = x\n", "f(x)", "json", 3),
    "an attribute of a function": ("def f(x):\n    f.calls = 1\n", "f(x)", "f", 2),
    "setattr": ("class C: pass\ndef f(x):\n    setattr(C, 'n', x)\n", "f(x)", "C", 3),
    "a list": ("seen = []\ndef f(x):\n    seen.append(x)\n", "f(x)", "seen", 3),
    "a dict": ("d = {}\ndef f(x):\n    d[x] = 1\n", "f(x)", "d", 3),
    "a deleted item": ("d = {1: 1}\ndef f(x):\n    del d[x]\n", "f(x)", "d", 3),
    "an item of an item": ("d = {'a': {}}\ndef f(x):\n    d['a'][x] = 1\n", "f(x)", "d", 3),
    "a list in a dict": ("d = {'a': []}\ndef f(x):\n    d['a'].append(x)\n", "f(x)", "d", 3),
    "a set": ("s = set()\ndef f(x):\n    s.add(x)\n", "f(x)", "s", 3),
    "a deque": ("from collections import deque\nq = deque()\ndef f(x):\n    q.appendleft(x)\n", "f(x)", "q", 4),
    "a Counter": ("from collections import Counter\nc = Counter()\ndef f(x):\n    c[x] += 1\n", "f(x)", "c", 4),
    "a list of a class": ("class C:\n    a = []\ndef f(x):\n    C.a.append(x)\n", "f(x)", "C", 4),
    "a captured list": ("def make():\n    a = []\n    def f(x):\n        a.append(x)\n    return f\nf = make()\n", "f(x)", "a", 4),
    "an unpacked target": ("d = {}\ndef f(x):\n    a, d[x] = 1, 2\n", "f(x)", "d", 3),
    "a with target": ("class C: pass\ndef f(x):\n    for C.n in range(3): pass\n", "f(x)", "C", 3),
    "a lambda": ("seen = []\nf = lambda x: seen.append(x)\n", "f(x)", "seen", 2),
    "an object's method": (
        "class S:\n    def __init__(self): self.v = []\n    def add(self, x): self.v.append(x)\ns = S()\n", "s.add(x)", "s", None,
    ),
    "an object's method in a function": (
        "class S:\n    n = 0\n    def add(self, x): self.n += x\ns = S()\ndef f(x): s.add(x)\n", "f(x)", "s", 5,
    ),
    "an object's method that calls another": (
        "class S:\n    n = 0\n    def put(self, x): self.n += x\n    def add(self, x): self.put(x)\ns = S()\n", "s.add(x)", "s", None,
    ),
    "an object that is called": ("class S:\n    n = 0\n    def __call__(self, x): self.n += x\ns = S()\n", "s(x)", "s", None),
    "a bound method": ("class S:\n    n = 0\n    def add(self, x): self.n += x\nadd = S().add\n", "add(x)", "add", None),
    "a list's method": ("found = []\nappend = found.append\n", "append(x)", "append", None),
    "a method in a table": ("found = set()\ntable = {'add': found.add}\n", "table['add'](x)", "table", None),
    "a method in a partial": (
        "from functools import partial\nfound = {}\nput = partial(found.__setitem__, 1)\n", "put(x)", "put", None,
    ),
    "a Counter's method": ("from collections import Counter\nc = Counter()\ncount = c.update\n", "count([x])", "count", None),
    "a generator's method": ("import random\nr = random.Random(1).random\n", "r()", "r", None),
    "an iterator's method": ("import itertools\nfollowing = itertools.count().__next__\n", "following()", "following", None),
    "an object's method in a table": (
        "class S:\n    n = 0\n    def add(self, x): self.n += x\ntable = [S().add]\n", "table[0](x)", "table", None,
    ),
    "a random generator": ("import random\nrng = random.Random(1)\n", "rng.random()", "rng", None),
    "an iterator": ("it = iter([1, 2, 3])\ndef f(x): return next(it)\n", "f(x)", "it", None),
    "a generator": ("it = (n for n in range(3))\n", "next(it)", "it", None),
}  # fmt: skip

KEPT = {
    "locals": "def f(x):\n    a = []\n    a.append(x)\n    d = {}\n    d[x] = 1\n    return a\n",
    "a nonlocal of the same call": (
        "def f(x):\n    n = 0\n    def g():\n        nonlocal n\n        n += x\n    g()\n    return n\n"
    ),
    "attributes of a new object": "class C:\n    def __init__(self, x): self.x = x\ndef f(x):\n    c = C(x)\n    c.y = 2\n    return c.y\n",
    "an argument": "def g(a):\n    a.append(1)\n    return a\ndef f(x): return g([x])\n",
    "a local with a global's name": "seen = []\ndef f(x):\n    seen = []\n    seen.append(x)\n    return seen\n",
    "a comprehension's variable": "y = [1]\ndef f(x): return [y for y in range(x)]\n",
    "a method that nobody calls": (
        "total = 0\nclass C:\n    def reset(self):\n        global total\n        total = 0\n    def m(self): return 1\n"
        "def f(x): return C().m()\n"
    ),
    "a reading method": "class S:\n    def __init__(self): self.v = [1]\n    def get(self): return self.v\ns = S()\ndef f(x): return s.get()\n",
    "__init_subclass__": (
        "made = []\nclass B:\n    def __init_subclass__(cls): made.append(cls.__name__)\nclass C(B): pass\ndef f(x): return C() and 1\n"
    ),
    "a metaclass": (
        "made = []\nclass M(type):\n    def __new__(m, name, bases, body):\n        made.append(name)\n"
        "        return super().__new__(m, name, bases, body)\nclass C(metaclass=M): pass\ndef f(x): return C() and 1\n"
    ),
}  # fmt: skip


def test_bound_methods_that_only_read_cross(notebook: Any) -> None:
    notebook.cell(
        "table = {n: n * n for n in range(9)}\nget, has, starts = table.get, table.__contains__, 'abc'.startswith\n"
    )
    assert notebook.loop("(get(x), has(x), starts('ab'))") == [(x * x, True, True) for x in range(4)]


@pytest.mark.parametrize("what", LOST)
def test_lost_effects_are_refused(what: str, refused: Any) -> None:
    cell, body, name, line = LOST[what]
    error = refused(cell, body)
    assert isinstance(error, LostEffect), error
    assert error.name == name
    if line is not None:
        assert (error.line, error.filename) == (line, "<cell 1>")
        assert f"line {line}" in str(error) or "calls" in str(error)


@pytest.mark.parametrize("what", KEPT)
def test_effects_that_stay_inside_are_none(what: str, notebook: Any) -> None:
    notebook.cell(KEPT[what])
    assert notebook.loop("f(x)") == [notebook["f"](x) for x in range(4)]


def test_stores_are_found_without_source(refused: Any, notebook: Any) -> None:
    notebook.cell("total = 0\nexec('def f(x):\\n    global total\\n    total = x')\n")
    assert isinstance(refused("", "f(x)"), LostEffect)


def test_what_cannot_be_seen_still_refuses_at_run_time(notebook: Any) -> None:
    notebook.cell("table = [1]\ndef f(x):\n    other = table\n    other.append(x)\n")
    with pytest.raises(Exception, match="frozen"):
        notebook.loop("f(x)")


HIDDEN: dict[str, tuple[str, str, Any, str]] = {
    "an object through an argument": ("class B: n = 0\nbox = B()\ndef poke(b):\n    b.n += 1\n", "poke(box)", range(4), "box"),
    "a callable object through an argument": (
        "class B:\n    n = 0\n    def __call__(self): return 1\nbox = B()\ndef poke(b):\n    b.n += 1\n    return b()\n",
        "poke(box)", range(4), "box",
    ),
    "the items, by a method": (
        "class B:\n    n = 0\n    def poke(self): self.n += 1\nboxes = [B() for _ in range(6)]\n", "x.poke()", "boxes", "boxes",
    ),
    "what an item holds": (
        "class B:\n    def __init__(self): self.a = {'k': []}\nboxes = [B() for _ in range(6)]\n"
        "def poke(b): b.a['k'].append(1)\n", "poke(x)", "boxes", "boxes",
    ),
    "items of a generator": (
        "class B: n = 0\nboxes = (B() for _ in range(6))\ndef poke(b): b.n += 1\n", "poke(x)", "boxes", "what the loop runs over",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HIDDEN)
def test_hidden_changes_of_frozen_objects_are_refused_as_they_happen(what: str, notebook: Any) -> None:
    cell, body, items, _ = HIDDEN[what]
    notebook.cell(cell)
    with pytest.raises(Failed, match=r"TypeError: .* frozen: .*firn\.thaw\(.*\)"):
        notebook.loop(body, notebook[items] if isinstance(items, str) else items)


@pytest.mark.parametrize("what", HIDDEN)
def test_hidden_changes_of_copies_are_found_when_they_have_happened(what: str, notebook: Any) -> None:
    cell, body, items, name = HIDDEN[what]
    notebook.cell(f"import firn\n@firn.unfreezable\n{cell}")
    with pytest.raises(Failed) as caught:
        notebook.loop(body, notebook[items] if isinstance(items, str) else items)
    error = caught.value.original()
    assert isinstance(error, LostEffect) and error.name == name and f"changes {name}," in str(error)


STATE = (
    "class State:\n    def __init__(self): self.n = 0\n    def hit(self):\n        self.n += 1\n        return self.n\n"
)
HELD: dict[str, tuple[str, str, str]] = {
    "an instance as class attribute": (STATE + "class C:\n    st = State()\n    def f(self): self.st.hit()\n", "C().f()", "C.st"),
    "a bytearray as class attribute": ("class C:\n    log = bytearray()\n    def f(self): self.log.append(1)\n", "C().f()", "C.log"),
    "a registry of instances": (
        "import weakref\nclass C:\n    all = weakref.WeakSet()\n    def __init__(self): C.all.add(self)\n"
        "def f(x): return C()\n", "[f(x)]", "C.all",
    ),
    "a default": (STATE + "def f(x, st=State()): return st.hit()\n", "f(x)", "default 1 of f"),
    "a keyword's default": (STATE + "def f(x, *, st=State()): return st.hit()\n", "f(x)", "default 1 of f"),
    "a decorator's state": (
        STATE + "def counted(f):\n    st = State()\n    def w(x):\n        st.hit()\n        return f(x)\n    return w\n"
        "@counted\ndef f(x): return x\n", "f(x)", "st of counted.<locals>.w",
    ),
    "an argument of a partial": (
        "import functools\ndef g(found, x): found.append(x)\nf = functools.partial(g, [])\n", "f(x)", "argument 1 of a partial of g",
    ),
    "a class by the class method's first argument": (
        "class C:\n    n = 0\n    @classmethod\n    def f(klass): klass.n += 1\n", "C.f()", "C.n",
    ),
    "a class behind another name": ("class C:\n    n = 0\n    def f(self): t = type(self); t.n += 1\n", "C().f()", "C.n"),
    "a class as an argument": ("class C: n = 0\ndef f(c): c.n += 1\n", "f(C)", "C.n"),
    "a new attribute of a class": ("class C: pass\ndef f(c): c.n = 1\n", "f(C)", "C.n"),
    "a class in __new__": ("class C:\n    n = 0\n    def __new__(cls):\n        cls.n += 1\n        return object.__new__(cls)\n", "C() and 1", "C.n"),
    "an attribute of a function as an argument": ("def g(): pass\ndef f(m): m.last = 1\n", "f(g)", "g.last"),
    "an attribute of an Enum member": ("from enum import Enum\nclass E(Enum): A = 1\ndef f(m): m.last = 1\n", "f(E.A)", "E.A.last"),
    "a descriptor": (
        "class D:\n    def __init__(self): self.d = {}\n    def __get__(self, o, c): return self\n    def __set__(self, o, v): self.d[v] = o.n\n"
        "class C:\n    n, d = 1, D()\ndef f(x): C().d = x\n", "f(x)", "C.d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HELD)
def test_changes_of_what_definitions_hold_are_found_when_they_have_happened(what: str, notebook: Any) -> None:
    cell, body, name = HELD[what]
    notebook.cell(cell)
    with pytest.raises(Failed) as caught:
        notebook.loop(body, range(4))
    error = caught.value.original()
    assert isinstance(error, LostEffect) and error.name == name and f"changes {name}," in str(error)


def test_later_loops_see_definitions_as_the_notebook_has_them(notebook: Any) -> None:
    notebook.cell(STATE + "class C:\n    n, st = 0, State()\ndef spoil(c):\n    c.n += 1\n    c.st.hit()\n    1 / 0\n")
    for _ in range(2):  # what failed before it was looked at, too
        with pytest.raises(Failed):
            notebook.loop("spoil(C)", range(4), chunk=1)
        assert notebook.loop("(C.n, C.st.n)", range(20), chunk=1) == [(0, 0)] * 20


UNCHANGED = {
    "a cache": ("import functools\n@functools.cache\ndef f(x): return x + 1\n", "f(x)"),
    "a single dispatch": (
        "import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return x\n", "f(x)",
    ),
    "combined flags": ("from enum import Flag\nclass F(Flag):\n    A = 1\n    B = 2\ndef f(x): return F(3 & x).value\n", "f(x)"),
    "the complement of a flag": ("from enum import Flag\nclass F(Flag):\n    A = 1\n    B = 2\n", "(F(3 & x) & ~F.A).value"),
    "a cached property of an Enum": (
        "from enum import Enum\nfrom functools import cached_property\nclass E(Enum):\n    A = 1\n    @cached_property\n"
        "    def twice(self): return 2\n", "E.A.twice",
    ),
    "the flags of a decimal context": (
        "import decimal\nclass C:\n    own = decimal.Context(prec=5)\n    def f(self, x): return str(self.own.divide(decimal.Decimal(x), 3))\n", "C().f(x)",
    ),
    "an abstract class": ("import abc\nclass A(abc.ABC): pass\nclass B: pass\nA.register(B)\n", "(isinstance(B(), A), isinstance(x, A))"),
    "a protocol": (
        "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass P(Protocol):\n    def g(self): ...\n"
        "class B:\n    def g(self): pass\n", "(isinstance(B(), P), isinstance(x, P))",
    ),
    "a dataclass": ("from dataclasses import dataclass, asdict\n@dataclass\nclass D:\n    a: int = 1\n", "asdict(D(x))"),
    "a captured variable that is read": (
        STATE + "def make():\n    st = State()\n    def f(x): return st.n + x\n    return f\nf = make()\n", "f(x)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNCHANGED)
def test_what_python_keeps_in_definitions_is_no_change(what: str, notebook: Any) -> None:
    cell, body = UNCHANGED[what]
    notebook.cell(cell)
    assert notebook.loop(body, range(4), chunk=1) == [eval(body, notebook.names, {"x": x}) for x in range(4)]


def test_copies_that_are_only_read_are_not_changed(notebook: Any) -> None:
    notebook.cell(
        "from functools import cached_property\nfrom decimal import Decimal\nimport re\n"
        "class B:\n    @cached_property\n    def v(self): return 5\n    def __init__(self): self.d, self.r = Decimal(1), re.compile('a')\n"
        "boxes = [B() for _ in range(6)]\ntable = {'f': lambda b: b.v}\nbox = B()\n"
    )
    body = "(table['f'](x), box.v, repr(box.d), bool(box.r.match('a')), hash(box) != 0)"
    assert notebook.loop(body, notebook["boxes"], chunk=1) == [(5, 5, "Decimal('1')", True, True)] * 6
