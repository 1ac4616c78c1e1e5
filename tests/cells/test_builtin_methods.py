"""Methods asked of a builtin type (`set.union(*sets)`) take frozen data, in the notebook and in the workers."""

import pytest

SETUP = """
from functools import reduce
index = {w: {n for n, c in enumerate("abcabcd") if c in w} for w in ("ab", "bc", "abcd", "d")}
rows = [{"a": n, "b": [n, n]} for n in range(6)]
lists = [[n] * n for n in range(5)]
def together(words): return set.union(*[index[w] for w in words])
def common(words): return set.intersection(*map(index.get, words))
"""
CASES = [
    "set.union(*index.values())",
    "set.intersection(index['ab'], index['bc'], index['abcd'])",
    "set.union(set(), *index.values())",
    "reduce(set.union, index.values())",
    "reduce(set.union, index.values(), set())",
    "[*map(dict.copy, rows)]",
    "[*map(list, map(dict.items, rows))]",
    "sorted(lists, key=list.__len__, reverse=True)",
    "[list.count(l, 3) for l in lists]",
    "dict.get(rows[1], 'a'), dict.get(rows[1], 'x', 5)",
    "set.issubset(index['ab'], index['abcd'])",
    "together(['ab', 'd']), common(['ab', 'abcd'])",
    "[list.__len__(l) for l in lists]",
    "frozenset.union(frozenset(), *index.values())",
]


@pytest.mark.parametrize("case", CASES)
def test_like_the_plain_one(notebook, case):
    expected = notebook.ok(SETUP + case)
    notebook.ok("%%parallel --quiet --chunk 1\nsizes = [(len(index), len(rows[0]), len(lists[n])) for n in range(4)]")
    notebook.ok(f"%%parallel --quiet --chunk 1\nfound = [({case}) for n in range(3)]")
    for found in (notebook.ok(case), *notebook["found"]):
        assert found == expected and type(found) is type(expected) and repr(found) == repr(expected)


def test_elsewhere_the_method_is_what_it_was(notebook):
    notebook.ok("import functools, inspect, pickle, types")
    for code in (
        "pickle.loads(pickle.dumps(dict.copy)) is not None and pickle.dumps(functools.partial(dict.get, {})) != b''",
        "(lambda f: f is list.append or f == list.append)(list.append) and {list.append: 1}.get(list.append) == 1",
        "inspect.ismethoddescriptor(list.append) and functools.wraps(dict.get)(lambda: 0).__name__ == 'get'",
        "dict.fromkeys('ab', 1) == {'a': 1, 'b': 1}",
    ):
        assert notebook.ok(code) is True
    notebook.ok(
        "class Store:\n    dict = {'a': 1}\n    keys = sorted(dict.keys())\n    list = [3, 1]\n    list.append(2)\n"
        "    set = {1}\n    set.add(2)"
    )
    assert notebook.ok("Store.keys == ['a'] and Store.list == [3, 1, 2] and Store.set == {1, 2}") is True
    notebook.ok("class Proxy:\n    __class__ = list\n    def append(self, x): return 'proxy'")
    assert "doesn't apply" in str(notebook.fails("list.append(Proxy(), 1)"))
    notebook.ok("def f(type, set=frozenset): return set.union(type, [3])")
    assert notebook.ok("f(frozenset([1]))") == {1, 3}


def test_errors_and_own_names_are_as_they_were(notebook):
    notebook.ok("class set:\n    def union(*a): return 'mine'\n")
    assert notebook.ok("set.union({1}, {2})") == "mine"
    notebook.ok("del set")
    for call, error in {"set.union()": "unbound method", "set.union([1], {2})": "doesn't apply to a 'list'"}.items():
        assert error in str(notebook.fails(call)) or "needs an argument" in str(notebook.fails(call))
    notebook.ok("rows = [[3], [4]]")
    notebook.ok("%%parallel --quiet\nn = [len(r) for r in rows]")
    assert "frozen" in str(notebook.fails("list.append(rows[0], 1)"))
    assert notebook.ok("method = list.append\nmethod.__name__") == "append"
