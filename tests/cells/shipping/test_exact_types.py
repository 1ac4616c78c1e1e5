"""`type(x)` in the workers' code, beyond the cells of the conformance suite: frozen functions, long functions, cells that run
whole, executors, and code that comes back."""

from __future__ import annotations

import dis
import types
from typing import Any

import firn
import pytest
from firn import exact_types

ROWS = "rows = [[1], {'a': 2}, (3,), {4}]\n"
KINDS = ["list", "dict", "tuple", "set"]


def kind(value: object) -> str:
    return type(value).__name__


def test_functions_of_all_kinds(notebook: Any) -> None:
    notebook.cell(
        ROWS + "import firn, functools\nclass C:\n"
        "    def method(self, x): return type(x).__name__\n"
        "    @staticmethod\n    def static(x): return type(x).__name__\n"
        "    @property\n    def own(self): return type(self).__name__\n"
        "@firn.frozen\ndef frozen(x): return type(x).__name__\n"
        "def outer():\n    def inner(x): return type(x).__name__\n    return inner\n"
        "partial, closed, default = functools.partial(frozen), outer(), lambda x, f=lambda x: type(x).__name__: f(x)\n"
        "cached = functools.cache(lambda n: type(rows[n]).__name__)\n"
        "def generator(x): yield type(x).__name__\n"
        "c = C()\n"
    )
    wanted = "(c.method(x), C.static(x), frozen(x), partial(x), closed(x), default(x), [*generator(x)][0], c.own)"
    assert notebook.loop(wanted, notebook["rows"], chunk=1) == [(name,) * 7 + ("C",) for name in KINDS]
    assert notebook.loop("cached(x)", range(4), chunk=1) == KINDS


def test_code_that_a_worker_sends_back_is_as_it_was_written(notebook: Any) -> None:
    notebook.cell(ROWS + "def asks(x): return type(x).__name__\ndef make(n): return lambda: (n, type([]).__name__)\n")
    found = notebook.loop("(asks, make(x), lambda: type(x).__name__)", range(3), chunk=1)
    for n, (same, made, own) in enumerate(found):
        assert same([]) == "list" and made() == (n, "list") and own() == "int"
    notebook.names["made"] = found[2][1]
    assert notebook.loop("made()") == [(2, "list")] * 4


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a worker makes of a function."""
    monkeypatch.setattr("builtins." + exact_types.NAME, firn._core.type_of, raising=False)

    def load(function: types.FunctionType) -> types.FunctionType:
        code = exact_types.changed(function.__code__)
        return types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__)

    return load


def asked(function: types.FunctionType) -> int:
    """How often its code asks `type_of`."""
    return sum(step.argval == exact_types.NAME for step in dis.get_instructions(function))


def many_names(count: int) -> types.FunctionType:
    names = {"known": {}}
    reads = "\n".join(f"    try: name_{n}\n    except NameError: pass" for n in range(count))
    exec(f"def long(x):\n{reads}\n    return type(x), x.type", names)
    return names["long"]  # type: ignore[return-value]


@pytest.mark.parametrize("count", [0, 3, 100, 120, 124, 125, 126, 127, 128, 129, 200, 300])
def test_functions_with_many_names(loaded: Any, count: int) -> None:
    class Row(list[int]):
        type = "a field"

    function = loaded(many_names(count))
    assert function(Row()) == (Row, "a field")
    assert asked(function) == (count <= 125)  # with `NameError` and `type` there are 127


def test_only_calls_with_one_argument_ask(loaded: Any) -> None:
    frozen = firn.freeze([[1], {"a": 2}])

    def asks(x):
        return type(x), type(x[0]).__name__, type((x, [*x])), type(len(x)), type(type(x))

    def leaves(x):
        return type("New", (), {}), isinstance(x, type), type, type(*[x]), [type for _ in x]

    assert asks(frozen)[0] is not list
    assert loaded(asks)(frozen) == (list, "list", tuple, int, type)
    assert asked(loaded(asks)) == 6
    assert loaded(leaves)(frozen)[1:3] == (False, type) and asked(loaded(leaves)) == 0
    lines = [step.positions for step in dis.get_instructions(asks)]
    assert lines == [step.positions for step in dis.get_instructions(loaded(asks))]


def test_names_that_are_not_the_builtin_are_left_alone(loaded: Any) -> None:
    source = """
def binds(x):
    global type
    type = len
    return type(x)
def inside(x):
    class Row:
        type = str
        made = type(5)
    return Row.made, type(x)
def local(x, type=len):
    return type(x), (lambda: type(x))()
def field(x):
    return x.type(x)
"""
    names: dict[str, Any] = {}
    exec(source, names)
    assert loaded(names["local"])([1]) == (1, 1) and asked(loaded(names["local"])) == 0
    assert loaded(names["inside"])([1]) == ("5", list) and asked(loaded(names["inside"])) == 0
    assert loaded(names["binds"])([1]) == 1 and asked(loaded(names["binds"])) == 0
    assert asked(loaded(names["field"])) == 0


def test_of_everything_but_frozen_objects_it_is_the_builtin() -> None:
    class Odd:
        __class__ = int  # type: ignore[assignment]

    for value in (1, [], Odd(), Odd, type, None, firn.freeze((1, [])), firn.freeze("text"), dis):
        assert firn._core.type_of(value) is type(value)
