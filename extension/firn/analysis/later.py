"""Which variables a later statement of the same cell changes in place: those that a loop shares, and others, which may have
objects in common with these."""

import ast
from collections.abc import Callable

from .body import mutations
from .plan import SplitLoop
from .scopes import COMPREHENSIONS, loaded, root, stored, walk, with_items

_SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)


def changed_later(
    tree: ast.Module, loops: list[SplitLoop], read: list[set[str]], through: Callable[[set[str]], set[str]]
) -> tuple[set[str], list[dict[str, bool]]]:
    """Names of what the loops read; and for each loop the other ones, and whether more than their own objects may change. A
    change through another name for the object (`b = a`,
    `for row in a`) counts; one by a function that the analysis does not know does not. `through`: what the functions
    that names lead to read."""
    found: set[str] = set()
    others: list[dict[str, bool]] = []
    leads = _derived(tree)
    for loop, names in zip(loops, read, strict=True):
        new = _made_by(tree, loop)
        changed: dict[str, bool] = {}

        def note(name: str, deep: bool, changed: dict[str, bool] = changed) -> None:
            for origin in _origins(name, leads):
                changed[origin] = changed.get(origin, False) or deep or origin != name

        for statement in walk(tree):
            if isinstance(statement, _SIMPLE) and statement.lineno == loop.lineno:
                for name in _taken(statement):
                    note(name, True)
        for statement in tree.body:
            before = (statement.end_lineno or statement.lineno) <= loop.lineno or statement.lineno == loop.lineno
            if before and not _around(statement, loop):
                continue
            for name, deep in _changed(statement).items():
                if deep or name != new:
                    note(name, deep)
        shared = changed.keys() & names
        if changed.keys() - names:
            shared |= changed.keys() & through(names)
        found |= shared
        others.append({name: deep for name, deep in changed.items() if name not in shared})
    return found, others


def _taken(statement: ast.stmt) -> set[str]:
    """The names whose objects a loop's own statement changes, or has taken hold of before the loop runs
    (`d.update({k: v for k, v in d.items()})`, `pair = (rows, [r for r in rows])`): these are what the variables were
    bound to."""
    found = set(_changed(statement))
    inside = {id(part) for part in walk(statement) if isinstance(part, COMPREHENSIONS)}

    def look(node: ast.AST) -> bool:
        if id(node) in inside:
            return True
        before: list[ast.AST] = []
        has = False
        for child in ast.iter_child_nodes(node):
            if look(child):
                has = True
                found.update(name for part in before for name in _leading(part))
            before.append(child)
        return has

    look(statement)
    return found


def _leading(node: ast.AST) -> set[str]:
    """The names of whose objects an expression may be a part."""
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return {name for part in parts for name in _leading(part)}
        case ast.Name(ctx=ast.Store()) | ast.Call():
            return set()
        case ast.expr():
            name = root(node)
            return set() if name is None or isinstance(name.ctx, ast.Store) else {name.id}
    return set()


def _made_by(tree: ast.Module, loop: SplitLoop) -> str:
    """The variable that a loop's own statement binds to a container that it makes (`rows = [r for r in rows if r]`), or ""."""
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if statement.lineno == loop.lineno:
                return name if isinstance(value, (ast.ListComp, ast.SetComp, ast.DictComp)) else ""
    return ""


def _around(statement: ast.stmt, loop: SplitLoop) -> bool:
    """Whether a compound statement, other than the loop itself, has the loop inside."""
    if statement.lineno > loop.lineno or (statement.end_lineno or 0) < loop.lineno:
        return False
    return isinstance(statement, (ast.If, ast.With, ast.Try, ast.TryStar, ast.Match, ast.AsyncWith))


def _changed(statement: ast.stmt) -> dict[str, bool]:
    """Names; whether what lies inside of their objects may change (`rows[0]["x"] = 1`), and not these alone."""
    names: dict[str, bool] = {}
    own = _rebound(statement)
    for where, owner, _ in mutations(statement):
        if owner is not None and id(owner) not in own:
            match where:
                case (
                    ast.Subscript(value=ast.Name(id=name))
                    | ast.Attribute(value=ast.Name(id=name))
                    | ast.Call(func=ast.Attribute(value=ast.Name(id=name)))
                ):
                    deep = name != owner.id  # heapq.heappush(rows, x)
                case _:
                    deep = True
            names[owner.id] = names.get(owner.id, False) or deep
    for part in walk(statement):
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            names.setdefault(part.target.id, False)
    return names


def _rebound(statement: ast.stmt) -> set[int]:
    """The names of loop variables where they are no items any more (`row = dict(row)`)."""
    found: set[int] = set()
    for loop in walk(statement):
        if isinstance(loop, ast.For):
            targets = stored(loop.target)
            for inner, items in with_items(loop):
                if gone := targets - items:
                    found |= {id(part) for part in walk(inner) if isinstance(part, ast.Name) and part.id in gone}
    return found


def _derived(tree: ast.Module) -> dict[str, set[str]]:
    """name -> the names whose objects it may lead to."""
    leads: dict[str, set[str]] = {}
    for node in walk(tree):
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
            for part in walk(target):
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
