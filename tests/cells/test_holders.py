"""What holds parts of what a cell freezes: it holds the frozen forms afterwards, and `is` and `in` say what they said."""

from typing import Any

import firn
import pytest

NODES = """
from collections import OrderedDict, defaultdict, deque
class Node:
    def __init__(self, n): self.n, self.next = n, None
nodes = [Node(n) for n in range(40)]
for a, b in zip(nodes, nodes[1:]): a.next = b
"""
FREEZE = "%%parallel\nnumbers = [getattr(node, 'n', 0) for node in nodes]"


@pytest.fixture
def nodes(notebook: Any) -> Any:
    notebook.ok(NODES)
    return notebook


HELD = {
    "some = nodes[3:6]": "some[0] is nodes[3]",
    "some = {nodes[3], nodes[5]}": "nodes[3] in some and nodes[4] not in some and len(some) == 2",
    "some = {'a': nodes[3]}": "some['a'] is nodes[3]",
    "some = {nodes[n]: n for n in range(5)}": "some[nodes[3]] == 3 and list(some.values()) == [0, 1, 2, 3, 4]",
    "some = deque(nodes[:5], maxlen=7)": "some[3] is nodes[3] and some.maxlen == 7",
    "some = defaultdict(list)\nfor node in nodes: some[node.n % 3].append(node)": "some[1][1] is nodes[4] and some[7] == []",
    "some = OrderedDict((node.n, node) for node in nodes)": "some[3] is nodes[3]",
    "some = nodes[3], 'x'": "some[0] is nodes[3]",
    "some = [(1, nodes[1]), (2, (nodes[2], 3))]\nsame = some[1]": "some[1][1][0] is nodes[2] and some[1] is same",
    "some = {'a': [{'b': (nodes[3],)}]}": "some['a'][0]['b'][0] is nodes[3]",
    "class Index: pass\nsome = Index()\nsome.best, some.all = nodes[3], nodes": "some.best is nodes[3] and some.all is nodes",
    "class Index:\n    __slots__ = ('best', 'none')\nsome = Index()\nsome.best = nodes[3]": "some.best is nodes[3]",
    "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Pair:\n    a: object\nsome = Pair(nodes[3])": (
        "some.a is nodes[3]"
    ),
    "from pathlib import Path\nnodes.append((Path('a'), nodes[3]))\nsome = {'a': nodes[-1]}\nother = nodes[-1]": (
        "some['a'] is nodes[-1] is other and some['a'][1] is nodes[3]"
    ),
    "some = [nodes]\nsome.append(some)": "some[0] is nodes and some[1] is some",
}


@pytest.mark.parametrize("made", HELD)
def test_it_holds_the_frozen_forms(nodes: Any, made: str) -> None:
    nodes.ok(made)
    assert nodes.ok(HELD[made]) is True
    before = nodes["some"]
    nodes.ok(FREEZE)
    assert firn.is_frozen(nodes["nodes"]) and nodes.ok(HELD[made]) is True
    if type(before) is not tuple:
        assert nodes["some"] is before and not firn.is_frozen(before)
    # Also when it is frozen in its turn.
    nodes.ok(f"%%parallel\nfound = [{HELD[made]} for _ in range(20)]")
    assert nodes["found"] == [True] * 20


def test_the_report_says_so(nodes: Any) -> None:
    nodes.ok("some, other, apart = nodes[3:6], {'a': nodes[3]}, [1, [2]]")
    nodes.ok(FREEZE)
    note = "other, some held some of what was frozen, and now hold the frozen objects"
    assert note in str(firn.last_report())
    nodes.ok("%%parallel\nnumbers = [node.n for node in some]")
    assert "held" not in str(firn.last_report())


def test_a_change_through_it_is_refused_not_lost(nodes: Any) -> None:
    nodes.ok("some = {'a': nodes[3]}")
    nodes.ok(FREEZE)
    error = nodes.fails("some['a'].n = 5")
    assert type(error) is TypeError and "firn.thaw" in str(error)
    nodes.ok("some['b'] = 1")


def test_what_is_copied_is_left_alone(nodes: Any) -> None:
    nodes.ok("some = {'a': nodes[3]}")
    nodes.ok("%%parallel --copy nodes\nnumbers = [node.n for node in nodes]")
    nodes.ok("some['a'].n = 5")
    assert nodes.ok("some['a'] is nodes[3] and nodes[3].n == 5") is True


def test_a_cell_that_fails_changes_nothing(nodes: Any) -> None:
    nodes.ok("import threading\nsome, lock = {'a': nodes[3]}, threading.Lock()")
    nodes.fails("%%parallel\nfor node in nodes:\n    with lock: node.n")
    assert nodes.ok("some['a'] is nodes[3] and not firn.is_frozen(nodes)") is True


def test_no_reference_to_an_original_is_left(nodes: Any) -> None:
    """Otherwise they would stay in memory beside the frozen ones."""
    nodes.ok(
        "import weakref\nsome = [nodes[3:30], {'a': (nodes[5],)}]\nseen = weakref.WeakSet(nodes)\ndel a, b\n"
        "assert len(seen) == 40"
    )
    nodes.ok(FREEZE)
    nodes.ok("import gc\ngc.collect()")
    assert nodes.ok("len(seen)") == 0


KEYED = """
from collections import Counter
class Valued:
    def __init__(self, n): self.n = n
    def __hash__(self): return hash(self.n)
    def __eq__(self, other): return self.n == other.n
class Counting(Valued):
    looked = 0
    def __hash__(self):
        self.looked += 1
        return hash(self.n)
nodes = [{kind}(n) for n in range(20)]
some, table, tally = set(nodes), dict.fromkeys(nodes, 1), Counter(nodes)
order = [[node.n for node in one] for one in (some, table, tally)]
walk = iter(table)
first = next(walk).n
"""


def test_containers_keep_their_order_and_their_iterators(notebook: Any) -> None:
    notebook.ok(KEYED.replace("{kind}", "Valued"))
    notebook.ok(FREEZE)
    assert notebook.ok(
        "[[node.n for node in one] for one in (some, table, tally)] == order and set(tally.values()) == {1}"
    )
    assert notebook.ok("all(node in some and table[node] == 1 for node in nodes)") is True
    assert notebook.ok("{id(node) for node in some} == {id(node) for node in nodes}") is True
    assert notebook.ok("[first] + [node.n for node in walk] == list(range(20))") is True


def test_nothing_is_lost_where_a_key_does_not_tell_its_hash(notebook: Any) -> None:
    notebook.ok(KEYED.replace("{kind}", "Counting"))
    notebook.ok(FREEZE)
    assert notebook.ok("[[node.n for node in one] for one in (some, table, tally)] == order") is True


def test_it_is_found_beside_large_data(nodes: Any) -> None:
    nodes.ok("a = [[n] for n in range(100_000)]\nclass App: pass\nsome = App()\nsome.nodes = nodes")
    nodes.ok(FREEZE)
    assert nodes.ok("some.nodes is nodes") is True


def test_tuples_in_each_other(nodes: Any) -> None:
    nodes.ok("some = None\nfor n in range(2000): some = nodes[n % 40], some")
    nodes.ok(FREEZE)
    assert nodes.ok("some[0] is nodes[39] and some[1][0] is nodes[38]") is True


CODE = {
    "a class attribute": "class City:\n    FIELDS = ('name', [1])\n    def __init__(self, n): self.n = n\n",
    "a default": "class City:\n    def __init__(self, n, kinds=[1, (2,)]): self.n = n\n",
    "a default that is an instance": (
        "class Way:\n    def __init__(self): self.parts = [1]\n"
        "class City:\n    def __init__(self, n, way=Way()): self.n = n\n"
    ),
    "a closure": (
        "def make():\n    seen = [1]\n    class City:\n        def __init__(self, n): self.n = n\n"
        "        def look(self): return len(seen)\n    return City\nCity = make()\n"
    ),
}


@pytest.mark.parametrize("code", CODE)
def test_what_code_holds_does_not_hinder_it(notebook: Any, code: str) -> None:
    notebook.ok(CODE[code] + "cities = [City(n) for n in range(9)]\nsome, by = {cities[3]}, {3: cities[3]}")
    notebook.ok("%%parallel --quiet\nnumbers = [city.n for city in cities]")
    assert notebook.ok("[city.n for city in cities if city in some], by[3] is cities[3]") == ([3], True)
    error = notebook.fails("by[3].n = 5")
    assert isinstance(error, TypeError) and "frozen" in str(error)


def test_what_code_holds_stays_what_it_is(notebook: Any) -> None:
    notebook.ok(
        "class C:\n    known = {'a': [1]}\n    def __init__(self, n): self.n = n\n    def look(self): return self.known['a'][0] + self.n"
    )
    notebook.ok(
        "inner, outer, all_, rows = C.known['a'], [C.known['a']], C.known, [C(n) for n in range(5)]\nsome = {rows[1]}"
    )
    notebook.ok("%%parallel --quiet\nfound = [row.look() for row in rows]")
    assert notebook.ok("inner is outer[0] is C.known['a'] is all_['a'] and rows[1] in some") is True
    notebook.ok("inner.append(2); all_['b'] = 3; outer[0][0] = 10")
    notebook.ok("%%parallel --quiet\nfound = [row.look() for row in rows]")
    assert notebook["found"] == [10, 11, 12, 13, 14] and notebook.ok("C.known") == {"a": [10, 2], "b": 3}


OVER = {
    "nodes[:5]": [0, 1, 2, 3, 4],
    "sorted(nodes, key=lambda node: -node.n)": [*range(39, -1, -1)],
    "list(nodes)": [*range(40)],
    "(node for node in nodes if node.n % 2)": [*range(1, 40, 2)],
    "iter(nodes)": [*range(40)],
    "nodes + nodes": [*range(40), *range(40)],
    "itertools.chain(nodes[:2], nodes[30:])": [0, 1, *range(30, 40)],
    "shelf.rows": [*range(40)],
    "shelf": [*range(40)],
    "{node.n: node for node in nodes}.values()": [*range(40)],
    "map(lambda node: node, nodes)": [*range(40)],
}


@pytest.mark.parametrize("over", OVER)
def test_so_it_is_with_what_a_loop_makes_to_run_over(nodes: Any, over: str) -> None:
    nodes.ok(
        "import itertools\nclass Shelf:\n    def __init__(self, rows): self.rows = [*rows]\n"
        "    def __iter__(self): return iter(self.rows)\nshelf = Shelf(nodes)\nsome, by = {*nodes[:7]}, {node.n: node for node in nodes}"
    )
    nodes.ok(f"%%parallel --quiet\nfound = [node for node in {over} if node in some or node.n > 6]")
    assert nodes.ok("[node.n for node in found]") == OVER[over]
    assert nodes.ok("all(by[node.n] is nodes[node.n] is node and node in found for node in found)") is True
    assert (
        nodes.ok("all(by[n] is nodes[n] is shelf.rows[n] and (n > 6 or nodes[n] in some) for n in range(40))") is True
    )
    nodes.ok("by[99] = 1; shelf.rows.append(6)")  # they themselves are not frozen


def test_rows_of_an_expression_are_the_rows_of_the_notebook(notebook: Any) -> None:
    notebook.ok("rows = [{'n': n, 't': 'x', 'all': []} for n in range(10)]")
    notebook.ok("%%parallel --quiet\ntop = [r for r in sorted(rows, key=lambda r: -r['n'])[:3]]")
    assert notebook.ok("top[0] is rows[9] and [r['n'] for r in top] == [9, 8, 7]") is True
    assert isinstance(notebook.fails("rows[9]['t'] = 'changed'"), TypeError)
    notebook.ok("rows[2]['t'] = 'changed'")


SHARING = (
    "users = [{'id': n} for n in range(40)]\nby_id = {u['id']: u for u in users}\nsizes = [[n] for n in range(5)]\n"
)
COUNT = "n = sum(1 for u in users if by_id[u['id']] is u and sizes)"


@pytest.mark.parametrize("head", ["%%parallel", "%%parallel --copy users"])
def test_what_shares_objects_with_a_copied_variable_is_copied_with_it(notebook, head):
    notebook.ok(SHARING)
    later = "" if "--copy" in head else "\nusers.append({'id': 50})"
    notebook.ok(f"{head}\n{COUNT}{later}")
    assert notebook["n"] == 40
    shared = {item.name: item.how for item in notebook.report.shared}
    assert shared["users"] == shared["by_id"] == "copied"
    notebook.ok("users[3]['name'] = 'x'")
    assert notebook["by_id"][3] == {"id": 3, "name": "x"} and notebook["by_id"][3] is notebook["users"][3]


def test_also_where_only_a_later_loop_reads_it(notebook):
    notebook.ok(SHARING)
    notebook.ok("%%parallel\na = [u['id'] for u in users]\nb = [by_id[n]['id'] for n in range(40)]\nusers.append({})")
    assert notebook["a"] == notebook["b"] == [*range(40)]
    notebook.ok("users[3]['name'] = 'x'")
    assert notebook["by_id"][3] == {"id": 3, "name": "x"}


def test_what_shares_nothing_is_frozen(notebook):
    notebook.ok(f"{SHARING}by_id = {{u['id']: dict(u) for u in users}}")
    notebook.ok(f"%%parallel\n{COUNT.replace(' is ', ' == ')}\nusers.append({{'id': 50}})")
    assert notebook["n"] == 40
    assert {item.name: item.how for item in notebook.report.shared} == {
        "users": "copied",
        "by_id": "frozen",
        "sizes": "frozen",
    }


@pytest.mark.parametrize("before", ["", COUNT + "\n"])
def test_a_result_holds_the_very_object_of_a_copied_variable(notebook, before):
    notebook.ok(SHARING)
    notebook.ok(f"%%parallel\n{before}found = [by_id[u['id']] for u in users]\nusers.append({{'id': 50}})")
    assert not firn.is_frozen(notebook["by_id"]) and len(notebook["users"]) == 41
    for found, user in zip(notebook["found"], notebook["users"], strict=False):
        assert found is user is notebook["by_id"][user["id"]]
