"""Which of the variables that a loop shares a later statement of the same cell changes in place, and which of those the
loop puts into its results, where the change would have to be seen."""

import ast

from .body import mutations
from .plan import SplitLoop
from .scopes import COMPREHENSIONS, loaded, root

_TAKING = frozenset({"append", "appendleft", "insert", "setdefault", "extend", "update"})


def mutated_later(tree: ast.Module, loops: list[SplitLoop], read: list[set[str]]) -> set[str]:
    """Names. A change through another name for the object (`b = a`, `for row in a`) counts; one by a function that the
    analysis does not know does not."""
    found: set[str] = set()
    leads = _derived(tree)
    for loop, names in zip(loops, read, strict=True):
        for statement in tree.body:
            if (statement.end_lineno or statement.lineno) <= loop.lineno and not _around(statement, loop):
                continue
            if statement.lineno == loop.lineno and not _around(statement, loop):
                continue
            for name in _changed(statement):
                found |= _origins(name, leads) & names
    return found


def _around(statement: ast.stmt, loop: SplitLoop) -> bool:
    """Whether a compound statement, other than the loop itself, has the loop inside."""
    if statement.lineno > loop.lineno or (statement.end_lineno or 0) < loop.lineno:
        return False
    return isinstance(statement, (ast.If, ast.With, ast.Try, ast.TryStar, ast.Match, ast.AsyncWith))


def _changed(statement: ast.stmt) -> set[str]:
    names = {owner.id for _, owner, _ in mutations(statement) if owner is not None}
    for part in ast.walk(statement):
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            names.add(part.target.id)
    return names


def _derived(tree: ast.Module) -> dict[str, set[str]]:
    """name -> the names whose objects it may lead to."""
    leads: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                origin = root(value)
                sources = {origin.id} if origin is not None else set()
            case ast.For(target=target, iter=iterable):
                targets, sources = [target], loaded(iterable)
            case ast.NamedExpr(target=target, value=value):
                origin = root(value)
                targets, sources = [target], {origin.id} if origin is not None else set()
            case _:
                continue
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    leads.setdefault(part.id, set()).update(sources)
    return leads


def _origins(name: str, leads: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo.extend(leads.get(current, ()))
    return found


def given(tree: ast.Module, loop: SplitLoop) -> set[str]:
    """Names whose very object a loop may put into what it collects (`[default for x in xs]`, `d[k] = default`)."""
    here = [node for node in ast.walk(tree) if getattr(node, "lineno", 0) == loop.lineno]
    loops = [node for node in here if isinstance(node, ast.For)]
    found: set[str] = set()
    for node in loops:
        for part in (inner for statement in node.body for inner in ast.walk(statement)):
            match part:
                case ast.Assign(value=value):
                    found |= _itself(value)
                case ast.AugAssign(value=ast.List() | ast.Tuple() | ast.Set() | ast.Dict() as value):
                    found |= _itself(value)
                case ast.Call(func=ast.Attribute(attr=attribute), args=arguments) if attribute in _TAKING:
                    for argument in arguments:
                        if attribute not in ("extend", "update") or not isinstance(argument, ast.Name):
                            found |= _itself(argument)
    for part in () if loops else here:
        if isinstance(part, COMPREHENSIONS):
            found |= _itself(part.value if isinstance(part, ast.DictComp) else part.elt)
    return found


def _itself(value: ast.expr) -> set[str]:
    """The names whose object an expression's value may be, or hold."""
    match value:
        case ast.Name(id=name):
            return {name}
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.BoolOp(values=parts):
            inner = parts
        case ast.Dict(values=parts):
            inner = parts
        case ast.IfExp(body=body, orelse=other):
            inner = [body, other]
        case ast.NamedExpr(value=assigned):
            inner = [assigned]
        case _:
            return set()
    return {name for part in inner for name in _itself(part)}
