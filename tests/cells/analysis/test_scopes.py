"""Names of a cell's own scope."""

import ast

import pytest
from firn.analysis.scopes import copied, global_uses, loaded, root, stored, uses


@pytest.mark.parametrize(
    ("code", "reads", "binds"),
    [
        ("a = b.c[d]", {"b", "d"}, {"a"}),
        ("a += 1", {"a"}, {"a"}),
        ("a[b] = c", {"a", "b", "c"}, set()),
        ("[x + y for x in xs if z]", {"xs", "y", "z"}, set()),
        ("[(w := x) for x in x]", {"x"}, {"w"}),
        ("[y for x in xs for y in x]", {"xs"}, set()),
        ("lambda a, b=c, *d, e=f, **g: a + h + (i := 1) + i", {"c", "f", "h"}, set()),
        ("def f(a, b=c):\n    d = a\n    return d + e", {"c", "e"}, {"f"}),
        ("def f():\n    global g\n    g = 1", set(), {"f", "g"}),
        ("class C(B):\n    x = y", {"B", "y"}, {"C"}),
        ("import a.b, c as d\nfrom e import f as g, h", set(), {"a", "d", "g", "h"}),
        ("try: pass\nexcept E as e: x", {"E", "x"}, {"e"}),
        ("match s:\n    case [a, *b]: pass\n    case {'k': v, **r} as w: pass", {"s"}, {"a", "b", "v", "r", "w"}),
        ("with f(x) as (a, b): pass", {"f", "x"}, {"a", "b"}),
        ("for a, *b in c: pass", {"c"}, {"a", "b"}),
        ("a: int = b", {"b"}, {"a"}),
        ("a: int", set(), set()),
        ("f'{a!r:>{b}}'", {"a", "b"}, set()),
    ],
)
def test_reads_and_binds(code: str, reads: set[str], binds: set[str]) -> None:
    tree = ast.parse(code)
    assert loaded(*tree.body) == reads
    assert stored(*tree.body) == binds


def test_deletions_and_inner_uses() -> None:
    found = uses(*ast.parse("del a\ntry: pass\nexcept E as e: pass\ng = (b for x in c)").body)
    assert [use.name for use in found if use.how == "delete"] == ["a", "e"]
    assert {use.name for use in found if use.inner} == {"b"}


@pytest.mark.parametrize(
    ("code", "name"), [("a.b[0].c", "a"), ("a.get(k).b", "a"), ("f(x).y", None), ("[1].x", None), ("(a := b).x", None)]
)
def test_root(code: str, name: str | None) -> None:
    found = root(ast.parse(code, mode="eval").body)
    assert (found.id if found is not None else None) == name


def test_global_uses_reach_nested_functions() -> None:
    def outer():  # type: ignore[no-untyped-def]
        global written
        written = 1
        return lambda: some_name.some_attribute  # noqa: F821

    assert global_uses(outer.__code__) == ({"some_name"}, {"written"})


def test_a_copy_of_a_tree_has_nothing_that_others_hung_on_its_nodes():
    """IPython's tracebacks link each node to its parent, through `Load()`, which is one object, whole files."""
    tree = ast.parse("for x in xs:\n    out.append(f'{x!r:>{n}}')  # é\nmatch y:\n    case {'a': [1, *z]}: pass")
    tree.body[0].parent = tree
    load = tree.body[0].iter.ctx
    load.parent = ast.parse("other = file")
    try:
        twin = copied(tree)
    finally:
        del load.parent
    assert ast.dump(twin, include_attributes=True) == ast.dump(tree, include_attributes=True)
    assert not hasattr(twin.body[0], "parent") and twin.body[0].iter.ctx is load
    own = {id(node) for node in ast.walk(tree) if node._attributes}
    assert not own & {id(node) for node in ast.walk(twin)}
    compile(twin, "<cell>", "exec")
