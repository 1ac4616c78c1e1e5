"""`type(x)` in cells: of frozen data what it says of the original."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
from firn import exact_types

CLASSES = """
import dataclasses
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
shapes = [Shape(1), Square(1), Shape(2)]
tree = {"a": [1, {2}, (3, [4])], "b": {"c": 5.5}}
def leaves(node):
    if type(node) is dict:
        return sum(map(leaves, node.values()))
    return sum(map(leaves, node)) if type(node) in {list, set, tuple} else 1
"""
SEEN = """
seen = (
    repr(shapes), [[a == b for a in shapes] for b in shapes], [repr(shape.twice()) for shape in shapes],
    leaves(tree), type(tree), [type(shape).__name__ for shape in shapes], type(tree["a"]) is list,
    (lambda x: type(x))(shapes), f"{type(shapes)}", shapes[0] == Shape(1), Shape(1) == shapes[0],
)
"""


@pytest.fixture
def frozen(notebook: Any) -> Any:
    """A notebook with frozen data; `before` is what was seen of it."""
    notebook.ok(CLASSES + SEEN + "before = seen")
    notebook.ok(
        "%%parallel --quiet\nfound = [len(shape.sides) for shape in shapes] + [leaves(part) for part in tree.values()]"
    )
    assert notebook.ok("firn.is_frozen(shapes) and firn.is_frozen(tree)")
    return notebook


def test_code_sees_frozen_data_as_it_was(frozen: Any) -> None:
    frozen.ok(SEEN)
    assert frozen["seen"] == frozen["before"]


@pytest.mark.parametrize("way", ["%%parallel --serial --quiet\n", "%%parallel --quiet\n0\n", "%%capture\n", "%%time\n"])
def test_in_cells_of_all_kinds(frozen: Any, way: str) -> None:
    frozen.ok(way + SEEN)
    assert frozen["seen"] == frozen["before"]


def test_in_background_cells_and_loops_that_run_in_the_notebook(frozen: Any) -> None:
    frozen.ok("%%parallel --quiet --background job\nn = [leaves(tree) for x in range(3)]" + SEEN)
    frozen.ok("job.result()")
    assert frozen["seen"] == frozen["before"]
    frozen.ok("%%parallel --quiet\nfor shape in shapes:\n    print(type(shape).__name__, type(tree).__name__)")
    assert frozen.out.split() == ["Shape", "dict", "Square", "dict", "Shape", "dict"]
    frozen.ok("import firn\n@firn.frozen\ndef kind(x):\n    return type(x).__name__")
    assert frozen.ok("kind(tree), kind(shapes[1])") == ("dict", "Square")


def test_a_variable_called_type_is_what_it_is(frozen: Any) -> None:
    frozen.ok("def asks(x):\n    return type(x)")
    assert frozen.ok("asks(tree)") is dict
    assert frozen.ok("type = len\ntype(tree)") == 2
    assert frozen.ok("asks(tree), type(tree)") == (2, 2)
    frozen.ok("%%parallel --quiet\nfound = [asks(shape.sides) for shape in shapes]")
    assert frozen["found"] == [1, 1, 1]
    frozen.ok("del type")
    assert frozen.ok("asks(tree), type(tree)") == (dict, dict)


@pytest.mark.parametrize(
    "binding",
    [
        "def f(type):\n    return type(tree)\nf(len)",
        "(lambda type: type(tree))(len)",
        "def f():\n    def type(x): return 2\n    return type(tree)\nf()",
        "[type(tree) for type in [len]][0]",
        "from builtins import len as type\nfound = type(tree)\ndel type\nfound",
        "match len:\n    case type:\n        found = type(tree)\ndel type\nfound",
        "if (type := len) is len: found = type(tree)\ndel type\nfound",
        "def f():\n    global type\n    type = len\n    return type(tree)\nfound = f()\ndel type\nfound",
        "for type in [len]: found = type(tree)\ndel type\nfound",
    ],
)
def test_other_things_of_that_name_in_a_cell(frozen: Any, binding: str) -> None:
    assert frozen.ok(binding) == 2
    assert frozen.ok("type(tree)") is dict


def test_it_is_the_builtin_for_everything_else(notebook: Any) -> None:
    assert notebook.ok("type('New', (), {}).__name__, isinstance(int, type), type, type(int) is type") == (
        "New",
        True,
        type,
        True,
    )
    assert (
        notebook.ok("class Meta(type):\n    pass\nclass Made(metaclass=Meta):\n    pass\ntype(Made)")
        is notebook["Meta"]
    )
    error = notebook.fails("x = 5\ntype(x).nothing")
    assert isinstance(error, AttributeError) and "type(x).nothing" in notebook.shown
    assert exact_types.NAME not in notebook.shown
    notebook.ok("%who")
    assert exact_types.NAME not in notebook.out


def test_code_from_before_the_extension_was_loaded(notebook: Any) -> None:
    notebook.ok("%unload_ext firn")
    try:
        notebook.ok(CLASSES + MORE + SEEN + "before = seen")
    finally:
        notebook.ok("%load_ext firn")
    notebook.ok(
        "%%parallel --quiet\nfound = [leaves(part) for part in tree.values()] + [len(shape.sides) for shape in shapes]"
    )
    notebook.ok(SEEN)
    assert notebook["seen"] == notebook["before"]
    assert notebook.ok("[way(tree) for way in ways]") == ["dict"] * len(notebook["ways"])
    assert notebook.ok("odd.own, odd.kept, odd.kind(), Odd.made(), outer()(tree)") == (
        "Odd",
        "Odd",
        "Odd",
        "type",
        "dict",
    )


MORE = """
import functools
def outer():
    def inner(x):
        return type(x).__name__
    return inner
def wrapping(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args)
    return wrapper
@wrapping
def wrapped(x):
    return type(x).__name__
@functools.singledispatch
def dispatched(x):
    return type(x).__name__
@functools.lru_cache
def cached(n):
    return type(tree).__name__
class Odd(Shape):
    own = property(lambda self: type(self).__name__)
    @functools.cached_property
    def kept(self):
        return type(self).__name__
    @staticmethod
    def static(x):
        return type(x).__name__
    @classmethod
    def made(cls):
        return type(cls).__name__
    def kind(self):
        return type(self).__name__
    class Inner:
        @staticmethod
        def ask(x):
            return type(x).__name__
odd = Odd(1)
shapes.append(odd)
ways = [outer(), wrapped, dispatched, lambda x: cached(1), functools.partial(outer()), Odd.static, Odd.Inner.ask]
"""


def test_functions_go_to_processes_without_firn(frozen: Any) -> None:
    """With what pickles by value, as joblib and dask do."""
    frozen.ok("def plain(x):\n    return type(x).__name__")
    frozen.ok("import firn\n@firn.frozen\ndef still(x):\n    return type(x).__name__")
    frozen.ok("%%parallel --quiet\nmade = [lambda x: type(x).__name__ for n in range(3)]")
    frozen.ok(
        "with firn.Executor(1) as executor:\n    sent = executor.submit(lambda: lambda x: type(x).__name__).result()"
    )
    functions = [frozen["plain"], frozen["still"], frozen["made"][1], frozen["sent"]]
    code = (
        "import sys, pickle\nsys.path[:] = [p for p in sys.path if 'site/' not in p]\n"
        "sys.modules['firn'] = None\nprint(*[f(5) for f in pickle.loads(sys.stdin.buffer.read())])"
    )
    raw = cloudpickle.dumps(functions)
    done = subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=False)
    assert done.stdout.split() == [b"int"] * len(functions), done.stderr.decode()


CONDITIONS = """
def asks(x, none=None):
    return type(none or x).__name__, type(x if x else none).__name__, type([y for y in x] and x).__name__
"""


def test_however_its_argument_is_found(frozen: Any) -> None:
    frozen.ok(CONDITIONS)
    frozen.ok("%%parallel --quiet\nfound = [(asks(tree), type(tree or None), type(n and tree)) for n in range(1, 3)]")
    expected = [(("dict",) * 3, dict, dict)] * 2
    assert frozen["found"] == expected
    assert frozen.ok("[(asks(tree), type(tree or None), type(n and tree)) for n in range(1, 3)]") == expected
    frozen.ok("%%parallel --quiet --each --gather found\nfound = type(tree or None), asks(tree)")
    assert frozen["found"] == [(dict, ("dict",) * 3)] * 2


def test_as_the_function_of_map(frozen: Any) -> None:
    assert frozen.ok("from collections import Counter\nCounter(map(type, tree.values()))") == {list: 1, dict: 1}
    frozen.ok("%%parallel --quiet\nfound = [Counter(map(type, part)) for part in tree.values() for x in [1]]")
    assert frozen["found"] == [{int: 1, set: 1, tuple: 1}, {str: 1}]


SCOPES = """
import dataclasses
@dataclasses.dataclass
class Row:
    type: str
    def kind(self):
        return type(self).__name__
    def __eq__(self, other):
        return type(self) is type(other)
class Other(Row):
    pass
class Kind:
    def type(self):
        return type(self).__name__
    @property
    def own(self):
        return type(self).__name__
    seen = type(5)
def shadowed(type, x=lambda x: type(x)):
    return type(x), (lambda: type(x))()
def outer(x):
    return type(x).__name__, [type(5) for type in [str]], type(x).__name__
rows = [Row("a"), Other("b")]
kinds = [Kind()]
"""


def test_only_scopes_that_bind_the_name_are_left_alone(frozen: Any) -> None:
    with pytest.raises(UnboundLocalError):
        frozen.ok("def f(x):\n    type = type(x)\nf(1)")
    frozen.ok(SCOPES.replace("    seen = type(5)\n", "").replace("x=lambda x: type(x)", "x=tree"))
    seen = (
        "(rows[0].kind(), rows[1].kind(), rows[0] == rows[1], rows[0] == Row('x'), rows[0].type, kinds[0].type(), "
        "kinds[0].own, shadowed(len), shadowed(len, tree), outer(tree))"
    )
    before = frozen.ok(seen)
    frozen.ok(f"%%parallel --quiet\nfound = [{seen} for n in range(2)]")
    assert frozen["found"] == [before] * 2 and frozen.ok("firn.is_frozen(rows)")
    assert frozen.ok(seen) == before


def test_annotations_and_namespaces_of_metaclasses_are_left_alone(frozen: Any) -> None:
    frozen.ok(
        "from __future__ import annotations\ndef f(x: type(3)) -> type(4):\n    y: type(5) = type(x)\n    return y"
    )
    assert frozen["f"].__annotations__ == {"x": "type(3)", "return": "type(4)"} and frozen.ok("f(tree)") is dict
    frozen.ok(
        "class Meta(type):\n    @classmethod\n    def __prepare__(cls, *args):\n        return {'type': lambda x: ('own', x)}\n"
        "class Made(metaclass=Meta):\n    made = type(5)\n    def asks(self, x):\n        return type(x)"
    )
    assert frozen["Made"].made == ("own", 5) and frozen.ok("Made().asks(tree)") is dict


def test_globals_of_a_functions_own(frozen: Any) -> None:
    frozen.ok("own = {'type': lambda x: 42}\nexec('def f(x): return type(x)', own)\nf = own['f']")
    frozen.ok("%%parallel --quiet\nfound = [f(n) for n in range(3)]")
    assert frozen["found"] == [42] * 3
    frozen.ok("import firn\ntype = lambda x: 42")
    frozen.ok("still = firn.freeze(lambda x: type(x))")
    frozen.ok("%%parallel --quiet\nfound = [still(n) for n in range(3)]")
    assert frozen["found"] == [42] * 3 and frozen.ok("still(1)") == 42
    frozen.ok("del type")
    assert frozen.ok("still(1)") == 42


def test_code_that_travels_many_times(frozen: Any) -> None:
    frozen.ok("def f(x):\n    return type(x).__name__")
    frozen.ok(
        "with firn.Executor(1) as executor:\n    for n in range(150):\n        f = executor.submit(lambda f: f, f).result()"
    )
    frozen.ok("%%parallel --quiet\nfound = [f(tree) for n in range(3)]")
    assert frozen["found"] == ["dict"] * 3 and len(frozen["f"].__code__.co_names) < 5


def test_functions_work_on_without_the_extension(frozen: Any) -> None:
    frozen.ok("def asks(x):\n    return type(x)")
    frozen.ok("%unload_ext firn")
    try:
        assert frozen.ok("asks(tree)") is dict
    finally:
        frozen.ok("%load_ext firn")
