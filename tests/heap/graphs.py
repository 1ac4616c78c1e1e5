"""Random graphs of all kinds of values, and what a graph looks like from its root. Workers import this module too."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import fractions
import functools
import pathlib
import re
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from graph_kinds import (
    Access,
    Bag,
    Chest,
    Color,
    Data,
    Defaults,
    Derived,
    Failure,
    Key,
    Level,
    Line,
    Marks,
    Number,
    Ordered,
    Pair,
    Plain,
    Point,
    Ranked,
    Reduced,
    Rows,
    Slots,
    SlotsAndMore,
    Square,
    Steps,
    Table,
    Tally,
    Text,
    square,
)

LEAVES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: 7,
    lambda: 10**30,
    lambda: 2.5,
    lambda: "text of its own",
    lambda: "é",
    lambda: b"bytes",
    lambda: dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    lambda: range(2, 9, 3),
    lambda: Square(1.5),
    lambda: {Key(number=1): "by key", Ranked(2, "x"): "by rank"},
    lambda: {Key(number=1), Ranked(2, [3])},
    lambda: frozenset([Pair(1, "x"), Point(1, (2,))]),
]
# Also what only Python can hash: tuples of it are made anew in each interpreter.
TWINS: list[Callable[[], Any]] = [
    lambda: Key(number=4, text="key"),
    lambda: decimal.Decimal("1.50"),
    lambda: fractions.Fraction(1, 3),
    lambda: uuid.UUID(int=77),
    lambda: pathlib.PurePosixPath("/tmp/x"),
    lambda: re.compile("a+b"),
    lambda: Color.RED,
    lambda: Access.READ | Access.WRITE,
    lambda: Level.HIGH,
    lambda: square,
    lambda: Square,
    lambda: functools.partial(int, base=2),
    lambda: {Color.RED: 1, Color.GREEN: [2]},
    lambda: {decimal.Decimal(3), "x"},
    lambda: (Color.GREEN, (decimal.Decimal(1),)),
    lambda: frozenset([Color.RED, decimal.Decimal(2)]),
    lambda: {(Color.RED, 1): frozenset([Level.LOW])},
    lambda: Chest([1, "member"]),
    lambda: with_state(Defaults(list, x=[1]), ["kept"]),
    lambda: with_state(Number(5), ["x"]),
    lambda: Reduced("held"),
    lambda: bytearray(b"of bytes"),
    lambda: array.array("d", [0.5, -2.0]),
    lambda: memoryview(b"\0\1\2\3").cast("h"),
    lambda: memoryview(bytearray(range(12)))[2:10:3],
    lambda: ndarray([[1.5, 2.0], [3.0, -0.0]]),
    lambda: ndarray([7, 8, 9, 10])[::-2],
    lambda: {"array": ndarray([True, False])},
    lambda: (ndarray([1, 2, 3]), 1),
]


def ndarray(values: list[Any]) -> Any:
    """numpy's array; a firn.Array where numpy cannot be."""
    try:
        import numpy
    except ImportError:
        from firn import Array

        return Array(values)
    return numpy.array(values)


def with_state(value: Any, children: list[Any]) -> Any:
    for number, child in enumerate(children):
        setattr(value, f"field{number % 3}", child)
    return value


def filled(value: Any, children: list[Any]) -> Any:
    """Puts children into a container that can be changed, and into its attributes."""
    split = len(children) // 2
    if isinstance(value, list | deque):
        value.extend(children[:split])
    elif isinstance(value, dict):
        value.update({f"k{i}": child for i, child in enumerate(children[:split])})
    elif isinstance(value, set):
        value.update(range(split))
    else:
        return with_state(value, children)
    if type(value).__module__ == "graph_kinds":
        with_state(value, children[split:])
    return value


# Made at once from what is there already.
FINISHED: list[Callable[[list[Any]], Any]] = [
    lambda c: tuple(c),
    lambda c: Pair(c[0] if c else None, c[-1] if c else 1),
    lambda c: Point(c[:1], tuple(c[1:])),
    lambda c: with_state(Line(c), c[:2]),
    lambda c: slice(*[*c, None, None][:3]),
]
FINISHED_TWINS: list[Callable[[list[Any]], Any]] = [
    lambda c: Ranked(3, c),
    lambda c: Failure("failed", 7),  # in the notebook the original itself, as it compares by identity
    lambda c: with_state(Text("text"), c[:2]),
]
# Made empty, and filled when all are there: cycles go through them.
OPEN: list[Callable[[], Any]] = [
    list,
    dict,
    set,
    deque,
    OrderedDict,
    lambda: defaultdict(list),
    lambda: Counter("aab"),
    Plain,
    Derived,
    lambda: Slots(None, None),
    lambda: SlotsAndMore(1, 2),
    lambda: Data("n", None),
    Rows,
    Table,
    Marks,
    Bag,
    Tally,
]
OPEN_TWINS: list[Callable[[], Any]] = [Steps, Ordered]

Spec = tuple[int, list[int]]


def build(specs: list[Spec], twins: bool) -> list[Any]:
    """The nodes of a graph: each spec says of which kind a node is and which nodes (or leaves) it refers to."""
    leaves = LEAVES + TWINS * twins
    finished = FINISHED + FINISHED_TWINS * twins
    unfinished = OPEN + OPEN_TWINS * twins
    nodes: list[Any] = []
    later: list[tuple[Any, list[int]]] = []
    kept: dict[int, Any] = {}

    def child(number: int, known: int) -> Any:
        if number % 3 and known:
            return nodes[number // 3 % known]
        if number not in kept:
            kept[number] = leaves[number // 3 % len(leaves)]()
        return kept[number]

    for kind, references in specs:
        kind %= len(finished) + len(unfinished)
        if kind < len(unfinished):
            nodes.append(unfinished[kind]())
            later.append((nodes[-1], references))
        else:
            nodes.append(finished[kind - len(unfinished)]([child(number, len(nodes)) for number in references]))
    for node, references in later:
        children = [child(number, len(nodes)) for number in references]
        if isinstance(node, Slots) and type(node) is Slots:
            node.left, node.right = [*children, None, None][:2]
        elif isinstance(node, Data):
            node.value, node.rest = (children or [None])[0], children[1:]
        elif isinstance(node, Counter):
            continue
        else:
            filled(node, children)
    return nodes


LEAF_TYPES = (type(None), bool, int, float, complex, str, bytes, range, dt.date, type)


def parts(value: Any) -> tuple[str, list[Any]]:
    """What a value is, as text, and what it refers to."""
    kind = value.__class__
    children: list[Any] = []
    text = ""
    if hasattr(value, "__array_interface__"):  # numpy's in the notebook, firn's in workers
        return f"array {value.dtype.name} {value.tolist()}", []
    if isinstance(value, memoryview):
        return f"memoryview {value.format} {value.tolist()}", []
    if isinstance(value, BaseException):
        children += value.args
    elif isinstance(value, dict):
        children += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | deque):
        children += value
    elif isinstance(value, set | frozenset):
        children += sorted(value, key=hash_free)
    elif isinstance(value, slice):
        children += [value.start, value.stop, value.step]
    elif isinstance(value, Slots):
        children += [getattr(value, name, "unset") for name in ("_hidden", "left", "right")]
    elif callable(value) and hasattr(value, "__qualname__"):
        text = value.__qualname__
    elif isinstance(value, Key):
        children += [value.number, value.text]
    else:
        text = "" if hasattr(value, "__dict__") and kind.__module__ == "graph_kinds" else repr(value)
    if isinstance(value, str):
        text = str(value)
    state = getattr(value, "__dict__", None)
    if isinstance(state, dict) and kind.__module__ == "graph_kinds" and not isinstance(value, Color | Access | Level):
        for name, held in state.items():
            children += [name, held]
    return f"{kind.__name__} {len(children)} {text}", children


def hash_free(value: Any) -> str:
    return f"{value.__class__.__name__} {getattr(value, 'number', '')} {value if isinstance(value, int | str) else ''}"


def shape(root: Any) -> list[Any]:
    """The graph as text and numbers: a value that was met before is the number it had then."""
    known: dict[int, int] = {}
    keep: list[Any] = []
    out: list[Any] = []
    todo = [root]
    while todo:
        value = todo.pop()
        if isinstance(value, LEAF_TYPES) and value.__class__ in LEAF_TYPES:
            out.append(f"{value.__class__.__name__} {value!r}")
            continue
        if id(value) in known:
            out.append(known[id(value)])
            continue
        known[id(value)] = len(known)
        keep.append(value)
        text, children = parts(value)
        out.append(text)
        todo += reversed(children)
    return out


def change_everything(root: Any) -> int:
    """Writes to everything that can be written to in a graph; the number of values that were changed."""
    todo, seen, changed = [root], set(), 0
    keep = []
    while todo:
        value = todo.pop()
        if id(value) in seen or (isinstance(value, LEAF_TYPES) and value.__class__ in LEAF_TYPES):
            continue
        seen.add(id(value))
        keep.append(value)
        todo += parts(value)[1]
        if isinstance(value, list | deque):
            value.append("changed")
        elif isinstance(value, dict):
            value["changed"] = "changed"  # type: ignore[index]
        elif isinstance(value, set):
            value.add("changed")
        elif isinstance(value, Slots):
            value.left = "changed"
        elif value.__class__.__module__ == "graph_kinds" and isinstance(value, Plain | Data | Bag | Ranked | Square):
            value.changed = "changed"  # type: ignore[union-attr]
        else:
            continue
        changed += 1
    return changed
