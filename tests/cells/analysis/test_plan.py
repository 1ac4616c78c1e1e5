"""Plans of whole cells: notes, what must be copied, names, lines, and merging."""

import ast
import copy
import functools
import marshal
import traceback
from collections import Counter, defaultdict, deque
from typing import Any

import pytest
from firn.analysis import CellPlan, Refusal, analyze
from firn.analysis.chunk import define
from firn.analysis.plan import Depth, SplitLoop


def plan(code: str, **namespace: Any) -> CellPlan:
    return analyze(ast.parse(code), source=code, filename="<cell 7>", namespace=namespace)


def effects(loop: SplitLoop, items: list[Any], **namespace: Any) -> Any:
    return define(marshal.loads(marshal.dumps(loop.code)), namespace)(iter(items), 0)


def refusal(code: str, **namespace: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        plan(code, **namespace)
    return caught.value


def test_the_tree_that_was_given_stays_as_it_is() -> None:
    tree = ast.parse("out = []\nfor x in xs:\n    out.append([y for y in x])\nz = [x for x in xs]")
    before = ast.dump(tree, include_attributes=True)
    analyze(tree, source="", filename="c", namespace={"xs": []})
    assert ast.dump(tree, include_attributes=True) == before


def test_the_rewritten_cell() -> None:
    found = plan("total = 0\nfor x in xs:\n    total += x\nprint(max((x for x in xs), default=1))")
    assert ast.unparse(found.module) == (
        "total = 0\n__firn__.split(0, xs)\nprint(max(__firn__.split(1, xs), default=1))"
    )
    assert [(loop.index, loop.lineno, loop.what, loop.source) for loop in found.loops] == [
        (0, 2, "for loop", "for x in xs:"),
        (1, 4, "max", "print(max((x for x in xs), default=1))"),
    ]


def test_names_are_what_the_chunk_reads_from_the_notebook() -> None:
    found = plan("out = []\nfor x in xs:\n    y = f(x) + math.pi + len(table)\n    out.append(y)")
    assert found.loops[0].names == {"f", "math", "len", "table"}
    assert found.loops[0].read == {"f", "math", "len", "table", "xs"}
    assert found.loops[0].changed == {"out"}
    assert found.loops[0].classes == {
        "f": "broadcast", "math": "broadcast", "table": "broadcast",
        "x": "loop", "y": "temporary", "out": "output",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("a = 1", "no top-level loop or comprehension"),
        ("def f(xs):\n    return [x for x in xs]", "line 1: the loops of the function 'f' were left serial"),
        ("while True:\n    [x for x in xs]\n    break", "line 1: the loops inside 'while'"),
        ("g = (x for x in xs)", "line 1: a generator expression was left serial"),
        ("try:\n    for x in xs: print(x)\nfinally:\n    pass", "line 2: a 'for' loop inside 'try'"),
        ("with a():\n    for x in xs: print(x)", "line 2: a 'for' loop inside 'with'"),
    ],
)
def test_why_nothing_was_split(code: str, note: str) -> None:
    found = plan(code)
    assert not found.loops
    assert note in found.notes[0]


@pytest.mark.parametrize(
    ("later", "names"),
    [
        ("rows.append(1)", {"rows"}),
        ("rows[0] = 1", {"rows"}),
        ("rows[0]['k'].update(a=1)", {"rows"}),
        ("rows += [1]", {"rows"}),
        ("other = rows\nother.pop()", {"rows"}),
        ("def f():\n    for row in rows: row['k'] = 1\nf()", {"rows"}),
        ("import heapq\nheapq.heapify(rows)", {"rows"}),
        ("if rows:\n    rows.sort()", {"rows"}),
        ("big = [r for r in rows if r in table]\ntable.clear()", {"table"}),
        ("rows = []", set()),
        ("print(rows.index(1))", set()),
        ("sorted(rows)", set()),
    ],
)
def test_what_a_later_statement_changes_is_copied(later: str, names: set[str]) -> None:
    assert plan("ys = [r for r in rows]\n" + later).mutated_later == names


@pytest.mark.parametrize(
    ("later", "besides"),
    [
        ("for n in nodes: n.n += 1", {"n": Depth.ATTRIBUTES, "nodes": Depth.BELOW}),
        ("log.append(len(ys))", {"log": Depth.ITEMS}),
        ("state.total = len(ys)", {"state": Depth.ATTRIBUTES}),
        ("state.total += len(ys)", {"state": Depth.ATTRIBUTES}),
        ("state.rows += [1]", {"state": Depth.BELOW}),
        ("state['rows'] += [1]", {"state": Depth.BELOW}),
        ("state['n'] += 1", {"state": Depth.ITEMS}),
        ("state.total['a'] = len(ys)", {"state": Depth.BELOW}),
        ("first = nodes[0]\nfirst.n = 1", {"first": Depth.ATTRIBUTES, "nodes": Depth.BELOW}),
        ("ys.sort()", {}),
        ("for ys in nodes: ys.n = 1", {"ys": Depth.ATTRIBUTES, "nodes": Depth.BELOW}),
        ("ys[0].n = 1", {"ys": Depth.BELOW}),
        ("rows.append(1)", {}),
        ("print(nodes)", {}),
    ],
)
def test_what_else_a_later_statement_changes(later: str, besides: dict[str, Depth]) -> None:
    assert plan("ys = [r for r in rows]\n" + later).loops[0].besides == besides


def test_what_is_changed_between_two_loops_is_of_the_first_one_alone() -> None:
    found = plan("ys = [r for r in rows]\nlog.append(1)\nzs = [x for x in log]")
    assert [loop.besides for loop in found.loops] == [{"log": Depth.ITEMS}, {}]


def test_what_an_earlier_statement_changes_is_not() -> None:
    assert plan("rows.append(1)\nys = [r for r in rows]").mutated_later == set()


def test_spmd_cells() -> None:
    assert plan("print(parallel.rank)").uses_parallel
    assert plan("for x in parallel.split(xs):\n    prev = x + prev").uses_parallel
    assert not plan("parallel = make()\nprint(parallel.rank)").uses_parallel
    assert not plan("print(parallel.rank)", parallel=object()).uses_parallel
    assert not plan("print(parallel.other)").uses_parallel


def test_tracebacks_show_the_lines_of_the_cell() -> None:
    found = plan("out = []\nfor x in xs:\n    y = 1\n    if x:\n        y = 1 // (x - 1)\n    out.append(y)")
    with pytest.raises(ZeroDivisionError) as caught:
        effects(found.loops[0], [0, 1])
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.name) == ("<cell 7>", 5, "<module>")


def test_the_failing_iteration_is_known_without_a_counter() -> None:
    found = plan("n = 0\nfor x in xs:\n    n += 1 // x")
    items = iter([1, 1, 0, 1])
    chunk = define(found.loops[0].code, {})
    with pytest.raises(ZeroDivisionError):
        chunk(items, 0)
    assert items.__length_hint__() == 1


def test_any_is_decided_by_a_chunk() -> None:
    [loop] = plan("found = any(x for x in xs)").loops
    chunks = [effects(loop, [0, 0]), effects(loop, [1]), effects(loop, [0])]
    assert [loop.decided(part) for part in chunks] == [False, True, False]
    assert loop.finish(chunks, {}) is True


def test_nothing_is_merged_when_a_merge_fails() -> None:
    [loop] = plan("for w in ws:\n    out.append(w)\n    n += len(w)\n    d[w] += 1", out=[], n=0, d={}).loops
    namespace: dict[str, Any] = {"out": [], "n": 0, "d": {"a": 1}, "w": "old"}
    with pytest.raises(KeyError):
        loop.finish([effects(loop, ["a", "b"])], namespace)
    assert namespace == {"out": [], "n": 0, "d": {"a": 1}, "w": "old"}


def test_what_a_variable_is_now_is_checked_again() -> None:
    [loop] = plan("for x in xs:\n    out.append(x)").loops
    loop.check({"out": []})
    loop.check({"out": deque()})
    with pytest.raises(Refusal, match="'out' is a tuple"):
        loop.check({"out": ()})
    xs: list[int] = []
    with pytest.raises(Refusal, match="one object"):
        loop.check({"out": xs, "xs": xs}, xs)
    [loop] = plan("n = sum(x for x in xs)").loops
    loop.check({})
    with pytest.raises(Refusal, match="'sum' was rebound"):
        loop.check({"sum": max})


@pytest.mark.parametrize(
    ("statement", "value", "ok"),
    [
        ("v.add(x)", set(), True),
        ("v.add(x)", frozenset(), False),
        ("v[x] += 1", Counter(), True),
        ("v[x] += 1", defaultdict(int), True),
        ("v[x] += 1", (), False),
        ("v[x].append(1)", defaultdict(list), True),
        ("v.setdefault(x, []).append(1)", {}, True),
        ("v.setdefault(x, []).append(1)", [], False),
        ("v.extend([x])", [], True),
        ("v.extend([x])", {}, False),
    ],
)
def test_kinds_of_containers(statement: str, value: Any, ok: bool) -> None:
    [loop] = plan(f"for x in xs:\n    {statement}").loops
    if ok:
        loop.check({"v": value})
    else:
        with pytest.raises(Refusal, match="'v'"):
            loop.check({"v": value})


def test_in_a_try_only_what_cannot_fail_later() -> None:
    code = "for w in ws:\n    try:\n        total += int(w)\n    except ValueError:\n        pass"
    [loop] = plan(code).loops
    loop.check({"total": 0.5})
    with pytest.raises(Refusal, match="'total' is a list"):
        loop.check({"total": []})
    [loop] = plan("for w in ws:\n    try:\n        d[w] += 1\n    except KeyError:\n        pass").loops
    loop.check({"d": Counter()})
    with pytest.raises(Refusal):
        loop.check({"d": {}})


LOOP = "for x in xs:\n    {}"


@pytest.mark.parametrize(
    ("body", "value", "parts"),
    [
        ("g.setdefault(x, []).append(x)", {}, 1),
        ("g[x].add(-x)", defaultdict(set), 1),
        ("g[x] += 1", Counter(), 1),
        ("g[x] += x", Counter({4: 0.5}), 1),
        ("g[x] = g.get(x, 0.5) + x", {}, 1),
        ("g[x] -= x", defaultdict(int, {2: 0.1}), 1),
        ("g.update([x, x])", Counter(a=1), 1),
        ("g[x] += x / 2", Counter(), 4),
        ("g.append(x)", [], 4),
        ("g[(x, (1,))] += 1", Counter(), 4),
    ],
)
def test_neighbours_effects_are_gathered_by_form(body: str, value: Any, parts: int) -> None:
    """What can be joined while workers run is, beside what cannot, and the result is the same."""
    [loop] = plan(LOOP.format(f"{body}\n    last = x\n    odd[x / 3] += 1"), g=value).loops
    chunks = [effects(loop, items) for items in ([3, 4], [4, 3, 1], [], [2, 4])]
    [apart, together] = [{"g": copy.deepcopy(value), "odd": Counter()} for _ in range(2)]
    loop.finish(copy.deepcopy(chunks), apart)
    found = functools.reduce(loop.gathered, chunks)
    assert [len(form) for form in found[1:]] == [parts, 4]
    loop.finish([found], together)
    assert repr(together) == repr(apart) and together["last"] == 4


def test_a_gathered_float_key_does_not_pass_for_an_index() -> None:
    [loop] = plan(LOOP.format("bins[x] += 1")).loops
    found = functools.reduce(loop.gathered, [effects(loop, [1]), effects(loop, [1.0])])
    with pytest.raises(TypeError, match="indices"):
        loop.finish([found], {"bins": [0, 0]})


def test_effects_are_plain_data() -> None:
    code = (
        "for i, x in enumerate(xs):\n"
        "    n += x\n    m = max(m, x)\n    out.append(x)\n    s.add(x)\n    d[x] = i\n    c[x] += 1\n    g[x].append(i)\n"
        "    if x > best: best, who = x, i\n"
    )
    [loop] = plan(code).loops
    found = effects(loop, list(enumerate([3, 1, 3])))

    def plain(value: Any) -> bool:
        if type(value) in (list, tuple):
            return all(map(plain, value))
        if type(value) is dict:
            return all(map(plain, value)) and all(map(plain, value.values()))
        return type(value) in (int, float, str, bytes, bool, type(None))

    assert plain(found)


@pytest.mark.parametrize(
    "code",
    [
        "for x in xs:\n    prev = prev + [x] if x else prev",
        "for x in xs:\n    out.append(len(out))",
        "for x in xs:\n    yield x",
        "for x in xs:\n    rows[0].k = x",
        "for __firn_x in xs:\n    pass",
        "for x in xs:\n    from math import *",
        "for x in xs:\n    type T = int",
        "for x in xs:\n    class C: pass",
        "for x in xs:\n    breakpoint()",
        "[vars() for x in xs]",
        "for x in xs:\n    if x: break\nelse:\n    out.append(0)",
        "for x in xs:\n    (out if x else rows).append(x)",
        "for x in xs:\n    (rows and out or prev).append(x)",
    ],
)
def test_refusals_say_where_why_and_what_instead(code: str) -> None:
    found = refusal(code, out=[], rows=[{}], prev=[])
    assert found.line in (1, 2)
    assert found.reason.endswith(".") and found.remedy.endswith(".")
    assert str(found) == f"line {found.line}: {found.reason} {found.remedy}"


def test_methods_of_the_notebooks_classes_count() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("class P:\n    def f(self):\n        return total\nps = [P()]", space)
    found = refusal("total = 0\nfor p in ps:\n    total += p.f()", **space)
    assert "f() reads the global 'total'" in found.reason


def test_functions_in_tables_count() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def f():\n    return x\ntable = {'f': [f]}", space)
    found = refusal("for x in xs:\n    print(table['f'][0]())", **space)
    assert found.name == "x" and found.line == 2


def test_values_of_earlier_cells_are_looked_at_before_anything_runs() -> None:
    found = refusal("print('never')\nfor x in xs:\n    out.append(x)", out=(), xs=[1])
    assert (found.line, found.name) == (3, "out")
    # What the cell itself binds is looked at when the loop starts.
    assert plan("out = list()\nfor x in xs:\n    out.append(x)", out=(), xs=[1]).loops
    assert refusal("ys = [next_of(it) for x in xs]", it=iter([1]), xs=[1], next_of=next).name == "it"
