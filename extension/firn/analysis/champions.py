"""Recognises the search for the best: `if e > best: best, who = e, p`, `if best is None or f(r) > f(best): best = r`,
`if not best or ...`."""

import ast

from .forms import MIRROR, Best
from .known import Known
from .places import same, written
from .reductions import Change
from .scopes import uses, walk

_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<="}
_OF_NONE = frozenset({"str", "repr", "bool"})  # what they say of None is no error


def best(node: ast.stmt, known: Known) -> Change | None:
    """The change that an `if` makes to the best so far and to what is bound beside it."""
    match node:
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.IfExp(test=test, body=new, orelse=ast.Name(id=kept) as other)
        ) if name == kept:  # best = x if x > best else best
            change = best(_as_statement(node, test, new), known)
            if change is not None:
                change.statement = node
                change.own |= {id(other)}
            return change
        case ast.If(
            test=ast.BoolOp(op=ast.Or(), values=[absence, ast.Compare() as comparison]), body=body, orelse=[]
        ) if (asks := absence_of(absence)) is not None:
            return _best(node, comparison, body, asks, known)
        case ast.If(test=ast.Compare() as comparison, body=body, orelse=[]):
            return _best(node, comparison, body, None, known)
        case ast.If(
            test=absence, body=first, orelse=[ast.If(test=ast.Compare() as comparison, body=body, orelse=[])]
        ) if (asks := absence_of(absence)) is not None and written(*first) == written(*body):
            found = _best(node, comparison, body, asks, known)
            if found is not None:
                found.own |= set(map(id, _bound(first)))
            return found
    return None


def _as_statement(node: ast.Assign, test: ast.expr, new: ast.expr) -> ast.If:
    return ast.copy_location(ast.If(test, [ast.copy_location(ast.Assign(node.targets, new), node)], []), node)


def absence_of(test: ast.expr) -> tuple[ast.expr, str] | None:
    """What `x is None` or `not x` asks, and how, see `values.is_absent`."""
    match test:
        case ast.Compare(left=asked, ops=[ast.Is()], comparators=[ast.Constant(None)]):
            return asked, "None"
        case ast.UnaryOp(op=ast.Not(), operand=asked):
            return asked, "false"
    return None


def _bound(body: list[ast.stmt]) -> list[ast.Name]:
    return [
        part for node in body for part in walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    ]


def _assigned(body: list[ast.stmt]) -> dict[str, ast.expr] | None:
    """What each name is bound to, where nothing else is done."""
    found: dict[str, ast.expr] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(names) == len(values):
                pairs = list(zip(names, values, strict=True))
            case ast.Assign(targets=[target], value=value):
                pairs = [(target, value)]
            case _:
                return None
        for target, value in pairs:
            if not isinstance(target, ast.Name) or target.id in found:
                return None
            found[target.id] = value
    return None if any(use.name in found for value in found.values() for use in uses(value)) else found


def _best(
    node: ast.stmt, comparison: ast.Compare, body: list[ast.stmt], absence: tuple[ast.expr, str] | None, known: Known
) -> Change | None:
    """absence: see `absence_of`."""
    assigned = _assigned(body)
    asked, absent = absence or (None, "")
    match comparison:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARISONS:
            sign = _COMPARISONS[type(operator)]
        case _:
            return None
    if assigned is None:
        return None
    if asked is not None and not (isinstance(asked, ast.Name) and asked.id in assigned):
        return None
    for new, old, op in ((left, right, sign), (right, left, f"{MIRROR[sign]}~")):
        for name, value in assigned.items():
            found = _measured(new, old, name, value, known)
            if found is None or (absent and _OF_NONE & found[1].keys()):
                continue
            source, fixed = found
            passing = bool(source) and known.passing(value)
            parts = {
                "value": new,
                **{f"={other}": value for other, value in assigned.items() if source or other != name},
            }
            own = {id(part) for part in walk(old) if isinstance(part, ast.Name) and part.id == name}
            own |= set(map(id, _bound(body))) | ({id(asked)} if asked is not None else set())
            return Change(
                name, Best, node, own, parts,
                fixed=fixed, op=op, measure=source, assigns=tuple(assigned), passing=passing, absent=absent,
                asked=asked.id if isinstance(asked, ast.Name) else "",
                computed=frozenset(other for other, value in assigned.items() if known.body.repeatable(value)),
            )  # fmt: skip
    return None


def _measured(
    new: ast.expr, old: ast.expr, name: str, value: ast.expr, known: Known
) -> tuple[str, dict[str, object]] | None:
    """How the best is measured: ("", {}) where it is itself compared, else what `Known.measure` gives."""
    if same(old, ast.Name(name)):
        return ("", {}) if same(new, value) and known.body.repeatable(new) else None
    held = ast.Name(name)
    return known.measure(new, old, value, held)
