"""Freezing: what it keeps, what it refuses, and that it is all or nothing."""

import collections
import datetime as dt
import random
import sqlite3
import sys
import threading
import types

import firn
import pytest
from firn import _core


class Text(str):
    pass


BAD = threading.Lock()  # nobody else's


def test_frozen_is_frozen_and_stays_itself():
    frozen = firn.freeze([1, {"a": [2]}])
    assert firn.is_frozen(frozen) and firn.is_frozen(frozen[1]) and firn.is_frozen(frozen[1]["a"])
    assert firn.freeze(frozen) is frozen
    assert firn.freeze(frozen[1]) is frozen[1]
    result = _core.freeze_roots({"again": frozen, "part": frozen[1]})
    assert (result.objects, result.bytes, result.segment) == (0, 0, 0)


@pytest.mark.parametrize(
    "value", [None, True, ..., NotImplemented, 0, -5, 256, "", "a", "é", b"", b"x", (), int, ValueError]
)
def test_what_all_interpreters_share_freezes_to_itself(value):
    assert firn.is_frozen(value)
    assert firn.freeze(value) is value
    assert firn.freeze([value])[0] is value


@pytest.mark.parametrize("value", [object(), [1], {}, set(), 100_000, "text of one's own", Text("x")])
def test_ordinary_values_are_not_frozen(value):
    assert not firn.is_frozen(value)


def test_the_original_is_left_alone():
    inner = [1, 2]
    plain = {"a": inner, "b": {"c": inner}}
    firn.freeze(plain)
    inner.append(3)
    plain["d"] = 4
    assert plain == {"a": [1, 2, 3], "b": {"c": [1, 2, 3]}, "d": 4}


def test_sharing_is_kept():
    shared, text = [1], "".join(["some ", "text"])
    frozen = firn.freeze([shared, shared, (shared,), {"k": shared}, text, text, {text: text}])
    assert frozen[0] is frozen[1] is frozen[2][0] is frozen[3]["k"]
    assert frozen[4] is frozen[5] is frozen[6][text]
    proxied = {"a": 1}
    one, two = types.MappingProxyType(proxied), types.MappingProxyType(proxied)
    frozen = firn.freeze([one, one, two, proxied])
    assert frozen[0] is frozen[1] is frozen[2] is frozen[3]


def test_cycles_are_kept():
    row = {"name": "x"}
    row["self"] = row
    rows = [row]
    rows.append(rows)
    queue = collections.deque([rows])
    queue.append(queue)
    pair = (rows, [])
    pair[1].append(pair)
    frozen = firn.freeze([row, rows, queue, pair])
    assert frozen[0]["self"] is frozen[0]
    assert frozen[1][1] is frozen[1] and frozen[1][0] is frozen[0]
    assert frozen[2][1] is frozen[2] and frozen[2][0] is frozen[1]
    assert frozen[3][1][0] is frozen[3]


def test_rows_share_their_keys_also_when_each_was_parsed_with_keys_of_its_own():
    names = [f"key {i}" for i in range(10)]
    shared = [dict.fromkeys(names, i) for i in range(2000)]
    parsed = [dict.fromkeys(["".join(["key ", str(i)]) for i in range(10)], i) for i in range(2000)]
    assert next(iter(parsed[0])) is not next(iter(parsed[1]))
    frozen, of_shared = _core.freeze_roots({"rows": parsed}, threads=1), _core.freeze_roots({"rows": shared}, threads=1)
    assert frozen.frozen["rows"] == shared
    assert frozen.bytes == of_shared.bytes
    assert all(x is y for x, y in zip(frozen.frozen["rows"][0], frozen.frozen["rows"][1999], strict=True))


def test_rows_with_other_keys_after_the_same_ones_keep_their_own():
    names = ["id", "", "name", "é", "id of the row", "identity of it all", "x" * 40, "x" * 40 + "y"]
    generator = random.Random(11)
    rows = [dict.fromkeys(generator.sample(names, generator.randrange(9)), n) for n in range(3000)]
    rows += [{"".join(list(name)): value for name, value in row.items()} for row in rows]
    assert firn.freeze(rows) == rows
    assert [[*row] for row in firn.freeze(rows)] == [[*row] for row in rows]


def words(count):
    """Words of all lengths and kinds of characters, which differ by one character from others; each a new object."""
    for n in range(count):
        for letter in "aé€😀":
            length = n % 70
            for at in {0, length // 2, length}:
                yield "".join([*letter * at, str(n % 7), *letter * (length - at)])


def test_strings_of_all_lengths_and_kinds_keep_their_text_and_hash():
    column = [*words(2000)]
    frozen = firn.freeze(column)
    assert frozen == column
    assert [hash(word) for word in frozen] == [hash(word) for word in column]
    assert [word.encode() for word in frozen] == [word.encode() for word in column]
    assert firn.thaw(frozen) == column


def test_rows_whose_keys_differ_by_one_character_keep_their_own():
    generator = random.Random(12)
    names = [*words(150)]
    drawn = [generator.sample(names, generator.randrange(1, 31)) for _ in range(400)]
    drawn += [generator.sample(row, len(row)) for row in drawn]
    rows = [{"".join(list(name)): n for n, name in enumerate(row)} for row in drawn for _ in range(2)]
    frozen = firn.freeze(rows)
    assert [[*row.items()] for row in frozen] == [[*row.items()] for row in rows]
    assert all(row[name] == value for row, plain in zip(frozen, rows, strict=True) for name, value in plain.items())


def test_strings_that_were_hashed_before_keep_their_hash():
    plain = [f"{'text' * (n % 9)}{n}" for n in range(500)]
    hashed = [text[:1] + text[1:] for text in plain]
    hashes = [*map(hash, hashed)]
    frozen = firn.freeze([plain, hashed])
    assert [*map(hash, frozen[0])] == [*map(hash, frozen[1])] == hashes


def test_roots_share_one_segment_and_know_what_they_replace():
    row = {"a": [1, 2]}
    rows = [row, {"b": 3}]
    other = [row]
    variables = [row, row["a"], rows, object(), other, None]
    result = _core.freeze_roots({"rows": rows, "other": other}, keeps_forms=True)
    forms = result.forms.of(variables)
    frozen = result.frozen
    assert frozen["rows"][0] is frozen["other"][0]
    assert [found is not None for found in forms] == [True, True, True, False, True, False]
    assert forms[0] is frozen["rows"][0] and forms[2] is frozen["rows"]
    assert result.objects == 5 and result.bytes > 0 and result.seconds > 0
    entry = next(s for s in _core.segments() if s["id"] == result.segment)
    assert entry["names"] == ["rows", "other"] and entry["objects"] == 5 and entry["cell"] == ""
    _core.set_cell(result.segment, "[12]")
    assert next(s for s in _core.segments() if s["id"] == result.segment)["cell"] == "[12]"
    with pytest.raises(ValueError, match="no segment"):
        _core.set_cell(10**6, "[1]")


@pytest.mark.parametrize(
    ("root", "path", "type_name"),
    [
        ([1, 2, {"conn": sqlite3.connect(":memory:")}], "rows[2]['conn']", "sqlite3.Connection"),
        ({(1, 2): [(0, {"x": BAD})]}, "rows[(1, 2)][0][1]['x']", "_thread.lock"),
        ([{"k": 1}, {BAD: 2}], "list(rows[1])[0]", "_thread.lock"),
        ([0, {1, "a", BAD}], None, "_thread.lock"),
        (collections.deque([1, BAD]), "rows[1]", "_thread.lock"),
        (collections.OrderedDict(a=1, b=BAD), "rows['b']", "_thread.lock"),
        (collections.defaultdict(BAD.acquire), "rows.default_factory", "builtin_function_or_method"),
        ({str(i): i if i < 99 else BAD for i in range(100)}, "rows['99']", "_thread.lock"),
        (slice(1, [BAD]), "rows.stop[0]", "_thread.lock"),
        (BAD, "rows", "_thread.lock"),
        (types.MappingProxyType({"f": BAD}), "rows['f']", "_thread.lock"),
        ([(i for i in "abc")], "rows[0]", "generator"),
    ],
)
def test_refusal_says_where_and_nothing_is_frozen(root, path, type_name):
    before = _core.segments()
    with pytest.raises(firn.NotFreezableError) as caught:
        _core.freeze_roots({"fine": [1], "rows": root})
    error = caught.value
    assert isinstance(error, TypeError)
    assert error.root == "rows"
    if path:
        assert error.path == path
        assert str(error).startswith(f"{path}: cannot freeze {error.type_name}, and nothing has been changed.")
    assert error.type_name == type_name or type_name is None
    assert _core.segments() == before


def test_the_path_of_a_refused_member_leads_to_it():
    rows = [{1, "a", BAD, (2,)}]
    with pytest.raises(firn.NotFreezableError) as caught:
        _core.freeze_roots({"rows": rows})
    assert type(eval(caught.value.path, {"rows": rows})) is type(BAD)


def test_refusal_in_one_of_many_blocks_names_the_first():
    rows = [{"a": i, "b": [str(i)]} for i in range(50_000)]
    rows[20_001]["b"][0] = sys
    rows[40_000]["b"] = sys
    with pytest.raises(firn.NotFreezableError) as caught:
        _core.freeze_roots({"rows": rows}, threads=4)
    assert caught.value.path == "rows[20001]['b'][0]"


def test_refusal_at_great_depth_has_a_short_path():
    value = [BAD]
    for _ in range(100_000):
        value = [value]
    with pytest.raises(firn.NotFreezableError) as caught:
        firn.freeze(value)
    assert len(caught.value.path) < 500 and " ... " in caught.value.path


def nested(make, depth=1_000_000):
    value = make(None)
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x: [x], id="list"),
        pytest.param(lambda x: (x,), id="tuple", marks=pytest.mark.long),
        pytest.param(lambda x: {"k": x}, id="dict", marks=pytest.mark.long),
        pytest.param(lambda x: {1: x}, id="dict of int", marks=pytest.mark.long),
        pytest.param(lambda x: frozenset([x]), id="frozenset", marks=pytest.mark.long),
        pytest.param(lambda x: ([x],), id="tuple of list", marks=pytest.mark.long),
        pytest.param(lambda x: collections.OrderedDict(k=x), id="OrderedDict", marks=pytest.mark.long),
        pytest.param(lambda x: collections.deque([x]), id="deque"),
    ],
)
def test_a_million_levels_freeze_and_thaw(make):
    depth = 1_000_000 if make(0) in ([0], {"k": 0}, ([0],)) else 100_000
    value = nested(make, depth)
    frozen = firn.freeze(value)
    thawed = firn.thaw(frozen)
    assert type(thawed) is type(value)
    levels = 0
    while thawed is not None:
        thawed = next(iter(thawed.values() if isinstance(thawed, dict) else thawed), None)
        levels += 1
        if isinstance(thawed, tuple | list | frozenset | collections.deque | dict) and not thawed:
            break
    assert levels >= depth


def test_keys_in_every_form():
    cases = [
        {1: "int", None: "none", (1, "t"): "tuple", frozenset({2}): "set", 2.5: "float", b"b": "bytes"},
        {True: "one"}, {1: "a", 1.5: "b", "1": "c"}, {0.0: "zero"}, {-0.0: "zero"}, {10**40: "big", -(10**40): "small"},
        {str(i): i for i in range(1000)}, {i: str(i) for i in range(70_000)}, {(i, str(i)): i for i in range(300)},
        {dt.date(2024, 1, 1): 1, dt.timedelta(3): 2, dt.UTC: 3, dt.time(4): 5},
        {range(3): 1, int: 2, ...: 3},
    ]  # fmt: skip
    for plain in cases:
        frozen = firn.freeze(plain)
        assert list(frozen.items()) == list(plain.items())
        assert all(frozen[key] == value for key, value in plain.items())
        assert list(map(repr, frozen)) == list(map(repr, plain))
        assert firn.thaw(frozen) == plain


def test_deleted_entries_leave_the_order():
    for keys in ([str(i) for i in range(20)], [str(i) for i in range(200)], list(range(20)), list(range(5000))):
        plain = dict.fromkeys(keys, 0)
        for key in keys[::3]:
            del plain[key]
        plain[keys[0]] = 1
        frozen = firn.freeze(plain)
        assert list(frozen.items()) == list(plain.items())
        assert all(key in frozen for key in plain) and keys[3] not in frozen
        assert list(firn.thaw(frozen).items()) == list(plain.items())


def test_attribute_dicts_freeze_in_their_order():
    class Thing:
        def __init__(self):
            self.a, self.b, self.c = 1, 2, 3

    one, two, three = Thing(), Thing(), Thing()
    del two.a
    two.a = 9
    del three.b
    for thing in (one, two, three):
        assert list(firn.freeze(vars(thing)).items()) == list(vars(thing).items())


def test_ordered_dict_keeps_its_own_order():
    for names in ("abcdef", [str(i) for i in range(100)]):
        plain = collections.OrderedDict((name, i) for i, name in enumerate(names))
        plain.move_to_end(names[0])
        plain.move_to_end(names[3], last=False)
        plain.pop(names[2])
        frozen = firn.freeze(plain)
        assert list(frozen.items()) == list(plain.items())
        thawed = firn.thaw(frozen)
        assert type(thawed) is collections.OrderedDict and list(thawed.items()) == list(plain.items())
        assert thawed == plain


def test_sets_iterate_as_the_original():
    for members in (range(1000), [str(i) for i in range(300)], [(i, str(i)) for i in range(50)], [], ["x"]):
        plain = set(members)
        for member in list(plain)[::3]:
            plain.discard(member)
        for value in (plain, frozenset(plain)):
            frozen = firn.freeze(value)
            assert list(frozen) == list(value)
            assert all(member in frozen for member in value) and object() not in frozen
            assert firn.thaw(frozen) == value and type(firn.thaw(frozen)) is type(value)


def test_defaultdict_and_counter_with_more_than_data():
    counter = collections.Counter("abc")
    counter.note = "stays"
    with pytest.raises(firn.NotFreezableError, match="a subclass's"):
        firn.freeze([counter])
    ordered = collections.OrderedDict(a=1)
    ordered.note = "stays"
    assert firn.freeze(ordered).note == "stays" and firn.freeze([ordered])[0] == {"a": 1}
    for factory in (int, list, dict, set, str, None):
        frozen = firn.freeze(collections.defaultdict(factory, {"a": 1}))
        assert frozen.default_factory is factory


def test_numbers_keep_their_bits():
    values = [0.0, -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, 2**63, -(2**63), 2**30, 2**60 - 1,
              7 ** 100_000, complex(-0.0, float("inf"))]  # fmt: skip
    frozen = firn.freeze(values)
    assert [repr(x) if not isinstance(x, int) else x for x in frozen] == [
        repr(x) if not isinstance(x, int) else x for x in values
    ]
    nan = float("nan")
    frozen = firn.freeze([nan, nan, {nan: nan}])
    assert frozen[0] is frozen[1] is next(iter(frozen[2])) and frozen[2][frozen[0]] is frozen[0]


def test_rows_of_all_widths():
    for width in (1, 2, 29, 30, 31, 32, 200):
        rows = [{f"column {i}": (j, i) for i in range(width)} for j in range(50)]
        frozen = firn.freeze(rows)
        assert [dict(row) for row in frozen] == rows
        assert firn.thaw(frozen) == rows
        assert "other" not in frozen[0] and frozen[7].get("column 0") == (7, 0)


def test_equal_keys_of_different_objects_become_one():
    rows = [{"".join(["key ", str(i % 3)]): i} for i in range(9)]
    assert len({id(next(iter(row))) for row in firn.freeze(rows)}) == 3


def test_several_threads_give_what_one_gives():
    shared = [{"shared": i, "t": (i, (str(i), i))} for i in range(200)]
    nan = float("nan")
    rows = [
        {"id": i, "name": f"row {i}", "tags": [f"tag {i % 7}", shared[i % 200]], "pair": shared[i % 200]["t"],
         "set": {i, "x", (i % 5, "y")}, "deep": {(i % 11, (nan, i)): frozenset([(i % 3, nan)])}, "when": dt.timedelta(i)}
        for i in range(20_000)
    ]  # fmt: skip
    rows.append({"rows": rows, "shared": shared})
    for root in (
        rows,
        tuple(rows),
        {i: row for i, row in enumerate(rows)},
        {str(i): row for i, row in enumerate(rows)},
    ):
        result = _core.freeze_roots({"root": root}, threads=4)
        one = _core.freeze_roots({"root": root}, threads=1)
        assert result.objects == one.objects
        frozen = list(result.frozen["root"].values()) if isinstance(root, dict) else result.frozen["root"]
        assert frozen[3]["tags"][1] is frozen[203]["tags"][1] is frozen[-1]["shared"][3]
        assert frozen[3]["pair"] is frozen[203]["pair"]
        for plain, row in zip(rows[:-1:97], frozen[:-1:97], strict=False):
            assert row["name"] == plain["name"] and row["tags"] == plain["tags"] and row["set"] == plain["set"]
            assert hash(row["pair"]) == hash(plain["pair"]) and hash(row["when"]) == hash(plain["when"])
            assert all(row["deep"][key] for key in row["deep"])
            assert all((member in s) for s in row["deep"].values() for member in s)


def test_adopt_refuses_other_addresses():
    frozen = firn.freeze(["something"])
    assert _core.adopt(_core.address(frozen)) is frozen
    assert _core.adopt(_core.address(None)) is None
    for address in (0, 1, id([]), _core.address(frozen) + 1, _core.address(frozen) + (1 << 36)):
        with pytest.raises(ValueError, match="no frozen value"):
            _core.adopt(address)


def test_values_that_cannot_be_frozen_are_found_by_several_threads_at_once():
    """The thread that fails leaves first; the others still read what it works on."""
    rows = [[number, [number]] for number in range(5000, 35_000)]
    for at in range(0, 30_000, 1_000):
        rows[at].append([BAD])
    for _ in range(30):
        with pytest.raises(firn.NotFreezableError) as error:
            _core.freeze_roots({"rows": rows}, threads=4)
        assert error.value.path == "rows[0][2][0]"
