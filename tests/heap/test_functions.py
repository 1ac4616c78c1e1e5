"""Frozen functions and classes: what they captured, they keep (PEP 795)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import os
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

import firn
import pytest
from firn import functions


class Cells:
    """The cells of a notebook, run one after the other in one namespace."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "firn": firn, "math": math, "functools": functools}

    def __call__(self, source: str) -> None:
        exec(textwrap.dedent(source), self.names)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cells:
    return Cells()


def test_a_global_is_captured(cell: Cells) -> None:
    cell("rows = [1, 2]\ndef total(): return sum(rows)")
    total = firn.freeze(cell["total"])
    cell("rows.append(10)")
    assert (total(), cell["total"]()) == (3, 13)
    cell("rows = None")
    assert total() == 3 and type(cell["rows"]) is type(None)
    assert firn.is_frozen(total) and not firn.is_frozen(cell["total"])
    assert firn.freeze(total) is total


def test_a_main_module_that_was_reset(cell: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's reset empties `__main__`, its name included."""
    main = types.ModuleType("__main__")
    del main.__name__
    monkeypatch.setitem(sys.modules, "__main__", main)
    cell("rows = [1, 2]\nclass C: size = 3\ndef total(): return sum(rows) + C.size")
    assert firn.freeze(cell["total"])() == 6


@pytest.mark.parametrize(
    ("source", "arguments", "expected"),
    [
        ("def f(x): return x + base", (1,), 11),
        ("f = lambda x: x + base", (1,), 11),
        ("def f(x): return x if x < 1 else base + f(x - 1)", (3,), 30),
        ("def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\nf = even", (10,), True),
        ("def g(x): return x * base\ndef f(x): return g(x) + 1", (2,), 21),
        ("def f(x, y=[base]): return x + y[0]", (1,), 11),
        ("def f(x, *, y=[base]): return x + y[0]", (1,), 11),
        ("def make(k):\n    data = [k]\n    return lambda x: x + data[0]\nf = make(base)", (1,), 11),
        ("def f(x): return [base + y for y in range(x)]", (2,), [10, 11]),
        ("def f(x): return list(g(x))\ndef g(n):\n    for i in range(n): yield base", (2,), [10, 10]),
        ("f = functools.partial(lambda a, b: a + b + base, 5)", (1,), 16),
        ("f = functools.partial(lambda a, b: a + b[0] + base, b=[5])", (1,), 16),
        ("f = functools.lru_cache(3)(lambda x: x + base)", (1,), 11),
        ("f = functools.cache(lambda x: x + base)", (1,), 11),
        (
            """
            def twice(g):
                @functools.wraps(g)
                def inner(x): return 2 * g(x)
                return inner
            @twice
            def f(x): return x + base
            """,
            (1,),
            22,
        ),
        ("def f(x):\n    def inner(): return base\n    return inner() + x", (1,), 11),
        ("def f(x):\n    class C:\n        y = base\n    return C.y + x", (1,), 11),
        ("def f(x): return math.floor(base + 0.5) + x", (1,), 11),
        ("def f(x):\n    global math\n    return math.floor(base + 0.5) + x", (1,), 11),
        ("def f(x):\n    n = 0\n    def add():\n        nonlocal n\n        n += base\n    add()\n    return n + x", (1,), 11),
        ("def f(x): return len(str(x)) + base", (1,), 11),
        ("f = functools.singledispatch(lambda x: base)", (1,), 10),
    ],
)  # fmt: skip
def test_kinds_of_functions(cell: Cells, source: str, arguments: tuple[Any, ...], expected: Any) -> None:
    cell("base = 10")
    cell(source)
    if "singledispatch" in source:
        with pytest.raises(firn.NotFreezableError):  # its registry is no data
            firn.freeze(cell["f"])
        return
    frozen = firn.freeze(cell["f"])
    assert frozen is not cell["f"] and type(frozen) is type(cell["f"]) and firn.is_frozen(frozen)
    cell("base = g = odd = math = functools = None")
    assert frozen(*arguments) == expected


def test_async_functions_and_generators(cell: Cells) -> None:
    cell(
        """
        limit = [3]
        async def one(x): return x + limit[0]
        async def f(x): return await one(x)
        async def g():
            for i in range(limit[0]): yield await one(i)
        """
    )
    f, g = firn.freeze(cell["f"]), firn.freeze(cell["g"])
    cell("limit = one = None")
    assert inspect.iscoroutinefunction(f) and inspect.isasyncgenfunction(g)
    assert asyncio.run(f(1)) == 4

    async def collect() -> list[int]:
        return [value async for value in g()]

    assert asyncio.run(collect()) == [3, 4, 5]


def test_what_is_shared_stays_shared(cell: Cells) -> None:
    cell(
        """
        rows = [[1]]
        first = rows[0]
        def g(): return first
        def f(): return rows, g()
        """
    )
    f = firn.freeze(cell["f"])
    rows, first = f()
    assert rows[0] is first and firn.is_frozen(rows)
    with pytest.raises(TypeError, match="frozen"):
        rows.append(1)
    cell("shared = firn.freeze([1])\ndef h(): return shared")
    assert firn.freeze(cell["h"])() is cell["shared"]


def test_closures_go_on_sharing_their_variable(cell: Cells) -> None:
    cell(
        """
        def make():
            def up(n): return n if n > 3 else down(n + 2)
            def down(n): return up(n - 1)
            return up
        f = make()
        """
    )
    assert firn.freeze(cell["f"])(0) == 4


def test_methods_and_their_objects(cell: Cells) -> None:
    cell("words = ['b', 'a']\nf = words.index\ndef g(x): return f(x)")
    f, g = firn.freeze(cell["f"]), firn.freeze(cell["g"])
    cell("words.insert(0, 'a')")
    assert firn.is_frozen(f.__self__) and (f("a"), g("a"), cell["g"]("a")) == (1, 1, 0)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("n = 0\ndef f():\n    global n\n    n += 1", "the global 'n'"),
        ("n = 0\ndef f():\n    def inner():\n        global n\n        n = 1", "the global 'n'"),
        ("n = 0\ndef g():\n    global n\n    del n\ndef f(): g()", "the global 'n'"),
        (
            "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n    return f\nf = make()",
            "the captured variable 'n'",
        ),
    ],
)
def test_assigning_what_was_captured_is_refused(cell: Cells, source: str, what: str) -> None:
    cell(source)
    with pytest.raises(firn.NotFreezableError, match=what) as caught:
        firn.freeze(cell["f"])
    assert "shared_field" in str(caught.value) and caught.value.path


def test_what_cannot_be_frozen_is_named(cell: Cells) -> None:
    with open(os.devnull) as file:
        cell.names["file"] = file
        cell("logs = {'out': [file]}\ndef g(): return logs\ndef f(): return g()")
        with pytest.raises(firn.NotFreezableError) as caught:
            firn.freeze(cell["f"])
    assert caught.value.path == "logs['out'][0]"
    assert not firn.is_frozen(cell["f"]) and cell["f"]() is cell["logs"]


def test_a_missing_name_is_missed_when_it_is_read(cell: Cells) -> None:
    cell("def f(): return later")
    frozen = firn.freeze(cell["f"])
    cell("later = 1")
    with pytest.raises(NameError):
        frozen()


def test_unfreezable_functions(cell: Cells) -> None:
    cell("@firn.unfreezable\ndef g(): pass\ndef f(): g()")
    for name in ("f", "g"):
        with pytest.raises(firn.NotFreezableError, match="unfreezable"):
            firn.freeze(cell[name])
    cell("firn.freezable(g)")
    assert firn.is_frozen(firn.freeze(cell["f"]))


def test_decorated_at_its_definition(cell: Cells) -> None:
    cell("base = [1]\n@firn.frozen\ndef fact(n): return base[0] if n < 2 else n * fact(n - 1)")
    fact = cell["fact"]
    cell("base = fact = None")
    assert firn.is_frozen(fact) and fact(5) == 120


def test_imported_functions_are_left_alone() -> None:
    assert firn.freeze(os.path.join) is os.path.join
    assert firn.freeze(len) is len
    assert firn.freeze(firn.freeze) is firn.freeze


def test_names_and_words_stay(cell: Cells) -> None:
    cell(
        """
        def f[T](x: int, /, y: list[int] = [1], *, z: dict = {}) -> str:
            "doc"
        f.note = [1]
        """
    )
    f, g = cell["f"], firn.freeze(cell["f"])
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__code__", "__type_params__", "__annotations__"):
        assert getattr(f, name) == getattr(g, name)
    assert inspect.signature(f) == inspect.signature(g)
    assert g.note == [1] and firn.is_frozen(g.note) and firn.is_frozen(g.__defaults__[0])


def test_a_frozen_class(cell: Cells) -> None:
    cell(
        """
        rows = [1, 2]
        @firn.frozen
        class Shape:
            kinds = ["a"]
            def area(self): return sum(rows), type(self) is Shape
            @property
            def size(self): return len(rows)
            @staticmethod
            def s(): return rows
            @classmethod
            def c(cls): return cls, rows
            @functools.cached_property
            def kept(self): return [*rows]
            class Inner:
                def get(self): return rows
        class Round(Shape):
            def area(self): return super().area()
        rows = None
        """
    )
    shape = cell["Shape"]
    assert firn.is_frozen(shape) and firn.is_frozen(shape.kinds) and not firn.is_frozen(cell["Round"])
    one = shape()
    one.anything = 1
    assert (one.area(), one.size, one.s(), one.c(), one.kept) == ((3, True), 2, [1, 2], (shape, [1, 2]), [1, 2])
    assert cell["Round"]().area() == (3, False) and shape.Inner().get() == [1, 2]
    for name in ("kinds", "area", "new"):
        with pytest.raises(TypeError, match="immutable"):
            setattr(shape, name, 1)
    with pytest.raises(TypeError, match="immutable"):
        del shape.Inner.get
    assert firn.freeze(shape) is shape


def test_a_class_that_cannot_be_frozen_stays_as_it_is(cell: Cells) -> None:
    cell("n = 0\nclass C:\n    x = [1]\n    def f(self):\n        global n\n        n = 1")
    with pytest.raises(firn.NotFreezableError, match=r"C\.f"):
        firn.freeze(cell["C"])
    cell("C.x.append(2)")
    assert not firn.is_frozen(cell["C"])


def test_is_frozen_says_no_of_others() -> None:
    def f() -> None: ...

    assert not any(firn.is_frozen(value) for value in (f, types.FunctionType(f.__code__, {}), functools.partial(f), []))
    assert functions.captured(len) is len


def test_a_frozen_function_that_goes_is_forgotten(cell: Cells) -> None:
    cell("def f(): pass")
    before = len(functions._frozen)
    made: list[Callable[[], None]] = [firn.freeze(cell["f"]) for _ in range(10)]
    assert len(functions._frozen) == before + 10
    made.clear()
    assert len(functions._frozen) == before
