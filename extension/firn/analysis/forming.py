"""One form for all the changes that a loop makes to a variable."""

import ast
from collections.abc import Callable

from . import refusals
from .containers import Appended, Counts, Distinct, First, Grouped, Leader, Store
from .forms import Best, Extreme, Fold, Form
from .nested import Fields, Nested
from .places import fresh, harmless, same
from .reductions import SETS, Change
from .tallies import Tally
from .unseen import Unseen, unseen_form


def form_of(changes: list[Change]) -> Form:
    """Raises Refusal where there is none."""
    form = _form(changes[0].name, changes, 0)
    form.fixed = {word: value for c in changes for word, value in c.fixed.items()}
    return form


def _form(name: str, changes: list[Change], depth: int) -> Form:
    """The form of changes of the object that so many steps of their paths lead to; name: what messages call it."""
    try:
        return _alike_at(name, changes, depth)
    except refusals.Refusal:
        if (form := _fields(name, changes, depth)) is None:
            raise
        return form


def _alike_at(name: str, changes: list[Change], depth: int) -> Form:
    real = [c for c in changes if not c.covers]
    below = [c for c in changes if len(c.path) > depth]
    first = real[0]
    if not below:
        return _form_of_all(name, real)
    create = below[0].path[depth].creates
    for c in [*(c for c in real if c not in below), *(c for c in below if c.path[depth].creates != create)]:
        other = next(other for other in (*real, *changes) if other is not c)
        raise refusals.mixed_changes(c.statement, first.name, other.kind.what, c.kind.what)
    line, guarded = first.statement.lineno, any(c.guarded for c in real)
    inner = _form(f"{first.name}[...]", below, depth + 1)
    if create and isinstance(inner, Fields):
        inner.check(fresh(create))
    return Nested(name, line, guarded, create, inner=inner)


def _fields(name: str, changes: list[Change], depth: int) -> Form | None:
    """The form of changes in several ways where each stands at a constant key of its own (`d["n"] += 1`,
    `d["all"].append(x)`)."""
    groups: dict[object, list[Change]] = {}
    for c in changes:
        match c.path[depth].key if len(c.path) > depth else c.parts.get("key"):
            case ast.Constant(value=str() | int() as value) if isinstance(value, str) or value >= 0:
                groups.setdefault(value, []).append(c)
            case _:
                return None
    if len(groups) < 2 or any(all(c.covers for c in group) for group in groups.values()):
        return None
    forms = tuple(_form(name, group, depth) for group in groups.values())
    return Fields(name, forms[0].line, any(form.guarded for form in forms), keys=tuple(groups), forms=forms)


def _form_of_all(name: str, changes: list[Change]) -> Form:
    """The one form of changes of the same object; name: what messages call that."""
    first = changes[0]
    line = first.statement.lineno
    guarded = any(c.guarded for c in changes)
    for c in changes:
        if c.ambiguous:
            raise refusals.unknown_kind(c.statement, c.name, c.method, item=c.kind is Grouped)
    kinds = {c.kind for c in changes}
    if kinds == {Fold, Appended} and all(c.op == "+" for c in changes if c.kind is Fold):
        # x.append(a) and x += [b]: one list.
        kinds = {Appended}
    if len(kinds) > 1:
        other = next(c for c in changes if c.kind is not first.kind)
        raise refusals.mixed_changes(other.statement, first.name, first.kind.what, other.kind.what)
    kind = kinds.pop()
    if kind is Fold:
        return Fold(name, line, guarded, [c.op for c in changes], _unit(changes))
    if kind is Extreme:
        return _alike(changes, Extreme(name, line, guarded, first.op), lambda c: c.op)
    if kind is Best:
        if len(changes) > 1:
            raise refusals.mixed_changes(changes[1].statement, name, Best.what, Best.what)
        names = (name, *(n for n in first.assigns if n != name))
        computed = ""
        for key, value in first.parts.items():
            if not key.startswith("=") or harmless(value):
                continue
            computed = key[1:]
            if computed not in first.computed:
                raise refusals.unsupported_form(
                    first.statement,
                    key[1:],
                    f"what '{key[1:]}' is bound to is computed only when '{name}' changes, which the workers cannot know.",
                    f"Compute it before the 'if' ({key[1:]}_ = ...) and assign that variable, or use"
                    f" {'max' if first.op.startswith('>') else 'min'}(..., key=...) over a comprehension.",
                )
        return Best(
            name, line, guarded, first.op, first.absent, first.asked, names, first.measure, first.passing, computed
        )
    if kind is Tally:
        form = Tally(
            name, line, guarded, first.op, first.default, _unit(changes), first.certain, first.above, plain=first.plain
        )
        return _alike(changes, form, lambda c: (c.op, repr(c.default), c.certain, repr(c.above), c.plain))
    if kind is Grouped:
        inner = "set" if first.method in SETS else "list"
        form_ = Grouped(name, line, guarded, inner, bool(first.default), plain=first.plain)
        return _alike(changes, form_, lambda c: (c.method in SETS, bool(c.default), c.plain))
    if kind is Leader:
        for c in changes:
            if not (harmless(c.parts["value"]) or same(c.parts["value"], c.parts["score"])):
                raise refusals.unsupported_form(
                    c.statement,
                    c.name,
                    f"what the items of '{c.name}' are bound to is computed only when one changes, which the workers cannot"
                    " know.",
                    "Compute its parts before the 'if', and assign a variable or a tuple of variables.",
                )
        leader = Leader(name, line, guarded, first.op, first.measure, any(c.passing for c in changes), first.absent)
        return _alike(changes, leader, lambda c: (c.op, c.measure, c.absent))
    if kind is Unseen:
        if len(changes) > 1:
            raise refusals.mixed_changes(changes[1].statement, name, Unseen.what, Unseen.what)
        return unseen_form(first, guarded)
    if kind is First:
        return First(name, line, guarded)
    if kind is Store:
        return Store(name, line, guarded, any(c.method == "update" for c in changes))
    if kind is Counts:
        return Counts(name, line, guarded)
    if kind is Distinct:
        return Distinct(name, line, guarded)
    return Appended(name, line, guarded)


def _unit(changes: list[Change]) -> int:
    """The int that all the changes add or take away (1 in `n += 1`), or 0."""
    values = {c.parts["value"].value if isinstance(c.parts["value"], ast.Constant) else None for c in changes}
    value = values.pop()
    if values or type(value) is not int or {c.op.strip("=") for c in changes} not in ({"+"}, {"-"}):
        return 0
    return 0 if len({c.op for c in changes}) > 1 else value


def _alike(changes: list[Change], form: Form, key: Callable[[Change], object]) -> Form:
    for other in changes[1:]:
        if key(other) != key(changes[0]):
            raise refusals.mixed_changes(other.statement, other.name, form.what, form.what)
    return form
