"""Recognises changes by key that ask whether the key is there: `if k not in d: d[k] = 0` and its kind."""

import ast

from .champions import absence_of
from .containers import First, Grouped, Leader
from .known import Known
from .places import Place, constant, harmless, makers, place, same, written
from .reductions import Change, change, changed, keys_of
from .scopes import stored, walk
from .tallies import OPERAND, Tally


def conditional(node: ast.stmt, known: Known) -> Change | None:
    """The change by key that an `if` or `try` makes, if it has one of the mergeable forms."""
    match node:
        case ast.If(body=[ast.Assign(targets=[ast.Subscript() as target], value=value)], orelse=[]):
            return (
                _first(node, target, value, known)
                or _extreme(node, target, value, known)
                or _above(node, target, value, known)
            )
        case ast.If(
            test=absence,
            body=[ast.Assign(targets=[ast.Subscript() as target], value=value) as first],
            orelse=[ast.If(test=comparison, body=[ast.Assign(targets=[again]) as second], orelse=[])],
        ) if written(first) == written(second):
            either = ast.If(ast.BoolOp(ast.Or(), [absence, comparison]), [first], [])
            found = _extreme(ast.copy_location(either, node), target, value, known)
            if found is not None:
                found.statement = node
                found.own |= set(map(id, walk(again)))
            return found
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
    """`if k not in d or v > d[k]: d[k] = v`, `if d.get(k) is None or f(v) > f(d[k]): d[k] = v`."""
    match node.test:
        case ast.BoolOp(op=ast.Or(), values=[absence, ast.Compare() as comparison]):
            where, asked, absent = place(target.value), _asked(absence, target, known), ""
        case _:
            return None
    if asked is None:
        asked, absent = _empty(absence, target, known)
    if where is None or asked is None:
        return None
    parts = {"key": target.slice, "value": value}
    for new, old, op in _sides(comparison):
        own = [asked.name, *_named(where, old)]
        compared = same(new, value) and same(old, target) and known.body.repeatable(value)
        if compared and not absent:
            return changed(where, Tally, node, parts, op=op, default=(OPERAND,), own=own)
        found = known.measure(new, old, value, target)
        if found is not None:
            source, fixed = found
            parts["score"] = new
            others = {"measure": source, "fixed": fixed, "passing": known.passing(value), "absent": absent}
            return changed(where, Leader, node, parts, op=op, own=own, **others)
    return None


def _above(node: ast.If, target: ast.Subscript, value: ast.expr, known: Known) -> Change | None:
    """`if v > d.get(k, c): d[k] = v`."""
    where = place(target.value)
    if where is None or where.path or not isinstance(node.test, ast.Compare):
        return None
    for new, old, op in _sides(node.test):
        match old:
            case ast.Call(func=ast.Attribute(value=holder, attr="get"), args=[key, default], keywords=[]):
                least, fixed = constant(default)
                if (
                    least
                    and same(holder, target.value)
                    and same(key, target.slice)
                    and same(new, value)
                    and known.body.repeatable(value, holder, key)
                ):
                    parts = {"key": target.slice, "value": value}
                    own = _named(where, holder)
                    return changed(
                        where, Tally, node, parts, op=op, default=(OPERAND,), above=least, own=own, fixed=fixed
                    )
    return None


def _sides(comparison: ast.Compare) -> list[tuple[ast.expr, ast.expr, str]]:
    """(new, old, op of `operate`): how `a > b` or `a < b` can be read, if one side is the best so far."""
    match comparison:
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[right]):
            return [(left, right, "max"), (right, left, "min<")]
        case ast.Compare(left=left, ops=[ast.Lt()], comparators=[right]):
            return [(left, right, "min"), (right, left, "max<")]
    return []


def _named(where: Place, node: ast.expr) -> list[ast.Name]:
    """Where an expression names what is changed."""
    return [part for part in walk(node) if isinstance(part, ast.Name) and part.id == where.name.id]


def _empty(test: ast.expr, target: ast.Subscript, known: Known) -> tuple[Place | None, str]:
    """What holds the target, in a test whether nothing is there yet, and how that is asked: `d.get(k) is None` ("get
    None"), `not d.get(k)`, `d[k] is None` ("None")."""
    asked, how = absence_of(test) or (None, "")
    match asked:
        case ast.Call(func=ast.Attribute(value=holder, attr="get"), args=[key, *default], keywords=[]) if (
            not default or same(default[0], ast.Constant(None))
        ):
            how = f"get {how}"
        case ast.Subscript(value=holder, slice=key):
            pass
        case _:
            return None, ""
    if same(holder, target.value) and same(key, target.slice) and known.body.repeatable(holder, key):
        return place(holder), how
    return None, ""


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
