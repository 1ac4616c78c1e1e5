"""Everything that a loop needs is found, however it is reached; what exists nowhere is refused before launch."""

from __future__ import annotations

from typing import Any

import pytest
from firn import names
from firn.names import MissingName

REACHED = {
    "function": ("def f(x): return x + K\n", "f(x)"),
    "function of a function": ("def g(x): return x + K\ndef f(x): return g(x)\n", "f(x)"),
    "mutual recursion": ("def a(x): return b(x - 1) if x else K\ndef b(x): return a(x - 1) if x > 0 else K\n", "a(x) + x"),
    "lambda": ("f = lambda x: x + K\n", "f(x)"),
    "method": ("class C:\n    def m(self, x): return x + K\n", "C().m(x)"),
    "inherited method": ("class B:\n    def m(self, x): return x + K\nclass C(B): pass\n", "C().m(x)"),
    "super": ("class B:\n    def m(self, x): return x + K\nclass C(B):\n    def m(self, x): return super().m(x)\n", "C().m(x)"),
    "property": ("class C:\n    @property\n    def p(self): return K\n", "C().p + x"),
    "cached property": (
        "from functools import cached_property\nclass C:\n    @cached_property\n    def p(self): return K\n", "C().p + x",
    ),
    "classmethod": ("class C:\n    @classmethod\n    def m(cls, x): return x + K\n", "C.m(x)"),
    "staticmethod": ("class C:\n    @staticmethod\n    def m(x): return x + K\n", "C.m(x)"),
    "operator": ("class C:\n    def __add__(self, x): return x + K\n", "C() + x"),
    "descriptor": ("class D:\n    def __get__(self, one, owner): return K\nclass C:\n    d = D()\n", "C().d + x"),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    v: int\n    def m(self): return self.v + K\n", "C(x).m()",
    ),
    "metaclass": ("class M(type):\n    def m(cls, x): return x + K\nclass C(metaclass=M): pass\n", "C.m(x)"),
    "closure": ("def make():\n    def f(x): return x + K\n    return f\nf = make()\n", "f(x)"),
    "captured function": ("def g(x): return x + K\ndef make(h):\n    return lambda x: h(x)\nf = make(g)\n", "f(x)"),
    "decorator": (
        "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(x): return f(x) + K\n    return inner\n"
        "@deco\ndef f(x): return x\n", "f(x)",
    ),
    "default": ("def g(x): return x + K\ndef f(x, h=g): return h(x)\n", "f(x)"),
    "keyword default": ("def g(x): return x + K\ndef f(x, *, h=g): return h(x)\n", "f(x)"),
    "partial": ("import functools\ndef g(k, x): return x + K\nf = functools.partial(g, 1)\n", "f(x)"),
    "partialmethod": (
        "from functools import partialmethod\nclass C:\n    def m(self, a, b): return a + b + K\n    n = partialmethod(m, 1)\n",
        "C().n(x)",
    ),
    "bound method": ("class C:\n    def m(self, x): return x + K\nf = C().m\n", "f(x)"),
    "lru_cache": ("import functools\n@functools.lru_cache\ndef f(x): return x + K\n", "f(x)"),
    "singledispatch": (
        "import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return x + K\n", "f(x)",
    ),
    "context manager": (
        "import contextlib\n@contextlib.contextmanager\ndef c(): yield K\ndef f(x):\n    with c() as k: return x + k\n", "f(x)",
    ),
    "comprehension": ("def f(x): return sum(K for _ in range(1)) + x\n", "f(x)"),
    "nested function": ("def f(x):\n    def g(): return K\n    return g() + x\n", "f(x)"),
    "class in a function": ("def f(x):\n    class C:\n        k = K\n    return C.k + x\n", "f(x)"),
    "f-string": ("def f(x): return int(f'{K + x}')\n", "f(x)"),
    "table of functions": ("def g(x): return x + K\ntable = {'g': g, 'h': lambda x: x}\n", "table['g'](x)"),
    "instance": ("class C:\n    def __init__(self): self.f = lambda x: x + K\nc = C()\n", "c.f(x)"),
    "generator": ("def f(x): yield x + K\n", "list(f(x))[0]"),
    "coroutine": ("import asyncio\nasync def g(x): return x + K\ndef f(x): return asyncio.run(g(x))\n", "f(x)"),
    "enum": ("import enum\nclass E(enum.Enum):\n    A = 1\n    def m(self, x): return x + K\n", "E.A.m(x)"),
    "called by a computed name": ("class C:\n    def visit_it(self, x): return x + K\n", "getattr(C(), 'visit_' + 'it')(x)"),
    "generic class": ("class C[T]:\n    def m(self, x: T) -> T: return x + K\n", "C().m(x)"),
    "subclass of a generic": (
        "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass B(Generic[T]):\n    def m(self, x): return x + K\n"
        "class C(B[int]): pass\n", "C().m(x)",
    ),
    "abstract class": (
        "import abc\nclass B(abc.ABC):\n    @abc.abstractmethod\n    def m(self, x): ...\n"
        "class C(B):\n    def m(self, x): return x + K\n", "C().m(x) if isinstance(C(), B) else None",
    ),
    "alias of a function": ("def g(x): return x + K\nf = g\n", "f(x) + (f is g) - 1"),
}  # fmt: skip


@pytest.mark.parametrize("how", REACHED)
def test_a_global_is_found_through(how: str, notebook: Any) -> None:
    cell, body = REACHED[how]
    notebook.cell(f"K = 1000\n{cell}")
    serial = [eval(body, notebook.names, {"x": x}) for x in range(4)]
    assert notebook.loop(body) == serial
    assert all(value >= 1000 for value in serial)


def test_big_globals_travel_as_pointers_and_never_inside_a_pickle(notebook: Any) -> None:
    notebook.cell(
        "big = ['x' * 50 for _ in range(1_000_000)]\n"
        "def f(x): return len(big) + x\n"
        "class C:\n    def m(self): return len(big)\n"
        "def make(table=big):\n    return lambda: (len(table), len(big))\n"
        "g = make()\n"
    )
    assert notebook.loop("(f(x), C().m(), g(), len(big))")[1] == (
        1_000_001,
        1_000_000,
        (1_000_000, 1_000_000),
        1_000_000,
    )
    assert len(notebook.shipment.setup[0]) < 20_000
    assert sum(notebook.shipment.figures.shipped.values()) < 10_000
    assert notebook.shipment.figures.frozen == ["big"]


def test_a_missing_name_is_refused_with_where_and_a_suggestion(refused: Any) -> None:
    error = refused("threshold = 3\n", "x > treshold")
    assert isinstance(error, MissingName) and isinstance(error, NameError)
    assert error.name == "treshold" and "did you mean 'threshold'" in str(error)


@pytest.mark.parametrize(
    ("expression", "statement"),
    [("math.sin(x)", "import math"), ("np.sin(x)", "import numpy as np"), ("numpy.sin(x)", "import numpy")],
)
def test_of_a_module_that_nobody_imported_the_import_is_named(refused: Any, expression: str, statement: str) -> None:
    error = refused("mat = nmpy = 3\n", expression)
    assert error.remedy == f"Write {statement} in a cell above." and "did you mean" not in str(error)


def test_a_missing_name_in_a_called_function_says_in_which(refused: Any) -> None:
    error = refused("def g(x):\n    return x + nowhere\ndef f(x):\n    return g(x)\n", "f(x)")
    assert error.name == "nowhere" and "which g reads" in str(error)
    assert error.line == 2 and error.filename == "<cell 1>"


def test_builtins_are_no_globals_unless_the_notebook_has_its_own(notebook: Any) -> None:
    assert notebook.loop("len(str(x))") == [1, 1, 1, 1]
    notebook.cell("def len(value): return 7\ndef f(x): return len(x)\n")
    assert notebook.loop("(len(x), f(x))") == [(7, 7)] * 4


def test_what_only_uncalled_methods_lack_is_no_reason_to_refuse(notebook: Any) -> None:
    notebook.cell("class C:\n    def plot(self): return nowhere.plot()\n    def m(self): return 5\n")
    assert notebook.loop("C().m()") == [5] * 4


def test_annotations_are_not_needed(notebook: Any) -> None:
    notebook.cell("K = 1\ndef f(x: 'nowhere', y: 'int' = 2) -> 'elsewhere':\n    z: gone = 3\n    return x + y + z\n")
    assert notebook.loop("f(x)") == [5, 6, 7, 8]


def test_reads_gives_the_first_line_and_the_attributes() -> None:
    code = compile("import os\n\na = os.path.join('a')\ndef f():\n    return os.name + b\n", "<cell>", "exec")
    found = names.reads(code)
    assert found.lines["b"] == 5
    assert ("path", "join") in found.chains["os"] and ("name",) in found.chains["os"]
    assert found.attributes >= {"path", "join", "name"}
    assert names.assigned(code) == {"os", "a", "f"}


def test_names_of_a_class_body_are_its_own() -> None:
    code = compile("class C:\n    a = 1\n    b = a + outer\n", "<cell>", "exec")
    assert "outer" in names.reads(code).lines and "a" not in names.reads(code).lines
