"""The first of equal ones: `if k not in seen: seen.add(k); out.append(r)`, `if x not in out: out.append(x)`."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import refusals
from .containers import check_kind
from .forms import Commit, Form, Namespace, nothing
from .places import harmless, same
from .reductions import Change
from .scopes import walk
from .surroundings import Body
from .values import compared_soundly


@dataclass
class Unseen(Form):
    """names: the set (or list) that tells which were there, and the lists of what is appended for new ones; listed: whether
    it is a list."""

    names: tuple[str, ...] = ()
    listed: bool = False
    accumulator = "{}"
    what = "the first of equal ones"
    otherwise = "write first.setdefault(key, x) in the loop, and list(first.values()) after it"
    role = "output"

    @property
    def packer(self) -> str:
        return "listed" if self.listed else "dict"

    @property
    def holders(self) -> tuple[str, ...]:
        return self.names

    def check(self, value: Any) -> None:
        if self.listed:
            check_kind(self, value, (list,), "a list")
            if not all(map(compared_soundly, value)):
                raise refusals.not_told_apart(self.line, self.name)
        else:
            check_kind(self, value, (set,), "a set")

    def check_beside(self, name: str, value: Any) -> None:
        if type(value) is not list:
            raise refusals.wrong_kind(self.line, name, value, "a list")

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)
        outs = [self.current(namespace, name) for name in self.names[1:]]
        for name, out in zip(self.names[1:], outs, strict=True):
            self.check_beside(name, out)
        known = set(target) if self.listed else target
        new: dict[Any, tuple[Any, ...]] = {}
        for effect in effects:
            for key, values in effect.items():
                if key not in known and key not in new:
                    new[key] = values

        def commit() -> None:
            target.extend(new) if self.listed else target.update(list(new))  # one after the other: their order shows
            for number, out in enumerate(outs):
                out.extend([values[number] for values in new.values()])

        return commit


def unseen(node: ast.stmt, body: Body) -> Change | None:
    """The change that an `if` makes to what tells whether something is new, and to the lists of what is."""
    match node:
        case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=ast.Compare(ops=[ast.In()]) as test), body=inner, orelse=[]):
            pass
        case ast.If(test=ast.Compare(ops=[ast.NotIn()]) as test, body=inner, orelse=[]):
            pass
        case _:
            return None
    key, [asked] = test.left, test.comparators
    if not isinstance(asked, ast.Name) or not body.repeatable(key):
        return None
    name = asked.id
    own, told, parts, names = {id(asked)}, "", {"key": key}, [name]
    for statement in inner:
        match statement:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=changed) as owner, attr="add" | "append" as method),
                    args=[value],
                    keywords=[],
                )
            ):
                own.add(id(owner))
            case _:
                return None
        if changed == name and not told and same(value, key):
            told = method
        elif changed not in names and method == "append" and not isinstance(value, ast.Starred):
            names.append(changed)
            parts[f"={changed}"] = value
        else:
            return None
    if not told or any(isinstance(part, ast.Name) and part.id in names for v in parts.values() for part in walk(v)):
        return None
    values = [parts[f"={other}"] for other in names[1:]]
    parts["value"] = ast.Tuple(values, ast.Load())
    return Change(name, Unseen, node, own, parts, method=told, assigns=tuple(names))


def unseen_form(change: Change, guarded: bool) -> Unseen:
    """Raises Refusal."""
    for name in change.assigns[1:]:
        if not _cannot_fail(change.parts[f"={name}"], change.parts["key"]):
            raise refusals.unsupported_form(
                change.statement,
                name,
                f"what is appended to '{name}' is computed only for a new one, which the workers cannot know.",
                "Compute it before the 'if' (new = ...), and append that variable; or write first.setdefault(key, ...).",
            )
    return Unseen(change.name, change.statement.lineno, guarded, change.assigns, change.method == "append")


def _cannot_fail(value: ast.expr, key: ast.expr) -> bool:
    """Whether nothing new is computed, once the key is."""
    match value:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(_cannot_fail(part, key) for part in parts)
    return harmless(value) or same(value, key)


def without_continue(body: list[ast.stmt], whole: Body) -> list[ast.stmt]:
    """A loop's body with `if k in seen: continue` and what follows as `if k not in seen: ...`, where that is such a change."""
    for number, node in enumerate(body):
        match node:
            case ast.If(
                test=ast.Compare(left=key, ops=[ast.In()], comparators=[asked]), body=[ast.Continue()], orelse=[]
            ):
                test = ast.copy_location(ast.Compare(key, [ast.NotIn()], [asked]), node.test)
                new = ast.copy_location(ast.If(test, body[number + 1 :], []), node)
                if unseen(new, whole) is not None:
                    return [*body[:number], new]
    return body
