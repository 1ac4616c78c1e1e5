"""`type(x)` in parallel cells: of frozen data what it says of the original."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest

CODE = """
import dataclasses, functools
class Shape:
    def __init__(self, *sides):
        self.sides = sides
    def __repr__(self):
        return f"{type(self).__name__}{self.sides}"
    def __eq__(self, other):
        return type(self) is type(other) and self.sides == other.sides
    def twice(self):
        return type(self)(*self.sides, *self.sides)
class Square(Shape):
    pass
@dataclasses.dataclass
class Row:
    type: str
    def kind(self):
        return type(self).__name__
class Kind:
    def type(self):
        return type(self).__name__
    @functools.cached_property
    def own(self):
        return type(self).__name__
def leaves(node):
    if type(node) is dict:
        return sum(map(leaves, node.values()))
    return sum(map(leaves, node)) if type(node) in {list, set, tuple} else 1
def asks(x, none=None):
    return type(none or x).__name__, type(x if x else none).__name__, type([y for y in x] and x).__name__
def shadowed(type, x):
    return type(x), (lambda: type(x))()
shapes, rows, kinds = [Shape(1), Square(1), Shape(2)], [Row("a"), Row("b")], [Kind()]
tree = {"a": [1, {2}, (3, [4])], "b": {"c": 5.5}}
"""
LOOP = """found = [(
    repr(shapes), [[a == b for a in shapes] for b in shapes], [repr(shape.twice()) for shape in shapes], leaves(tree),
    type(tree), [type(shape).__name__ for shape in shapes], type(tree["a"]) is list, (lambda x: type(x))(shapes),
    f"{type(shapes)}", shapes[0] == Shape(1), Shape(1) == shapes[0], asks(tree), type(tree or None), type(n and tree),
    [row.kind() for row in rows], rows[0].type, kinds[0].type(), kinds[0].own, shadowed(len, tree),
) for n in range(1, 4)]
"""


@pytest.mark.parametrize("way", ["", "--chunk 1"])
def test_loops_see_frozen_data_as_it_was(notebook: Any, way: str) -> None:
    notebook.ok(CODE + LOOP)
    serial = notebook["found"]
    for _ in range(2):  # what they read is frozen in the second one
        notebook.ok(f"%%parallel --quiet {way}\n" + LOOP)
        assert notebook["found"] == serial


def test_so_do_cells_that_run_in_every_worker_and_those_in_the_background(notebook: Any) -> None:
    notebook.ok(CODE)
    notebook.ok("%%parallel --quiet --each --gather found\nfound = type(tree or None), asks(tree), repr(shapes[1])")
    assert notebook["found"] == [(dict, ("dict",) * 3, "Square(1,)")] * 2
    notebook.ok("%%parallel --quiet --background job\nfound = [(type(tree), leaves(tree)) for n in range(3)]")
    notebook.ok("job.result()")
    assert notebook["found"] == [(dict, 5)] * 3


def test_a_variable_called_type_is_what_it_is(notebook: Any) -> None:
    notebook.ok("def asks(x):\n    return type(x)\ntree, type = {'a': [1], 'b': [2]}, len")
    notebook.ok("%%parallel --quiet\nfound = [(asks(tree), type(tree)) for n in range(3)]")
    assert notebook["found"] == [(2, 2)] * 3
    notebook.ok("import firn\nstill = firn.freeze(lambda x: type(x))")
    notebook.ok("del type\nown = {'type': lambda x: 42}\nexec('def f(x): return type(x)', own)\nf = own['f']")
    notebook.ok("%%parallel --quiet\nfound = [(asks(tree), type(tree), still(tree), f(tree)) for n in range(3)]")
    assert notebook["found"] == [(dict, dict, 2, 42)] * 3
    assert notebook.ok("still(tree)") == 2


def test_functions_that_workers_made_go_to_processes_without_firn(notebook: Any) -> None:
    """With what pickles by value, as joblib and dask do."""
    notebook.ok("%%parallel --quiet\nmade = [lambda x: type(x).__name__ for n in range(3)]")
    notebook.ok(
        "import firn\nwith firn.Executor(1) as executor:\n"
        "    sent = executor.submit(lambda: lambda x: type(x).__name__).result()"
    )
    code = (
        "import sys, pickle\nsys.path[:] = [p for p in sys.path if 'site/' not in p]\n"
        "sys.modules['firn'] = None\nprint(*[f(5) for f in pickle.loads(sys.stdin.buffer.read())])"
    )
    raw = cloudpickle.dumps([notebook["made"][1], notebook["sent"]])
    done = subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=False)
    assert done.stdout.split() == [b"int", b"int"], done.stderr.decode()


def test_code_that_travels_many_times(notebook: Any) -> None:
    notebook.ok("def f(x):\n    return type(x).__name__\ntree = {'a': [1]}")
    notebook.ok(
        "import firn\nwith firn.Executor(1) as executor:\n"
        "    for n in range(150):\n        f = executor.submit(lambda f: f, f).result()"
    )
    notebook.ok("%%parallel --quiet\nfound = [f(tree) for n in range(3)]")
    assert notebook["found"] == ["dict"] * 3 and len(notebook["f"].__code__.co_names) < 5
