"""How values cross: shared by pointer, shipped once a version, copied if need be, and back as the notebook's own."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from firn import _core, rebuild
from firn.shipping import Unshippable


def test_names_are_rebound_to_frozen_forms_aliases_and_parts_too(notebook: Any) -> None:
    notebook.cell(
        "rows = [{'id': n, 'tags': [n]} for n in range(10)]\nalias = rows\nfirst = rows[0]\ntags = first['tags']\n"
        "twin = [{'id': n, 'tags': [n]} for n in range(10)]\n_hidden = rows\n"
        "Out = {1: rows, 2: twin}\n_ = rows\n"
    )
    original, twin = notebook["_"], notebook["twin"]
    assert notebook.loop("len(rows) + x") == [10, 11, 12, 13]
    assert type(notebook["rows"]) is _core.FrozenList
    assert notebook["alias"] is notebook["rows"] and notebook["_hidden"] is notebook["rows"]
    assert notebook["first"] is notebook["rows"][0] and notebook["tags"] is notebook["first"]["tags"]
    assert type(twin) is list and notebook["twin"] is twin
    assert type(original) is list and notebook["_"] is original
    assert notebook["Out"] == {1: original, 2: twin} and type(notebook["Out"]) is dict
    assert notebook.shipment.figures.kept == ["Out[1]", "_"]


def test_what_globals_share_stays_shared(notebook: Any) -> None:
    notebook.cell("a = [1]\nb = {'a': a}\nc = (a, b)\nclass H: pass\nh = H()\nh.a = a\n")
    assert notebook.loop("(b['a'] is a, c[0] is a, c[1] is b, h.a is a)") == [(True,) * 4] * 4


def test_what_is_frozen_is_not_frozen_again(notebook: Any) -> None:
    notebook.cell("rows = list(range(1000))\n")
    notebook.loop("len(rows)")
    assert notebook.shipment.figures.frozen == ["rows"] and notebook.shipment.figures.objects > 0
    notebook.loop("rows[x]", notebook["rows"], chunk=500)
    assert notebook.shipment.figures.frozen == [] and notebook.shipment.figures.reused == ["rows"]
    assert notebook.shipment.figures.objects == 0 and notebook.shipment.frozen == {}


def test_copied_names_keep_the_notebooks_own(notebook: Any) -> None:
    notebook.cell("rows = [[1], [2]]\nalias = rows\nfirst = rows[0]\nother = [3]\n")
    rows = notebook["rows"]
    assert notebook.loop("rows[0][0] + other[0] + x", copy={"rows"}) == [4, 5, 6, 7]
    assert notebook["rows"] is rows and notebook["alias"] is rows and notebook["first"] is rows[0]
    assert type(notebook["other"]) is _core.FrozenList
    rows[0][0] = 10
    assert notebook.loop("rows[0][0]", copy={"rows"}) == [10] * 4


def test_the_items_of_a_loop_are_shared_and_rebound(notebook: Any) -> None:
    notebook.cell("rows = [[n] for n in range(6)]\ndef f(x): return any(row is x for row in rows)\n")
    assert notebook.loop("f(x)", enumerate(notebook["rows"])) == [False] * 6
    assert notebook.loop("f(x)", notebook["rows"]) == [True] * 6
    assert type(notebook["rows"]) is _core.FrozenList


def test_a_redefined_function_is_never_stale(notebook: Any) -> None:
    notebook.cell("def g(x): return 1\ndef f(x): return g(x)\n")
    assert notebook.loop("f(x)") == [1] * 4
    notebook.cell("def g(x): return 2\n")
    assert notebook.loop("f(x)") == [2] * 4
    notebook.cell("g = lambda x: 3\n")
    assert notebook.loop("f(x)") == [3] * 4


def test_a_changed_global_is_never_stale(notebook: Any) -> None:
    notebook.cell("K = 1\nrows = [1]\ndef f(x): return K + rows[0]\n")
    assert notebook.loop("f(x)") == [2] * 4
    notebook.cell("K = 10\n")
    assert notebook.loop("f(x)") == [11] * 4
    notebook.cell("rows = [5]\n")
    assert notebook.loop("f(x)") == [15] * 4
    notebook.cell("del K\nimport builtins\nbuiltins.K = 100\n")
    try:
        notebook.cell("del builtins.K\nK = 7\n")
        assert notebook.loop("f(x)") == [12] * 4
    finally:
        notebook.cell("builtins.__dict__.pop('K', None)\n")


CHANGED = {
    "class": ("class C:\n    def m(self): return 1\n", "C().m()", "class C:\n    def m(self): return 2\n"),
    "base": (
        "class B:\n    def m(self): return 1\nclass C(B): pass\n", "C().m()",
        "class B:\n    def m(self): return 2\nclass C(B): pass\n",
    ),
    "method put in": ("class C:\n    def m(self): return 1\n", "C().m()", "C.m = lambda self: 2\n"),
    "base's method put in": ("class B:\n    def m(self): return 1\nclass C(B): pass\n", "C().m()", "B.m = lambda self: 2\n"),
    "attribute": ("class C:\n    n = 1\n", "C.n", "C.n = 2\n"),
    "removed attribute": ("class B:\n    n = 2\nclass C(B):\n    n = 1\n", "C.n", "del C.n\n"),
    "default": ("def f(x=1): return x\n", "f()", "f.__defaults__ = (2,)\n"),
    "function's attribute": ("def f(): return f.n\nf.n = 1\n", "f()", "f.n = 2\n"),
    "closure": ("def make(n):\n    def f(): return n\n    return f\nf = make(1)\n", "f()", "f = make(2)\n"),
    "captured list": (
        "def make(n):\n    a = [n]\n    def f(): return a[0]\n    return f, a\nf, _a = make(1)\n", "f()", "_a[0] = 2\n",
    ),
    "list of a class": ("class C:\n    a = [1]\n", "C.a[0]", "C.a[0] = 2\n"),
    "decorated": (
        "def d(f): return lambda: f() + 0\n@d\ndef f(): return 1\n", "f()", "@d\ndef f(): return 2\n",
    ),
    "partial": ("import functools\ndef g(n): return n\nf = functools.partial(g, 1)\n", "f()", "f = functools.partial(g, 2)\n"),
    "bound method's object": ("class C:\n    def m(self): return self.n\nc = C()\nc.n = 1\nf = c.m\n", "f()", "c.n = 2\n"),
    "instance": ("class C: pass\nc = C()\nc.n = 1\n", "c.n", "c = C()\nc.n = 2\n"),
    "instance that is not frozen": (
        "import firn\n@firn.unfreezable\nclass C: pass\nc = C()\nc.n = 1\n", "c.n", "c.n = 2\n",
    ),
    "class of a frozen instance": (
        "class C:\n    def m(self): return 1\nc = C()\n", "c.m()", "type.__setattr__(c.__class__, 'm', lambda self: 2)\n",
    ),
    "what a frozen instance's method calls": (
        "def g(): return 1\nclass C:\n    def m(self): return g()\nc = [[C()]]\n", "c[0][0].m()", "def g(): return 2\n",
    ),
    "table of functions": ("t = {'f': lambda: 1}\n", "t['f']()", "t = {'f': lambda: 2}\n"),
    "enum": ("import enum\nclass E(enum.Enum):\n    A = 1\n", "E.A.value", "class E(enum.Enum):\n    A = 2\n"),
    "import": ("from math import floor as f\n", "f(1.5)", "from math import ceil as f\n"),
    "lru_cache": (
        "import functools\n@functools.lru_cache\ndef f(): return 1\n", "f()", "@functools.lru_cache\ndef f(): return 2\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_changes_are_picked_up(what: str, notebook: Any) -> None:
    before, body, after = CHANGED[what]
    notebook.cell(before)
    assert notebook.loop(body) == [1] * 4
    notebook.cell(after)
    assert notebook.loop(body) == [2] * 4


def test_what_has_not_changed_is_not_loaded_again(notebook: Any) -> None:
    notebook.cell(
        "import functools\nclass C: pass\ndef f(x): return C\nK = 1\ndef g(x, a=[1, 2]): return K\n"
        "@functools.lru_cache\ndef cached(): return object()\n"
    )
    body = "(id(C), id(f), id(g), id(cached()))"
    seen = notebook.run(notebook.prepare(body), 2, pinned=True)
    notebook.cell("K = 2\ndef other(x): return 1\n")
    assert notebook.run(notebook.prepare(f"{body} if other(x) else 0"), 2, pinned=True) == seen
    notebook.cell("def f(x): return C, 1\n")
    [[(one, new, *rest)], _] = notebook.run(notebook.prepare(body), 2, pinned=True)
    assert (one, *rest) == (seen[0][0][0], *seen[0][0][2:]) and new != seen[0][0][1]


def test_copies_are_fresh_for_every_loop(notebook: Any) -> None:
    notebook.cell("import firn\n@firn.unfreezable\nclass Box: pass\nbox = Box()\n")
    notebook.cell("box.n = 5\n")
    assert notebook.loop("box.n") == [5] * 4
    notebook.cell("del box.n\n")
    assert notebook.loop("hasattr(box, 'n')") == [False] * 4


OPAQUE = {
    "Decimal": "from decimal import Decimal\nv = Decimal('1.5')\n",
    "pattern": "import re\nv = re.compile('a+')\n",
    "path": "import pathlib\nv = pathlib.Path('a') / 'b'\n",
    "fraction": "from fractions import Fraction\nv = [Fraction(1, 3), 2]\n",
    "uuid": "import uuid\nv = {'a': uuid.UUID(int=5)}\n",
    "exception": "v = [ValueError('a')]\n",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int\nv = [D(1), D(2)]\n",
    "namedtuple": "from collections import namedtuple\nN = namedtuple('N', 'a b')\nv = N(1, [2])\n",
    "typing.NamedTuple": "from typing import NamedTuple\nclass N(NamedTuple):\n    a: int\n    b: int = 2\nv = [N(1)]\n",
    "enum member": "import enum\nclass E(enum.Enum):\n    A = 1\nv = {'k': E.A}\n",
    "flag": "import enum\nclass F(enum.Flag):\n    A = 1\n    B = 2\nv = F.A | F.B\n",
    "slots": "class S:\n    __slots__ = ('a', '__b')\n    def __init__(self): self.a, self.__b = 1, 2\nv = S()\n",
    "int subclass": "class I(int): pass\nv = I(5)\n",
    "dict subclass": "class D(dict): pass\nv = D(a=1)\n",
    "timezone": "import zoneinfo\nv = zoneinfo.ZoneInfo('UTC')\n",
    "unfreezable": "import firn\n@firn.unfreezable\nclass U: pass\nv = [U()]\n",
}


@pytest.mark.parametrize("what", OPAQUE)
def test_values_of_all_kinds_cross_and_come_back(what: str, notebook: Any) -> None:
    notebook.cell(OPAQUE[what])
    value = notebook["v"]
    [back, *_] = notebook.loop("v")
    assert back.__class__ is value.__class__
    assert repr(back) == repr(value) or "object at" in repr(value)
    figures = notebook.shipment.figures
    assert what != "unfreezable" or "v" in figures.copied


def test_instances_come_back_as_the_notebooks_own_class(notebook: Any) -> None:
    notebook.cell(
        "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return type(o) is P and o.x == self.x\n"
    )
    back = notebook.loop("P(x)")
    assert all(type(one) is notebook["P"] for one in back) and back == [notebook["P"](x) for x in range(4)]
    old = notebook["P"]
    shipment = notebook.prepare("P(x)")
    notebook.cell("class P:\n    pass\n")
    [first, _] = notebook.run(shipment, 4, chunk=2)
    assert type(first[0]) is old and type(notebook.loop("P()")[0]) is notebook["P"] is not old


def test_a_class_that_is_gone_comes_back_as_the_one_of_its_name(notebook: Any) -> None:
    notebook.cell("class P: pass\n")
    assert rebuild.notebook_class(10**9, "P") is notebook["P"]


def test_enum_members_keep_their_identity(notebook: Any) -> None:
    notebook.cell("import enum\nclass E(enum.Enum):\n    A = 1\n    B = 2\ne = E.B\n")
    assert notebook.loop("(e is E.B, E.A)")[0] == (True, notebook["E"].A)


def test_definitions_that_refer_to_each_other_in_a_circle(notebook: Any) -> None:
    notebook.cell("class A: pass\nclass B:\n    a = A\nA.b = B\ndef f(x, t=(A,)): return t[0]\nA.f = staticmethod(f)\n")
    assert notebook.loop("(A.b is B, B.a is A, A.f(x) is A, f(x) is A)") == [(True,) * 4] * 4


def test_copies_share_what_the_notebooks_share(notebook: Any) -> None:
    notebook.cell(
        "class N: pass\nnodes = [N() for _ in range(4)]\nfirst = nodes[0]\nfirst.next = nodes[1]\nholder = {'n': nodes}\n"
        "def f(x, start=first): return start is x\n"
    )
    body = "(x is first, first.next is x, holder['n'][0] is first, nodes[0] is first, f(x))"
    assert notebook.loop(body, notebook["nodes"], chunk=4) == [
        (True, False, True, True, True), (False, True, True, True, False), *[(False, False, True, True, False)] * 2
    ]  # fmt: skip


def test_a_sentinel_is_the_same_wherever_it_is_met(notebook: Any) -> None:
    notebook.cell(
        "MISSING = object()\ndef f(x, d=MISSING): return d is MISSING\nclass C:\n    m = MISSING\nt = {'a': MISSING}\n"
    )
    assert notebook.loop("(f(x), C.m is MISSING, t['a'] is MISSING)") == [(True,) * 3] * 4
    notebook.cell(
        "class M: pass\nGONE = M()\nclass D:\n    m = GONE\n    def f(self, d=GONE): return d is GONE and self.m is GONE\n"
    )
    assert notebook.loop("D().f()") == [True] * 4


def test_members_keep_what_their_init_set(notebook: Any) -> None:
    notebook.cell(
        "import enum\nclass P(enum.Enum):\n    A = (1, 2)\n    def __init__(self, a, b): self.a, self.b = a, b\n"
    )
    assert notebook.loop("P.A.a + P.A.b + x") == [3, 4, 5, 6]


def test_registered_subclasses_stay_registered(notebook: Any) -> None:
    notebook.cell("import abc\nclass A(abc.ABC): pass\nclass B: pass\nA.register(B)\n")
    assert notebook.loop("isinstance(B(), A)") == [True] * 4


def test_hooks_of_class_statements_do_not_run_again(notebook: Any) -> None:
    notebook.cell(
        "made = []\nclass B:\n    def __init_subclass__(cls, key): made.append(key)\nclass C(B, key=5):\n    n = 1\n"
        "class D:\n    def __set_name__(self, owner, name): made.append(name); self.name = name\nclass E:\n    d = D()\n"
    )
    assert notebook.loop("(C.n, E.d.name, len(made))") == [(1, "d", 2)] * 4


def test_shared_cells_stay_shared(notebook: Any) -> None:
    notebook.cell(
        "def make():\n    a = (1, object())\n    class P:\n        def m(self): return a\n        def k(self): return a\n    return P\nP = make()\n"
    )
    assert notebook.loop("P().m() is P().k()") == [True] * 4


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        ("import threading\nv = threading.Lock()\n", "v"),
        ("import threading\nv = {'rows': [0, {'lock': threading.Lock()}]}\n", "v['rows'][1]['lock']"),
        ("import sqlite3\nv = [sqlite3.connect(':memory:')]\n", "v[0]"),
        ("import io\nv = {'f': open('/dev/null')}\n", "v['f']"),
    ],
)
def test_what_neither_freezes_nor_pickles_is_refused_with_its_path(cell: str, path: str, refused: Any) -> None:
    error = refused(cell, "v")
    assert isinstance(error, Unshippable) and isinstance(error, TypeError)
    assert path in str(error) and error.name == "v"


def test_a_broken_reduce_is_a_refusal(refused: Any) -> None:
    error = refused("class Bad:\n    def __reduce__(self): raise RuntimeError('no way')\nv = Bad()\n", "v")
    assert isinstance(error, Unshippable) and "no way" in str(error)


def test_values_of_every_kind_are_read_in_a_worker(notebook: Any) -> None:
    values = [
        0, -1, 2**70, 10**400, True, None, ..., 1.5, float("inf"), 1j, "", "a", "é" * 300, "\ud800", b"", b"a" * 300, (), (1, [2]),
        [], [[]], {}, {"a": {1: 2}}, set(), {1}, frozenset({1}), range(5), slice(1, 2), datetime.date(2020, 1, 1),
        datetime.timedelta(1),
    ]  # fmt: skip
    for number, value in enumerate(values):
        notebook.names[f"v{number}"] = value
    body = "(" + ", ".join(f"repr(v{number})" for number in range(len(values))) + ",)"
    assert notebook.loop(body)[0] == tuple(map(repr, values))


def test_nan_keeps_its_identity(notebook: Any) -> None:
    notebook.cell("nan = float('nan')\nvalues = [nan]\n")
    assert notebook.loop("nan in values") == [True] * 4
    assert notebook["nan"] in notebook["values"]


def test_random_streams_depend_on_the_seed_alone(notebook: Any) -> None:
    notebook.cell("import random\ndef draw(): return random.random()\n")
    one = notebook.loop("draw()", range(20), chunk=3, seed=5)
    assert one == notebook.loop("draw()", range(20), chunk=7, seed=5)
    assert one != notebook.loop("draw()", range(20), chunk=3, seed=6) and len(set(one)) == 20
    notebook.cell("random.seed(1)\n")
    free = notebook.loop("random.random()", range(20))
    notebook.cell("random.seed(1)\n")
    assert free == notebook.loop("random.random()", range(20), chunk=1)
