"""`type(x)` in cells: of frozen data what it says of the original."""

from __future__ import annotations

import array
import ast
import subprocess
import sys
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import firn
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
    assert run_without_firn(cloudpickle.dumps([notebook["made"][1], notebook["sent"]])).split() == [b"int"] * 2


def run_without_firn(functions: bytes) -> bytes:
    """What pickled functions say of 5 in a process that has no firn."""
    code = (
        "import sys, pickle\nsys.path[:] = [p for p in sys.path if 'site/' not in p]\n"
        "sys.modules['firn'] = None\nprint(*[f(5) for f in pickle.loads(sys.stdin.buffer.read())])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=functions, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_code_that_travels_many_times(notebook: Any) -> None:
    notebook.ok("def f(x):\n    return type(x).__name__\ntree = {'a': [1]}")
    notebook.ok(
        "import firn\nwith firn.Executor(1) as executor:\n"
        "    for n in range(150):\n        f = executor.submit(lambda f: f, f).result()"
    )
    notebook.ok("%%parallel --quiet\nfound = [f(tree) for n in range(3)]")
    assert notebook["found"] == ["dict"] * 3 and len(notebook["f"].__code__.co_names) < 5


# ---- in the notebook's own cells

SEEN = """
seen = (
    repr(shapes), [[a == b for a in shapes] for b in shapes], [repr(shape.twice()) for shape in shapes],
    leaves(tree), type(tree), [type(shape).__name__ for shape in shapes], type(tree["a"]) is list,
    (lambda x: type(x))(shapes), f"{type(shapes)}", shapes[0] == Shape(1), Shape(1) == shapes[0], asks(tree),
    list(map(type, tree.values())), rows[0].kind(), kinds[0].type(), kinds[0].own, shadowed(len, tree), [type(5) for type in [str]],
)
"""


@pytest.fixture
def frozen(notebook: Any) -> Any:
    """A notebook with frozen data; `before` is what was seen of it."""
    notebook.ok(CODE + SEEN + "before = seen")
    notebook.ok(FREEZE)
    assert all(map(firn.is_frozen, (notebook["shapes"], notebook["tree"], notebook["rows"], notebook["kinds"])))
    return notebook


FREEZE = "%%parallel --quiet\nfound = [(shapes[0], tree['a'], rows[0].type, kinds[0].type()) for n in range(9)]"


def test_cells_see_frozen_data_as_it_was(frozen: Any) -> None:
    frozen.ok(SEEN)
    assert frozen["seen"] == frozen["before"]


@pytest.mark.parametrize("way", ["%%parallel --serial --quiet\n", "%%parallel --quiet\n0\n", "%%capture\n", "%%time\n"])
def test_so_do_cells_of_all_kinds(frozen: Any, way: str) -> None:
    frozen.ok(way + SEEN)
    assert frozen["seen"] == frozen["before"]


def test_so_do_background_cells_and_loops_that_run_in_the_notebook(frozen: Any) -> None:
    frozen.ok("%%parallel --quiet --background job\nn = [leaves(tree) for x in range(3)]" + SEEN)
    frozen.ok("job.result()")
    assert frozen["seen"] == frozen["before"]
    frozen.ok("%%parallel --quiet\nfor shape in shapes:\n    print(type(shape).__name__, type(tree).__name__)")
    assert frozen.out.split() == ["Shape", "dict", "Square", "dict", "Shape", "dict"]
    frozen.ok("import firn\n@firn.frozen\ndef kind(x):\n    return type(x).__name__")
    assert frozen.ok("kind(tree), kind(shapes[1])") == ("dict", "Square")


def test_map_over_frozen_values(frozen: Any) -> None:
    assert frozen.ok("from collections import Counter\nCounter(map(type, tree.values()))") == {list: 1, dict: 1}
    frozen.ok("%%parallel --quiet\nfound = [Counter(map(type, part)) for part in tree.values() for x in [1]]")
    assert frozen["found"] == [{int: 1, set: 1, tuple: 1}, {str: 1}]


@pytest.mark.parametrize(
    "binding",
    [
        "def f(type):\n    return type(tree)\nf(len)",
        "(lambda type: type(tree))(len)",
        "def f():\n    def type(x): return 2\n    return type(tree)\nf()",
        "def f[type]():\n    return type.__name__\nlen(f()) - 2",
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


def test_a_variable_of_that_name(frozen: Any) -> None:
    assert frozen.ok("type = len\ntype(tree)") == 2
    assert frozen.ok("type(tree), (lambda: type(tree))(), list(map(type, [tree]))") == (2, 2, [2])
    frozen.ok("%%parallel --quiet\nfound = [(type(tree), list(map(type, [tree]))) for n in range(3)]")
    assert frozen["found"] == [(2, [2])] * 3
    frozen.ok("%%parallel --quiet --each --gather found\nfound = type(tree), [*map(type, [tree])]")
    assert frozen["found"] == [(2, [2])] * 2
    frozen.ok("del type")
    assert frozen.ok("type(tree)") is dict


def test_it_is_the_builtin_for_everything_else(notebook: Any) -> None:
    class Proxy:  # says that it is something else
        __class__ = int  # type: ignore[assignment]

    notebook.shell.user_ns["proxy"] = Proxy()
    assert notebook.ok("type('New', (), {}).__name__, isinstance(int, type), type, type(int) is type, type(*[5])") == (
        "New",
        True,
        type,
        True,
        int,
    )
    assert notebook.ok("proxy.__class__, type(proxy), type((lambda: proxy)()), *map(type, [proxy])") == (
        int,
        Proxy,
        Proxy,
        Proxy,
    )
    assert notebook.ok("[type((yield_ := x)) for x in [1, 's']], yield_") == ([int, str], "s")
    assert (
        notebook.ok("class Meta(type):\n    pass\nclass Made(metaclass=Meta):\n    pass\ntype(Made)")
        is notebook["Meta"]
    )
    error = notebook.fails("x = 5\ntype(x).nothing")
    assert isinstance(error, AttributeError) and "type(x).nothing" in notebook.shown
    assert "firn" not in notebook.shown and "__module__" not in notebook.shown
    assert isinstance(notebook.fails("def f():\n    return type(nowhere)\nf()"), NameError)
    assert isinstance(notebook.fails("def f():\n    type = type(5)\nf()"), UnboundLocalError)


def test_however_large_the_cell_is_and_whatever_it_imports(frozen: Any) -> None:
    frozen.ok("found = type(tree)" + " or 1" + " + 1" * 600)
    frozen.ok("from math import *\ndef f(x):\n    return type(x)")
    assert frozen.ok("f(tree), type(tree)") == (dict, dict)
    frozen.ok("from builtins import type")
    assert frozen.ok("type(tree)") is dict
    frozen.ok("del type")
    assert frozen.ok("type(tree)") is dict


def test_attributes_and_buffers(frozen: Any) -> None:
    frozen.ok("import array\nraw, numbers = bytearray(b'abc'), array.array('d', [1.5])")
    frozen.ok("%%parallel --quiet\nfound = [(type(shapes[0].__dict__), type(raw), type(numbers)) for n in range(3)]")
    assert frozen["found"] == [(dict, bytearray, array.array)] * 3
    assert frozen.ok("type(vars(shapes[0])), type(shapes[0].__dict__)") == (dict, dict)


def test_another_map(frozen: Any) -> None:
    frozen.ok("def apply(f, xs): return f is type")
    assert frozen.ok("def f(map):\n    return map(type, [1])\nf(apply)") is True
    frozen.ok("map = apply")
    assert frozen.ok("map(type, [1]), type(tree)") == (True, dict)
    frozen.ok("%%parallel --quiet\nfound = [(map(type, [1]), type(tree)) for n in range(3)]")
    assert frozen["found"] == [(True, dict)] * 3
    frozen.ok("del map")


def test_other_transformers_of_the_notebook(frozen: Any) -> None:
    class Renaming(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            node.id = node.id.removeprefix("q")
            return node

    frozen.shell.ast_transformers.append(renaming := Renaming())
    try:
        assert frozen.ok("qqx = 'seven'\nx = 7\ntype(qqx)") is str
    finally:
        frozen.shell.ast_transformers.remove(renaming)


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
    frozen.ok("class Other(Made):\n    made = type(6)")
    assert frozen["Other"].made == ("own", 6)


MORE = """
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
@functools.lru_cache
def cached(n):
    return type(tree).__name__
class Odd(Shape):
    prop = property(lambda self: type(self).__name__)
    @functools.cached_property
    def kept(self):
        return type(self).__name__
    @staticmethod
    def static(x):
        return type(x).__name__
    @classmethod
    def made(cls):
        return type(cls).__name__
    class Inner:
        @staticmethod
        def ask(x):
            return type(x).__name__
shapes.append(Odd(1))
a, b, c = lambda x: type(x).__name__, lambda x: "not " + type(x or None).__name__, lambda x: type((lambda: x)()).__name__
ways = [outer(), wrapped, lambda x: cached(1), functools.partial(outer()), Odd.static, Odd.Inner.ask, a, c]
"""


def test_functions_from_before_firn_was_loaded(notebook: Any) -> None:
    notebook.ok("%unload_ext firn")
    try:
        notebook.ok(CODE)
        notebook.ok("%time\n" + MORE + SEEN + "before = seen")
        notebook.ok("exec('def no_cell(x): return type(x)')\nshared = Shape.__repr__")
    finally:
        notebook.ok("%load_ext firn")
    notebook.ok(FREEZE)
    notebook.ok(SEEN)
    assert notebook["seen"] == notebook["before"]
    assert notebook.ok("[way(tree) for way in ways]") == ["dict"] * len(notebook["ways"])
    assert notebook.ok("b(tree), shapes[-1].prop, shapes[-1].kept, Odd.made()") == ("not dict", "Odd", "Odd", "type")
    assert notebook.ok("no_cell(5), shared is Shape.__repr__") == (int, True)


def test_functions_work_on_without_the_extension_and_without_firn(frozen: Any) -> None:
    frozen.ok("def plain(x):\n    return type(x).__name__\nimport firn\nstill = firn.freeze(plain)")
    frozen.ok("%unload_ext firn")
    try:
        assert frozen.ok("asks(tree)") == ("dict",) * 3
    finally:
        frozen.ok("%load_ext firn")
    raw = cloudpickle.dumps([frozen["plain"], frozen["still"]])
    assert run_without_firn(raw).split() == [b"int"] * 2
    assert frozen.ok("import concurrent.interpreters\nconcurrent.interpreters.create().call(plain, 5)") == "int"
