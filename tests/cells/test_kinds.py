"""Each row of the table in docs/freezing.md: what a value becomes in the notebook, and what the workers see of it."""

from __future__ import annotations

import array
import builtins
import datetime
import decimal
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import firn
import numpy as np
import pytest


def seen(notebook, expression: str, **values: Any) -> Any:
    """What an expression gives in both workers, which must be the same; the values are the notebook's variables."""
    notebook.shell.user_ns.update(values)
    notebook.ok(f"%%parallel --quiet --chunk 1\nseen = [(({expression}), _) for _ in range(4)]")
    assert notebook.report.way == "split", notebook.report
    first = notebook["seen"][0][0]
    assert all(value == first for value, _ in notebook["seen"])
    return first


@pytest.mark.parametrize(
    "value", [None, True, ..., NotImplemented, 7, -3, "", "a", b"", (), int], ids=lambda value: repr(value)
)
def test_itself(value):
    assert firn.freeze(value) is value and firn.is_frozen(value)


@pytest.mark.parametrize(
    "value",
    [10**9, -(10**40), 1.5, float("inf"), 1 - 2j, "text", "größe", b"bytes", range(3, 99, 4), slice(1, "x", 2.5)],
    ids=lambda value: repr(value)[:20],
)
def test_numbers_text_and_ranges(notebook, value):
    frozen = firn.freeze(value)
    assert type(frozen) is type(value) and frozen == value and firn.is_frozen(frozen)
    assert seen(notebook, "(type(x).__name__, repr(x))", x=[frozen][0]) == (type(value).__name__, repr(value))


def test_dates_and_times(notebook):
    zone = datetime.timezone(datetime.timedelta(hours=2), "somewhere")
    values = [
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, zone), datetime.date(2026, 1, 2), datetime.time(3, 4, tzinfo=zone),
        datetime.timedelta(5, 6), zone,
    ]  # fmt: skip
    frozen = firn.freeze(values)
    assert [type(value) for value in frozen] == [type(value) for value in values] and frozen == values
    assert seen(notebook, "repr(x)", x=values) == repr(values)


def test_tuples_and_frozensets(notebook):
    value = ([1], frozenset({(1000, "a")}), ())
    frozen = firn.freeze(value)
    assert type(frozen) is tuple and type(frozen[1]) is frozenset and frozen == value
    assert isinstance(frozen[0], list)
    with pytest.raises(TypeError, match="frozen"):
        frozen[0].append(2)
    assert seen(notebook, "(type(x).__name__, type(x[1]).__name__, x)", x=value) == ("tuple", "frozenset", value)


def test_builtin_frozendict(notebook):
    if sys.version_info < (3, 15):
        assert not hasattr(builtins, "frozendict")
        return
    value = builtins.frozendict({"a": [1], "b": 10_000})  # type: ignore[attr-defined]
    frozen = firn.freeze(value)
    assert type(frozen) is type(value) and frozen == value
    assert seen(notebook, "type(x).__name__, x['a'][0]", x=value) == ("frozendict", 1)


@dataclass
class Face:
    value: Any
    write: str


FACES = {
    "list": Face([1000, [2000], "x"], "x.append(1)"),
    "dict": Face({"a": {"b": 1000}, 2: [3]}, "x['a'] = 1"),
    "set": Face({1000, "two", (3,)}, "x.add(1)"),
    "deque": Face(deque([1000, [2]], 5), "x.append(1)"),
    "OrderedDict": Face(OrderedDict(b=[1], a=2), "x.move_to_end('b')"),
    "defaultdict": Face(defaultdict(list, {"a": [1]}), "x['new'] = 1"),
    "Counter": Face(Counter("abracadabra"), "x.update('a')"),
}


def check_face(notebook, kind: str) -> None:
    value, write = FACES[kind].value, FACES[kind].write
    frozen = firn.freeze(value)
    assert isinstance(frozen, type(value)) and frozen.__class__ is type(value) and type(frozen) is not type(value)
    assert frozen == value and value == frozen and repr(frozen) == repr(value)
    with pytest.raises(TypeError, match="frozen"):
        exec(write, {"x": frozen})
    thawed = firn.thaw(frozen)
    assert type(thawed) is type(value) and thawed == value
    exec(write, {"x": thawed})
    shown = seen(notebook, "(x.__class__.__name__, isinstance(x, x.__class__), repr(x), len(x))", x=value)
    assert shown == (kind, True, repr(value), len(value))
    assert firn.is_frozen(notebook["x"])


def test_messages_say_an_int_and_one_object(notebook):
    notebook.ok("import array\nints = array.array('i', [1])\nrows = [1]")
    assert "'ints' is an array" in str(notebook.fails("%%parallel\nfor x in range(9):\n    ints.append(x)"))
    notebook.ok("%%parallel\nout = [rows[0] for x in range(9)]")
    notebook.ok("%frozen rows")
    assert "1 object, " in notebook.reports[0]["text/plain"]
    assert "1 object, " in notebook.shell.object_inspect_mime("rows")["text/plain"]


def test_list(notebook):
    check_face(notebook, "list")
    assert seen(notebook, "x[1][0], x[-1], x[:1], [*x][2]", x=FACES["list"].value) == (2000, "x", [1000], "x")


def test_dict(notebook):
    check_face(notebook, "dict")
    assert seen(notebook, "x['a']['b'], list(x), {**x}[2][0]", x=FACES["dict"].value) == (1000, ["a", 2], 3)


def test_set(notebook):
    check_face(notebook, "set")
    assert seen(notebook, "1000 in x, x & {1000}, x <= {1000, 'two', (3,), 4}", x=FACES["set"].value) == (
        True, {1000}, True,
    )  # fmt: skip


def test_deque(notebook):
    check_face(notebook, "deque")
    assert seen(notebook, "x.maxlen, x[1][0]", x=FACES["deque"].value) == (5, 2)


def test_ordered_dict(notebook):
    check_face(notebook, "OrderedDict")
    assert seen(notebook, "list(x), x == dict(a=2, b=[1])", x=FACES["OrderedDict"].value) == (["b", "a"], True)


def test_default_dict(notebook):
    check_face(notebook, "defaultdict")
    assert seen(notebook, "x['a'], x['nothing'], len(x)", x=FACES["defaultdict"].value) == ([1], [], 1)
    # What is done to the value of a missing key would be lost.
    for factory in (list, dict, set, deque, Counter, OrderedDict, lambda: defaultdict(int), lambda: defaultdict(list)):
        frozen = firn.freeze(defaultdict(factory))
        value = frozen["nothing"]
        assert value == factory() and value.__class__ is type(factory()) and len(frozen) == 0
        assert value is frozen["other"] and getattr(value, "default_factory", 0) == getattr(
            factory(), "default_factory", 0
        )
        with pytest.raises(TypeError, match="frozen"):
            value.clear()
    for factory, value in (
        (int, 0),
        (lambda: 2.5, 2.5),
        (lambda: (1, "a"), (1, "a")),
        (datetime.timedelta, datetime.timedelta()),
    ):
        assert firn.freeze(defaultdict(factory))["nothing"] == value
    # What it would be in the serial cell depends on what has been added, or is changed in place.
    ids = []
    for factory in (lambda: len(ids), lambda: [0, 0.0], lambda: {"n": 0}, lambda: ([],), SimpleNamespace):
        frozen = firn.freeze(defaultdict(factory, a=1))
        with pytest.raises(TypeError, match="this defaultdict is frozen") as caught:
            frozen["nothing"]
        assert "'nothing' is not in this defaultdict" in caught.value.__notes__[0]
        assert frozen["a"] == 1 and frozen.get("nothing") is None and "nothing" not in frozen
    notebook.ok(
        "from collections import defaultdict\nstats = defaultdict(lambda: {'n': 0}, a={'n': 1})\nids = defaultdict(lambda: len(ids))"
    )
    notebook.ok("%%parallel\nfor k in 'ab':\n    s = stats[k]\n    s['n'] += 1")
    assert dict(notebook["stats"]) == {"a": {"n": 2}, "b": {"n": 1}}
    error = notebook.fails("%%parallel\nfound = [stats[k]['n'] for k in 'abc']")
    assert "'stats' is frozen" in str(error) and "'c' is not in this defaultdict" in "".join(error.__notes__)
    error = notebook.fails("%%parallel\nfound = [ids[k] for k in 'abab']")
    assert "'ids' is frozen" in str(error) and "'a' is not in this defaultdict" in "".join(error.__notes__)
    notebook.ok(
        "from collections import defaultdict\nclass Row: pass\nmade = defaultdict(lambda: Row), defaultdict(Row)"
    )
    notebook.ok("%%parallel\nshown = [str(m.default_factory) for m in made]")
    assert "lambda" in notebook["shown"][0] and "Row" in notebook["shown"][1]
    assert notebook.ok("made[0].default_factory()") is notebook["Row"]
    assert notebook.ok("made[1].default_factory") is notebook["Row"]


def test_counter(notebook):
    check_face(notebook, "Counter")
    assert seen(notebook, "x.most_common(1), x['z'], x.total()", x=FACES["Counter"].value) == ([("a", 5)], 0, 11)


RECORDS = """
from __future__ import annotations
import enum
from collections import namedtuple
from dataclasses import dataclass, field


class Point:
    unit = "cm"

    def __init__(self, x, y):
        self.x, self.y = x, y

    @property
    def norm(self):
        return (self.x ** 2 + self.y ** 2) ** 0.5

    def plus(self, other):
        return Point(self.x + other.x, self.y + other.y)

    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self):
        return hash((self.x, self.y))


class Slotted:
    __slots__ = ("a", "b")


@dataclass(order=True)
class Row:
    name: str
    tags: list = field(default_factory=list)


Pair = namedtuple("Pair", "left right")


class Names(list):
    title = "names"


class Settings(dict):
    def __getattr__(self, name):
        return self[name]


class Bag(set):
    def size(self):
        return len(self)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Odd(ValueError):
    def __init__(self, number):
        super().__init__(number)
        self.number = number

    def __str__(self):
        return f"{self.number} is odd"


class Metres(float):
    def feet(self):
        return self * 3.25
"""


def test_instances(notebook):
    notebook.ok(
        RECORDS + "points = [Point(3, 4), Point(5, 12)]\nslotted = Slotted()\nslotted.a = 1000\nrows = [Row('x', [1])]"
    )
    got = seen(
        notebook,
        "(isinstance(points[0], Point), points[1].norm, points[0].plus(points[1]).x, points[0].unit, "
        "points[0] == Point(3, 4), {points[0]: 1}[Point(3, 4)], slotted.a, hasattr(slotted, 'b'), rows[0].tags, "
        "rows[0] < Row('y'), repr(rows[0]))",
    )
    assert got == (True, 13.0, 8, "cm", True, 1, 1000, False, [1], True, "Row(name='x', tags=[1])")
    assert firn.is_frozen(notebook["points"]) and firn.is_frozen(notebook["points"][0])
    assert isinstance(notebook["points"][0], notebook["Point"])
    error = notebook.fails("points[0].x = 7")
    assert isinstance(error, TypeError) and "firn.thaw" in str(error)
    notebook.ok("mine = firn.thaw(points) if False else __import__('firn').thaw(points)\nmine[0].x = 7")
    assert type(notebook["mine"][0]) is notebook["Point"] and notebook["points"][0].x == 3
    notebook.ok("%%parallel --quiet\nhits = [p for p in points if p.norm > 6]")
    assert notebook["hits"][0] is notebook["points"][1]


def test_named_tuples(notebook):
    notebook.ok(RECORDS + "pairs = [Pair([1], 'x')]")
    assert seen(notebook, "(pairs[0].left, pairs[0][1], len(pairs[0]), pairs[0] == ([1], 'x'), repr(pairs[0]))") == (
        [1], "x", 2, True, "Pair(left=[1], right='x')",
    )  # fmt: skip
    assert isinstance(notebook["pairs"][0], tuple)


@pytest.mark.parametrize(
    ("make", "look", "expected"),
    [
        ("Names(['a', 'b'])", "(isinstance(x, list), x[1], x.title, len(x))", (True, "b", "names", 2)),
        ("Settings(depth=3)", "(isinstance(x, dict), x['depth'], x.depth)", (True, 3, 3)),
        ("Bag([1, 2])", "(isinstance(x, set), 2 in x, x.size())", (True, True, 2)),
    ],
)
def test_subclasses_of_containers(notebook, make, look, expected):
    notebook.ok(RECORDS + f"x = {make}")
    assert seen(notebook, look) == expected
    assert firn.is_frozen(notebook["x"]) and type(firn.thaw(notebook["x"])).__name__ == make.partition("(")[0]


def test_enum_members(notebook):
    notebook.ok(RECORDS + "colours = [Colour.RED, Colour.BLUE] * 50")
    assert seen(notebook, "(colours[0] is Colour.RED, colours[1].name, type(colours[1]) is Colour)") == (
        True, "BLUE", True,
    )  # fmt: skip
    assert notebook["colours"][0] is notebook["Colour"].RED


def test_exceptions_and_subclasses_of_numbers_and_text(notebook):
    notebook.ok(RECORDS + "x = {'error': Odd(3), 'height': Metres(4.0)}")
    assert seen(notebook, "(type(x['error']) is Odd, x['error'].number, str(x['error']), x['height'].feet())") == (
        True, 3, "3 is odd", 13.0,
    )  # fmt: skip


def test_twins_are_made_without_code_of_their_classes(notebook):
    notebook.ok(
        "import collections\nclass Loud(str):\n    def __new__(cls, text, by):\n        print('never again')\n"
        "        made = super().__new__(cls, text + by)\n        made.by = [by]\n        return made\n"
        "class Line(collections.deque):\n    def __init__(self, *values): super().__init__(values, 2)\n"
        "    def append(self, value): super().append(-value)\n    extend = None\n"
        "x = {'word': Loud('a', '!'), 'line': Line(1, 2, 3)}"
    )
    assert seen(notebook, "(x['word'] + '', x['word'].by[0], list(x['line']), x['line'].maxlen)") == (
        "a!", "!", [2, 3], 2,
    )  # fmt: skip
    for one in (notebook["x"], firn.thaw(notebook["x"])):
        assert one["word"] == "a!" and list(one["word"].by) == ["!"] and list(one["line"]) == [2, 3]
    notebook.ok("%%parallel --quiet\nlengths = [len(x['word']) for _ in range(4)]")
    assert "never" not in notebook.out and notebook["lengths"] == [2] * 4


OWN_METHODS = """
from collections import Counter, OrderedDict, defaultdict, deque
class Twice:
    def __init__(self, mark):
        super().__init__()
        self.mark, self.own = mark, self
    def __setitem__(self, key, value): super().__setitem__(key, value * 2)
    def extend(self, values): super().extend(value * 2 for value in values)
    def append(self, value): super().append(value * 2)
    def add(self, value): super().add(value * 2)
class Row(Twice, dict): pass
class Ordered(Twice, OrderedDict): pass
class Table(Twice, defaultdict): pass
class Tally(Twice, Counter): pass
class Line(Twice, deque): pass
class Rows(Twice, list): pass
class Group(Twice, set): pass
def filled(cls, value):
    made = cls("mark")
    if isinstance(made, (deque, list)):
        made.append(value)
        made.extend([value + 1])
    elif isinstance(made, set):
        made.add(value)
    else:
        made["a"], made["b"] = value, value + 1
        if cls is Ordered: made.move_to_end("a")
    return made
kinds = [Row, Ordered, Table, Tally, Line, Rows, Group]
def content(one): return type(one).__name__, list(one.items() if hasattr(one, "items") else one), one.mark, one.own is one
"""


def test_containers_come_back_without_methods_of_their_classes(notebook):
    notebook.ok(OWN_METHODS)
    cell = "made = [[filled(cls, x) for cls in kinds] for x in range(4)]"
    notebook.ok(cell)
    expected = notebook.ok("[list(map(content, row)) for row in made]")
    notebook.ok("%%parallel --quiet\n" + cell)
    assert notebook.ok("[list(map(content, row)) for row in made]") == expected


OWN_WAYS = """
class Cached:
    def __init__(self, i): self.i, self.cache = i, [i]
    def __getstate__(self): return {"i": self.i}
class Counted:
    def __init__(self, i): self.i, self.n = i, 0
    def __setstate__(self, state): self.__dict__.update(state, n=9)
class Called:
    def __init__(self, i): self.i = i + 1
    def __reduce__(self): return Called, (self.i,)
class Strict:
    def __new__(cls, i):
        print('new', i)
        return super().__new__(cls)
    def __init__(self, i): self.i = i
    def __getattribute__(self, name): return object.__getattribute__(self, name)
class Slotted:
    __slots__ = ("a", "__b", "c", "__weakref__")
    def __init__(self, i): self.a, self.__b = i, self
    def __reduce_ex__(self, protocol): raise TypeError("never")
class Key:
    def __init__(self, i): self.table, self.i = {}, i
    def __hash__(self): return hash(self.i)
    def __eq__(self, other): return self.i == other.i
    def __reduce__(self): return Key, (0,)
def key(i):
    made = Key(i)
    made.table[made] = [made]
    return made
def swapped(i):
    made = Cached(i)
    made.__class__ = Counted
    return made
def lines(made):
    for a, b, c, d, e, f, g in made:
        yield vars(a), vars(b), vars(c), (d.a, d._Slotted__b is d, hasattr(d, "c")), vars(e), f.i
        yield list(f.table)[0] is f, f.table[f][0] is f, f in f.table, type(g).__name__, vars(g)
"""


def test_results_hold_what_the_workers_had_whatever_their_classes_say_to_pickle(notebook):
    notebook.ok(OWN_WAYS)
    cell = "made = [(Cached(x), Counted(x), Called(x), Slotted(x), Strict(x), key(x), swapped(x)) for x in range(5)]"
    notebook.ok(cell)
    expected = notebook.ok("list(lines(made))")
    notebook.ok("%%parallel --quiet\n" + cell)
    assert notebook.out.splitlines().count("new 3") == 1
    assert notebook.ok("list(lines(made))") == expected


def test_exceptions_as_results_are_made_once(notebook):
    notebook.ok(
        "class Worded(ValueError):\n    def __init__(self, n): super().__init__(f'm{n}'); self.n = n\n"
        "class Coded(Exception):\n    def __init__(self, text, *, code): super().__init__(text); self.code = code"
    )
    notebook.ok("%%parallel --quiet\nout = [(Worded(n), Coded('x', code=n), KeyError(n)) for n in range(4)]")
    assert notebook.ok("[(str(a), a.n, a.args, str(b), b.code, c.args) for a, b, c in out]") == [
        (f"m{n}", n, (f"m{n}",), "x", n, (n,)) for n in range(4)
    ]


def test_results_that_hold_what_does_not_pickle_come_as_their_class_says(notebook):
    notebook.ok(
        "import threading\nclass Guarded:\n    def __init__(self, n): self.n, self.lock = n, threading.Lock()\n"
        "    def __getstate__(self): return {'n': self.n}\n"
        "    def __setstate__(self, state): self.__init__(**state)\n"
        "class Loud(str):\n    def __new__(cls, text): return super().__new__(cls, text + '!')"
    )
    notebook.ok("%%parallel --quiet\nout = [(Guarded(n), Loud(str(n))) for n in range(4)]")
    assert [(one.n, one.lock.locked(), word) for one, word in notebook["out"]] == [
        (n, False, f"{n}!") for n in range(4)
    ]


@pytest.mark.parametrize(
    ("value", "look"),
    [
        (decimal.Decimal("1.10"), "type(x[0]).__name__, x[0] + 1"),
        (re.compile("b+"), "x[0].search('abbc').span()"),
        (PurePosixPath("/a/b.txt"), "x[0].suffix, x[0].parent.name"),
    ],
    ids=["Decimal", "Pattern", "Path"],
)
def test_what_pickles(notebook, value, look):
    notebook.shell.user_ns["x"] = x = [value]
    assert seen(notebook, look) == eval(look, {"x": x})
    frozen = firn.freeze([value])
    assert type(frozen[0]) is type(value) and frozen[0] == value


def test_code_in_data(notebook):
    notebook.ok(
        "def double(n):\n    return 2 * n\nclass Tool:\n    size = 5\ntable = {'f': double, 'kind': Tool, 'len': len}"
    )
    assert seen(notebook, "(table['f'](21), table['kind'].size, table['len']('abc'), table['kind'] is Tool)") == (
        42, 5, 3, True,
    )  # fmt: skip


def test_sentinels(notebook):
    notebook.ok(
        "import operator\nMISSING = object()\ngetter = operator.itemgetter(0)\n"
        "rows = [{'n': n, 'value': [MISSING, (MISSING, getter)]} for n in range(8)]"
    )
    notebook.ok("%%parallel --quiet --chunk 1\nout = [(row['value'][1], [row['value'][0] is MISSING]) for row in rows]")
    missing, getter = notebook["MISSING"], notebook["getter"]
    assert all(pair[0] is missing and pair[1] is getter and same == [True] for pair, same in notebook["out"])
    notebook.ok("%%parallel --quiet --chunk 1\nagain = [row['value'][1][0] is MISSING for row in rows]")
    assert notebook["again"] == [True] * 8 and firn.freeze([missing])[0] is missing


TALLY = """
import firn, collections
class Tally:
    def __init__(self): self.count, self.seen = 0, []
    def add(self, n): self.count += n
    def total(self, n): return self.count + n
    @classmethod
    def kind(cls): return cls.__name__
class Queue(collections.deque): pass
tally, numbers = Tally(), [1]
def deep(*values):
    return [{"n": n} for n in range(200)] + [[[[[values]]]]]
"""


def test_methods_in_data(notebook):
    notebook.ok(TALLY + "table = deep(tally.total, numbers.index, Tally.kind, ','.join)")
    assert seen(notebook, "[f(x) for f, x in zip(table[-1][0][0][0][0], [(5), 1])]") == [5, 0]
    assert seen(notebook, "table[-1][0][0][0][0][2]() + table[-1][0][0][0][0][3](['a', 'b'])") == "Tallya,b"
    for change in ("tally.add", "numbers.append", "__import__('functools').partial(numbers.extend, [1])"):
        notebook.ok(TALLY + f"table = deep({change}, tally)")
        arguments = "" if "partial" in change else "x"
        error = notebook.fails(f"%%parallel --quiet\nfor x in range(4):\n    table[-1][0][0][0][0][0]({arguments})")
        assert isinstance(error, TypeError) and "is frozen" in str(error)
        assert notebook.ok("tally.count, numbers") == (0, [1])


@pytest.mark.parametrize("lost", ["Queue().append", "iter([1])", "__import__('random').Random(1).random", "zip([1])"])
def test_what_would_be_lost_in_the_workers_is_refused_before_they_start(notebook, lost):
    notebook.ok(TALLY + f"table = deep({lost})\ndone = []")
    cell = "%%parallel --quiet\nfor x in range(4):\n    done.append(len(table))"
    messages = {str(notebook.fails(cell)) for _ in range(2)}
    assert len(messages) == 1 and notebook["done"] == [] and not firn.is_frozen(notebook["table"])
    message = messages.pop()
    assert message.startswith("table[200][0][0][0][0][0] is ") and "own copy" in message, message
    assert isinstance(notebook.fails("firn.freeze(table)"), firn.NotFreezableError)


def test_elements_of_a_tree(notebook):
    text = '<r a="1"><x x="1">t<y/></x><x x="2"/>tail</r>'
    notebook.ok(f"import xml.etree.ElementTree as ET\nroot = ET.fromstring({text!r})\nchildren = list(root)")
    notebook.ok("def poke(e): e.text = 'new'")
    for cell in (
        "[a.get('x') for a in root]",
        "[(a in root, a is root[0], a.get('x'), [b.tag for b in a]) for a in root]",
        "[(a in root, a is root[0], ET.tostring(a)) for a in children]",
        "[(root.find('x').text, children[i] is root[i]) for i in range(2)]",
    ):
        assert notebook.ok(f"%%parallel\nfound = {cell}\nfound") == notebook.ok(f"found = {cell}\nfound")
    assert (
        notebook.ok("%%parallel\nfound = [a for a in root.iter()]\n(found[0] is root, found[1] is root[0])")
        == (True,) * 2
    )
    notebook.fails("%%parallel\nfound = [poke(a) for a in root]")
    assert "the change would be lost" in notebook.shown
    assert notebook.ok("ET.tostring(root).decode()") == text.replace("/>", " />")
    assert isinstance(notebook.fails("import firn\nfirn.freeze(root)"), firn.NotFreezableError)


@pytest.mark.parametrize(
    "loop",
    [
        "x for x in w", "float(x) for x in w", "(i, x) for i, x in enumerate(w, 3)", "(x, n) for x, n in zip(w, k)",
        "x for x in reversed(k)", "x for x in w[::-2]", "x for x in np.sqrt(w)", "x for x in np.array(['a', 'bc'])",
        "x for x in k > 2", "row.sum() for row in m", "row[1] for row in m.T", "x for x in np.array([1, 'a', None], dtype=object)",
    ],
)  # fmt: skip
def test_loops_over_arrays(notebook, loop):
    notebook.ok("import numpy as np\nw, k = np.arange(6) * 1.5, np.arange(5)\nm = w.reshape(2, 3)")
    expected = notebook.ok(f"[{loop}]")
    notebook.ok(f"%%parallel --chunk 1\nfound = [{loop}]")
    assert notebook["found"] == expected and notebook.report.way == "split"
    assert not any(
        type(part).__module__ == "numpy" for one in notebook["found"] for part in (one if type(one) is tuple else [one])
    )


def test_an_iterator_over_an_array_goes_on_and_an_error_has_its_item(notebook):
    notebook.ok("import numpy as np\nw = np.arange(6) * 1.5\nit = iter(w)\nnext(it)")
    notebook.ok("%%parallel\nfound = [x for x in it]")
    assert notebook["found"] == [1.5, 3.0, 4.5, 6.0, 7.5] and notebook.ok("list(it)") == []
    error = notebook.fails("%%parallel\nfor x in w:\n    if x > 3:\n        raise ValueError(x)")
    assert error.args == (4.5,) and "iteration 3" in notebook.shown
    assert isinstance(notebook.fails("%%parallel\nfound = [x for x in np.array(5)]"), TypeError)


FUNCTIONS = """
import functools
limit = 5
def up(s): return s.upper()
def lo(s): return s.lower()
def make(n):
    return lambda v: v + n > limit
@functools.cache
def cached(n): return n + limit
class Tool:
    def name(self): return "tool"
label, steps = {up: "U", lo: "L"}, [up, lo]
rules = [("big", lambda v: v > limit), ("bigger", make(-1)), ("cached", cached), ("name", Tool.name), ("up", functools.partial(up))]
before = [rule for _, rule in rules]
"""


def test_functions_in_data_stay_the_notebooks_own(notebook):
    notebook.ok(FUNCTIONS)
    expression = "[label.get(f) for f in (up, lo)], [f is g for f, g in zip(steps, label)], [f('a') for f in steps], rules[0][1](8), rules[1][1](6)"
    for limit in (5, 10):
        notebook.ok(f"limit = {limit}")
        expected = notebook.ok(f"({expression})")
        assert seen(notebook, expression) == expected
        assert notebook.ok(f"({expression})") == expected
    assert firn.is_frozen(notebook["label"]) and firn.is_frozen(notebook["rules"]) and firn.is_frozen(notebook["steps"])
    assert notebook.ok("[rule is own for (_, rule), own in zip(rules, before)]") == [True] * 5
    notebook.ok("%%parallel\nfound = [[steps[0], rules[1][1], up] for _ in range(4)]")
    assert notebook.ok("[f is own for f, own in zip(found[3], (up, before[1], up))]") == [True] * 3
    notebook.ok("tools = [Tool, up]")
    assert (
        seen(notebook, "tools[0] is Tool, tools[1] is up")
        == notebook.ok("(tools[0] is Tool, tools[1] is up)")
        == (True, True)
    )
    assert not firn.is_frozen(notebook["up"]) and not firn.is_frozen(notebook["Tool"])


@pytest.mark.parametrize("code", ["log.append(x)", "global calls; calls = x"])
def test_functions_in_data_that_change_something_are_refused(notebook, code):
    notebook.ok(f"log, calls = [], 0\ndef step(x):\n    {code}\nplug = {{'step': step}}")
    error = notebook.fails("%%parallel\nfound = [plug['step'](x) for x in range(3)]")
    assert type(error).__name__ == "LostEffect" and "step()" in str(error)
    notebook.ok("plug['step'](5)")
    assert (notebook["log"], notebook["calls"]) in (([5], 0), ([], 5))


def test_names_for_types(notebook):
    notebook.ok(
        "import typing\nT = typing.NewType('T', int)\nU = typing.NewType('U', T)\nV = typing.TypeVar('V', bound=U)\n"
        "P = typing.ParamSpec('P')\nTs = typing.TypeVarTuple('Ts')\nW = typing.TypeVar('W', int, str, default=int)\n"
        "type A = list[T]\ntype Tree = int | list[Tree]\ntype Pair[X] = tuple[X, X]\n"
        "class Box[Z]:\n    z = Z\n"
        "def look():\n    return (T(3), T.__name__, U.__supertype__ is T, V.__bound__ is U, A.__value__.__args__[0] is T,\n"
        "            Tree.__value__.__args__[1].__args__[0] is Tree, repr(Pair[int]), Pair.__value__.__args__[0] is Pair.__type_params__[0],\n"
        "            repr((V, P, Ts, W, T)), W.__constraints__, W.__default__, Box.z is Box.__type_params__[0], Box[T].__args__[0] is T)\n"
        "data = {'t': T, 'numbers': [1, 2, 3]}"
    )
    assert seen(notebook, "look()") == notebook["look"]()
    assert seen(notebook, "data['t'] is T, data['numbers']") == (True, [1, 2, 3])
    for name in ("T", "V", "W", "P", "Ts", "A", "Tree", "Pair"):
        assert seen(notebook, name) is notebook[name]
    notebook.ok("type Deep[X] = X | list[Deep[X]]")
    notebook.fails("%%parallel\nfound = [Deep.__name__ for _ in range(4)]")
    assert "Deep cannot be sent to the workers" in notebook.shown and "refers to itself" in notebook.shown


HELD = """
import itertools, sqlite3, threading
class Node:
    ids = itertools.count()
    lock, local = threading.Lock(), threading.local()
    numbers = (x for x in range(3))
    base = sqlite3.connect(":memory:")
    def __init__(self, value):
        self.value, self.id = value, next(Node.ids)
    def twice(self):
        return self.value * 2
    def locked(self):
        with self.lock:
            return self.value
nodes = [Node(x) for x in range(4)]
"""


def test_a_class_goes_without_what_no_worker_can_have(notebook):
    notebook.ok(HELD)
    assert seen(notebook, "[node.twice() for node in nodes]") == [0, 2, 4, 6]
    assert firn.is_frozen(notebook["nodes"])
    for use, what in {
        "Node(5).id": "Node.ids, an itertools.count,",
        "nodes[1].locked()": "Node.lock, a lock,",
        "Node.local.x": "Node.local, a local,",
        "list(nodes[0].numbers)": "Node.numbers, a generator,",
        "hasattr(Node, 'base')": "Node.base, a sqlite3.Connection,",
    }.items():
        error = notebook.fails(f"%%parallel\nfound = [{use} for x in range(3)]")
        assert type(error).__name__ == "Unshippable" and what in str(error) and "which no worker can have" in str(error)
    assert notebook.ok("Node(5).id, nodes[1].locked(), next(Node.numbers)") == (4, 1, 0)
    for way in ("", "--each "):
        notebook.ok("def number():\n    try:\n        return next(Node.ids)\n    except Exception:\n        return -1")
        error = notebook.fails(f"%%parallel {way}\nfound = [number() for x in range(3)]")
        assert "Node.ids" in str(error)
    notebook.ok("%%parallel\nfound = [x for x in range(3)]")


def test_a_class_may_hold_the_streams(notebook):
    notebook.ok(
        "%%parallel --quiet\nimport sys\nclass Log:\n    out, err = sys.stdout, sys.stderr\n"
        "    def say(self, x): print(x, file=self.out)\nlog = Log()\nfor x in range(3):\n    log.say(x)"
    )
    assert notebook.out == "0\n1\n2\n"


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("def f(x, lock=threading.Lock()): return x", "the default of lock in f"),
        ("def f(x, y=1, *, lock=threading.Lock()): return x", "the default of lock in f"),
        ("def make(y, lock):\n    return lambda x: (x, y, lock)\nf = make(1, threading.Lock())", "lock in f"),
        (
            "class f:\n    table = {'a': [threading.Lock()]}\n    def __init__(self, x): pass",
            "f.table['a'][0]: a _thread.lock",
        ),
    ],
)
def test_where_in_a_definition_it_is(notebook, code, place):
    notebook.ok("import threading\n" + code)
    error = notebook.fails("%%parallel\nfound = [f(x) for x in range(3)]")
    assert str(error).startswith(place)


def test_code_objects(notebook):
    code = compile("2 * 21", "cell", "eval")
    assert firn.freeze([code])[0] == code
    assert seen(notebook, "__import__('types').FunctionType(x[0], {})()", x=[code]) == 42


def test_tuples_that_hold_what_each_interpreter_has_of_its_own(notebook):
    value = {"pair": (decimal.Decimal("1.5"), [1000]), "members": frozenset({decimal.Decimal(2)})}
    frozen = firn.freeze(value)
    assert type(frozen["pair"]) is tuple and frozen == value
    assert seen(notebook, "(type(x['pair']) is tuple, x['pair'][0] * 2, x['pair'][1], 2 in x['members'])", x=value) == (
        True, decimal.Decimal(3), [1000], True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12.0).reshape(3, 4),
        array.array("d", [1.5, 2.5]),
        bytearray(b"bytes"),
        memoryview(b"views"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_buffers(notebook, value):
    frozen = firn.freeze(value)
    assert isinstance(frozen, type(value)) and firn.is_frozen(frozen) and memoryview(frozen).readonly
    assert bytes(frozen) == bytes(value)
    got = seen(notebook, "(len(x), memoryview(x).readonly, memoryview(x).nbytes, bytes(x))", x=value)
    assert got == (len(value), True, memoryview(value).nbytes, bytes(value))
    thawed = firn.thaw(frozen)
    assert bytes(thawed) == bytes(value)


def test_arrays_compute_in_the_workers(notebook):
    value = np.arange(12.0).reshape(3, 4)
    got = seen(
        notebook, "(x.shape, float(x.sum()), x[1].tolist(), float((x * 2 + 1)[2, 3]), x[:, 1].tolist())", x=value
    )
    assert got == ((3, 4), 66.0, [4.0, 5.0, 6.0, 7.0], 23.0, [1.0, 5.0, 9.0])


def test_elements_of_arrays_are_pythons_own_numbers_in_the_workers(notebook):
    """Unlike in the notebook; calculations with whole arrays are as there."""
    small, real = np.array([200, 100], "u1"), np.array([0.0, 1.0])
    assert seen(notebook, "(x[0] + x[1], (x[:1] + x[1:])[0])", x=small) == (300, 44)
    assert seen(notebook, "(~x[0], (~x)[0])", x=np.array([True, False])) == (-2, False)
    singles = np.full(1000, 0.1, "f4")
    assert seen(notebook, "sum(x)", x=singles) == sum(singles.tolist()) != float(sum(singles))
    assert seen(notebook, "float((1.0 / x)[0])", x=real) == float("inf")
    assert isinstance(notebook.fails("%%parallel\nout = [1.0 / x[0] for _ in range(2)]"), ZeroDivisionError)


def test_functions_capture_what_they_read(notebook):
    notebook.ok(
        "import firn\nrates = {'a': 2}\ndef price(n):\n    return n * rates['a']\nfixed = firn.freeze(price)\nrates = {'a': 100}"
    )
    assert notebook.ok("fixed(21)") == 42 and notebook.ok("price(1)") == 100
    assert seen(notebook, "fixed(21)") == 42


def test_what_cannot_be_frozen_is_refused_with_its_path(notebook):
    notebook.ok("import firn, sqlite3\nrows = [{'n': 1}, {'n': 2, 'conn': sqlite3.connect(':memory:')}]")
    error = notebook.fails("firn.freeze(rows)")
    assert isinstance(error, firn.NotFreezableError) and isinstance(error, TypeError)
    assert error.path.endswith("[1]['conn']") and error.type_name == "sqlite3.Connection"
    assert not firn.is_frozen(notebook["rows"])
    assert str(notebook.fails("firn.freeze(rows)")) == str(error)


def test_opting_out(notebook):
    notebook.ok("import firn\n@firn.unfreezable\nclass Session:\n    pass\nrows = [Session()]")
    error = notebook.fails("firn.freeze(rows)")
    assert isinstance(error, firn.NotFreezableError) and error.path.endswith("[0]")
    notebook.ok("rows = [1000]\nfirn.set_freezable(rows, False)")
    assert isinstance(notebook.fails("firn.freeze({'a': rows})"), firn.NotFreezableError)


def test_shared_fields(notebook):
    notebook.ok("import firn\nseen_so_far = firn.shared_field(0)")
    notebook.ok(
        "def step(n):\n    while True:\n        old = seen_so_far.get()\n"
        "        if seen_so_far.compare_and_swap(old, old + n):\n            return n"
    )
    notebook.ok("%%parallel --quiet --chunk 10\nout = [step(n) for n in range(1000)]")
    assert notebook["seen_so_far"].get() == sum(range(1000))


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        ("(n for n in range(3))", "list(...)"),
        ("open('/dev/null')", "what was read from it"),
        ("__import__('threading').Lock()", "needs no lock"),
        ("__import__('socket').socket()", "open one where it is used"),
        ("__import__('weakref').ref(Plain)", "hold the object itself"),
        ("made(Plain, conn=__import__('sqlite3').connect(':memory:'))", "open one where it is used"),
    ],
)
def test_what_cannot_be_frozen_is_refused_with_the_way_out(notebook, make, advice):
    notebook.ok(
        "import firn\nclass Plain:\n    pass\n"
        "def made(kind, **fields):\n    value = kind()\n    vars(value).update(fields)\n    return value\n"
        f"rows = [1, {{'it': {make}}}]"
    )
    error = notebook.fails("firn.freeze(rows)")
    assert isinstance(error, firn.NotFreezableError)
    assert "[1]['it']" in str(error) and "nothing has been changed" in str(error) and advice in str(error)


def test_named_tuples_of_c_that_pickle_as_plain_ones_or_not_at_all(notebook: Any) -> None:
    notebook.ok(
        "import datetime, sys\ndates = [datetime.date(2026, 1, d + 1) for d in range(4)]\n"
        "days, about = [date.isocalendar() for date in dates], [sys.version_info, sys.flags, sys.float_info]\n"
    )
    cell = (
        "weeks = [(day.week, type(day).__name__, day) for day in days]\nmade = [date.isocalendar() for date in dates]\n"
        "own = [sys.version_info for x in range(2)]\nmany = [about for x in range(2)]\n"
        "read = [(one is getattr(sys, type(one).__name__), one[0]) for one in about]\n"
    )
    names = ("weeks", "made", "own", "many", "read")
    notebook.ok(cell)
    serial = [repr(notebook[name]) for name in names]
    notebook.ok("%%parallel --quiet --chunk 1\n" + cell)
    assert [repr(notebook[name]) for name in names] == serial
    assert notebook.ok("own[0] is sys.version_info and days[0].week == made[0].week == 1") is True
