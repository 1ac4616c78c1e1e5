"""Twins: what the heap cannot share as it is stands in it as a pickle, and every interpreter has its own, genuine object."""

import copy
import decimal
import enum
import functools
import inspect
import math
import operator
import socket
import sqlite3
import sys
import textwrap
import threading
import types
import weakref
from typing import Any

import pytest
from firn import _core


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


class Word(str):
    pass


IMPORTS = """
import datetime, decimal, enum, fractions, functools, math, operator, pathlib, re, sys, types, uuid, zoneinfo
from firn import _core
"""

VALUES: dict[str, str] = {
    "Decimal": "decimal.Decimal('1.50')",
    "Fraction": "fractions.Fraction(1, 3)",
    "UUID": "uuid.UUID(int=5)",
    "pattern": "re.compile('(a+)b', re.I)",
    "path": "pathlib.Path('/usr/lib')",
    "zone": "zoneinfo.ZoneInfo('Europe/Berlin')",
    "date in a zone": "datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))",
    "str subclass": "Word('x')",
    "partial": "functools.partial(divmod, 7)",
    "itemgetter": "operator.itemgetter(1)",
    "C function": "math.sqrt",
    "namespace": "types.SimpleNamespace(rows=[1, 2], word='x')",
}


def freeze(value: object) -> Any:
    return _core.freeze_roots({"value": value}).frozen["value"]


def read(readers: Any, code: str, frozen: object) -> None:
    """Runs the code here and in two workers at once, where the classes are ones of their own."""
    classes = (Color, Mode, Word)
    here = "".join(f"    {cls.__name__} = sys.modules[{__name__!r}].{cls.__name__}\n" for cls in classes)
    there = "".join(
        textwrap.indent(inspect.getsource(cls), "    ") + f"    _core.define({_core.number_of(cls)}, {cls.__name__})\n"
        for cls in classes
    )
    prelude = f"{IMPORTS}if {__name__!r} in sys.modules:\n{here}else:\n{there}"
    readers.run(prelude + textwrap.dedent(code), frozen)


@pytest.mark.parametrize("what", VALUES)
def test_genuine_objects_are_read_and_stay_the_same(readers: Any, what: str) -> None:
    names: dict[str, Any] = {"Word": Word}
    exec(IMPORTS, names)
    original = eval(VALUES[what], names)
    frozen = freeze([original, original, {"key": original}])
    by_identity = isinstance(original, functools.partial | operator.itemgetter)
    equal = "True" if by_identity else "one == expected"
    code = f"""
        expected = {VALUES[what]}
        one, other, mapping = frozen
        assert type(one) is type(expected) and {equal}
        assert one is other is mapping['key'] is frozen[0] is [*frozen][1] is next(iter(mapping.values()))
        """
    read(readers, code, frozen)


def test_members_of_enumerations_are_the_members(readers: Any) -> None:
    frozen = freeze([Color.RED, Mode.READ | Mode.WRITE, Mode.READ, {Color.BLUE: "blue"}, {Color.RED}, (Color.RED, 1)])
    assert frozen[0] is Color.RED and frozen[1] is Mode.READ | Mode.WRITE
    read(
        readers,
        """
        assert frozen[0] is Color.RED and frozen[1] is Mode.READ | Mode.WRITE and frozen[2] is Mode.READ
        assert frozen[3][Color.BLUE] == "blue" and Color.RED in frozen[4] and frozen[5] == (Color.RED, 1)
        assert type(frozen[5]) is tuple and [*frozen[3]] == [Color.BLUE] and [*frozen[4]] == [Color.RED]
        """,
        frozen,
    )


def test_classes_and_functions_inside_data() -> None:
    def double(x: int) -> int:
        return 2 * x

    frozen = freeze({"class": Color, "builtin": int, "function": double, "C": len})
    assert frozen["class"] is Color and frozen["builtin"] is int and frozen["C"] is len
    assert frozen["function"](4) == 8


def test_what_compares_by_identity_stays_the_notebooks_own() -> None:
    getter, partial = operator.itemgetter(1), functools.partial(divmod, 7)
    frozen = freeze([getter, partial, [getter]])
    assert frozen[0] is getter is frozen[2][0] and frozen[1] is partial


def test_keys_hash_by_value(readers: Any) -> None:
    frozen = freeze({decimal.Decimal(1): "one", (decimal.Decimal(2), "x"): "two"})
    code = """
        assert frozen[decimal.Decimal(1)] == frozen[1] == "one" and frozen[2, "x"] == "two" and 3 not in frozen
        assert [*frozen] == [1, (2, "x")] and type([*frozen][0]) is decimal.Decimal
        """
    read(readers, code, frozen)


def test_state_is_shared_by_reference_and_cycles_close(readers: Any) -> None:
    rows = [{"n": n} for n in range(100)]
    space = types.SimpleNamespace(rows=rows, more=None)
    space.more = [space]
    frozen = freeze({"space": space, "rows": rows})
    assert frozen["space"].rows is frozen["rows"]
    code = """
        space = frozen["space"]
        assert space.rows is frozen["rows"] and space.rows[99]["n"] == 99 and space.more[0] is space
        """
    read(readers, code, frozen)


def test_exceptions_keep_attributes_and_causes(readers: Any) -> None:
    error = ValueError("wrong", 5)
    error.where = ["here"]  # type: ignore[attr-defined]
    error.__cause__ = KeyError("k")
    frozen = freeze([error])
    code = """
        error = frozen[0]
        assert type(error) is ValueError and error.args == ("wrong", 5) and error.where == ["here"]
        assert type(error.__cause__) is KeyError and error.__cause__.args == ("k",)
        """
    read(readers, code, frozen)


def test_what_was_read_freezes_to_the_same_twin() -> None:
    frozen = freeze([decimal.Decimal("1.5"), Color.RED])
    count = len(_core.segments())
    again = freeze({"price": frozen[0], Color.RED: 1})
    assert again["price"] is frozen[0] and again[Color.RED] == 1 and _core.is_frozen(frozen[0])
    assert len(_core.segments()) == count + 1
    assert not _core.is_frozen(decimal.Decimal("1.5"))


def test_fields_of_instances_are_genuine(readers: Any) -> None:
    class Item:
        def __init__(self) -> None:
            self.price, self.color = decimal.Decimal("2.5"), Color.BLUE

    frozen = freeze([Item() for _ in range(10)])
    assert all(item.color is Color.BLUE and type(item.price) is decimal.Decimal for item in frozen)
    assert sum(item.price for item in frozen) == 25


def test_thawed_ones_are_independent() -> None:
    original = {"space": types.SimpleNamespace(rows=[1]), "price": decimal.Decimal(2), "color": Color.RED}
    frozen = freeze(original)
    thawed = _core.thaw(frozen)
    assert thawed == original and thawed["color"] is Color.RED
    thawed["space"].rows.append(2)
    assert frozen["space"].rows == [1]


def test_equal_to_the_original_in_every_rare_read() -> None:
    original = [decimal.Decimal(n) for n in range(20)]
    frozen = freeze(original)
    assert (
        frozen == original
        and original == frozen
        and frozen[3:5] == original[3:5]
        and operator.add(frozen, [1]) == [*original, 1]
    )
    assert sorted(frozen, reverse=True) == sorted(original, reverse=True) and frozen.index(decimal.Decimal(7)) == 7
    assert copy.deepcopy(frozen) == original and repr(frozen) == repr(original) and 19 in frozen and max(frozen) == 19
    assert [*reversed(frozen)] == [*reversed(original)] and frozen.count(decimal.Decimal(3)) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: open("/dev/null"),  # noqa: SIM115
        lambda: socket.socket(),
        lambda: sqlite3.connect(":memory:"),
        lambda: threading.Lock(),
        lambda: (n for n in [1]),
        lambda: sys,
        lambda: weakref.ref(Color),
        lambda: sys._getframe(),
    ],
)
def test_what_no_other_interpreter_can_have_is_refused_with_its_path(make: Any) -> None:
    bad = make()
    rows = [{"ok": 1}, {"conn": [bad]}]
    segments = len(_core.segments())
    messages = []
    for _ in range(2):
        with pytest.raises(_core.NotFreezableError) as raised:
            _core.freeze_roots({"rows": rows})
        messages.append(str(raised.value))
        assert raised.value.path == "rows[1]['conn'][0]"
    assert messages[0] == messages[1] and len(_core.segments()) == segments and rows[1]["conn"] == [bad]
    if hasattr(bad, "close"):
        bad.close()


class Fails:
    def __reduce_ex__(self, protocol: int) -> Any:
        raise RuntimeError("not today")


class Recurses:
    def __reduce_ex__(self, protocol: int) -> Any:
        return self.__reduce_ex__(protocol)


class Nonsense:
    def __reduce_ex__(self, protocol: int) -> Any:
        return 5


@pytest.mark.parametrize(("cls", "cause"), [(Fails, RuntimeError), (Recurses, RecursionError), (Nonsense, Exception)])
def test_a_reduce_that_fails_is_the_cause(cls: type, cause: type) -> None:
    with pytest.raises(_core.NotFreezableError, match=r"^value\[1\]\['x'\]") as raised:
        freeze([1, {"x": cls()}])
    assert isinstance(raised.value.__cause__, cause)


def test_many(readers: Any) -> None:
    frozen = freeze([decimal.Decimal(n) / 7 for n in range(20_000)])
    read(readers, "assert sum(frozen) == sum(decimal.Decimal(n) / 7 for n in range(20_000))", frozen)


def test_arrays_are_read_in_place_through_frames() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": numpy.arange(1000.0), "y": numpy.arange(1000)})
    frozen = freeze([frame])[0]
    assert frozen.equals(frame) and math.isclose(frozen["x"].sum(), frame["x"].sum())
