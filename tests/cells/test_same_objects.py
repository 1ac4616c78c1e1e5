"""One object is one object in a worker and in the notebook, whichever ways it goes: frozen, in a copy, with a class or a
function. The serial cell's result each time, and again when the data is frozen already."""

from __future__ import annotations

import pytest

HEAD = """import xml.etree.ElementTree as ET
from types import SimpleNamespace
class Node:
    def __init__(self, n):
        self.n = n
nodes = [Node(i) for i in range(12)]
"""
ELEMENT = "'element': ET.Element('a')"  # cannot be frozen

CELLS = {
    "pairs in a copy, chosen ones frozen": (
        "pairs = [(node, ET.Element('a')) for node in nodes]\nchosen = {nodes[3], nodes[5]}",
        "[pair[0].n for pair in pairs if pair[0] in chosen]",
    ),
    "lists in a copy, some of them frozen": (
        f"rows = [{{'i': i, 'tags': [i], {ELEMENT}}} for i in range(12)]\nspecial = [rows[3]['tags'], rows[7]['tags']]",
        "[row['i'] for row in rows if any(row['tags'] is one for one in special)]",
    ),
    "keys": (
        f"weight = {{node: node.n for node in nodes}}\nrows = [{{'node': node, {ELEMENT}}} for node in nodes]",
        "[weight.get(row['node']) for row in rows]",
    ),
    "owners": (
        """class Document:
    def __init__(self, owner):
        self.element, self.owner = ET.Element('a'), owner
documents = [Document(nodes[i % 3]) for i in range(12)]""",
        "[nodes.index(document.owner) for document in documents]",
    ),
    "namespaces": (
        f"spaces = [SimpleNamespace(i=i) for i in range(4)]\nrows = [{{'in': spaces[i % 4], {ELEMENT}}} for i in range(12)]",
        "[[space is row['in'] for space in spaces] for row in rows]",
    ),
    "of a class": (
        """class Tree:
    def __init__(self, left=None):
        self.left = left or Tree.EMPTY
Tree.EMPTY = None
Tree.EMPTY = Tree()
def depth(tree):
    found = 0
    while tree is not Tree.EMPTY:
        tree, found = tree.left, found + 1
    return found
trees = [Tree(Tree()), Tree(), Tree(Tree(Tree()))] * 3""",
        "[depth(tree) for tree in trees]",
    ),
    "of a class that nothing needs": (
        "class Tree:\n    pass\nTree.first = nodes[2]\nsecond = Tree.first",
        "[(node is second) for node in nodes]",
    ),
    "sentinels of a class": (
        "class Cell:\n    EMPTY = object()\ncells = [[Cell.EMPTY, 1], [2, 3], [Cell.EMPTY, 2]] * 3",
        "[cell[0] is Cell.EMPTY for cell in cells]",
    ),
    "sentinels of a class, in a copy": (
        "class Cell:\n    EMPTY = object()\ncells = [[Cell.EMPTY, ET.Element('a')], [2, 3]] * 3",
        "[cell[0] is Cell.EMPTY for cell in cells]",
    ),
    "instances of a class, in a copy": (
        "class Cell:\n    EMPTY = Node(-1)\ncells = [[Cell.EMPTY, ET.Element('a')], [2, 3]] * 3",
        "[cell[0] is Cell.EMPTY for cell in cells]",
    ),
    "defaults": (
        "def is_third(node, third=nodes[3]):\n    return node is third",
        "[is_third(node) for node in nodes]",
    ),
    "keyword defaults": (
        "def is_third(node, *, third=nodes[3]):\n    return node is third",
        "[is_third(node) for node in nodes]",
    ),
    "methods' defaults": (
        "class Test:\n    @staticmethod\n    def is_third(node, third=nodes[3]):\n        return node is third",
        "[Test.is_third(node) for node in nodes]",
    ),
    "closures": (
        """def test(third):
    def is_third(node):
        return node is third
    return is_third
is_third = test(nodes[3])""",
        "[is_third(node) for node in nodes]",
    ),
    "functions' attributes": (
        "def is_third(node):\n    return node is is_third.third\nis_third.third = nodes[3]",
        "[is_third(node) for node in nodes]",
    ),
    "two closures": (
        """def make():
    miss = Node(-1)
    def get(i):
        return i if i % 2 else miss
    def is_miss(found):
        return found is miss
    return get, is_miss
get, is_miss = make()""",
        "[is_miss(get(i)) for i in range(12)]",
    ),
    "two classes": (
        "class One:\n    SHARED = Node(1)\nclass Other:\n    SHARED = One.SHARED",
        "[(One.SHARED is Other.SHARED, i) for i in range(12)]",
    ),
    "functions in data": (
        "table = {'is it': lambda node, third=nodes[3]: node is third}",
        "[table['is it'](node) for node in nodes]",
    ),
    "named tuples": (
        """from collections import namedtuple
Pair = namedtuple('Pair', 'node element')
pairs = [Pair(node, ET.Element('a')) for node in nodes]
chosen = {nodes[3], nodes[5]}""",
        "[pair.node.n for pair in pairs if pair.node in chosen]",
    ),
    "frozen sets of a class": (
        "class Chosen:\n    NODES = frozenset(nodes[:3])",
        "[node in Chosen.NODES for node in nodes]",
    ),
    "lists of a function": (
        "def is_chosen(node, chosen=nodes[:3]):\n    return node in chosen",
        "[is_chosen(node) for node in nodes]",
    ),
    "dicts of a closure": (
        """def weights():
    found = {node: node.n for node in nodes}
    def weight(node):
        return found.get(node)
    return weight
weight_of = weights()""",
        "[weight_of(node) for node in nodes]",
    ),
    "keys that hash what they hold": (
        """import dataclasses
from collections import Counter, OrderedDict
@dataclasses.dataclass(frozen=True)
class Edge:
    a: object
    b: object
edges = {Edge(a, b): a.n for a, b in zip(nodes, nodes[1:])}
seen, counts, in_order = set(edges), Counter(edges), OrderedDict(edges)
deep = {(edge, 1): n for edge, n in edges.items()}
one = next(iter(edges))""",
        "[[table.get(Edge(a, b)) for table in (edges, counts, in_order)] + [deep.get((Edge(a, b), 1)), Edge(a, b) in seen,"
        " one in edges, one in seen, len(seen | {one}), [*in_order.values()]] for a, b in zip(nodes, nodes[1:])]",
    ),
    "a registry": (
        """class Place:
    ALL = {}
    def __init__(self, n):
        self.n = n
        Place.ALL[n] = self
places = [Place(i) for i in range(12)]
def is_known(place, known=Place.ALL):
    return known[place.n] is place""",
        "[is_known(place) for place in places]",
    ),
    "variables with an underscore": (
        "_chosen = {nodes[3], nodes[5]}\n_third = nodes[3]",
        "[(node in _chosen, node is _third) for node in nodes]",
    ),
    "caches": (
        """import functools
@functools.lru_cache
def get(i):
    return nodes[i]
@functools.cache
def get_again(i):
    return nodes[i]
_ = [(get(i), get_again(i)) for i in range(12)]""",
        "[(get(node.n) is node, get_again(node.n) is node) for node in nodes]",
    ),
    "partial": (
        "import functools, operator\nis_third = functools.partial(operator.is_, nodes[3])",
        "[is_third(node) for node in nodes]",
    ),
    "bound methods": (
        """class Same:
    def __init__(self, node):
        self.node = node
    def test(self, node):
        return node is self.node
is_third = Same(nodes[3]).test""",
        "[is_third(node) for node in nodes]",
    ),
    "a class and a list in a copy": (
        f"class Model:\n    layers = [[1], [2]]\nrows = [{{'layer': Model.layers[i % 2], {ELEMENT}}} for i in range(12)]",
        "[[row['layer'] is layer for layer in Model.layers] for row in rows]",
    ),
}


def serial(notebook, setup: str, loop: str) -> object:
    notebook.ok(HEAD + setup)
    return notebook.ok(loop)


@pytest.mark.parametrize("name", CELLS)
def test_objects_stay_the_same(notebook, name):
    setup, loop = CELLS[name]
    expected = serial(notebook, setup, loop)
    notebook.ok(HEAD + setup)
    for _ in range(2):
        notebook.ok(f"%%parallel --chunk 2\nout = {loop}")
        assert notebook.report.way == "split" and notebook["out"] == expected
        assert notebook.ok(loop) == expected  # in the notebook, whose variables are bound to the frozen forms


@pytest.mark.parametrize("name", CELLS)
def test_also_where_data_is_copied(notebook, name):
    """Each variable is changed after the loop, and a frozen copy has a way back to it."""
    setup, loop = CELLS[name]
    expected = serial(notebook, setup, loop)
    notebook.ok(HEAD + setup)
    found = [name for name in ("nodes", "chosen", "special", "weight", "spaces", "trees", "cells") if name in notebook]
    for _ in range(2):
        changes = "\n".join(
            f"{name} |= set()" if name == "chosen" else f"{name} |= {{}}" if name == "weight" else f"{name} += []"
            for name in found
        )
        notebook.ok(f"%%parallel --chunk 2\nout = {loop}\n{changes}")
        assert notebook["out"] == expected
        assert notebook.ok(loop) == expected


@pytest.mark.parametrize("change", ["for n in nodes: n.n += 1", "nodes[3].n = 4", "nodes[3:4][0].n += 1"])
def test_a_later_line_changes_objects_through_a_variable_that_the_loop_does_not_read(notebook, change):
    notebook.ok(f"{HEAD}chosen = {{'a': nodes[3], 'b': nodes[5]}}")
    notebook.ok(f"%%parallel --chunk 1\nout = [(chosen[key].n, chosen[key]) for key in chosen]\n{change}")
    assert notebook.report.way == "split" and "in common with what the cell changes" in str(notebook.report)
    assert notebook.ok("[n for n, _ in out], out[0][1] is chosen['a'] is nodes[3], nodes[3].n") == ([3, 5], True, 4)


@pytest.mark.parametrize(
    "change", ["log.append(len(out))", "state['total'] = 3", "space.total = 3", "by_node[0] = None", "text += 'b'"]
)
def test_what_a_later_line_changes_beside_frozen_data_costs_no_copy(notebook, change):
    """Also where it holds that data."""
    notebook.ok(
        f"{HEAD}log = [nodes]\nstate = {{'nodes': nodes}}\nspace = SimpleNamespace(nodes=nodes)\ntext = nodes[0].text = 'abc'\n"
        "by_node = dict.fromkeys(nodes)"
    )
    notebook.ok(f"%%parallel\nout = [node.n for node in nodes]\n{change}")
    assert "froze nodes" in str(notebook.report)
    assert notebook.ok("log[0] is state['nodes'] is space.nodes is nodes, nodes[3] in by_node") == (True, True)


@pytest.mark.parametrize(
    ("holder", "items"),
    [
        ("SimpleNamespace()", "held.rows"),
        ("SimpleNamespace()", "alias"),
        ("type('Holder', (), {})", "held.rows"),
        ("type('Holder', (), {})", "alias"),
        ("Namespace()", "held.rows"),
        ("ModuleType('held')", "held.rows"),
    ],
)
def test_what_a_later_line_changes_through_what_is_no_data(notebook, holder, items):
    """`argparse.Namespace` is a class of a library."""
    notebook.ok(
        f"from types import ModuleType, SimpleNamespace\nfrom argparse import Namespace\nheld = {holder}\n"
        f"held.rows = alias = [{{'x': i}} for i in range(8)]\nif 'alias' not in {items!r}: del alias"
    )
    notebook.ok(f"%%parallel --chunk 2\nout = [row for row in {items}]\nheld.n = len(out)")
    assert notebook.ok(f"out[0] is held.rows[0], {items} is held.rows, held.n") == (True, True, 8)


@pytest.mark.parametrize(
    ("setup", "change", "shown"),
    [
        ("held = Namespace(rows=rows)", "held.rows[0]['x'] = 99", "rows[0]['x'], held.rows is rows"),
        ("held = {'a': Namespace(first=rows[0])}", "held['a'].first['x'] = 99", "rows[0]['x']"),
        ("held = ChainMap(rows[0])", "held['x'] = 99", "rows[0]['x']"),
        ("held = Group(rows)", "held.add({'x': 99})", "rows[-1]['x'], held.rows is rows"),
        ("held = {'rows': rows}", "held['rows'] += [{'x': 99}]", "rows[-1]['x'], held['rows'] is rows"),
        ("held = Namespace(rows=rows)", "held.rows += [{'x': 99}]", "rows[-1]['x'], held.rows is rows"),
        ("held = rows", "out2 = 0\nfor out in held: out['x'] = 99", "rows[0]['x'], held is rows"),
    ],
)
def test_a_later_line_changes_data_through_what_has_it(notebook, setup, change, shown):
    head = (
        "from argparse import Namespace\nfrom collections import ChainMap\nclass Group:\n"
        "    def __init__(self, rows): self.rows = rows\n    def add(self, row): self.rows.append(row)\n"
        f"rows = [{{'x': i}} for i in range(8)]\n{setup}"
    )
    cell = f"out = [row['x'] for row in rows]\n{change}"
    notebook.ok(head)
    notebook.ok(cell)
    expected = notebook.ok(shown), notebook["out"]
    notebook.ok(head)
    notebook.ok(f"%%parallel --chunk 2\n{cell}")
    assert (notebook.ok(shown), notebook["out"]) == expected


@pytest.mark.parametrize("options", ["", " --copy held"])
def test_what_a_later_line_changes_in_what_is_no_data(notebook, options):
    notebook.ok("from argparse import Namespace\nheld = Namespace(rows=[{'x': i} for i in range(8)])")
    notebook.ok(
        f"%%parallel --chunk 2{options}\nout = []\nfor row in held.rows: out.append(row)\nheld.rows[0]['x'] = 99"
    )
    assert notebook.ok("out[0]['x'], out[0] is held.rows[0]") == (99, True)


def test_results_hold_the_tuples_that_were_made_anew(notebook):
    notebook.ok(f"{HEAD}pairs = [(node, ET.Element('a')) for node in nodes]\nchosen = {{nodes[3], nodes[5]}}")
    notebook.ok("%%parallel --chunk 2\nout = [pair for pair in pairs if pair[0] in chosen]")
    assert notebook.ok("[pair is pairs[pair[0].n] for pair in out]") == [True, True]


def test_the_loops_variable_is_of_the_tuple_that_was_made_anew(notebook):
    notebook.ok(f"{HEAD}pairs = tuple((node, ET.Element('a')) for node in nodes)\nchosen = {{nodes[-1], nodes[5]}}")
    notebook.ok(
        "%%parallel --chunk 2\nout = []\nfor pair in pairs:\n    if pair[0] in chosen:\n        out.append(pair)"
    )
    assert notebook.ok("pair is pairs[-1], pair[0] in chosen, out[1] is pair") == (True, True, True)


def test_a_change_of_what_a_copy_refers_to_is_seen(notebook):
    """The namespace was frozen with a variable, and is in a copy of another one."""
    notebook.ok(f"{HEAD}space = SimpleNamespace(rate=1)\nrows = [{{'in': space, 'i': i}} for i in range(12)]")
    notebook.ok("%%parallel\nout = [row['in'].rate for row in rows]")
    notebook.ok(f"mixed = [{{'in': space, {ELEMENT}}} for _ in range(12)]\nspace.rate = 2")
    notebook.ok("%%parallel\nout = [one['in'].rate for one in mixed]")
    assert notebook["out"] == [2] * 12


def test_many_frozen_objects_in_a_copy(notebook):
    notebook.ok(f"{HEAD}many = [{{'i': i}} for i in range(4_000)]")
    notebook.ok("%%parallel\nout = [one['i'] for one in many]")
    notebook.ok("mixed = [[one, ET.Element('a')] for one in many]")
    notebook.ok("%%parallel\nout = [pair[0]['i'] for pair in mixed if pair[0]['i'] % 2]")
    assert notebook["out"] == list(range(1, 4_000, 2))


def test_what_a_library_holds(notebook):
    """Instances are exchanged there, but for lists, with which the library works itself."""
    notebook.ok(HEAD)
    notebook.ok(
        "from collections import UserDict\nlevels = UserDict({node: node.n for node in nodes})\n"
        "kept = UserDict(nodes=nodes)\nfirst = nodes[0]"
    )
    notebook.ok("%%parallel\nout = [node.n for node in nodes]")
    assert notebook.ok("[levels[node] for node in nodes] == out, first in levels, kept['nodes'] is nodes") == (
        True,
        True,
        False,
    )
    assert notebook.ok("kept['nodes'].append(1), len(kept['nodes']), kept['nodes'][0] is first") == (None, 13, True)


def test_what_only_code_holds_stays_its_own(notebook):
    notebook.ok(
        HEAD + "class Settings:\n    LEVELS = [[1], [2]]\n"
        "def level(i, seen=[[0]]):\n    return len(Settings.LEVELS) + len(seen[0]) + i"
    )
    notebook.ok("%%parallel\nout = [level(node.n) for node in nodes]")
    assert notebook["out"] == [3 + i for i in range(12)]
    notebook.ok("Settings.LEVELS[0].append(5); level.__defaults__[0][0].append(6); Settings.LEVELS.append(7)")
    notebook.ok("%%parallel\nout = [level(node.n) for node in nodes]")
    assert notebook["out"] == [5 + i for i in range(12)]


def test_objects_whose_class_counts_them(notebook):
    """An `__init__` that changes its class is no reason to refuse a loop that makes none."""
    notebook.ok("""class Node:
    count = 0
    def __init__(self, n):
        Node.count += 1
        self.n = n
class Leaf(Node):
    pass
nodes = [Leaf(i) for i in range(12)]
kinds = {'leaf': Leaf}
def other(node):
    return type(node)(1)""")
    notebook.ok("%%parallel\nout = [node.n for node in nodes]")
    assert notebook["out"] == list(range(12)) and notebook.report.way == "split"
    for made in ("Node(1)", "Leaf(1)", "kinds['leaf'](1)", "other(node)", "node.__class__(1)", "type(node)(2)"):
        error = notebook.fails(f"%%parallel\nout = [{made}.n for node in nodes]")
        assert "Node.__init__(), which the loop calls, changes" in str(error), made


def test_an_instance_that_its_class_and_the_data_hold(notebook):
    notebook.ok("""class Tree:
    def __init__(self):
        self.left = Tree.EMPTY
    def __getstate__(self):
        return {'left': self.left}
    def __setstate__(self, state):
        self.__dict__.update(state)
Tree.EMPTY = None
Tree.EMPTY = Tree()
trees = [Tree() for _ in range(12)]""")
    error = notebook.fails("%%parallel\nout = [tree.left is Tree.EMPTY for tree in trees]")
    assert "Tree holds a Tree that the frozen data holds, too" in str(error)
    notebook.ok("Tree.__eq__ = lambda self, other: type(other) is Tree and self.left == other.left")
    notebook.ok("%%parallel\nout = [tree.left == Tree.EMPTY for tree in trees]")
    assert notebook["out"] == [True] * 12


def test_sentinels_stay_the_same_when_a_class_is_made_anew(notebook):
    notebook.ok(
        HEAD + "class Cell:\n    EMPTY = object()\ncells = [[Cell.EMPTY, node] for node in nodes]\n"
        "def is_empty(cell, empty=Cell.EMPTY):\n    return cell[0] is empty and cell[0] is Cell.EMPTY"
    )
    for number in range(3):
        notebook.ok("%%parallel\nout = [is_empty(cell) for cell in cells]")
        assert notebook["out"] == [True] * 12
        notebook.ok(f"class Node(Node):\n    number = {number}\nmore = [Node(1)]")
        notebook.ok("%%parallel\nout = [one.number for one in more]")
        assert notebook["out"] == [number]


def test_caches_do_not_hold_what_the_notebook_has_changed(notebook):
    notebook.ok(HEAD + "import functools\n@functools.cache\ndef get(i):\n    return nodes[i]")
    for number in range(3):
        notebook.ok(f"class Other:\n    number = {number}")
        notebook.ok(
            "%%parallel\nout = [get(i).n for i in range(12) if Other.number >= 0]\nfor node in nodes:\n    node.n += 1"
        )
        assert notebook["out"] == [i + number for i in range(12)]


def loop_over_nodes(notebook, setup: str) -> None:
    notebook.ok(HEAD + setup)
    notebook.ok("%%parallel --chunk 2\nout = [node.n for node in nodes]")
    assert notebook["out"] == list(range(12)) and notebook.report.way == "split"


def test_caches_of_the_notebook_keep_what_they_have(notebook):
    loop_over_nodes(
        notebook,
        "import functools\n@functools.lru_cache\ndef get(n):\n    return Node(n)\n"
        "@functools.lru_cache\ndef load():\n    return nodes\nnodes = [get(i) for i in range(12)]\n_ = load()",
    )
    assert notebook.ok("[get(node.n) is node for node in nodes]") == [True] * 12
    assert notebook.ok("load() is nodes, get.cache_info().misses, load.cache_info().misses") == (True, 12, 1)


def test_sets_with_an_update_of_their_own(notebook):
    loop_over_nodes(
        notebook,
        "class Sealed(set):\n    def update(self, *others):\n        raise RuntimeError('sealed')\nsealed = Sealed(nodes[:3])",
    )
    assert notebook.ok("len(sealed), nodes[0] in sealed, type(sealed).__name__") == (3, True, "Sealed")


def test_attributes_of_what_is_made_anew(notebook):
    loop_over_nodes(
        notebook,
        """class Pair(tuple):
    pass
class Team(frozenset):
    __slots__ = ('label', 'head')
pair = Pair((nodes[0], 1))
pair.owner, pair.itself = nodes[0], pair
team = Team(nodes[:3])
team.label, team.head = 'first', nodes[1]""",
    )
    assert notebook.ok("pair[0] is nodes[0], pair.owner is nodes[0], pair.itself is pair") == (True, True, True)
    assert notebook.ok("nodes[2] in team, team.label, team.head is nodes[1]") == (True, "first", True)


def test_other_names_for_namespaces_and_deques(notebook):
    loop_over_nodes(
        notebook,
        """from collections import deque
class Queue(deque):
    pass
spaces = [SimpleNamespace(node=node) for node in nodes]
first, named = spaces[0], {'second': spaces[1]}
queues = [Queue([i]) for i in range(9)]
by_name = {'one': queues[1]}""",
    )
    notebook.ok("%%parallel\nout = [space.node.n for space in spaces]\nfound = [queue[0] for queue in queues]")
    assert notebook["out"] == list(range(12)) and notebook["found"] == list(range(9))
    assert notebook.ok("named['second'] is spaces[1], first is spaces[0], by_name['one'] is queues[1]") == (True,) * 3
    assert notebook.ok("first.node is nodes[0], named['second'].node is nodes[1]") == (True, True)
    notebook.ok("by_name['one'].append(7)")
    assert notebook.ok("len(queues[1])") == 2


def test_builtin_methods_of_what_is_frozen_do_not_write_to_the_original(notebook):
    notebook.ok("log = [1, 2, 3]\nadd = log.append\nlisteners = [log.append]")
    notebook.ok("%%parallel\nout = [entry + 1 for entry in log]")
    for write in ("add(4)", "listeners[0](4)"):
        assert isinstance(notebook.fails(write), TypeError)
    assert notebook.ok("len(log)") == 3


def test_namespaces_with_lists_are_as_they_were(notebook):
    notebook.ok("from types import SimpleNamespace\nnumbers = [1, 2, 3]\nconfig = SimpleNamespace(rate=2, more=[1])")
    for _ in range(2):
        notebook.ok("%%parallel\nout = [number * config.rate for number in numbers]")
        assert notebook["out"] == [2, 4, 6]


def test_weak_containers_of_a_class(notebook):
    notebook.ok(
        """import weakref
class Node:
    ALL, ALIVE = weakref.WeakValueDictionary(), weakref.WeakSet()
    def __init__(self, n):
        self.n = n
nodes = [Node(i) for i in range(12)]
Node.ALL.update({node.n: node for node in nodes})
Node.ALIVE.update(nodes)"""
    )
    error = notebook.fails("%%parallel\nout = [Node.ALL.get(node.n) for node in nodes]")
    assert "the loop's code uses Node.ALL, a WeakValueDictionary" in str(error)
    notebook.ok("%%parallel\nout = [node.n for node in nodes]")
    assert notebook["out"] == list(range(12)) and notebook.report.way == "split"


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_lost_where_a_hash_fails(notebook, kind):
    notebook.ok(
        HEAD
        + f"""from collections import OrderedDict
class Key:
    calls, fails_at = 0, 0
    def __init__(self, node):
        self.node = node
    def __hash__(self):
        Key.calls += 1
        if Key.calls == Key.fails_at:
            raise {kind.__name__}
        return hash(self.node)
    def __eq__(self, other):
        return self.node is other.node
HASHED = 12"""
    )
    for fails_at in range(1, 80, 4):
        notebook.ok("nodes = [Node(i) for i in range(12)]\ntable = OrderedDict((Key(node), node.n) for node in nodes)")
        notebook.ok(f"plain = {{key: 1 for key in table}}\nKey.calls, Key.fails_at = 0, {fails_at}")
        notebook.run("%%parallel\nout = [node.n for node in nodes]")
        notebook.ok("Key.fails_at = 0")
        assert notebook.ok("len(table), sorted(table.values()), len(plain)") == (12, list(range(12)), 12), fails_at


def test_a_class_that_fails_does_not_stop_the_exchange(notebook):
    loop_over_nodes(
        notebook,
        """import functools
class Odd(functools.partial):
    def __reduce__(self):
        raise ValueError('no')
    def __setstate__(self, state):
        raise ValueError('no')
before, odd, after = [nodes[1]], Odd(print, nodes[2]), [nodes[3]]""",
    )
    assert notebook.ok("before[0] is nodes[1], after[0] is nodes[3], odd.args[0] is nodes[2]") == (True, True, True)


def test_definitions_are_loaded_once(notebook):
    """Also those that hold containers, which nobody else has."""
    notebook.ok(
        HEAD + "class Table:\n    ROWS = {'x': 1, 'y': None}\ndef level(seen=[None, 1]):\n    return len(seen)\n"
        "def made():\n    kept = [None, [1]]\n    return lambda: len(kept)\nclosed = made()"
    )
    found = set()
    for number in range(4):
        notebook.ok(f"more = [{number}, 5, 6]")
        notebook.ok("%%parallel\nids = [(id(Table), id(level), id(closed), closed(), level()) for _ in more]")
        found |= {which[:3] for which in notebook["ids"]}
    assert len(found) <= 2  # one a worker


def test_caches_in_workers_do_not_hold_what_is_made_anew(notebook):
    notebook.ok(
        HEAD + "import functools\nspaces = [SimpleNamespace(i=i) for i in range(12)]\n"
        "@functools.cache\ndef get(i):\n    return spaces[i]"
    )
    for number in range(3):
        notebook.ok("%%parallel --chunk 1\nout = [get(i) is spaces[i] for i in range(12)]")
        assert notebook["out"] == [True] * 12
        notebook.ok(f"class Other:\n    number = {number}\nothers = [Other() for _ in range(4)]")
        notebook.ok("%%parallel\nout = [other.number for other in others]")


def test_namespaces_of_a_class_that_hold_its_instances(notebook):
    """A worker would have to make them before it has the class: they come with it, unless code can tell."""
    notebook.ok(
        HEAD
        + """class Model:
    def __init__(self, n):
        self.n = n
    def __getstate__(self):
        return {'n': self.n}
    def __setstate__(self, state):
        self.n = state['n']
spaces = [SimpleNamespace(model=Model(i)) for i in range(12)]
Model.SPACE, Node.SPACE = spaces[3], spaces[4]"""
    )
    loop = "%%parallel\nout = [(space.model.n, Model.SPACE.model.n, Node.SPACE.model.n) for space in spaces]"
    assert "holds a Model that the frozen data holds, too" in str(notebook.fails(loop))
    notebook.ok("Model.__eq__ = lambda self, other: self.n == other.n")
    for _ in range(2):
        notebook.ok(loop)
        assert notebook["out"] == [(i, 3, 4) for i in range(12)]
