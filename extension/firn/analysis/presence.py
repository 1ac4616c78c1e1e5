"""Recognises changes by key that ask whether the key is there: `if k not in d: d[k] = 0` and its kind."""

import ast

from .containers import OPERAND, First, Grouped, Leader, Tally
from .forms import SIGNS
from .known import Known
from .places import Place, harmless, makers, measure, place, repeatable, same
from .reductions import Change, KindOf, change, changed, keys_of
from .scopes import walk


def conditional(node: ast.If, kind_of: KindOf, known: Known) -> Change | None:
    """The change by key that an `if` makes, if it has one of the mergeable forms."""
    match node.test, node.body, node.orelse:
        case _, [ast.Assign(targets=[ast.Subscript() as target], value=value)], []:
            return _first(node, target, value) or _extreme(node, target, value, known)
        case _, [ast.Assign(targets=[ast.Subscript() as target], value=value)], [there]:
            return _either(node, there, target, value, kind_of)
        case _, [there], [ast.Assign(targets=[ast.Subscript() as target], value=value)]:
            return _either(node, there, target, value, kind_of, present=True)
    return None


def _asked(test: ast.expr, target: ast.Subscript, present: bool = False) -> Place | None:
    """What holds the target, in a test whether it is absent, or present."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _asked(operand, target, not present)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            wanted = ast.In if present else ast.NotIn
            if isinstance(operator, wanted) and same(left, target.slice) and same(right, target.value):
                return place(right) if repeatable(left, right) else None
    return None


def _first(node: ast.If, target: ast.Subscript, value: ast.expr) -> Change | None:
    """`if k not in d: d[k] = v`."""
    where, asked, made = place(target.value), _asked(node.test, target), makers(value)
    if where is None or asked is None or (made is None and not harmless(value)):
        return None
    parts = {"key": target.slice, "value": value}
    return changed(where, First, node, parts, own=[asked.name], fixed=made or {})


def _extreme(node: ast.If, target: ast.Subscript, value: ast.expr, known: Known) -> Change | None:
    """`if k not in d or v > d[k]: d[k] = v`, `if k not in d or f(v) > f(d[k]): d[k] = v`."""
    match node.test:
        case ast.BoolOp(op=ast.Or(), values=[absence, ast.Compare(left=left, ops=[operator], comparators=[right])]):
            where, asked = place(target.value), _asked(absence, target)
        case _:
            return None
    if where is None or asked is None or not isinstance(operator, ast.Gt | ast.Lt):
        return None
    more = isinstance(operator, ast.Gt)
    parts = {"key": target.slice, "value": value}
    for new, old, op in ((left, right, "max" if more else "min"), (right, left, "min" if more else "max")):
        own = [asked.name, *(part for part in walk(old) if isinstance(part, ast.Name) and part.id == where.name.id)]
        if same(new, value) and same(old, target) and repeatable(value):
            return changed(where, Tally, node, parts, op=op, default=(OPERAND,), own=own)
        if isinstance(value, ast.Name) and value.id not in known.items:
            continue  # what it is bound to may change after it was stored
        found = measure(new, old, value, target) or measure(known.value_of(new), old, value, target)
        if found is not None:
            source, fixed = found
            parts["score"] = new
            return changed(where, Leader, node, parts, op=op, measure=source, own=own, fixed=fixed)
    return None


def _either(
    node: ast.If, there: ast.stmt, target: ast.Subscript, value: ast.expr, kind_of: KindOf, present: bool = False
) -> Change | None:
    """`if k in d: d[k] += v` with `else: d[k] = v`; `if k in d: d[k].append(v)` with `else: d[k] = [v]`."""
    asked, where, c = _asked(node.test, target, present), place(target), change(there, kind_of)
    if asked is None or where is None or c is None or c.default or keys_of(c) != keys_of(where):
        return None
    new = c.parts["value"]
    c.statement = node
    c.own |= {id(asked.name), id(where.name)}
    match value:
        case _ if c.kind is Tally and same(value, new) and c.op.strip("=") in SIGNS.values():
            c.default = (OPERAND,)
        case ast.List(elts=[only]) if c.kind is Grouped and c.method == "append" and same(only, new):
            c.default = ("list",)
        case ast.Set(elts=[only]) if c.kind is Grouped and c.method == "add" and same(only, new):
            c.default = ("set",)
        case _:
            return None
    c.calm = c.kind is Grouped
    return c
