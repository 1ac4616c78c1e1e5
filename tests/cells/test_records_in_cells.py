"""Instances of user classes in parallel cells: frozen once, shared by reference, and what comes back."""

from __future__ import annotations

from typing import Any

import firn
import pytest

POINT = """
import firn, dataclasses, enum
class Point:
    def __init__(self, x, y): self.x, self.y = x, y
    def norm(self): return self.x * self.x + self.y * self.y
    def move(self, d): self.x += d
"""


@pytest.fixture
def points(notebook: Any) -> Any:
    notebook.ok(f"{POINT}points = [Point(x, x % 7) for x in range(1000)]\nalso = points")
    return notebook


def test_a_hundred_thousand_instances_are_frozen_once(notebook: Any) -> None:
    notebook.ok(f"{POINT}points = [Point(x, x % 7) for x in range(100_000)]")
    notebook.ok("%%parallel\nhits = [p for p in points if p.norm() % 5 == 0]")
    assert [(item.name, item.how) for item in notebook.report.shared] == [("points", "frozen")]
    points, hits = notebook["points"], notebook["hits"]
    assert firn.is_frozen(points) and type(hits) is list
    assert hits[0] is points[0] and all(hit is points[hit.x] for hit in hits[::1000])
    assert [hit.x for hit in hits] == [x for x in range(100_000) if (x * x + (x % 7) ** 2) % 5 == 0]
    notebook.ok("%%parallel\ntotal = sum(p.x for p in points)")
    assert [(item.name, item.how) for item in notebook.report.shared] == [("points", "reused")]
    assert notebook["total"] == sum(range(100_000)) and notebook["points"] is points


def test_names_are_bound_to_frozen_instances(points: Any) -> None:
    points.ok("first = points[0]\nholder = {'p': points}")
    points.ok("%%parallel\nxs = [p.x for p in points]")
    assert points["also"] is points["points"] and points["first"] is points["points"][0]
    assert not firn.is_frozen(points["holder"]) and points["holder"]["p"] is points["points"]
    assert isinstance(points["first"], points["Point"]) and points.ok("first.norm()") == 0


def test_a_change_says_the_way_out(points: Any) -> None:
    points.ok("%%parallel\nxs = [p.x for p in points]")
    for change in ("points[3].x = 1", "points[3].move(1)", "del points[3].x", "points[3].new = 2", "points.append(1)"):
        error = points.fails(change)
        assert type(error) is TypeError and "points" in str(error) and "firn.thaw(points)" in str(error)
    points.ok("points = firn.thaw(points)\npoints[3].move(1)")
    assert points["points"][3].x == 4 and type(points["points"][3]) is points["Point"]


def test_methods_read_the_notebooks_variables_unless_their_class_is_frozen(notebook: Any) -> None:
    notebook.ok(
        "import firn\nk = 1\n"
        "class Open:\n    def get(self): return k\n"
        "@firn.frozen\nclass Sealed:\n    def get(self): return k\n"
        "pairs = [(Open(), Sealed()) for _ in range(100)]"
    )
    for k in (1, 2, 3):
        notebook.ok(f"k = {k}")
        notebook.ok("%%parallel\nseen = [(a.get(), b.get()) for a, b in pairs]")
        assert set(notebook["seen"]) == {(k, 1)}
        assert notebook["pairs"][0][0].get() == k and notebook["pairs"][0][1].get() == 1


def test_new_instances_are_the_notebooks(points: Any) -> None:
    points.ok("%%parallel\nmade = [Point(p.y, [p]) for p in points]")
    made = points["made"]
    assert all(type(one) is points["Point"] for one in made)
    assert made[8].x == 1 and made[8].y[0] is points["points"][8]
    made[8].x = 5
    made[8].y.append(1)


def test_copy_leaves_the_notebooks_own(points: Any) -> None:
    own = points["points"]
    points.ok("%%parallel --copy points\nxs = [p.x for p in points]")
    assert points["points"] is own and not firn.is_frozen(own)
    own[0].x = 5


@pytest.mark.parametrize(
    "body",
    [
        "    p.x = 1", "    p.x += 1", "    del p.x", "    points[0].x = p.y", "    stats.add(p.x)", "    stats.n += 1",
        "    setattr(p, 'x', 2)", "    p.__dict__.update(x=1)",
    ],
)  # fmt: skip
def test_changes_that_the_analysis_sees_are_refused(points: Any, body: str) -> None:
    points.ok("class Stats:\n    n = 0\n    def add(self, x): self.n += x\nstats = Stats()")
    error = points.fails(f"%%parallel\nfor p in points:\n{body}")
    assert type(error).__name__ == "Refused" or "would be lost" in str(error)
    assert not firn.is_frozen(points["points"]) and points["points"][0].x == 0


@pytest.mark.parametrize("body", ["p.move(1)", "shift(p)", "Point.move(p, 1)"])
def test_changes_that_it_does_not_see_raise(points: Any, body: str) -> None:
    points.ok("def shift(p): p.x = 5")
    error = points.fails(f"%%parallel\nout = [{body} for p in points]")
    assert type(error) is TypeError and "frozen" in str(error)
    assert "out" not in points and [p.x for p in points["points"]] == list(range(1000))


STATES = """
from collections import deque
from types import SimpleNamespace
class Jobs(deque): pass
class Owner:
    def __init__(self):
        self.jobs, self.state = Jobs(range(50)), SimpleNamespace(n=0, seen=[1])
    def take(self):
        jobs = self.jobs
        return jobs.pop()
    def tick(self):
        state = self.state
        state.n += 1
        return state.n
    def read(self): return len(self.jobs) + self.state.n
class Stated:
    def __init__(self): self.n = 0
    def __getstate__(self): return dict(self.__dict__)
    def poke(self, x):
        setattr(self, "n", x + 1)
        return x
def push(owner, x):
    owner.jobs.append(x)
owner, owners, stated = Owner(), [Owner()], [Stated()]
"""


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("owner.take()", "a Jobs"), ("owners[0].take()", "a Jobs"), ("push(owner, x)", "a Jobs"), ("owner.tick()", "a SimpleNamespace"),
        ("stated[0].poke(x)", "a Stated"),
    ],
)  # fmt: skip
def test_changes_of_what_a_worker_makes_of_frozen_data_are_found(notebook: Any, change: str, what: str) -> None:
    notebook.ok(STATES)
    notebook.ok("%%parallel\nbefore = [(owner.read(), owners[0].read(), stated[0].n) for x in range(4)]")
    error = notebook.fails(f"%%parallel\nout = [{change} for x in range(40)]")
    assert type(error).__name__ == "LostEffect" and f"changes {what} in the notebook's data" in str(error)
    assert "out" not in notebook
    # No worker goes on with what is changed.
    notebook.ok("%%parallel --chunk 1\nafter = [(owner.read(), owners[0].read(), stated[0].n) for x in range(8)]")
    assert notebook["after"] == [(50, 50, 0)] * 8 and notebook["before"] == [(50, 50, 0)] * 4
    assert notebook.ok("owner.read(), owners[0].read(), stated[0].n") == (50, 50, 0)


def test_a_method_that_is_put_in_is_never_stale(points: Any) -> None:
    points.ok("%%parallel\na = [p.norm() for p in points]")
    points.ok("Point.norm = lambda self: -self.x")
    points.ok("%%parallel\nb = [p.norm() for p in points]")
    assert points["b"] == [-x for x in range(1000)]


def test_instances_keep_their_class_when_it_is_defined_again(points: Any) -> None:
    points.ok("%%parallel\na = [p.norm() for p in points]")
    points.ok("class Point:\n    def __init__(self, x): self.x = x\n    def norm(self): return 'new'\nnew = [Point(1)]")
    points.ok("%%parallel\nb = [(p.norm(), isinstance(p, Point)) for p in [points[2], new[0]]]")
    assert points["b"] == [(8, False), ("new", True)]


def test_what_methods_read_is_frozen_with_them(points: Any) -> None:
    points.ok("table = {'k': [1, 2]}\nPoint.look = lambda self: table['k'][self.x % 2]")
    points.ok("%%parallel\nout = [p.look() for p in points]")
    assert points["out"] == [1, 2] * 500 and firn.is_frozen(points["table"])
    points.ok("table = {'k': [5, 6]}")
    points.ok("%%parallel\nout = [p.look() for p in points]")
    assert points["out"] == [5, 6] * 500


def test_members_of_enums_come_back_as_themselves(notebook: Any) -> None:
    notebook.ok(
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\nrows = [(Color.RED, 1), (Color.BLUE, 2)] * 50"
    )
    notebook.ok("%%parallel\nreds = [c for c, n in rows if c is Color.RED]\nnames = [Color(n) for c, n in rows]")
    color = notebook["Color"]
    assert len(notebook["reds"]) == 50 and all(one is color.RED for one in notebook["reds"])
    assert notebook["names"] == [color.RED, color.BLUE] * 50 and notebook["names"][1] is color.BLUE


def test_exceptions_with_instances(points: Any) -> None:
    points.ok("class Bad(Exception): pass")
    error: Any = points.fails("%%parallel\nfor p in points:\n    if p.x == 700: raise Bad(p, [p.y])")
    assert type(error) is points["Bad"] and error.args[0] is points["points"][700] and error.args[1] == [0]


def test_each_cells(points: Any) -> None:
    points.ok(
        "%%parallel --each --gather mine,made\nmine = [p for p in parallel.split(points)]\nmade = Point(parallel.rank, mine[0])"
    )
    found = points["points"]
    assert [one is other for part in points["mine"] for one, other in zip(part, found, strict=False)][:500] == [
        True
    ] * 500
    assert [one.x for one in points["made"]] == [0, 1] and all(type(one) is points["Point"] for one in points["made"])
    assert points["made"][0].y is found[0]


def test_instances_made_by_each_cells_stay_in_their_workers(points: Any) -> None:
    points.ok("%parallel reset")
    points.ok("%%parallel --each\nclass Own:\n    def __init__(self, n): self.n = n\nown = Own(parallel.rank)")
    points.ok("%%parallel --each --gather n\nn = (own.n, type(own).__name__)")
    assert points["n"] == [(0, "Own"), (1, "Own")]


def test_a_class_of_the_loops_body(notebook: Any) -> None:
    notebook.ok("def make(x):\n    class Own:\n        def __init__(self, n): self.n = n\n    return Own(x)")
    notebook.ok("%%parallel\nns = [make(x).n for x in range(10)]\nmade = [make(x) for x in range(3)]")
    assert notebook["ns"] == list(range(10)) and [one.n for one in notebook["made"]] == [0, 1, 2]


def test_freezing_in_workers(points: Any) -> None:
    points.ok(
        "def work(p):\n    q = firn.freeze(Point(p.x, [p]))\n    return q.norm is not None, firn.is_frozen(q), q.y[0] is p, q"
    )
    points.ok("%%parallel\nout = [work(p) for p in points[:20]]")
    assert [one[:3] for one in points["out"]] == [(True, True, True)] * 20
    assert [one[3].x for one in points["out"]] == list(range(20))


def test_an_unfreezable_class_crosses_as_copies(notebook: Any) -> None:
    notebook.ok(
        "import firn\n@firn.unfreezable\nclass C:\n    def __init__(self, n): self.n = n\ncs = [C(n) for n in range(50)]"
    )
    notebook.ok("%%parallel\nhits = [c for c in cs if c.n % 2]")
    cs = notebook["cs"]
    assert not firn.is_frozen(cs) and [item.how for item in notebook.report.shared] == ["copied"]
    assert all(hit is cs[hit.n] for hit in notebook["hits"]) and len(notebook["hits"]) == 25


def test_a_frozen_instance_is_changed_later_in_the_cell(points: Any) -> None:
    points.ok("%%parallel\nout = [p.x for p in points]\npoints[0].x = -1")
    assert points["points"][0].x == -1 and not firn.is_frozen(points["points"]) and points["out"][0] == 0


def test_an_instance_behind_a_method_stays_the_notebooks(notebook: Any) -> None:
    notebook.ok(
        "class Model:\n    def __init__(self): self.w = 2\n    def predict(self, x): return self.w * x\nmodel = Model()"
    )
    notebook.ok("predict = model.predict")
    notebook.ok("%%parallel\nout = [predict(x) for x in range(10)]")
    assert notebook["out"] == [2 * x for x in range(10)] and not firn.is_frozen(notebook["model"])
    notebook.ok("model.w = 3")
    notebook.ok("%%parallel\nout = [predict(x) for x in range(10)]")
    assert notebook["out"] == [3 * x for x in range(10)]


def test_instances_of_a_modules_class(notebook: Any) -> None:
    notebook.ok(
        "import types, argparse\nrows = [types.SimpleNamespace(n=n) for n in range(9)] + [argparse.Namespace(n=9)]"
    )
    notebook.ok("%%parallel\nns = [r.n for r in rows]")
    assert notebook["ns"] == list(range(10))


def test_functions_in_data_and_frozen_ones(notebook: Any) -> None:
    notebook.ok(
        "import firn\nrate = [3]\ntable = {'f': lambda x: x * rate[0]}\n@firn.frozen\ndef g(x): return x + rate[0]\nrate = [5]"
    )
    notebook.ok("%%parallel\nout = [(table['f'](x), g(x)) for x in range(6)]")
    assert notebook["out"] == [(x * 5, x + 3) for x in range(6)]
