"""What every kind of frozen container must answer as its original does, as expressions over `x`.

`x` is the value, `y` another of its kind, `p` a plain copy of `y` in every run. The expressions are evaluated in the main
interpreter and in subinterpreters; this module is imported in both, so it imports the standard library only.
"""

from __future__ import annotations

import bisect
import collections
import copy
import functools
import heapq
import inspect
import itertools
import json
import operator
import pickle
import random
import re
import sys
import weakref
from collections import Counter, OrderedDict, abc, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

NAMES: dict[str, Any] = {
    "abc": abc,
    "bisect": bisect,
    "collections": collections,
    "copy": copy,
    "Counter": Counter,
    "defaultdict": defaultdict,
    "deque": deque,
    "functools": functools,
    "heapq": heapq,
    "inspect": inspect,
    "itertools": itertools,
    "json": json,
    "operator": operator,
    "OrderedDict": OrderedDict,
    "pickle": pickle,
    "random": random,
    "sys": sys,
    "weakref": weakref,
}


def dispatched() -> Callable[[Any], str]:
    @functools.singledispatch
    def name_of(value: Any) -> str:
        return "object"

    for kind in (list, dict, set, deque, OrderedDict, defaultdict, Counter):
        name_of.register(kind, lambda value, kind=kind: kind.__name__)
    return name_of


def matched(value: Any) -> str:
    match value:
        case []:
            return "empty sequence"
        case [first, *rest]:
            return f"sequence {first!r} and {len(rest)} more"
        case {"a": a, **rest}:
            return f"mapping {a!r} and {sorted(map(str, rest))}"
        case {}:
            return "mapping"
        case set():
            return "set"
        case _:
            return "nothing"


def matched_class(value: Any) -> str:
    match value:
        case list():
            return "list"
        case OrderedDict():
            return "OrderedDict"
        case Counter():
            return "Counter"
        case defaultdict():
            return "defaultdict"
        case dict():
            return "dict"
        case deque():
            return "deque"
        case set():
            return "set"
        case _:
            return "nothing"


class ListWithOwnEquality(list):  # type: ignore[type-arg]
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class DictThatLooks(dict):  # type: ignore[type-arg]
    """Remembers what it is compared or merged with: an inner dict must never be among it."""

    seen: ClassVar[list[Any]] = []

    def __eq__(self, other: object) -> Any:
        self.seen.append(other)
        return "looked"

    def __ror__(self, other: object) -> Any:
        self.seen.append(other)
        return "merged"

    __hash__ = None  # type: ignore[assignment]


class Reflected:
    def __radd__(self, other: object) -> Any:
        return ("radd", other.__class__)

    def __ror__(self, other: object) -> Any:
        return ("ror", other.__class__)

    def __lt__(self, other: object) -> Any:
        return ("lt", other.__class__)

    def __eq__(self, other: object) -> Any:
        return ("eq", other.__class__)

    __hash__ = None  # type: ignore[assignment]


class Index:
    def __index__(self) -> int:
        return 1


NAMES |= {
    "dispatched": dispatched,
    "matched": matched,
    "matched_class": matched_class,
    "Index": Index,
    "ListWithOwnEquality": ListWithOwnEquality,
    "DictThatLooks": DictThatLooks,
    "Reflected": Reflected,
}

Node: list[Any] = []

# The values: two of each kind, made anew at each call.
VALUES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "list": lambda: ([1, "two", [3, 3.5], {"a": 1}, 1, None, (4,)], [1, "two", [0]]),
    "numbers": lambda: ([5, 3, 9, 1, 3], [5, 3, 10]),
    "empty list": lambda: ([], [1]),
    "dict": lambda: ({"a": 1, "b": [2], 3: {"c": None}, (4, 5): "six"}, {"b": [2], "a": 1}),
    "row": lambda: ({"a": 1, "name": "x", "é": "ü", "size": 3.5}, {"name": "y", "a": 1}),
    "empty dict": lambda: ({}, {"a": 1}),
    "set": lambda: ({1, 2, 3, "x"}, {2, 3, 4}),
    "empty set": lambda: (set(), {1}),
    "deque": lambda: (deque([1, [2], 3, 1]), deque([1, [2], 4])),
    "bounded deque": lambda: (deque([1, 2, 3], maxlen=3), deque([0, 2], maxlen=9)),
    "OrderedDict": lambda: (OrderedDict(b=1, a=[2], c=3), OrderedDict(c=3, a=[2], b=1)),
    "defaultdict": lambda: (defaultdict(list, {"a": [1], "b": []}), defaultdict(list, {"b": [], "a": [1]})),
    "defaultdict without": lambda: (defaultdict(None, {"a": 1}), defaultdict(int, {"a": 1})),
    "Counter": lambda: (Counter("abracadabra"), Counter("abba")),
    "empty Counter": lambda: (Counter(), Counter("a")),
}

ALL = """
x.__class__
isinstance(x, x.__class__)
[isinstance(x, kind) for kind in (list, dict, set, tuple, deque, OrderedDict, defaultdict, Counter)]
[isinstance(x, getattr(abc, name)) for name in abc.__all__ if name != "ByteString"]
isinstance(x, abc.Hashable)
callable(x)
dispatched()(x)
matched(x)
matched_class(x)
matched([x])
len(x)
bool(x)
not x
list(x)
tuple(x)
set(map(str, x))
sorted(map(str, x))
[*x]
enumerate(x)
list(zip(x, x))
list(itertools.chain(x, y))
max(map(str, x), default=None)
operator.length_hint(x)
repr(x)
str(x)
f"{x}"
f"{x!r:>3}"
format(x)
format(x, "5")
"%s" % [x]
"%r" % (x,)
"{}".format(x)
hash(x)
{x: 1}
{x}
x == x
x == y
x != y
x == p
p == x
x != p
y == p
p == y
x == copy.copy(x)
x == 1
x != 1
1 == x
x == None
x < 1
1 < x
x == Reflected()
Reflected() == x
x < Reflected()
x < y
x <= y
x > y
x >= y
x < p
p < x
p <= x
p >= x
x in [x]
x in [p]
y in [p]
[x].index(x)
[p].index(y)
x is x
x + 1
1 + x
x - 1
x * 1.5
x & 1
x | 1
1 | x
x ^ 1
-x
+x
~x
abs(x)
x @ x
x / 2
x % 2
x ** 2
divmod(x, 2)
int(x)
float(x)
round(x)
operator.index(x)
x()
x.nonsense
getattr(x, "nonsense", "default")
sorted(dir(x))
x.copy()
type(x.copy())
copy.copy(x)
type(copy.copy(x))
copy.deepcopy(x)
type(copy.deepcopy(x))
pickle.loads(pickle.dumps(x))
type(pickle.loads(pickle.dumps(x)))
[type(pickle.loads(pickle.dumps([x], protocol))[0]) for protocol in range(6)]
pickle._loads(pickle._dumps(x))
x.__class_getitem__(int)
inspect.signature(x.copy)
x.__len__()
x.__iter__()
x.__repr__()
x.__eq__(p)
x.__eq__(1)
x.__ne__(y)
x.__contains__(1)
1 in x
"a" in x
[1] in x
"a" not in x
hasattr(x, "keys")
hasattr(x, "append")
hasattr(x, "add")
hasattr(x, "appendleft")
hasattr(x, "most_common")
hasattr(x, "default_factory")
hasattr(x, "move_to_end")
hasattr(x, "maxlen")
hasattr(x, "__getitem__")
hasattr(x, "__reversed__")
hasattr(x, "__add__")
hasattr(x, "__or__")
hasattr(x, "__call__")
hasattr(x, "__hash__")
x.__hash__
vars(x)
next(x)
iter(x)
next(iter(x), None)
list(iter(x)) == list(x)
sum(1 for _ in x)
[element for element in x]
random.Random(1).sample(list(x), 0)
json.dumps(x, default=str)
json.dumps(x, indent=1, default=repr)
json.dumps([x, {"x": x}], default=lambda value: sorted(map(str, value)))
operator.contains(x, 1)
operator.truth(x)
operator.eq(x, y)
"""

SEQUENCE = """
x[0]
x[-1]
x[1]
x[100]
x[-100]
x[True]
x[Index()]
x[1.0]
x["a"]
x[None]
x[2**70]
x[1:3]
x[::-1]
x[::2]
x[-2:]
x[5:1]
x[slice(None)]
x[Index():]
x["a":]
x[::0]
type(x[1:3])
x.index(1)
x.index(1, 1)
x.index(1, -2, 100)
x.index(3, 0, 2)
x.index("nowhere")
x.index()
x.index(1, "a")
x.index(1, 0, 1, 2)
x.count(1)
x.count("nowhere")
x.count((4,))
x.count(())
x.index((4,))
x.count()
x + y
x + p
p + x
y + x
type(x + p)
type(p + x)
x + (1,)
(1,) + x
x + "a"
x + Reflected()
x + [9]
[9] + x
[9] + y
x * 2
2 * x
x * 0
x * -1
x * Index()
type(x * 2)
x * "a"
x * x
operator.concat(x, p)
operator.getitem(x, 0)
operator.itemgetter(0, 1)(x)
operator.countOf(x, 1)
operator.indexOf(x, 1)
list(reversed(x))
x.__reversed__().__class__.__name__ != ""
x.__getitem__(0)
x.__add__(p)
x.__mul__(2)
operator.length_hint(iter(x))
x.__rmul__(2)
x.__lt__(p)
(lambda *a: a)(*x)
[a for a, *_ in [x]]
x == [1]
x == ()
x == list(x)
list(x) == x
x == tuple(x)
x == ListWithOwnEquality()
x != ListWithOwnEquality()
ListWithOwnEquality() == x
x < [1, "two"]
x < [1, "two", [3, 3.5]]
[1] < x
[2] > x
x <= []
[] <= x
sum([x, p], start=[])
bytes(x)
bytearray(x)
"".join(x)
"".join(map(str, x))
dict(enumerate(x))
list(map(str, x))
random.Random(3).choice(x)
random.Random(3).sample(x, 2)
random.Random(3).choices(x, k=2)
list(itertools.islice(x, 1, 3))
list(itertools.combinations(x, 2))[:3]
heapq.nsmallest(2, x)
bisect.bisect(x, 3)
min(x)
max(x)
sum(x)
sorted(x)
sorted(x, key=str, reverse=True)
all(x)
any(x)
slice(0, 1).indices(len(x))
"%s %s" % x
"%s" % x
x.__sizeof__() > 0
"".join([str(value) for value in x[1:]])
next(reversed(x))
x[0:1][0] is x[0]
x.maxlen
deque(x)
list.__add__(list(x), list(y))
operator.length_hint(reversed(x))
pickle.loads(pickle.dumps(iter(x))).__next__()
copy.copy(iter(x)).__next__()
"""

MAPPING = """
x["a"]
x["b"]
x["c"]
x["nowhere"]
x[3]
x[(4, 5)]
x[(4, 6)]
x[[]]
x["é"]
x["na" + "me"]
x.get("a")
x.get("nowhere")
x.get("nowhere", 7)
x.get(3, None)
x.get()
x.get(1, 2, 3)
x.get([])
x.get(key="a")
"nowhere" in x
[] in x
x.keys()
x.values()
x.items()
list(x.keys())
list(x.values())
list(x.items())
len(x.items())
repr(x.keys())
repr(x.values())
repr(x.items())
x.keys().__class__
x.items().__class__
x.values().__class__
isinstance(x.keys(), abc.KeysView)
isinstance(x.values(), abc.ValuesView)
isinstance(x.items(), abc.ItemsView)
isinstance(x.keys(), abc.Set)
isinstance(x.keys(), abc.Hashable)
list(reversed(x))
list(reversed(x.keys()))
list(reversed(x.values()))
list(reversed(x.items()))
x.keys() == y.keys()
x.keys() == p.keys()
p.keys() == x.keys()
y.keys() == p.keys()
x.keys() == set(x)
set(x) == x.keys()
x.keys() != set(x)
x.keys() < set("abcdefgr")
x.keys() <= y.keys()
y.keys() >= x.keys()
x.keys() > set()
x.keys() == list(x)
x.items() == y.items()
p.items() == y.items()
x.values() == x.values()
x.keys() & {"a", 3}
{"a", 3} & x.keys()
x.keys() & p.keys()
p.keys() & x.keys()
x.keys() & ["a", "a"]
["a"] & x.keys()
x.keys() & y.keys()
x.keys() | {"z"}
{"z"} | x.keys()
x.keys() | "yz"
x.keys() - {"a"}
{"a", "z"} - x.keys()
["a", "z"] - x.keys()
x.keys() - p.keys()
x.keys() ^ {"a", "z"}
x.keys() ^ y.keys()
x.keys() & 1
x.keys() | None
1 - x.keys()
x.keys() + x.keys()
x.items() & p.items()
x.keys().isdisjoint({"z"})
x.keys().isdisjoint(y.keys())
x.keys().isdisjoint("a")
x.keys().isdisjoint(("a", "z"))
x.keys().isdisjoint(())
x.keys().isdisjoint(1)
x.items().isdisjoint([])
"a" in x.keys()
[] in x.keys()
("a", 1) in x.items()
("a", 2) in x.items()
("nowhere", 1) in x.items()
"a" in x.items()
("a", 1, 2) in x.items()
([], 1) in x.items()
1 in x.values()
hash(x.keys())
hash(x.items())
x.keys().mapping
x.keys().mapping["a"]
x.items().mapping == x
type(x.items().mapping)
x.values().mapping["nowhere"]
sorted(dir(x.keys()))
sorted(dir(x.values()))
len(x.keys())
iter(x.keys())
[(key, value) for key, value in x.items()]
list(map(id, x.values())) == list(map(id, x.values()))
list(zip(x, x.values()))
list(zip(x.items(), x.items()))
[pair for pair in x.items()]
sorted(x.items(), key=str)
max(x.items(), key=str, default=0)
copy.copy(iter(x))
pickle.loads(pickle.dumps(iter(x.items())))
dict(x)
dict(x, z=1)
dict(x.items())
{**x}
{"z": 1, **x, "y": 2}
(lambda **k: k)(**{str(k): v for k, v in x.items()})
(lambda **k: k)(**x)
OrderedDict(x)
Counter(x)
defaultdict(list, x)
collections.ChainMap({}, x)["a"]
x | {"z": 1}
{"z": 1} | x
x | y
y | x
x | p
p | x
type(x | p)
type(p | x)
type(x | {"z": 1})
type({"z": 1} | x)
x | [("z", 1)]
x | OrderedDict(z=1)
OrderedDict(z=1) | x
type(OrderedDict(z=1) | x)
x | Reflected()
x == dict(x)
dict(x) == x
x == OrderedDict(x)
OrderedDict(x) == x
x == OrderedDict(reversed(list(x.items())))
x == {"a": 1}
{"a": 1} == x
x == [("a", 1)]
x < {"a": 1}
x == DictThatLooks()
x.fromkeys("ab")
x.fromkeys("ab", 0)
type(x.fromkeys("ab"))
x.default_factory
x.__missing__("nowhere")
x.__getitem__("a")
x.__or__(p)
x.__or__(None)
x.__or__([])
x.__reversed__()
x.__sizeof__() > 0
"%(a)s" % x
"%s" % x
"{a}".format_map(x)
"{a}".format(**x)
"abc".translate(x)
operator.itemgetter("a")(x)
operator.methodcaller("get", "a")(x)
json.dumps({str(k): v for k, v in x.items()}, sort_keys=True, default=str)
json.dumps(x)
json.dumps(x, sort_keys=True)
list(map(x.get, ["a", "nowhere"]))
list(map(x.__getitem__, ["a"]))
list(filter(x.__contains__, ["a", "z"]))
sorted(x, key=str)
sorted(x, key=x.get)
max(x, key=str, default=0)
all(x)
x.copy() is x
eval("a", {}, x)
[key for key in x if key in x]
len({**x, **y})
functools.reduce(operator.or_, [x, y], {})
x.most_common()
x.most_common(2)
x.most_common(None)
list(x.elements())
x.total()
x + y
x + p
p + x
x - y
x - p
p - x
x & y
p & x
x ^ p
p ^ x
hasattr(x, "__xor__")
+x
-x
type(x + p)
type(p + x)
x == Counter(x)
Counter(x) == x
x <= Counter("aabbccddrr" * 3)
Counter("a") <= x
Counter("a") < x
Counter(a=0) == x
"""

SET = """
x | y
x | p
p | x
x & y
x & p
p & x
x - y
p - x
x ^ y
p ^ x
type(x | p)
type(p | x)
type(x & {1})
type(frozenset([1]) | x)
type(x | frozenset([1]))
frozenset([1, 9]) - x
x - frozenset([1, 9])
x & dict.fromkeys([1, 9]).keys()
dict.fromkeys([1, 9]).keys() & x
dict.fromkeys([1, 9]).keys() - x
dict.fromkeys([1, 9]).keys() == x
x == dict.fromkeys(x).keys()
dict.fromkeys([1, 9]).keys() <= x
x | [1]
[1] | x
x - "a"
x & None
x | Reflected()
x <= x
x < x | {99}
x | {99} > x
x >= {1}
{1} <= x
frozenset([1]) <= x
x == frozenset(x)
frozenset(x) == x
x == set(x)
set(x) == x
x == list(x)
x < [1]
x.union(y)
x.union([8], {9}, y)
x.union()
type(x.union(y))
x.intersection(y, [2])
x.difference(y)
x.difference([1])
x.symmetric_difference(y)
x.symmetric_difference()
x.union(1)
x.issubset(y)
x.issubset(list(x) + [99])
x.issuperset(y)
x.issuperset([])
x.isdisjoint(y)
x.isdisjoint([77])
x.isdisjoint((1, 2))
x.isdisjoint(())
p.union(x)
p.intersection(x)
p.difference(x)
p.symmetric_difference(x)
p.issubset(x)
p.issuperset(x)
p.isdisjoint(x)
{frozenset(x): 1}[frozenset(list(x))]
set(x)
frozenset(x)
[1] in x
set() in x
x.__and__(p)
x.__rand__(p)
x.__sub__(p)
x.__rsub__(p)
x.__or__([1])
x.__le__(p)
x[0]
x.__sizeof__() > 0
reversed(x)
sorted(map(str, x | y))
sorted(x, key=str)
sum(x, 0)
min(x, key=str, default=None)
json.dumps(x)
"%s" % x
"%s %s" % x
functools.reduce(operator.or_, [x, y, p], set())
set().union(x, y)
[*x, *y]
"""

SEQUENCES = ("list", "numbers", "empty list", "deque", "bounded deque")
SETS = ("set", "empty set")


def reads_of(name: str) -> list[str]:
    own = SEQUENCE if name in SEQUENCES else SET if name in SETS else MAPPING
    return [line for line in (ALL + own).splitlines() if line]


CONTAINER_NAMES = re.compile(
    r"\b(firn\.)?(Frozen(List|Dict|Face)|o?dict_(keys|values|items))\b"
    r"|\b(collections\.)?(list|dict|set|frozenset|deque|OrderedDict|defaultdict|Counter)\b"
)


def outcome(expression: str, x: Any, y: Any, p: Any) -> tuple[Any, ...]:
    """("value", class, value, repr) or ("error", type, text) of an expression; iterators as lists of what they give."""
    try:
        value = eval(expression, NAMES | {"x": x, "y": y, "p": p})
        kind = value.__class__
        if isinstance(value, Iterator):
            kind, value = "iterator", list(value)  # type: ignore[assignment]
        if isinstance(value, set | frozenset):  # their order is nobody's business
            return ("value", kind, value, "")
        if isinstance(value, abc.ValuesView):  # compare by identity
            return ("value", kind, list(value), repr(value))
        return ("value", kind, value, repr(value))
    except Exception as error:
        # CPython's own messages name `type(x)`.
        return ("error", type(error), CONTAINER_NAMES.sub("CONTAINER", str(error)), "")
