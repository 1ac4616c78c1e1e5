"""Deep graphs: several threads share them, each leaving parts for those that have none."""

import os
from collections.abc import Callable
from typing import Any

import firn
import pytest
from firn import _core

THREADS = pytest.mark.parametrize("threads", [1, 2, 4])
COUNT = 60_000
"""Nodes: more than one thread copies before it asks for help."""


class Node:
    def __init__(self, value: object) -> None:
        self.value = value
        self.left: Any = None
        self.right: Any = None


class Slots:
    __slots__ = ("left", "right", "value")

    def __init__(self, value: object) -> None:
        self.value = value
        self.left: Any = None
        self.right: Any = None


def children(node: Any) -> list[Any]:
    """What a node of any kind holds: its value, then the left and the right one."""
    if isinstance(node, (list, tuple)):
        return list(node)
    if isinstance(node, dict):
        return [node["value"], node["left"], node["right"]]
    return [node.value, node.left, node.right]


MAKERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "list": lambda value, left, right: [value, left, right],
    "tuple": lambda value, left, right: (value, left, right),
    "dict": lambda value, left, right: {"value": value, "left": left, "right": right},
    "wide dict": lambda value, left, right: {1: value, 2: left, 3: right, "value": value, "left": left, "right": right},
}


def _instance(kind: type) -> Callable[[Any, Any, Any], Any]:
    def make(value: Any, left: Any, right: Any) -> Any:
        node = kind(value)
        node.left, node.right = left, right
        return node

    return make


MAKERS |= {"instance": _instance(Node), "slots": _instance(Slots)}


def tree(make: Callable[[Any, Any, Any], Any], values: list[Any], lean: int = 2) -> Any:
    """A binary tree of these values, made from its leaves; the higher `lean`, the more one-sided."""

    def grow(first: int, last: int) -> Any:
        if first >= last:
            return None
        middle = first + (last - first) // lean
        return make(values[middle], grow(first, middle), grow(middle + 1, last))

    return grow(0, len(values))


def same_shape(plain: Any, frozen: Any) -> int:
    """Whether two graphs are equal and alias alike; how many containers they have."""
    forth: dict[int, int] = {}
    back: dict[int, int] = {}
    stack = [(plain, frozen)]
    while stack:
        one, other = stack.pop()
        if isinstance(one, (int, str, type(None))):
            assert one == other
            continue
        if id(one) in forth:
            assert forth[id(one)] == _core.address(other)
            continue
        assert _core.address(other) not in back
        forth[id(one)], back[_core.address(other)] = _core.address(other), id(one)
        assert isinstance(other, type(one))
        stack += zip(children(one), children(other), strict=True)
    return len(forth)


@THREADS
@pytest.mark.parametrize("lean", [2, 20])
@pytest.mark.parametrize("kind", MAKERS)
def test_trees_of_all_kinds_with_aliases_all_over(kind: str, lean: int, threads: int) -> None:
    shared = [[f"shared {number}"] for number in range(100)]
    values = [shared[number * 7919 % 100] if number % 3 else number for number in range(COUNT)]
    root = tree(MAKERS[kind], values, lean)
    result = _core.freeze_roots({"root": root}, threads=threads)
    assert same_shape(root, result.frozen["root"]) == COUNT + 100
    assert result.objects == _core.freeze_roots({"root": root}, threads=1).objects


@THREADS
def test_parts_that_refer_to_each_other_and_to_the_root(threads: int) -> None:
    nodes = [Node(str(number)) for number in range(COUNT)]
    for number, node in enumerate(nodes):
        node.left = nodes[2 * number + 1] if 2 * number + 1 < COUNT else nodes[0]
        node.right = nodes[2 * number + 2] if 2 * number + 2 < COUNT else nodes[COUNT - 1 - number]
    assert same_shape(nodes[0], _core.freeze_roots({"root": nodes[0]}, threads=threads).frozen["root"]) == COUNT


@THREADS
def test_tuples_have_their_hashes_whoever_copied_what_is_in_them(threads: int) -> None:
    shared = tuple(("shared", number) for number in range(100))
    values = [(number, shared[number * 7919 % 100], frozenset({shared[number % 100]})) for number in range(COUNT)]
    root = tree(MAKERS["instance"], values)
    stack = [(root, _core.freeze_roots({"root": root}, threads=threads).frozen["root"])]
    while stack:
        one, other = stack.pop()
        if one is None:
            continue
        assert hash(one.value) == hash(other.value) and one.value == other.value
        assert one.value in {other.value: 1}
        stack += [(one.left, other.left), (one.right, other.right)]
    whole = tree(MAKERS["tuple"], values)
    frozen = _core.freeze_roots({"root": whole}, threads=threads).frozen["root"]
    assert hash(frozen) == hash(whole) and frozen == whole


@THREADS
def test_classes_that_only_another_part_has(threads: int) -> None:
    """No thread but the first may look at a class: what it does not know waits."""
    kinds = [type(f"Kind{number}", (Node,), {}) for number in range(50)]
    values = [kinds[number * 50 // COUNT](str(number)) for number in range(COUNT)]
    root = tree(MAKERS["slots"], values)
    frozen = _core.freeze_roots({"root": root}, threads=threads).frozen["root"]
    assert same_shape(root, frozen) == 2 * COUNT


@THREADS
@pytest.mark.parametrize("at", [0, COUNT // 2 + 1, COUNT - 1])
def test_what_cannot_be_frozen_is_found_in_any_part(at: int, threads: int) -> None:
    values: list[Any] = [str(number) for number in range(COUNT)]
    values[at] = [1, (number for number in ())]
    root = tree(MAKERS["list"], values)
    before = _core.segments()
    messages = set()
    for _ in range(3):
        with pytest.raises(firn.NotFreezableError) as error:
            _core.freeze_roots({"root": root}, threads=threads)
        messages.add(str(error.value))
        found = eval(error.value.path, {"root": root})
        assert found is values[at][1]
    assert len(messages) == 1 and _core.segments() == before
    values[at][1] = 2
    assert same_shape(root, _core.freeze_roots({"root": root}, threads=threads).frozen["root"]) == COUNT + 1


OUT_OF_MEMORY = """
import resource, sys
sys.path.insert(0, {folder!r})
from firn import _core
from test_deep_graphs import MAKERS, same_shape, tree

root = tree(MAKERS["instance"], [["n" * 200 + str(number)] for number in range(200_000)])
_core.freeze_roots({{"root": tree(MAKERS["instance"], [["x"]] * 10)}})
before = _core.segments()

def used(name):
    fields = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Vm"))
    return int(fields[name].split()[0]) << 10

failed = 0
for limit, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
    for megabytes in (12, 14, 20, 26, 32, 38, 44, 50):
        resource.setrlimit(limit, (used(name) + (megabytes << 20), -1))
        try:
            _core.freeze_roots({{"root": root}}, threads=4)
        except MemoryError:
            failed += 1
        else:
            before.append(_core.segments()[-1])
        finally:
            resource.setrlimit(limit, (-1, -1))
        assert _core.segments() == before
assert failed >= 4, failed
assert same_shape(root, _core.freeze_roots({{"root": root}}, threads=4).frozen["root"]) == 400_000
print("whole", failed)
"""


@pytest.mark.unsanitized
def test_out_of_memory_in_any_part(run_python: Callable[..., Any]) -> None:
    done = run_python(OUT_OF_MEMORY.format(folder=os.path.dirname(os.path.abspath(__file__))))
    assert done.stdout.startswith("whole"), done.stdout + done.stderr[-3000:]
