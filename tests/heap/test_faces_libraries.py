"""Libraries read frozen values as they read the originals, with firn's lessons where they ask for exact types."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import pprint
import reprlib
import subprocess
import sys
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent import interpreters
from typing import Any

import cloudpickle
import firn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from firn import _core
from IPython.core.interactiveshell import InteractiveShell
from IPython.lib.pretty import pretty

ROWS: list[dict[str, Any]] = [
    {"name": f"package {i}", "size": i * 10, "tags": ["b", "a"], "deps": {"x": [1, {"y": None}]}, "é": 1.5}
    for i in range(30)
]
CONTAINERS: list[Any] = [
    ROWS,
    ROWS[0],
    [],
    {},
    set(),
    {1, 2},
    set(range(100)),
    deque(range(50), 60),
    deque([1, [2]]),
    OrderedDict(b=1, a=2),
    OrderedDict.fromkeys(range(30)),
    Counter("abracadabra" * 9),
    Counter(),
    defaultdict(list, {i: [i] for i in range(30)}),
    defaultdict(int, b=1, a=2),
]


@pytest.fixture
def rows() -> Any:
    return firn.freeze(ROWS)


@pytest.mark.parametrize(
    "settings",
    [{}, {"default": str}, {"indent": 2}, {"sort_keys": True}, {"indent": 1, "sort_keys": True, "default": repr}],
)
def test_json(rows: Any, settings: dict[str, Any]) -> None:
    assert json.dumps(rows, **settings) == json.dumps(ROWS, **settings)
    ours, theirs = io.StringIO(), io.StringIO()
    json.dump(rows, ours, **settings)
    json.dump(ROWS, theirs, **settings)
    assert ours.getvalue() == theirs.getvalue()
    assert json.JSONEncoder(**settings).encode({"rows": rows}) == json.JSONEncoder(**settings).encode({"rows": ROWS})


def test_json_asks_default_for_what_it_cannot_write_and_finds_cycles() -> None:
    original = [deque([1]), {2}, Counter("a"), OrderedDict(b=1, a=2)]
    assert json.dumps(firn.freeze(original), default=list) == json.dumps(original, default=list)
    with pytest.raises(TypeError, match="is not JSON serializable"):
        json.dumps(firn.freeze([deque()]))
    cyclic: list[Any] = []
    cyclic.append({"again": cyclic})
    with pytest.raises(ValueError, match="Circular reference detected"):
        json.dumps(firn.freeze(cyclic))


@pytest.mark.parametrize("original", CONTAINERS, ids=lambda value: type(value).__name__)
def test_text_of_other_modules(original: Any) -> None:
    frozen = firn.freeze(original)
    assert pprint.pformat(frozen) == pprint.pformat(original)
    assert pprint.pformat(frozen, width=10, compact=True) == pprint.pformat(original, width=10, compact=True)
    assert pprint.pformat([frozen, frozen], depth=2) == pprint.pformat([original, original], depth=2)
    assert pprint.pformat(frozen, sort_dicts=False) == pprint.pformat(original, sort_dicts=False)
    assert pprint.isreadable(frozen) == pprint.isreadable(original)
    assert reprlib.repr(frozen) == reprlib.repr(original)
    assert reprlib.repr([frozen]) == reprlib.repr([original])
    assert pretty(frozen) == pretty(original)


def test_text_of_recursive_values() -> None:
    def recursive() -> list[Any]:
        listed: list[Any] = [1]
        listed.append({"self": listed, "deque": deque([listed])})
        listed[1]["dict"] = listed[1]
        listed[1]["ordered"] = OrderedDict(a=listed)
        listed[1]["default"] = defaultdict(list, a=listed)
        listed.append(listed)
        return listed

    original = recursive()
    frozen = firn.freeze(original)
    assert repr(frozen) == repr(original)
    assert repr(frozen[1]) == repr(original[1])
    for name in ("deque", "ordered", "default"):
        assert repr(frozen[1][name]) == repr(original[1][name])
    assert pprint.isrecursive(frozen)
    assert "Recursion on list" in pprint.pformat(frozen)
    assert frozen[2] is frozen
    for plain in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert plain[2] is plain and plain[1]["self"] is plain and type(plain) is list
    with pytest.raises(RecursionError):
        assert frozen == original


@pytest.mark.parametrize("original", CONTAINERS, ids=lambda value: type(value).__name__)
def test_copies_and_pickles_are_plain(original: Any) -> None:
    frozen = firn.freeze(original)
    plain = [
        copy.copy(frozen),
        copy.deepcopy(frozen),
        pickle._loads(pickle._dumps(frozen)),  # type: ignore[attr-defined]
        cloudpickle.loads(cloudpickle.dumps(frozen)),
        *(pickle.loads(pickle.dumps(frozen, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ]
    for value in plain:
        assert type(value) is type(original)
        assert value == original
        assert repr(value) == repr(original)
    assert not any(firn.is_frozen(value) for value in plain)
    assert b"firn" not in pickle.dumps(frozen) + cloudpickle.dumps(frozen)


def test_pickles_are_plain_all_the_way(rows: Any) -> None:
    for plain in (pickle.loads(pickle.dumps(rows)), copy.deepcopy(rows)):
        assert type(plain[0]) is dict
        assert type(plain[0]["tags"]) is list
        plain[0]["deps"]["x"][1]["y"] = "changed"
    assert rows == ROWS


def test_dataclasses_asdict(rows: Any) -> None:
    @dataclasses.dataclass
    class Archive:
        rows: Any
        names: set[str]

    frozen, plain = Archive(rows, firn.freeze({"a"})), Archive(ROWS, {"a"})
    assert dataclasses.asdict(frozen) == dataclasses.asdict(plain)
    assert type(dataclasses.asdict(frozen)["rows"][0]["tags"]) is list
    assert dataclasses.replace(frozen, names=set()).rows is rows


def test_yaml(rows: Any) -> None:
    assert yaml.safe_dump(rows) == yaml.safe_dump(ROWS)
    assert yaml.safe_dump(firn.freeze({"a": {1}})) == yaml.safe_dump({"a": {1}})


def test_the_prompt_abbreviates_a_big_list_at_once() -> None:
    original = [{"a": i, "b": [i]} for i in range(60_000)]
    shell = InteractiveShell.instance()
    text = shell.display_formatter.format(firn.freeze(original))[0]["text/plain"]
    assert text == shell.display_formatter.format(original)[0]["text/plain"]
    assert text.endswith("...]") and len(text) < 30_000
    assert shell.display_formatter.format(firn.freeze(set()))[0]["text/plain"] == "set()"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('rows[0]["', {"name", "size", "tags", "deps", "é"}),
        ('rows[3]["deps"]["', {"x"}),
        ('rows[3]["deps"]["x"][1]["', {"y"}),
        ("rows.", {"append", "index", "count", "sort"}),
        ("rows[0].", {"get", "items", "keys", "setdefault"}),
        ('rows[0]["tags"].', {"append", "index"}),
        ("counts.mo", {"most_common"}),
    ],
)
def test_completion(rows: Any, typed: str, expected: set[str]) -> None:
    shell = InteractiveShell.instance()
    shell.user_ns |= {"rows": rows, "counts": firn.freeze(Counter("aab"))}
    shell.Completer.use_jedi = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {completion.text.lstrip(".") for completion in shell.Completer.completions(typed, len(typed))}
    assert found >= expected


def test_help_and_inspection(rows: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import inspect

    help(rows)
    text = capsys.readouterr().out
    assert "firn.thaw() gives a mutable deep copy" in text
    assert "Return first index of value" in text
    assert str(inspect.signature(rows.index)) == str(inspect.signature([].index))
    InteractiveShell.instance().run_line_magic("pinfo", "rows")
    with pytest.raises(TypeError):
        vars(rows)


def test_numpy_makes_the_same_arrays() -> None:
    for original in (
        [1, 2, 3],
        [[1, 2], [3, 4]],
        [1.5, None],
        ["a", "bb"],
        [],
        [[1], [2, 3], "x"],
        [{"a": 1}, {}],
        [True, False],
        {"a": 1},
        {1, 2},
        deque([1, 2]),
        [deque([1, 2]), deque([3, 4])],
    ):
        frozen = firn.freeze(original)
        kind = object if "[2, 3]" in repr(original) else None
        expected, got = np.array(original, dtype=kind), np.array(frozen, dtype=kind)
        assert got.shape == expected.shape and got.dtype == expected.dtype
        assert got.tolist() == expected.tolist()
    array = np.arange(12).reshape(3, 4)
    index, mask = firn.freeze([2, 0]), firn.freeze([True, False, True])
    assert (array[index] == array[[2, 0]]).all()
    assert (array[mask] == array[[True, False, True]]).all()
    assert (array[index, index] == array[[2, 0], [2, 0]]).all()
    assert (array[:, index] == array[:, [2, 0]]).all()
    assert (array[:, 0] + firn.freeze([1, 2, 3]) == array[:, 0] + [1, 2, 3]).all()
    assert (firn.freeze([1, 2, 3]) + array[:, 0] == [1, 2, 3] + array[:, 0]).all()
    assert (firn.freeze([0, 4, 8]) == array[:, 0]).all() and (array[:, 0] == firn.freeze([0, 4, 8])).all()
    assert (firn.freeze([1, 2, 3]) * array[:, 0] == [1, 2, 3] * array[:, 0]).all()
    assert (firn.freeze([1, 9, 9]) < array[:, 0]).tolist() == (array[:, 0] > [1, 9, 9]).tolist()
    assert np.mean(firn.freeze([1, 2, 3])) == 2
    assert np.concatenate(firn.freeze([[1], [2]])).tolist() == [1, 2]
    assert np.isin([1, 5], firn.freeze([5])).tolist() == [False, True]
    array[index] = firn.freeze([[0, 0, 0, 0], [1, 1, 1, 1]])
    assert array[2].tolist() == [0, 0, 0, 0]


def test_pandas_reads_rows(rows: Any) -> None:
    plain = pd.DataFrame(ROWS)
    frame = pd.DataFrame(rows)
    pd.testing.assert_frame_equal(frame[["name", "size", "é"]], plain[["name", "size", "é"]])
    assert frame["tags"].tolist() == plain["tags"].tolist()
    columns = {"a": [1, 2], "b": ["x", None]}
    pd.testing.assert_frame_equal(pd.DataFrame(firn.freeze(columns)), pd.DataFrame(columns))
    pd.testing.assert_frame_equal(pd.json_normalize(rows, max_level=0)[["size"]], plain[["size"]])
    flat = pd.json_normalize(firn.freeze([{"a": {"b": 1, "c": {"d": 2}}}]))
    pd.testing.assert_frame_equal(flat, pd.json_normalize([{"a": {"b": 1, "c": {"d": 2}}}]))
    nested = [{"k": 1, "items": [{"v": 1}, {"v": 2}]}]
    pd.testing.assert_frame_equal(
        pd.json_normalize(firn.freeze(nested), "items", ["k"]), pd.json_normalize(nested, "items", ["k"])
    )
    wanted = firn.freeze(["size", "name"])
    pd.testing.assert_frame_equal(frame[wanted], plain[["size", "name"]])
    assert frame["size"].isin(firn.freeze([10, 20])).sum() == 2
    assert frame["size"].isin(firn.freeze({10, 20})).sum() == 2
    assert frame["size"].map(firn.freeze({10: "ten"})).tolist()[1] == "ten"
    assert (
        frame["size"].map(firn.freeze(defaultdict(int, {10: 5}))).tolist()
        == plain["size"].map(defaultdict(int, {10: 5})).tolist()
    )
    assert frame.loc[firn.freeze([1, 2]), "size"].tolist() == [10, 20]
    assert frame.rename(columns=firn.freeze({"size": "bytes"})).columns.tolist()[1] == "bytes"
    assert frame.groupby("size").agg(firn.freeze({"name": "first"})).shape == (30, 1)
    assert frame.explode("tags").shape[0] == 60
    pd.testing.assert_series_equal(pd.Series(firn.freeze({"a": 1})), pd.Series({"a": 1}))
    pd.testing.assert_series_equal(pd.Series(firn.freeze([1, 2])), pd.Series([1, 2]))
    pd.testing.assert_frame_equal(pd.DataFrame.from_records(rows)[["size"]], plain[["size"]])
    pd.testing.assert_frame_equal(
        pd.DataFrame.from_dict(firn.freeze({"a": [1, 2]}), orient="index"),
        pd.DataFrame.from_dict({"a": [1, 2]}, orient="index"),
    )
    pd.testing.assert_frame_equal(pd.DataFrame(firn.freeze([[1, 2], [3, 4]])), pd.DataFrame([[1, 2], [3, 4]]))


def test_pyarrow_reads_rows(rows: Any) -> None:
    flat = [{"name": row["name"], "size": row["size"]} for row in ROWS]
    assert pa.Table.from_pylist(firn.freeze(flat)).to_pylist() == flat
    # Nested lists need their type: pyarrow's guess asks for exact lists.
    schema = pa.schema({"name": pa.string(), "tags": pa.list_(pa.string())})
    tagged = [{"name": row["name"], "tags": row["tags"]} for row in ROWS]
    assert pa.Table.from_pylist(rows, schema=schema).to_pylist() == tagged
    assert pa.Table.from_pylist(firn.thaw(firn.freeze(tagged))).to_pylist() == tagged
    assert pa.array(firn.freeze([1, 2, None])).to_pylist() == [1, 2, None]
    columns = firn.freeze({"a": [1, 2], "b": ["x", None]})
    assert pa.table(dict(columns)).to_pydict() == {"a": [1, 2], "b": ["x", None]}


LAZY = """
import sys
before = set(sys.modules)
import firn
loaded = set(sys.modules) - before
assert not loaded & {"json", "json.encoder", "pprint", "IPython", "yaml", "numpy", "pandas"}, loaded
rows = firn.freeze([{"a": {"b": [1]}, "when": 1}] * 2)
import json, pprint, reprlib
assert json.dumps(rows, default=str) == '[{"a": {"b": [1]}, "when": 1}, {"a": {"b": [1]}, "when": 1}]'
assert pprint.pformat(rows, width=20) == pprint.pformat(firn.thaw(rows), width=20)
assert reprlib.repr(rows) == reprlib.repr(firn.thaw(rows))
import json.encoder, inspect
assert type(json.encoder.__loader__).__module__.startswith(("_frozen_importlib", "importlib"))
assert json.encoder.__spec__.loader is json.encoder.__loader__
assert "class JSONEncoder" in inspect.getsource(json.encoder)
"""


def test_lessons_wait_for_the_modules_in_a_fresh_process() -> None:
    subprocess.run([sys.executable, "-c", LAZY], check=True)


def test_lessons_are_given_in_a_subinterpreter() -> None:
    interpreter = interpreters.create()
    interpreter.exec(LAZY)
    interpreter.close()


def test_plain_values_are_written_as_before(rows: Any) -> None:
    class Row(dict):  # type: ignore[type-arg]
        pass

    assert json.dumps([Row(a=1), (1, 2)]) == '[{"a": 1}, [1, 2]]'
    assert pprint.pformat({"b": 1, "a": [2]}) == "{'a': [2], 'b': 1}"
    assert json.JSONEncoder().encode([1]) == "[1]"
    assert _core.FrozenList.__name__ == "FrozenList"
