"""Graphs of all kinds as results: what workers make of the notebook's classes is what the serial cell would have made."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

HEAP = Path(__file__).parents[1] / "heap"
FUTURE = "from __future__ import annotations\n"
IMPORT = "from graph_kinds import ("


def specs(seed: int, count: int) -> list[Any]:
    """Random graphs, as tests/heap/test_graphs.py draws them."""
    draw = random.Random(seed)
    return [
        [
            (draw.randrange(61), [draw.randrange(201) for _ in range(draw.randrange(6))])
            for _ in range(draw.randrange(1, 12))
        ]
        for _ in range(count)
    ]


@pytest.fixture
def kinds(notebook: Any) -> Any:
    """A notebook that defines all the kinds itself."""
    source = (HEAP / "graphs.py").read_text().replace(FUTURE, "")
    start = source.index(IMPORT)
    source = source[:start] + source[source.index(")\n", start) + 2 :]
    notebook.ok((HEAP / "graph_kinds.py").read_text().replace(FUTURE, ""))
    notebook.ok(source.replace('"graph_kinds"', '"__main__"'))
    return notebook


def check_made(kinds: Any, seed: int, count: int) -> None:
    kinds.shell.user_ns["specs"] = specs(seed, count)
    kinds.ok("%%parallel\nmade = [build(spec, True) for spec in specs]")
    same = kinds.ok("[(shape(build(spec, True)), shape(one)) for spec, one in zip(specs, made, strict=True)]")
    for wanted, got in same:
        assert got == wanted
    assert kinds.ok("all(change_everything(one) >= 1 for one in made)")


def test_graphs_that_workers_make_come_back_as_they_are_and_can_be_changed(kinds: Any) -> None:
    check_made(kinds, 1, 60)


@pytest.mark.long
def test_many_graphs_that_workers_make(kinds: Any) -> None:
    for seed in range(2, 42):
        check_made(kinds, seed, 200)


def test_graphs_that_hold_parts_of_frozen_ones(kinds: Any) -> None:
    kinds.shell.user_ns["specs"] = specs(3, 40)
    kinds.ok("graphs = [build(spec, False) for spec in specs]")
    kinds.ok("wanted = [shape([graph, Plain(held=graph[-1]), {'all': graph}]) for graph in graphs]")
    kinds.ok("%%parallel\nmade = [[graph, Plain(held=graph[-1]), {'all': graph}] for graph in graphs]")
    assert kinds.ok("[shape(one) for one in made]") == kinds["wanted"]
    assert kinds.ok("all(one[0] is graph and one[2]['all'] is graph for one, graph in zip(made, graphs))")
    assert kinds.ok("{type(one[1]) for one in made} == {Plain}")


def test_parts_that_results_have_in_common_stay_common(kinds: Any) -> None:
    cell = """%%parallel
made = []
for i in range(60):
    common = [i, Slots(i, ()), Color.RED]
    common.append(Plain(up=common, pair=Pair(common[1], common)))
    made.append(common)
    made.append({"again": common, "slots": common[1], "pair": common[-1].pair})
"""
    kinds.ok(cell)
    got = kinds.ok("[shape(made[i : i + 2]) for i in range(0, 120, 2)]")
    kinds.ok(cell.partition("\n")[2])
    assert kinds.ok("[shape(made[i : i + 2]) for i in range(0, 120, 2)]") == got


def test_classes_that_only_a_worker_defines(kinds: Any) -> None:
    kinds.ok("""
import collections, dataclasses, enum
def local(i):
    class Local(Plain):
        step = 10
        def up(self): return self.number + self.step
    @dataclasses.dataclass
    class Row:
        number: int
        of: Local
    Coin = collections.namedtuple("Coin", "number")
    Side = enum.Enum("Side", "LEFT RIGHT")
    one = Local(number=i)
    return [one, Row(i, one), Coin(i), Side.LEFT, Side, Local]
""")
    kinds.ok("%%parallel\nmade = [local(i) for i in range(20)]")
    for i, (one, row, coin, side, sides, cls) in enumerate(kinds["made"]):
        assert type(one) is cls and isinstance(one, kinds["Plain"]) and one.up() == i + 10
        assert row.of is one and repr(row).endswith(f"Row(number={i}, of={one!r})")
        assert coin == (i,) and coin.number == i and side is sides.LEFT and list(sides) == [sides.LEFT, sides.RIGHT]
        one.number = row.number = 5
