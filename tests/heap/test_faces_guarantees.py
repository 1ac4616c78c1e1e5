"""What holds whatever one does: nothing hands out an inner dict, originals and copies never share, types stay as they are."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import operator
import subprocess
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent import interpreters
from typing import Any

import firn
import pytest
from firn import _core

MAPPINGS: list[Any] = [
    {"a": 1, "b": [2]},
    {1: 2, (3, 4): 5},
    OrderedDict(b=1, a=2),
    defaultdict(list, a=[1]),
    Counter("aab"),
]
mappings = pytest.mark.parametrize("original", MAPPINGS, ids=lambda value: type(value).__name__)


def is_exact_dict(value: object) -> bool:
    return isinstance(value, dict) and type(value) not in (_core.FrozenDict,)


@mappings
def test_no_view_and_no_iterator_hands_out_the_inner_dict(original: Any) -> None:
    frozen = firn.freeze(original)
    for make in (
        lambda: frozen,
        lambda: iter(frozen),
        lambda: reversed(frozen),
        frozen.keys,
        frozen.values,
        frozen.items,
        lambda: iter(frozen.items()),
        lambda: reversed(frozen.items()),
        lambda: frozen.items().mapping,
        lambda: iter(frozen.items().mapping),
        lambda: frozen.items().mapping.items(),
    ):
        reached = gc.get_referents(make())
        reached += gc.get_referents(*reached)
        assert not any(is_exact_dict(value) for value in reached if not isinstance(value, type)), reached


@mappings
def test_code_of_the_other_operand_sees_copies_only(original: Any) -> None:
    seen: list[Any] = []

    class Spoiler(dict):  # type: ignore[type-arg]
        def look(self, other: Any) -> Any:
            seen.append(other)
            return NotImplemented

        __eq__ = __ne__ = __lt__ = __or__ = __ror__ = __and__ = __rand__ = __radd__ = __rsub__ = look  # type: ignore
        __hash__ = None  # type: ignore

    class SpoilingSet(set):  # type: ignore[type-arg]
        def look(self, other: Any) -> Any:
            seen.append(other)
            return NotImplemented

        __eq__ = __le__ = __ge__ = __rand__ = __ror__ = __rsub__ = __rxor__ = look  # type: ignore
        __hash__ = None  # type: ignore

    frozen = firn.freeze(original)
    before = repr(frozen)
    for operation in (operator.eq, operator.ne, operator.lt, operator.or_, operator.and_, operator.add, operator.sub):
        for left, right in ((frozen, Spoiler(a=1)), (Spoiler(a=1), frozen)):
            with contextlib.suppress(TypeError):
                operation(left, right)
    for view in (frozen.keys(), frozen.items()):
        for operation in (
            operator.eq,
            operator.le,
            operator.ge,
            operator.and_,
            operator.or_,
            operator.sub,
            operator.xor,
        ):
            with contextlib.suppress(TypeError):  # items that cannot be hashed
                operation(view, SpoilingSet())
        assert frozen.keys().mapping.__eq__(Spoiler()) is not None
    assert seen
    for value in seen:
        if type(value) is dict or (isinstance(value, dict) and not firn.is_frozen(value)):
            value["spoiled"] = 1
            value.clear()
        mapping = getattr(value, "mapping", None)
        assert mapping is None or type(mapping) is types.MappingProxyType
    assert repr(frozen) == before


@mappings
def test_copies_are_independent(original: Any) -> None:
    frozen = firn.freeze(original)
    before = repr(frozen)
    for copy in (frozen.copy(), dict(frozen), {**frozen}, frozen | {}, dict(frozen.items()), OrderedDict(frozen)):
        copy["new"] = 1
        copy["a"] = "changed"
        copy.pop("new")
        copy.update({str(i): i for i in range(50)})
        copy.clear()
        copy["again"] = 2
        assert len(copy) == 1
    assert repr(frozen) == before
    assert list(frozen) == list(original)


def test_a_missing_key_adds_nothing() -> None:
    made = firn.freeze(defaultdict(list, a=[1]))
    assert made["b"] == [] and firn.is_frozen(made["b"])
    assert list(made) == ["a"] and "b" not in made
    counts = firn.freeze(Counter("aab"))
    assert counts["z"] == 0 and len(counts) == 2
    with pytest.raises(KeyError) as caught:
        firn.freeze({})[1, 2]
    assert caught.value.args == ((1, 2),)


def test_augmented_assignment_changes_the_plain_set_that_others_hold() -> None:
    more = firn.freeze({3, 4})
    for statement, expected in (
        ("seen |= more", {1, 3, 4}),
        ("seen &= more", {3}),
        ("seen -= more", {1}),
        ("seen ^= more", {1, 4}),
    ):
        seen = {1, 3}
        names = {"seen": seen, "more": more}
        for _ in range(1):
            exec(statement, names)
        assert names["seen"] is seen and seen == expected, statement
    seen = {1, 3}
    assert (seen | more) is not seen and seen == {1, 3}

    def visit(reached: set[int], steps: int) -> None:
        for _ in range(steps):
            reached |= more

    visit(seen, 1000)  # also once the interpreter has specialised the instruction
    assert seen == {1, 3, 4}
    plain = [1]
    alias = plain
    plain += firn.freeze([2])
    assert alias == [1, 2]
    counts = Counter("a")
    alias_of_counts = counts
    counts += firn.freeze(Counter("ab"))
    assert alias_of_counts == Counter("aab")
    queue = deque([1])
    alias_of_queue = queue
    queue += firn.freeze(deque([2]))
    assert alias_of_queue == deque([1, 2])
    mapping = {"a": 1}
    alias_of_mapping = mapping
    mapping |= firn.freeze({"b": 2})
    assert alias_of_mapping == {"a": 1, "b": 2}


def test_plain_containers_take_frozen_ones() -> None:
    rows = firn.freeze([{"a": 1}, {"b": [2]}])
    assert [*rows, 1][:2] == [{"a": 1}, {"b": [2]}]
    plain: list[Any] = []
    plain.extend(rows)
    plain[0:0] = rows
    plain += rows
    assert len(plain) == 6
    merged: dict[str, Any] = {}
    for row in rows:
        merged.update(row)
    assert merged == {"a": 1, "b": [2]}
    assert type(rows)(value for value in (1, 2)) == [1, 2]
    assert type(type(rows[0])(a=1)) is dict
    assert {1}.union(firn.freeze({2}), firn.freeze([3])) == {1, 2, 3}
    assert "-".join(firn.freeze(["a", "b"])) == "a-b"
    assert max(firn.freeze({"a": 1, "b": 0}).items(), key=lambda pair: pair[1]) == ("a", 1)
    first, *rest = firn.freeze([1, 2, 3])
    assert (first, rest) == (1, [2, 3])


def test_iteration_survives_what_the_loop_does() -> None:
    frozen = firn.freeze({i: str(i) for i in range(1000)})
    kept = []
    for pair in frozen.items():
        kept.append(pair)  # the iterator must not hand out the same tuple again
    assert kept == [(i, str(i)) for i in range(1000)]
    assert len({id(pair) for pair in kept}) == 1000
    assert {pair: 1 for pair in frozen.items()} == {(i, str(i)): 1 for i in range(1000)}
    iterator = iter(frozen.items())
    assert [hash(pair) for pair in iterator] == [hash((i, str(i))) for i in range(1000)]
    assert next(iterator, "end") == "end" and next(iterator, "end") == "end"
    gc.collect()
    assert list(zip(frozen.items(), frozen.items(), strict=True)) == [((i, str(i)),) * 2 for i in range(1000)]


def test_keys_of_every_sort_are_found() -> None:
    class Text(str):
        pass

    for size in (1, 5, 30, 31, 200, 70_000):
        original = {f"key {i}": i for i in range(size)}
        frozen = firn.freeze(original)
        assert all(frozen[key] == value for key, value in original.items())
        assert all(frozen["".join(["key ", str(i)])] == i for i in range(size))
        assert frozen[Text("key 0")] == 0
        assert frozen.get(f"key {size}") is None and "key" not in frozen and 5 not in frozen
    mixed = {"é": 1, "\U0001f600": 2, "\udcff": 3, "": 4, b"x": 5, None: 6, 1.0: 9, (1, "a"): 8, 2**80: 10}
    frozen = firn.freeze(mixed)
    assert {key: frozen[key] for key in mixed} == mixed
    assert frozen[1] == 9 and frozen["".join(["\U0001f600"])] == 2


def test_the_types_cannot_be_changed_or_inherited() -> None:
    for kind in (_core.FrozenList, _core.FrozenDict, _core.FrozenFace):
        with pytest.raises(TypeError):
            kind.append = 1
        with pytest.raises(TypeError):
            type("Derived", (kind,), {})
        with pytest.raises(TypeError):
            object.__new__(kind)
    with pytest.raises(TypeError):
        _core.FrozenFace()


def test_every_interpreter_sees_the_types_at_one_address() -> None:
    addresses = f"{[id(kind) for kind in (_core.FrozenList, _core.FrozenDict, _core.FrozenFace)]}"
    code = f"from firn import _core\nassert [id(_core.FrozenList), id(_core.FrozenDict), id(_core.FrozenFace)] == {addresses}"
    interpreter = interpreters.create()
    interpreter.exec(code)
    interpreter.close()
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_subinterpreter_cannot_come_before_the_main_one() -> None:
    code = """
from concurrent import interpreters
interpreter = interpreters.create()
try:
    interpreter.exec("import firn")
except interpreters.ExecutionFailed as failed:
    assert "the main interpreter must import firn" in str(failed), failed
else:
    raise AssertionError
import firn
assert firn.freeze([1]) == [1]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_too_few_free_slots_for_static_types_are_refused_in_one_sentence() -> None:
    code = """
import ctypes
class Type(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("type", ctypes.c_void_p), ("size", ctypes.c_ssize_t),
                ("name", ctypes.c_char_p), ("basic_size", ctypes.c_ssize_t), ("before", ctypes.c_char * 128),
                ("flags", ctypes.c_ulong), ("rest", ctypes.c_char * 400)]
assert Type.flags.offset == 168
python = ctypes.pythonapi
python.PyInterpreterState_Get.restype = ctypes.c_void_p
python._PyStaticType_InitForExtension.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
other = Type(count=3 << 30, name=b"other.Type", basic_size=16)
assert python._PyStaticType_InitForExtension(python.PyInterpreterState_Get(), ctypes.addressof(other)) == 0
try:
    import firn
except ImportError as error:
    assert "firn needs 4 free slots for static types of extension modules, and this Python has 3 left" in str(error)
else:
    raise AssertionError("imported")
import os
os._exit(0)  # the type is not one that could be torn down
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_interpreters_come_and_go() -> None:
    frozen = firn.freeze([{"a": {1}, "b": deque([1]), "c": Counter("a")}])
    address = _core.address(frozen)
    for _ in range(10):
        interpreter = interpreters.create()
        interpreter.exec(f"""
import firn
from firn import _core
rows = _core.adopt({address})
assert rows == [{{"a": {{1}}, "b": rows[0]["b"].copy(), "c": {{"a": 1}}}}]
for row in rows:
    views = [row.keys(), row.items(), iter(row), iter(row.items())]
    assert sorted(dict(row)) == ["a", "b", "c"]
left_behind = [iter(rows), rows[0].items(), iter(rows[0].items())]
next(left_behind[2])
""")
        interpreter.close()
        assert next(iter(frozen[0].items())) == ("a", {1})


def test_memory_of_views_and_iterators_is_given_back() -> None:
    frozen = firn.freeze({"a": 1, "b": [2], "c": {3}})

    def use() -> None:
        for _ in range(10_000):
            assert frozen.keys() & {"a"} == {"a"}
            list(frozen.items())
            frozen.copy()
            assert frozen != {"a": 1}
            repr(frozen)
            assert frozen["c"] | {4} == {3, 4}
            assert frozen["b"] + [1] == [2, 1]
            assert frozen["b"][0:1] == [2]
            sorted(reversed(frozen))
            with contextlib.suppress(KeyError):
                frozen["nowhere"]

    use()
    gc.collect()
    before = sys.getallocatedblocks()
    use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
    for kind in {type(frozen.keys()), type(frozen.items()), type(iter(frozen)), type(reversed(frozen.values()))}:
        references = sys.getrefcount(kind)
        for _ in range(1000):
            list(frozen.keys()), list(frozen.items()), list(reversed(frozen.values()))
        assert abs(sys.getrefcount(kind) - references) < 10


def test_sizes_say_what_the_heap_holds() -> None:
    assert sys.getsizeof(firn.freeze(list(range(1000)))) >= 8000
    assert sys.getsizeof(firn.freeze({i: i for i in range(1000)})) >= 16000
    assert sys.getsizeof(firn.freeze(set(range(1000)))) >= 16000
    assert ctypes.sizeof(ctypes.c_void_p) == 8
