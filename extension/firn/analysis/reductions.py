"""Recognises the statements of a loop body that change a variable in a way that can be merged."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from .containers import Appended, Counts, Distinct, Grouped, Store, Tally
from .forms import SIGNS, Best, Extreme, Fold, Form
from .scopes import uses, walk

PREPENDABLE = frozenset("+*|&^")
KindOf = Callable[[str], type | None]


@dataclass
class Change:
    """One statement that changes `name`. own: the Name nodes that the form accounts for; parts: its expressions."""

    name: str
    kind: type[Form]
    statement: ast.stmt
    own: set[int]
    parts: dict[str, ast.expr] = field(default_factory=dict)
    op: str = ""
    default: tuple[object, ...] = ()
    method: str = ""
    assigns: tuple[str, ...] = ()
    none_first: bool = False
    guarded: bool = False
    tail: bool = False
    ambiguous: bool = False


def same(first: ast.expr, second: ast.expr) -> bool:
    """Whether two expressions are written alike (loads and stores not told apart)."""
    return ast.dump(first).replace("Store()", "Load()") == ast.dump(second).replace("Store()", "Load()")


_PURE_METHODS = frozenset(
    [
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "casefold",
        "title",
        "removeprefix",
        "removesuffix",
        "capitalize",
        "isoformat",
        "year",
        "month",
    ]
)
_PURE_FUNCTIONS = frozenset(["len", "int", "str", "abs", "ord", "chr", "bool", "float", "round", "repr"])


def repeatable(node: ast.expr) -> bool:
    """Whether evaluating an expression twice is the same as evaluating it once, as far as one can see."""
    for part in walk(node):
        match part:
            case ast.Call(func=ast.Name(id=name)) if name in _PURE_FUNCTIONS:
                pass
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in _PURE_METHODS:
                pass
            case ast.Call() | ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom() | ast.Lambda():
                return False
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return False
    return True


def harmless(node: ast.expr) -> bool:
    """Whether evaluating an expression can neither raise nor change anything (names are bound by then)."""
    match node:
        case ast.Constant() | ast.Name():
            return True
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return all(harmless(e) for e in elts)
        case _:
            return False


def change(node: ast.stmt, kind_of: KindOf) -> Change | None:
    """The change that a statement makes to one variable, if it has one of the mergeable forms."""
    match node:
        case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
            sign = SIGNS[type(op).__name__]
            return Change(name, Fold, node, {id(target)}, {"value": value}, op=sign)
        case ast.AugAssign(target=ast.Subscript(value=ast.Name(id=name) as target, slice=key), op=op, value=value):
            if isinstance(key, ast.Slice):
                return None
            sign = SIGNS[type(op).__name__]
            return Change(name, Tally, node, {id(target)}, {"key": key, "value": value}, op=sign)
        case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
            return _assignment(node, name, target, value)
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name) as target, slice=key)], value=value):
            return _item_assignment(node, name, target, key, value)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=receiver, attr=method), args=args, keywords=keywords)):
            return _method(node, receiver, method, args, keywords, kind_of)
        case ast.If(test=test, body=[ast.Assign() as assign], orelse=[]):
            return _best(node, test, [assign])
        case ast.If(test=test, body=body, orelse=[]) if all(isinstance(s, ast.Assign) for s in body):
            return _best(node, test, [s for s in body if isinstance(s, ast.Assign)])
        case _:
            return None


def _assignment(node: ast.stmt, name: str, target: ast.Name, value: ast.expr) -> Change | None:
    match value:
        case ast.BinOp(left=ast.Name(id=left) as own, op=op, right=right) if left == name:
            sign = SIGNS[type(op).__name__]
            if sign in "+-*|&^":
                return Change(name, Fold, node, {id(target), id(own)}, {"value": right}, op="=" + sign)
        case ast.BinOp(left=left_value, op=op, right=ast.Name(id=right) as own) if right == name:
            sign = SIGNS[type(op).__name__]
            if sign in PREPENDABLE:
                return Change(name, Fold, node, {id(target), id(own)}, {"value": left_value}, op=sign + "=")
        case ast.Call(func=ast.Name(id="max" | "min" as pick), args=[ast.Name(id=first) as own, other], keywords=[]):
            if first == name and not isinstance(other, ast.Starred):
                return Change(name, Extreme, node, {id(target), id(own)}, {"value": other}, op=pick)
            if isinstance(other, ast.Name) and other.id == name:
                return Change(name, Extreme, node, {id(target), id(other)}, {"value": own}, op=pick + ">")
        case ast.Call(func=ast.Name(id="max" | "min" as pick), args=[other, ast.Name(id=last) as own], keywords=[]):
            if last == name and not isinstance(other, ast.Starred):
                return Change(name, Extreme, node, {id(target), id(own)}, {"value": other}, op=pick + ">")
    return None


def _item_assignment(node: ast.stmt, name: str, target: ast.Name, key: ast.expr, value: ast.expr) -> Change | None:
    if isinstance(key, ast.Slice) or any(isinstance(part, ast.Slice) for part in getattr(key, "elts", [])):
        return None
    match value:
        case ast.BinOp(
            left=ast.Call(
                func=ast.Attribute(value=ast.Name(id=again) as own, attr="get"), args=[k, default], keywords=[]
            ),
            op=ast.Add() | ast.Sub() | ast.BitOr() | ast.Mult() as op,
            right=right,
        ) if again == name and same(k, key) and repeatable(key):
            constant = _constant(default)
            if constant is not None:
                sign = "=" + SIGNS[type(op).__name__]
                parts = {"key": key, "value": right}
                return Change(name, Tally, node, {id(target), id(own)}, parts, op=sign, default=constant)
        case ast.BinOp(
            left=ast.Subscript(value=ast.Name(id=again) as own, slice=k),
            op=ast.Add() | ast.Sub() | ast.BitOr() | ast.Mult() as op,
            right=right,
        ) if again == name and same(k, key) and repeatable(key):
            sign = "=" + SIGNS[type(op).__name__]
            return Change(name, Tally, node, {id(target), id(own)}, {"key": key, "value": right}, op=sign)
    return Change(name, Store, node, {id(target)}, {"key": key, "value": value})


def _constant(node: ast.expr) -> tuple[object, ...] | None:
    """The value of a default, in a tuple: a literal without mutable parts."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return (value,) if isinstance(value, (int, float, complex, str, bytes, tuple, type(None))) else None


def _method(
    node: ast.stmt,
    receiver: ast.expr,
    method: str,
    args: list[ast.expr],
    keywords: list[ast.keyword],
    kind_of: KindOf,
) -> Change | None:
    if keywords or len(args) != 1 or isinstance(args[0], ast.Starred):
        return None
    value = args[0]
    match receiver:
        case ast.Name(id=name) as own:
            parts = {"value": value}
            if method in ("append", "extend"):
                return Change(name, Appended, node, {id(own)}, parts, method=method)
            if method == "add":
                return Change(name, Distinct, node, {id(own)}, parts, method=method)
            if method == "update":
                kind = kind_of(name)
                form: dict[str, type[Form]] = {"set": Distinct, "Counter": Counts, "dict": Store, "defaultdict": Store}
                if kind is not None and kind.__name__ in form:
                    return Change(name, form[kind.__name__], node, {id(own)}, parts, method=method)
                return Change(name, Store, node, {id(own)}, parts, method=method, ambiguous=kind is None)
        case ast.Subscript(value=ast.Name(id=name) as own, slice=key) if not isinstance(key, ast.Slice):
            if method in ("append", "extend", "add"):
                return Change(name, Grouped, node, {id(own)}, {"key": key, "value": value}, method=method)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name) as own, attr="setdefault"), args=[key, default], keywords=[]
        ):
            inner = _empty(default)
            if (inner == "list" and method in ("append", "extend")) or (inner == "set" and method == "add"):
                parts = {"key": key, "value": value}
                return Change(name, Grouped, node, {id(own)}, parts, method=method, default=(inner,))
    return None


def _empty(node: ast.expr) -> str | None:
    match node:
        case ast.List(elts=[]):
            return "list"
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in ("list", "set"):
            return name
    return None


_MIRROR = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<="}


def _best(node: ast.If, test: ast.expr, body: list[ast.Assign]) -> Change | None:
    assigned: dict[str, ast.expr] = {}
    targets: set[int] = set()
    for statement in body:
        if len(statement.targets) != 1:
            return None
        match statement.targets[0], statement.value:
            case ast.Name() as single, value:
                pairs: list[tuple[ast.expr, ast.expr]] = [(single, value)]
            case (ast.Tuple(elts=names), ast.Tuple(elts=values)) if len(names) == len(values):
                pairs = list(zip(names, values, strict=True))
            case _:
                return None
        for target, value in pairs:
            if not isinstance(target, ast.Name) or target.id in assigned:
                return None
            assigned[target.id] = value
            targets.add(id(target))
    none_name: str | None = None
    own: set[int] = set()
    match test:
        case ast.BoolOp(
            op=ast.Or(),
            values=[
                ast.Compare(left=ast.Name(id=none_name) as none_own, ops=[ast.Is()], comparators=[ast.Constant(None)]),
                comparison,
            ],
        ):
            own.add(id(none_own))
        case _:
            comparison = test
    match comparison:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARISONS:
            sign = _COMPARISONS[type(operator)]
        case _:
            return None
    if isinstance(right, ast.Name) and right.id in assigned:
        best, candidate = right, left
    elif isinstance(left, ast.Name) and left.id in assigned:
        best, candidate, sign = left, right, _MIRROR[sign]
    else:
        return None
    if none_name not in (None, best.id):
        return None
    if not same(assigned[best.id], candidate) or not repeatable(candidate):
        return None
    if any(use.name in assigned for part in assigned.values() for use in uses(part)):
        return None
    return Change(
        best.id,
        Best,
        node,
        own | targets | {id(best)},
        {"value": candidate, **{f"={name}": value for name, value in assigned.items() if name != best.id}},
        op=sign,
        assigns=tuple(assigned),
        none_first=none_name is not None,
    )
