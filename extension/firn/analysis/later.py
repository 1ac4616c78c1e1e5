"""Which variables a later statement of the same cell changes in place: those that a loop shares, and others, which may have
objects in common with these."""

import ast
from collections.abc import Callable

from .body import mutations
from .plan import Depth, SplitLoop
from .scopes import COMPREHENSIONS, loaded, root, stored, walk, with_items

_SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)


def changed_later(
    tree: ast.Module, loops: list[SplitLoop], read: list[set[str]], through: Callable[[set[str]], set[str]]
) -> tuple[set[str], list[dict[str, Depth]]]:
    """Names of what the loops read; and for each loop the other ones, and how deeply these may change. A change through
    another name for the object (`b = a`, `for row in a`) counts; one by a function that the analysis does not know does
    not. `through`: what the functions that names lead to read."""
    found: set[str] = set()
    others: list[dict[str, Depth]] = []
    leads = _derived(tree)
    for loop, names in zip(loops, read, strict=True):
        new = _made_by(tree, loop)
        changed: dict[str, Depth] = {}

        def note(name: str, depth: Depth, changed: dict[str, Depth] = changed) -> None:
            for origin in _origins(name, leads):
                changed[origin] = max(changed.get(origin, depth), depth if origin == name else Depth.BELOW)

        for statement in walk(tree):
            if isinstance(statement, _SIMPLE) and statement.lineno == loop.lineno:
                for name in _taken(statement):
                    note(name, Depth.BELOW)
        for statement in tree.body:
            before = (statement.end_lineno or statement.lineno) <= loop.lineno or statement.lineno == loop.lineno
            if before and not _around(statement, loop):
                continue
            for name, depth in _changed(statement).items():
                if depth == Depth.BELOW or name != new or leads.get(name, set()) - {name}:
                    note(name, depth)
        shared = changed.keys() & names
        if changed.keys() - names:
            shared |= changed.keys() & through(names)
        found |= shared
        others.append({name: depth for name, depth in changed.items() if name not in shared})
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


def _changed(statement: ast.stmt) -> dict[str, Depth]:
    """Names, and how deeply their objects may change."""
    names: dict[str, Depth] = {}
    own = _rebound(statement)
    for where, owner, _ in mutations(statement):
        if owner is not None and id(owner) not in own:
            match where:
                case ast.Attribute(value=ast.Name()):
                    depth = Depth.ATTRIBUTES
                case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                    depth = Depth.ITEMS if name == owner.id else Depth.BELOW  # heapq.heappush(rows, x)
                case _:
                    depth = Depth.BELOW
            names[owner.id] = max(names.get(owner.id, depth), depth)
    for part in walk(statement):
        if isinstance(part, ast.AugAssign):
            owner = root(part.target)
            if isinstance(part.target, ast.Name):
                names.setdefault(part.target.id, Depth.ITEMS)
            elif owner is not None and owner.id in names and not _is_number(part.value):
                names[owner.id] = Depth.BELOW  # state["rows"] += [row]
    return names


def _is_number(node: ast.expr) -> bool:
    """Whether an expression's value cannot be a container."""
    match node:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="len" | "sum" | "int" | "float" | "round" | "abs")):
            return True
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
    return False


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
