"""Recognises the statements of a loop body that change a variable in a way that can be merged."""

import ast
import builtins
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from .containers import Appended, Counts, Distinct, First, Grouped, Store
from .forms import SIGNS, Extreme, Fold, Form
from .places import Place, Step, constant, fresh, makers, place, same, slices, written
from .scopes import loaded, stored
from .surroundings import Body
from .tallies import OPERAND, Tally

PREPENDABLE = frozenset("+*|&^")
LISTS = ("append", "extend")
SETS = ("add", "update")


@dataclass
class Change:
    """One statement that changes `name`, or what lies inside of it at the end of `path`. own: the Name nodes that the form
    accounts for; parts: its expressions; fixed: names that must be bound to these objects. covers: it only sees to it that
    an item is there, for changes after it, which are certain of that. calm: it counts only where no failure is caught.
    plain: only of dicts that raise KeyError. alias: the name that it gives to the item. passing: what it stores may be
    changed after that. absent: what says that there is no best yet, see `values.is_absent`; asked: the name that is
    asked. above: what an item has to beat where none is there yet. computed: the assigned names whose values
    may be computed for more iterations than the cell does."""

    name: str
    kind: type[Form]
    statement: ast.stmt
    own: set[int]
    parts: dict[str, ast.expr] = field(default_factory=dict)
    path: list[Step] = field(default_factory=list)
    fixed: dict[str, object] = field(default_factory=dict)
    op: str = ""
    default: tuple[object, ...] = ()
    method: str = ""
    measure: str = ""
    assigns: tuple[str, ...] = ()
    absent: str = ""
    asked: str = ""
    above: tuple[object, ...] = ()
    computed: frozenset[str] = frozenset()
    guarded: bool = False
    tail: bool = False
    ambiguous: bool = False
    certain: bool = False
    covers: bool = False
    calm: bool = False
    plain: bool = False
    alias: str = ""
    passing: bool = False


def changed(where: Place, kind: type[Form], node: ast.stmt, parts: dict[str, ast.expr], **others: Any) -> Change:
    """A change of an item of what is at a place. Of `own` it takes the Name nodes."""
    fixed = {**where.fixed, **others.pop("fixed", {})}
    own = {id(name) for name in (where.name, *others.pop("own", ()))}
    return Change(where.name.id, kind, node, own, parts, where.path, fixed, **others)


def keys_of(where: Place | Change) -> tuple[str, ...]:
    """A variable's name, and the keys that lead from it to the item, as they are written."""
    name = where.name.id if isinstance(where, Place) else where.name
    keys = [step.key for step in where.path]
    if isinstance(where, Change) and "key" in where.parts:
        keys.append(where.parts["key"])
    return (name, *map(written, keys))


def change(node: ast.stmt, body: Body) -> Change | None:
    """The change that a statement makes to one variable, if it has one of the mergeable forms."""
    match node:
        case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
            sign = SIGNS[type(op).__name__]
            return Change(name, Fold, node, {id(target)}, {"value": value}, op=sign)
        case ast.AugAssign(target=ast.Subscript(value=holder, slice=key), op=op, value=value):
            where = None if slices(key) else place(holder)
            sign = SIGNS[type(op).__name__]
            parts = {"key": key, "value": value}
            return None if where is None else changed(where, Tally, node, parts, op=sign)
        case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
            return _assignment(node, name, target, value)
        case ast.Assign(targets=[ast.Subscript(value=holder, slice=key)], value=value):
            return None if slices(key) else _item_assignment(node, holder, key, value, body)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=receiver, attr=method), args=args, keywords=keywords)):
            return _method(node, receiver, method, args, keywords, body)
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
                return _extreme(node, target, own, other, pick)
            if isinstance(other, ast.Name) and other.id == name:
                return _extreme(node, target, other, own, pick, last=True)
        case ast.Call(func=ast.Name(id="max" | "min" as pick), args=[other, ast.Name(id=last) as own], keywords=[]):
            if last == name and not isinstance(other, ast.Starred):
                return _extreme(node, target, own, other, pick, last=True)
    return None


def _extreme(node: ast.stmt, target: ast.Name, own: ast.Name, value: ast.expr, pick: str, last: bool = False) -> Change:
    """last: the variable itself is the second argument."""
    names = {id(target), id(own)}
    fixed = {pick: getattr(builtins, pick)}
    return Change(target.id, Extreme, node, names, {"value": value}, fixed=fixed, op=f"{pick}>" if last else pick)


def _item_assignment(node: ast.stmt, holder: ast.expr, key: ast.expr, value: ast.expr, body: Body) -> Change | None:
    where = place(holder)
    if where is None:
        return None
    match value:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.BitOr() | ast.Mult() as op, right=right):
            if (known := _item(left, holder, key, right, body)) is not None:
                sign = "=" + SIGNS[type(op).__name__]
                return changed(where, Tally, node, {"key": key, "value": right}, op=sign, **known)
        case ast.Call(func=ast.Name(id="max" | "min" as pick), args=[first, second], keywords=[]):
            for old, new, op_ in ((first, second, pick), (second, first, f"{pick}>")):
                known = None if isinstance(new, ast.Starred) else _item(old, holder, key, new, body, picks=True)
                if known is not None:
                    known["fixed"][pick] = getattr(builtins, pick)
                    return changed(where, Tally, node, {"key": key, "value": new}, op=op_, **known)
    return changed(where, Store, node, {"key": key, "value": value})


def _item(
    old: ast.expr, holder: ast.expr, key: ast.expr, new: ast.expr, body: Body, picks: bool = False
) -> dict[str, Any] | None:
    """What a Change is to know of `holder[key]` or `holder.get(key, default)`, if `old` is that; new: what it meets, of
    which one becomes the item if it `picks`."""
    match old:
        case ast.Subscript(value=again, slice=k):
            known: dict[str, Any] = {"fixed": {}}
        case ast.Call(func=ast.Attribute(value=again, attr="get"), args=[k, default], keywords=[]):
            if picks and same(default, new) and body.repeatable(new) and not isinstance(new, ast.Constant):
                known = {"default": (OPERAND,), "fixed": {}}
            else:
                value, fixed = constant(default)
                if not value and not picks and isinstance(default, ast.List | ast.Tuple) and not default.elts:
                    value = (fresh(ast.unparse(default)),)  # nobody changes it: the sum is another one
                if not value:
                    return None
                known = {"default": value, "fixed": fixed}
        case _:
            return None
    other = place(again)
    if other is None or not (same(again, holder) and same(k, key) and body.repeatable(holder, key)):
        return None
    if stored(new) & loaded(holder, key):  # the key is another one when the item is assigned
        return None
    return {**known, "own": [other.name]}


def _method(
    node: ast.stmt,
    receiver: ast.expr,
    method: str,
    args: list[ast.expr],
    keywords: list[ast.keyword],
    body: Body,
) -> Change | None:
    if keywords or any(isinstance(argument, ast.Starred) for argument in args):
        return None
    where = place(receiver)
    match method, args:
        case "setdefault", [key, value]:
            parts = {"key": key, "value": value}
            return None if where is None else changed(where, First, node, parts, fixed=makers(value) or {})
        case (("append" | "extend" | "add" | "update"), [value]) if where is not None:
            if where.path:
                return of_item(node, where, method, value, body)
        case _:
            return None
    parts = {"value": value}
    if method in LISTS:
        return changed(where, Appended, node, parts, method=method)
    if method == "add":
        return changed(where, Distinct, node, parts, method=method)
    kind = body.kind_of(where.name.id)
    forms: dict[type | None, type[Form]] = {set: Distinct, Counter: Counts, dict: Store, defaultdict: Store}
    return changed(where, forms.get(kind, Store), node, parts, method=method, ambiguous=kind is None)


def of_item(node: ast.stmt, where: Place, method: str, value: ast.expr, body: Body) -> Change | None:
    """`d[k].append(v)`, `d.setdefault(k, set()).update(v)` and their like."""
    *path, last = where.path
    made = fresh(last.creates) if last.creates else None
    outer, parts = Place(where.name, path, where.fixed), {"key": last.key, "value": value}
    if made is not None and (inner := grouped(made, method)):
        return changed(outer, Grouped, node, parts, method=method, default=(inner,))
    kind = type(made) if last.creates else body.item_kind(where.name.id) if len(where.path) == 1 else None
    if method == "update" and (form := updated(kind)) is not None:
        return changed(where, form, node, {"value": value}, method=method)
    if last.creates:
        return None
    return changed(outer, Grouped, node, parts, method=method, ambiguous=method == "update" and kind is not set)


def updated(kind: type | None) -> type[Form] | None:
    """What update() is on an item of a type, other than a set."""
    return Counts if kind is Counter else Store if kind in (dict, defaultdict) else None


def grouped(made: object, method: str) -> str:
    """Which kind of Grouped a method of a new item makes: list, set, or "" for none."""
    if made == [] and method in LISTS:
        return "list"
    return "set" if made == set() and method in SETS else ""
