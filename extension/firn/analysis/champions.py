"""Recognises the search for the best: `if e > best: best, who = e, p`, `if best is None or f(r) > f(best): best = r`."""

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
        case ast.If(
            test=ast.BoolOp(op=ast.Or(), values=[absence, ast.Compare() as comparison]), body=body, orelse=[]
        ) if (none := _is_none(absence)) is not None:
            return _best(node, comparison, body, none, known)
        case ast.If(test=ast.Compare() as comparison, body=body, orelse=[]):
            return _best(node, comparison, body, None, known)
        case ast.If(
            test=absence, body=first, orelse=[ast.If(test=ast.Compare() as comparison, body=body, orelse=[])]
        ) if (none := _is_none(absence)) is not None and written(*first) == written(*body):
            found = _best(node, comparison, body, none, known)
            if found is not None:
                found.own |= set(map(id, _bound(first)))
            return found
    return None


def _is_none(test: ast.expr) -> ast.Name | None:
    """The name in `name is None`."""
    match test:
        case ast.Compare(left=ast.Name() as name, ops=[ast.Is()], comparators=[ast.Constant(None)]):
            return name
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
    node: ast.stmt, comparison: ast.Compare, body: list[ast.stmt], none: ast.Name | None, known: Known
) -> Change | None:
    """none: the name that is asked whether it is None."""
    assigned = _assigned(body)
    match comparison:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARISONS:
            sign = _COMPARISONS[type(operator)]
        case _:
            return None
    if assigned is None:
        return None
    for new, old, op in ((left, right, sign), (right, left, f"{MIRROR[sign]}~")):
        for name in assigned if none is None else assigned.keys() & {none.id}:
            value = assigned[name]
            found = _measured(new, old, name, value, known)
            if found is None or (none is not None and _OF_NONE & found[1].keys()):
                continue
            source, fixed = found
            passing = bool(source) and known.passing(value)
            parts = {
                "value": new,
                **{f"={other}": value for other, value in assigned.items() if source or other != name},
            }
            own = {id(part) for part in walk(old) if isinstance(part, ast.Name) and part.id == name}
            own |= set(map(id, _bound(body))) | ({id(none)} if none is not None else set())
            return Change(
                name, Best, node, own, parts,
                fixed=fixed, op=op, measure=source, assigns=tuple(assigned), none_first=none is not None, passing=passing,
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
