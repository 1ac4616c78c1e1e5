"""What a worker has its own object of comes back as the notebook's, wherever it stands in a result."""

from __future__ import annotations

from typing import Any

import pytest

PARTS = """
import decimal, enum, functools, operator, pathlib, re
class Color(enum.Enum):
    RED = 1
class Base: pass
def double(x): return 2 * x
MISSING = object()
pair = (decimal.Decimal("1.5"), [1])
parts = {
    "sentinel": MISSING, "getter": operator.itemgetter(1), "partial": functools.partial(divmod, 7),
    "cached": functools.cache(double), "decimal": decimal.Decimal("2.5"), "pattern": re.compile("a+"), "member": Color.RED,
    "path": pathlib.PurePath("/tmp"), "class": Base, "function": double, "builtin": len, "pair": pair,
    "members": frozenset({decimal.Decimal(3)}), "code": double.__code__, "list": [1, 2],
}
own = dict(parts)
rows = [{"n": n, "part": dict(parts)} for n in range(3)]
class Odd:  # pickles, and does not freeze by reference: results that hold one are pickled
    def __init__(self, n): self.n = n
    def __reduce__(self): return Odd, (self.n,)
"""  # fmt: skip

NAMES = [
    "sentinel", "getter", "partial", "cached", "decimal", "pattern", "member", "path", "class", "function", "builtin",
    "pair", "members", "code", "list",
]  # fmt: skip
FORMS = {
    "alone": ("rows[0]['part'][{name!r}]", lambda found: found),
    "in a list": ("[x, [rows[0]['part'][{name!r}]]]", lambda found: found[1][0]),
    "in a tuple": ("(x, (rows[0]['part'][{name!r}], x))", lambda found: found[1][0]),
    "in a dict": ("{{'a': {{'b': rows[0]['part'][{name!r}]}}}}", lambda found: found["a"]["b"]),
    "in a pickle": ("[Odd(x), [rows[0]['part'][{name!r}]]]", lambda found: found[1][0]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_notebooks_own(notebook: Any, name: str, form: str) -> None:
    notebook.cell(PARTS)
    expression, find = FORMS[form]
    results = notebook.loop(expression.format(name=name))
    rows = notebook["rows"]
    if form == "in a pickle" and name in ("pair", "members"):  # pickle writes tuples and frozensets by itself
        assert all(find(result) == rows[0]["part"][name] for result in results)
        return
    assert len({id(find(result)) for result in results}) == 1
    assert find(results[0]) is rows[0]["part"][name]
    if name in ("sentinel", "getter", "partial", "cached", "member", "class", "builtin"):
        assert find(results[0]) is notebook["own"][name]


@pytest.mark.parametrize(
    "key", ["rows[0]['part']['sentinel']", "rows[0]['part']['member']", "rows[0]['part']['decimal']"]
)
def test_as_keys_and_members(notebook: Any, key: str) -> None:
    notebook.cell(PARTS)
    part = notebook["rows"][0]["part"]
    wanted = {"sentinel": part["sentinel"], "member": part["member"], "decimal": part["decimal"]}[key.split("'")[-2]]
    for table, members, pairs in notebook.loop(f"({{{key}: x}}, {{{key}}}, [(frozenset([{key}]), {key})])"):
        assert wanted in table and wanted in members and wanted in pairs[0][0] and pairs[0][1] == wanted


def test_a_global_sentinel_is_that_in_data_of_earlier_cells(notebook: Any) -> None:
    notebook.cell(PARTS)
    notebook.loop("len(rows)")
    assert notebook.loop("rows[x % 3]['part']['sentinel'] is MISSING") == [True] * 4
    notebook.cell("more = [MISSING, [MISSING]]\n")
    assert notebook.loop("more[1][0] is rows[0]['part']['sentinel'] is MISSING") == [True] * 4
    assert all(found is notebook["MISSING"] for found in notebook.loop("more[1][0]"))
