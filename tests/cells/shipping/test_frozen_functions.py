"""Frozen functions, frozen classes, shared fields and interpreter-local fields in workers."""

from __future__ import annotations

from typing import Any

import firn
import pytest


def test_a_frozen_function_takes_what_it_captured(notebook: Any) -> None:
    notebook.cell("import firn\nrows = [1, 2, 3]\n@firn.frozen\ndef total(x): return sum(rows) + x")
    notebook.cell("rows = None")
    assert notebook.loop("(total(x), firn.is_frozen(total), total.__globals__['rows'] is not None)") == [
        (6 + x, True, True) for x in range(4)
    ]


def test_what_it_captured_crosses_as_pointers(notebook: Any) -> None:
    notebook.cell(
        """
import firn
big = list(range(1_500_000, 3_000_000))
text = "x" * 50_000_000
pairs = (1, text)
@firn.frozen
def pick(x, default=big):
    return big[x] + len(text) + len(pairs[1]) + len(default)
def make(data):
    return lambda x: data[x]
at = firn.freeze(make(big))
"""
    )
    setup, _ = notebook.prepare("pick(x) + at(x)").setup
    assert len(setup) < 20_000
    expected = [notebook["pick"](x) + notebook["at"](x) for x in range(4)]
    assert notebook.loop("pick(x) + at(x)") == expected


def test_frozen_partials_methods_and_closures(notebook: Any) -> None:
    notebook.cell(
        """
import firn, functools
base = [10]
def add(a, b): return a + b + base[0]
five = firn.freeze(functools.partial(add, 5))
words = firn.freeze(["a", "b"].index)
def outer():
    seen = {"n": 1}
    def inner(x): return seen["n"] + x
    return inner
inner = firn.freeze(outer())
table = {"five": five, "inner": inner}
base = None
del add
"""
    )
    assert notebook.loop("(five(x), inner(x), words('b'), firn.is_frozen(five))") == [
        (15 + x, 1 + x, 1, True) for x in range(4)
    ]
    assert notebook.loop("[f(x) for f in (five, inner)]") == [[15 + x, 1 + x] for x in range(4)]


def test_a_function_that_was_redefined_is_never_stale(notebook: Any) -> None:
    for number in (1, 2):
        notebook.cell(f"import firn\nk = {number}\n@firn.frozen\ndef f(x): return x * k\nk = 0")
        assert notebook.loop("f(x)") == [number * x for x in range(4)]


def test_a_write_to_what_was_captured_names_the_way_out(notebook: Any) -> None:
    notebook.cell("import firn\nseen = []\ndef add(x): seen.append(x)\nadd = firn.freeze(add)")
    with pytest.raises(Exception, match="frozen") as caught:
        notebook.loop("add(x)")
    assert "firn.thaw" in str(caught.value)
    assert notebook["seen"] == []


def test_a_frozen_class_in_workers(notebook: Any) -> None:
    notebook.cell(
        """
import firn
sizes = {"a": 1}
@firn.frozen
class Shape:
    table = [1, 2]
    def __init_subclass__(cls, **words): cls.made = True
    def size(self): return sizes["a"], self.table
class Round(Shape):
    def size(self): return super().size()[0] + 1
sizes = None
def attempt(cls):
    try:
        type.__setattr__(cls, 'table', 3)
    except TypeError as error:
        return str(error)
"""
    )
    got = notebook.loop("(Shape().size(), Round().size(), Round.made, attempt(Shape), firn.is_frozen(Shape))")
    assert got == [((1, [1, 2]), 2, True, "cannot set 'table' attribute of immutable type 'Shape'", True)] * 4


def test_all_workers_count_at_once(notebook: Any) -> None:
    notebook.cell(
        """
import firn
count = firn.shared_field(0)
class Counter:
    total = firn.shared_field(0)
def add(field):
    while not field.compare_and_swap(old := field.get(), old + 1):
        pass
"""
    )
    notebook.loop("[add(count) or add(Counter.total) for _ in range(50)]", range(400), chunk=7)
    assert (notebook["count"].get(), notebook["Counter"].total.get()) == (20_000, 20_000)


def test_a_field_comes_back_as_itself(notebook: Any) -> None:
    notebook.cell("import firn\nfield = firn.shared_field(1)\nown = firn.local(list)")
    got = notebook.loop("(field, own, firn.shared_field(x))")
    assert all(field == notebook["field"] and own == notebook["own"] for field, own, _ in got)
    assert [new.get() for _, _, new in got] == [0, 1, 2, 3]


def test_workers_pass_frozen_values_through_a_field(notebook: Any) -> None:
    notebook.cell(
        """
import firn
box = firn.shared_field(firn.freeze([]))
def put(x):
    while True:
        old = box.get()
        if box.compare_and_swap(old, firn.freeze([*old, {"x": x}])):
            return
"""
    )
    notebook.loop("put(x)", range(40), chunk=3)
    assert sorted(row["x"] for row in notebook["box"].get()) == list(range(40))
    assert firn.is_frozen(notebook["box"].get())


def test_each_interpreter_has_its_own_local_value(notebook: Any) -> None:
    notebook.cell(
        """
import firn
start = [100]
def fresh(): return [*start]
own = firn.local(fresh)
fixed = firn.local(7)
start = None
def note(x):
    own.get().append(x)
    return own.get()[0], x in own.get(), fixed.get()
"""
    )
    assert notebook.loop("note(x)") == [(100, True, 7)] * 4
    assert notebook["own"].get() == [100]


def test_freezing_in_a_worker(notebook: Any) -> None:
    notebook.cell(
        """
import firn
base = [1, 2]
def f(x): return len(base) + x
def attempt(x):
    g = firn.freeze(f)
    data = firn.freeze({"x": [x]})
    return g(x), firn.is_frozen(g), firn.is_frozen(data), data
"""
    )
    assert notebook.loop("attempt(x)") == [(2 + x, True, True, {"x": [x]}) for x in range(4)]
