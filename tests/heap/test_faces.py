"""Frozen containers read as what they were and refuse to be written, in the main interpreter and in two others at once."""

from __future__ import annotations

import importlib
import re
import sys
import threading
import types
from concurrent import interpreters
from pathlib import Path
from typing import Any

import firn
import pytest
from firn import _core

HERE = Path(__file__).parent

# Compares every read with the original's; evaluated here and, as text, in subinterpreters.
COMPARE = """
import sys
sys.path.insert(0, HERE)
import face_tables as tables

def differences(name, x, y):
    found = []
    for expression in tables.reads_of(name):
        plain_x, plain_y = tables.VALUES[name]()
        p = tables.VALUES[name]()[1]
        expected = tables.outcome(expression, plain_x, plain_y, p)
        got = tables.outcome(expression, x, y, p)
        if got != expected:
            found.append(f"{name}: {expression}: {got} instead of {expected}")
    return found
"""
namespace: dict[str, Any] = {"HERE": str(HERE)}
exec(COMPARE, namespace)
tables = namespace["tables"]
writes = importlib.import_module("face_writes")


def frozen_values(name: str) -> tuple[Any, Any]:
    x, y = tables.VALUES[name]()
    return firn.freeze(x), firn.freeze(y)


@pytest.mark.parametrize("name", tables.VALUES)
def test_reads_as_the_original(name: str) -> None:
    assert namespace["differences"](name, *frozen_values(name)) == []


def test_reads_as_the_original_in_two_subinterpreters_at_once() -> None:
    frozen = {name: frozen_values(name) for name in tables.VALUES}
    addresses = {name: tuple(map(_core.address, pair)) for name, pair in frozen.items()}
    code = f"""
HERE = {str(HERE)!r}
import firn
from firn import _core
{COMPARE}
found = []
for _ in range(3):
    for name, (x, y) in {addresses!r}.items():
        found += differences(name, _core.adopt(x), _core.adopt(y))
assert not found, found[:5]
"""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            interpreter = interpreters.create()
            interpreter.exec(code)
            interpreter.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for name, pair in frozen.items():
        assert namespace["differences"](name, *pair) == []
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("name", tables.VALUES)
def test_refuses_every_write(name: str) -> None:
    x, _ = frozen_values(name)
    before = repr(x)
    for statement in writes.writes_of(name):
        names = tables.NAMES | {"x": x}
        if "shuffle" in statement and len(x) < 2:
            continue  # nothing to exchange
        with pytest.raises(TypeError, match="is frozen"):
            exec(statement, names)
        assert names["x"] is x, statement
    assert repr(x) == before


@pytest.mark.parametrize("name", tables.VALUES)
def test_writes_that_python_refuses_by_itself_do_no_harm(name: str) -> None:
    x, _ = frozen_values(name)
    before = repr(x)
    for statement in writes.WRITES_REFUSED_BY_OTHERS.splitlines():
        if statement:
            with pytest.raises((TypeError, AttributeError)):
                exec(statement, tables.NAMES | {"x": x})
    assert repr(x) == before


class ShellsMain(types.ModuleType):
    """A `__main__` whose variables are elsewhere, as IPython makes one for a kernel."""

    __dict__ = property(lambda self: self.__getattribute__("space"))  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        super().__init__(name)
        object.__setattr__(self, "space", {})

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__[name] = value


@pytest.mark.parametrize("kind", [types.ModuleType, ShellsMain])
def test_a_refusal_names_the_variables_that_can_hold_what_was_written_to(
    monkeypatch: pytest.MonkeyPatch, kind: type[types.ModuleType]
) -> None:
    tags = ["a"]
    values = {"sky": "blue", "rows": [{"tags": tags}], "pattern": re.compile("b"), "index": {"a": tags}, "gone": [1]}
    result = _core.freeze_roots(values)
    _core.set_cell(result.segment, "[12]")
    main = kind("__main__")
    vars(main).update(result.frozen, gone=0)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(TypeError) as caught:
        result.frozen["rows"][0]["tags"].append("b")
    assert str(caught.value) == (
        "this list is frozen: the %%parallel cell [12] shares 'rows' or 'index', to which it belongs, with the workers. "
        "rows = firn.thaw(rows) or index = firn.thaw(index) gives a copy that can be changed; "
        "%%parallel --copy rows,index leaves the notebook's own untouched."
    )
    with pytest.raises(TypeError, match=r"^'index' is frozen: .* index = firn\.thaw"):
        result.frozen["index"]["b"] = 1
    main.index = 0  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"^'rows' is frozen: .* rows = firn\.thaw"):
        tags_of_row = result.frozen["rows"][0]["tags"]
        tags_of_row.clear()
    main.rows = 0  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"shares 'sky', 'rows', 'pattern' \.\.\., to which"):
        tags_of_row.clear()


def test_a_refusal_names_the_variable_the_cell_and_the_way_out() -> None:
    result = _core.freeze_roots({"rows": [{"tags": ["a"]}]})
    _core.set_cell(result.segment, "[12]")
    with pytest.raises(TypeError) as caught:
        result.frozen["rows"][0]["tags"].append("b")
    assert str(caught.value) == (
        "'rows' is frozen: the %%parallel cell [12] shares it with the workers. rows = firn.thaw(rows) gives a copy "
        "that can be changed; %%parallel --copy rows leaves the notebook's own untouched."
    )
