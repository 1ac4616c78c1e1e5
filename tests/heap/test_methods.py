"""Methods, iterators and code objects in frozen data: nothing that is changed through them is lost in silence."""

import collections
import dis
import enum
import functools
import inspect
import io
import logging
import operator
import random
import textwrap
import types
from typing import Any

import firn
import pytest
from firn import _core


class Tally:
    def __init__(self) -> None:
        self.count, self.seen = 0, [0]

    def add(self, number: int) -> int:
        self.count += number
        return self.count

    def note(self, number: int) -> None:
        self.seen.append(number)

    def total(self) -> int:
        return self.count + len(self.seen)


class Queue(collections.deque[int]):
    def put(self, number: int) -> None:
        self.append(number)


class Word(str):
    def mark(self) -> None:
        self.marked = True


class Level(enum.Enum):
    LOW = 1

    def double(self) -> int:
        return 2 * int(self.value)


def read(readers: Any, code: str, frozen: object) -> None:
    """Runs the code here and in two workers at once, where Tally and Level are classes of their own."""
    there = "".join(
        textwrap.indent(inspect.getsource(cls), "    ") + f"    _core.define({_core.number_of(cls)}, {cls.__name__})\n"
        for cls in (Tally, Level)
    )
    functions = [Tally.add, Tally.note, Tally.total]
    # The frozen forms of the methods' functions are known by numbers too.
    for number, definition in _core.definitions_of(_core.segments_of([frozen])):
        for function in functions:
            if getattr(definition, "__qualname__", "") == function.__qualname__ and definition is not Tally:
                there += f"    _core.define({number}, {function.__qualname__})\n"
        if getattr(definition, "__qualname__", "") == "Level.double":
            there += f"    _core.define({number}, Level.double)\n"
    prelude = f"import sys, enum\nfrom firn import _core\nif {__name__!r} not in sys.modules:\n{there}\n"
    readers.run(prelude + textwrap.dedent(code), frozen)


REFUSED = """
def refuses(change, *arguments):
    try:
        change(*arguments)
    except TypeError as error:
        assert "is frozen" in str(error), error
    else:
        raise AssertionError(change)
"""


def test_a_method_belongs_to_the_frozen_object_and_cannot_change_it(readers: Any) -> None:
    tally = Tally()
    frozen = firn.freeze({"deep": [[[{"add": tally.add, "note": tally.note, "total": tally.total}]]], "tally": tally})
    assert frozen["deep"][0][0][0]["add"].__self__ is frozen["tally"]
    code = f"""{REFUSED}
methods, tally = frozen["deep"][0][0][0], frozen["tally"]
assert methods["add"].__self__ is tally and methods["total"]() == 1
refuses(methods["add"], 5)
refuses(methods["note"], 5)
assert tally.count == 0 and tally.seen == [0]
"""
    read(readers, code, frozen)
    assert tally.count == 0 and tally.seen == [0] and tally.add(2) == 2


def test_methods_of_builtin_containers_refuse_changes(readers: Any) -> None:
    numbers, table, members = [1], {"a": 1}, {1}
    queue, order, counts = collections.deque([1]), collections.OrderedDict(a=1), collections.Counter("aab")
    frozen = firn.freeze(
        {
            "containers": [numbers, table, members, queue, order, counts],
            "change": [
                (numbers.append, 2), (table.__setitem__, "b", 2), (members.add, 2), (queue.append, 2),
                (order.move_to_end, "a"), (counts.update, "b"), (table.pop, "a"), (numbers.sort,),
            ],
            "read": [numbers.index, table.get, table.__contains__, counts.most_common, numbers.__len__],
        }
    )  # fmt: skip
    code = f"""{REFUSED}
for change, *arguments in frozen["change"]:
    refuses(change, *arguments)
index, get, has, most_common, size = frozen["read"]
assert index(1) == 0 and get("a") == 1 and has("a") and most_common(1) == [("a", 2)] and size() == 1
assert frozen["containers"][:5] == [[1], {{"a": 1}}, {{1}}, frozen["containers"][3], {{"a": 1}}]
assert frozen["read"][0].__self__ is frozen["containers"][0]
"""
    read(readers, code, frozen)


def test_partials_hold_what_is_frozen(readers: Any) -> None:
    tally, numbers = Tally(), [1]
    frozen = firn.freeze(
        [
            functools.partial(tally.add, 3),
            functools.partial(numbers.append, 3),
            functools.partial(operator.iadd, numbers, [4]),
        ]
    )
    code = f"""{REFUSED}
refuses(frozen[0])
refuses(frozen[1])
refuses(frozen[2])
"""
    read(readers, code, frozen)
    assert tally.count == 0 and numbers == [1]
    plain = functools.partial(divmod, 7)
    assert firn.freeze([plain])[0] is plain


def test_methods_of_what_never_changes_work(readers: Any) -> None:
    frozen = firn.freeze(["abc".startswith, Word("xyz").upper, (1, 2).count, Level.LOW.double, dict.fromkeys])
    code = """
starts, upper, count, double, make = frozen
assert starts("ab") and upper() == "XYZ" and count(2) == 1 and double() == 2 and make("a") == {"a": None}
"""
    read(readers, code, frozen)
    assert firn.freeze([logging.getLogger("firn.tests").info])[0].__self__ is logging.getLogger("firn.tests")


def test_a_method_that_was_read_freezes_to_itself() -> None:
    numbers = [1]
    frozen = firn.freeze([numbers.index, Tally().total])
    again = firn.freeze({"index": frozen[0], "total": frozen[1]})
    assert firn.is_frozen(frozen[0]) and again["index"] is frozen[0] and again["total"] is frozen[1]


def test_thawed_methods_change_the_thawed_object() -> None:
    tally, numbers = Tally(), [1]
    thawed = firn.thaw(firn.freeze({"tally": tally, "add": tally.add, "numbers": numbers, "append": numbers.append}))
    thawed["add"](5)
    thawed["append"](2)
    assert thawed["tally"].count == 5 and thawed["numbers"] == [1, 2]
    assert tally.count == 0 and numbers == [1]


LOST: dict[str, Any] = {
    "method of a deque's subclass": lambda: Queue([1]).put,
    "method in C of a deque's subclass": lambda: Queue([1]).append,
    "method of a str's subclass": lambda: Word("x").mark,
    "method in a partial": lambda: functools.partial(Queue().append, 1),
    "method of a namespace": lambda: types.MethodType(setattr, types.SimpleNamespace()),
    "method of a bytearray": lambda: bytearray(b"x").append,
    "method of a generator of random numbers": lambda: random.Random(1).random,
    "function of the random module": lambda: random.choice,
    "method of a buffer of text": lambda: io.StringIO().write,
    "method of an iterator": lambda: iter([1]).__next__,
    "iterator of a list": lambda: iter([1, 2]),
    "reversed list": lambda: reversed([1, 2]),
    "zip": lambda: zip([1], [2], strict=True),
    "enumerate": lambda: enumerate("ab"),
    "map": lambda: map(str, [1]),
    "iterator in a partial": lambda: functools.partial(next, iter([1])),
    "iterator in a namespace": lambda: types.SimpleNamespace(numbers=iter([1])),
    "iterator in an exception": lambda: ValueError(iter([1])),
    "generator": lambda: (n for n in [1]),
    "generator of random numbers": lambda: random.Random(1),
}  # fmt: skip


@pytest.mark.parametrize("what", LOST)
def test_what_would_be_lost_is_refused_with_path_and_way_out(what: str) -> None:
    rows = [{"n": 1}, {"deep": [LOST[what]()]}]
    segments, messages = len(_core.segments()), set()
    for _ in range(2):
        with pytest.raises(_core.NotFreezableError, match="nothing has been changed") as raised:
            _core.freeze_roots({"rows": rows})
        messages.add(str(raised.value))
        assert raised.value.path.startswith("rows[1]['deep'][0]")
    assert len(messages) == 1 and len(_core.segments()) == segments
    assert any(word in messages.pop() for word in ("keep", "list(...)", "freeze what was read"))


def test_methods_and_iterators_inside_pickles_are_refused_or_frozen_too() -> None:
    """What crosses as one pickle, for code in C wants it as it was."""

    class Holder(collections.deque[Any]):
        def __reduce__(self) -> Any:
            return operator.methodcaller, ("pop", *self)

    numbers = [1]
    frozen = firn.freeze([Holder([numbers.append, numbers]), numbers])
    assert repr(frozen[0]).startswith("operator.methodcaller('pop', <built-in method append of firn.FrozenList")
    with pytest.raises(_core.NotFreezableError, match=r"list\(\.\.\.\)"):
        firn.freeze([Holder([iter(numbers)])])


def test_code_objects_are_equal_ones(readers: Any) -> None:
    code = compile("2 * 21", "cell", "eval")
    frozen = firn.freeze([code, code, test_code_objects_are_equal_ones.__code__])
    assert frozen[0] == code and frozen[0] is frozen[1] and firn.is_frozen(frozen[0])
    assert frozen[2] == test_code_objects_are_equal_ones.__code__
    assert [*dis.get_instructions(frozen[0])] == [*dis.get_instructions(code)]
    read(readers, "assert eval(frozen[0]) == 42 and frozen[0] is frozen[1]", frozen)


def test_attributes_that_a_reduction_in_c_leaves_out_are_kept(readers: Any) -> None:
    class Table(collections.defaultdict[str, list[int]]):
        pass

    table = Table(list, a=[1])
    table.title = "t"  # type: ignore[attr-defined]
    frozen = firn.freeze([table])
    assert frozen[0].title == "t" and frozen[0]["a"] == [1]
