"""Recognises changes by key that ask whether the key is there: `if k not in d: d[k] = 0` and its kind."""

import ast

from .containers import First, Grouped, Leader
from .known import Known
from .places import Place, harmless, makers, place, same
from .reductions import Change, change, changed, keys_of
from .scopes import stored, walk
from .tallies import OPERAND, Tally


def conditional(node: ast.stmt, known: Known) -> Change | None:
    """The change by key that an `if` or `try` makes, if it has one of the mergeable forms."""
    match node:
        case ast.If(body=[ast.Assign(targets=[ast.Subscript() as target], value=value)], orelse=[]):
            return _first(node, target, value, known) or _extreme(node, target, value, known)
        case ast.If(test=test, body=[ast.Assign(targets=[ast.Subscript() as target], value=value)], orelse=[there]):
            asked = _asked(test, target, known)
            return None if asked is None else _either(node, there, target, value, known, asked)
        case ast.If(test=test, body=[there], orelse=[ast.Assign(targets=[ast.Subscript() as target], value=value)]):
            asked = _asked(test, target, known, present=True)
            return None if asked is None else _either(node, there, target, value, known, asked)
        case ast.Try(
            body=[there],
            handlers=[
                ast.ExceptHandler(
                    type=ast.Name(id="KeyError"),
                    name=None,
                    body=[ast.Assign(targets=[ast.Subscript() as target], value=value)],
                )
            ],
            orelse=[],
            finalbody=[],
        ) if known.body.facts.is_builtin("KeyError"):
            return _missed(node, there, target, value, known)
    return None


def _asked(test: ast.expr, target: ast.Subscript, known: Known, present: bool = False) -> Place | None:
    """What holds the target, in a test whether it is absent, or present."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _asked(operand, target, known, not present)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            wanted = ast.In if present else ast.NotIn
            if isinstance(operator, wanted) and same(left, target.slice) and same(right, target.value):
                return place(right) if known.body.repeatable(left, right) else None
    return None


def _first(node: ast.If, target: ast.Subscript, value: ast.expr, known: Known) -> Change | None:
    """`if k not in d: d[k] = v`."""
    where, asked, made = place(target.value), _asked(node.test, target, known), makers(value)
    if where is None or asked is None or (made is None and not harmless(value)):
        return None
    parts = {"key": target.slice, "value": value}
    return changed(where, First, node, parts, own=[asked.name], fixed=made or {})


def _extreme(node: ast.If, target: ast.Subscript, value: ast.expr, known: Known) -> Change | None:
    """`if k not in d or v > d[k]: d[k] = v`, `if k not in d or f(v) > f(d[k]): d[k] = v`."""
    match node.test:
        case ast.BoolOp(op=ast.Or(), values=[absence, ast.Compare(left=left, ops=[operator], comparators=[right])]):
            where, asked = place(target.value), _asked(absence, target, known)
        case _:
            return None
    if where is None or asked is None or not isinstance(operator, ast.Gt | ast.Lt):
        return None
    more = isinstance(operator, ast.Gt)
    parts = {"key": target.slice, "value": value}
    for new, old, op in ((left, right, "max" if more else "min"), (right, left, "min<" if more else "max<")):
        own = [asked.name, *(part for part in walk(old) if isinstance(part, ast.Name) and part.id == where.name.id)]
        if same(new, value) and same(old, target) and known.body.repeatable(value):
            return changed(where, Tally, node, parts, op=op, default=(OPERAND,), own=own)
        found = known.measure(new, old, value, target)
        if found is not None:
            source, fixed = found
            parts["score"] = new
            return changed(
                where, Leader, node, parts, op=op, measure=source, own=own, fixed=fixed, passing=known.passing(value)
            )
    return None


def _either(
    node: ast.stmt, there: ast.stmt, target: ast.Subscript, value: ast.expr, known: Known, asked: Place | None
) -> Change | None:
    """`if k in d: d[k] += v` with `else: d[k] = v`; `if k in d: d[k].append(v)` with `else: d[k] = [v]`."""
    where, c = place(target), change(there, known.body)
    if where is None or c is None or c.default or keys_of(c) != keys_of(where):
        return None
    new = c.parts["value"]
    c.statement = node
    c.own |= {id(where.name)} | ({id(asked.name)} if asked is not None else set())
    match value:
        case _ if c.kind is Tally and same(value, new) and not stored(value):
            c.default = (OPERAND,)
        case ast.List(elts=[only]) if c.kind is Grouped and c.method == "append" and same(only, new):
            c.default = ("list",)
        case ast.Set(elts=[only]) if c.kind is Grouped and c.method == "add" and same(only, new):
            c.default = ("set",)
        case _:
            return None
    c.calm = c.kind is Grouped
    return c


def _missed(node: ast.Try, there: ast.stmt, target: ast.Subscript, value: ast.expr, known: Known) -> Change | None:
    """`try: d[k] += v` with `except KeyError: d[k] = v`, and the same with append, where nothing else can fail."""
    c = _either(node, there, target, value, known, None)
    if c is None or c.path or not (harmless(target.slice) and harmless(c.parts["value"])):
        return None
    c.plain = True
    return c
