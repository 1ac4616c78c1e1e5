"""Recognises changes by key that ask whether the key is there: `if k not in d: d[k] = 0` and its kind."""

import ast
from collections.abc import Iterable
from typing import NamedTuple

from .containers import OPERAND, First, Grouped, Leader, Tally
from .forms import MUTABLE, SIGNS
from .places import Place, Step, fresh, harmless, makers, measure, place, repeatable, same
from .reductions import Change, KindOf, change, changed, grouped, keys_of, updated
from .scopes import stored, uses, walk


def conditional(node: ast.If, kind_of: KindOf) -> Change | None:
    """The change by key that an `if` makes, if it has one of the mergeable forms."""
    match node.test, node.body, node.orelse:
        case _, [ast.Assign(targets=[ast.Subscript() as target], value=value)], []:
            return _first(node, target, value) or _extreme(node, target, value)
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


def _extreme(node: ast.If, target: ast.Subscript, value: ast.expr) -> Change | None:
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
        if (found := measure(new, old, value, target)) is not None:
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


class Ensured(NamedTuple):
    """`if k not in d: d[k] = []`, or `d.setdefault(k, [])`: from there on in its block, d[k] is there."""

    keys: tuple[str, ...]
    names: frozenset[str]  # that occur in them
    change: Change


class Known:
    """What is ensured at some place in a loop's body."""

    def __init__(self, ensured: Iterable[Ensured] = ()) -> None:
        self._ensured = list(ensured)

    def inside(self) -> Known:
        """The same for a block inside of this one."""
        return Known(self._ensured)

    def forget(self, node: ast.stmt) -> None:
        """Drops what a statement may make untrue."""
        bound = stored(node)
        self._ensured = [entry for entry in self._ensured if not entry.names & bound]

    def meet(self, c: Change) -> None:
        """Gives a change what is ensured about its place, and notes what it ensures itself."""
        keys = keys_of(c)
        for entry in self._ensured:
            if entry.keys == keys[: len(entry.keys)] and not (c.kind is First and len(entry.keys) == len(keys)):
                _cover(c, entry)
        if c.kind is First and makers(c.parts["value"]) is not None:
            expressions = [*(step.key for step in c.path), c.parts["key"]]
            if repeatable(*expressions):
                names = frozenset(use.name for use in uses(*expressions))
                self._ensured.append(Ensured(keys, names, c))


def _cover(c: Change, entry: Ensured) -> None:
    """Notes that the item at the beginning of a change's path, or at its end, is there."""
    depth = len(entry.keys) - 2
    source = ast.unparse(entry.change.parts["value"])
    made = fresh(source)
    if depth < len(c.path):
        if c.path[depth].creates:
            return
        c.path[depth] = c.path[depth]._replace(creates=source)
    elif c.default:
        return
    elif c.kind is Tally and type(made) not in MUTABLE:
        c.default, c.certain = (made,), True
    elif c.kind is Grouped and (kind := grouped(made, c.method)):
        c.default, c.certain, c.ambiguous = (kind,), True, False
    elif c.kind is Grouped and c.ambiguous and (form := updated(type(made))) is not None:
        c.path = [*c.path, Step(c.parts.pop("key"), source)]
        c.kind, c.ambiguous = form, False
    else:
        return
    c.fixed = entry.change.fixed | c.fixed
    entry.change.covers = True
