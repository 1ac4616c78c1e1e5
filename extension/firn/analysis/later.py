"""Which of the variables that a loop shares a later statement of the same cell changes in place, and which of those the
loop puts into its results, where the change would have to be seen."""

import ast

from .body import mutations
from .plan import SplitLoop
from .scopes import COMPREHENSIONS, loaded, root, stored, walk, with_items

_TAKING = frozenset({"append", "appendleft", "insert", "setdefault", "extend", "update"})


def mutated_later(tree: ast.Module, loops: list[SplitLoop], read: list[set[str]]) -> set[str]:
    """Names. A change through another name for the object (`b = a`, `for row in a`) counts; one by a function that the
    analysis does not know does not."""
    found: set[str] = set()
    leads = _derived(tree)
    for loop, names in zip(loops, read, strict=True):
        new = _made_by(tree, loop)
        for statement in tree.body:
            if (statement.end_lineno or statement.lineno) <= loop.lineno and not _around(statement, loop):
                continue
            if statement.lineno == loop.lineno and not _around(statement, loop):
                continue
            for name, deep in _changed(statement).items():
                if deep or name != new:
                    found |= _origins(name, leads) & names
    return found


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
                case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
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


def given(tree: ast.Module, loop: SplitLoop) -> tuple[set[str], set[str]]:
    """Names whose very object a loop may put into what it collects (`[default for x in xs]`, `d[k] = default`), and those
    of whose items it may put some there (`[row for row in rows]`, `found.append(table[k])`)."""
    here = [node for node in walk(tree) if getattr(node, "lineno", 0) == loop.lineno]
    loops = [node for node in here if isinstance(node, ast.For)]
    values: list[ast.expr] = []
    sources: dict[str, set[str]] = {}
    for node in loops:
        _add_source(node.target, node.iter, sources)
        for part in (inner for statement in node.body for inner in walk(statement)):
            match part:
                case ast.Assign(value=value):
                    values.append(value)
                case ast.AugAssign(value=ast.List() | ast.Tuple() | ast.Set() | ast.Dict() as value):
                    values.append(value)
                case ast.Call(func=ast.Attribute(attr=attribute), args=arguments) if attribute in _TAKING:
                    values += (
                        argument
                        for argument in arguments
                        if attribute not in ("extend", "update") or not isinstance(argument, ast.Name)
                    )
    for part in () if loops else here:
        if isinstance(part, COMPREHENSIONS):
            for generator in part.generators:
                _add_source(generator.target, generator.iter, sources)
            values.append(part.value if isinstance(part, ast.DictComp) else part.elt)
    own = {name for node in loops for name in _rebound(node)}
    pieces = [piece for value in values for piece in _pieces(value)]
    found = {piece.id for piece in pieces if isinstance(piece, ast.Name) and id(piece) not in own}
    held = {
        piece.value.id for piece in pieces if isinstance(piece, ast.Subscript) and isinstance(piece.value, ast.Name)
    }
    items = {source for name in found & sources.keys() for source in sources[name]}
    return found - sources.keys(), items | (held - sources.keys())


def _add_source(target: ast.expr, iterable: ast.expr, sources: dict[str, set[str]]) -> None:
    """Notes what a loop's variables are items of."""
    for part in walk(target):
        if isinstance(part, ast.Name):
            sources[part.id] = loaded(iterable)


def _pieces(value: ast.expr) -> list[ast.expr]:
    """The expressions whose object an expression's value may be, or hold."""
    match value:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.BoolOp(values=parts):
            inner = parts
        case ast.Dict(keys=keys, values=parts):
            inner = [part for key, part in zip(keys, parts, strict=True) if key is not None]  # {**row} is a copy
        case ast.IfExp(body=body, orelse=other):
            inner = [body, other]
        case ast.NamedExpr(value=assigned):
            inner = [assigned]
        case _:
            return [value]
    return [piece for part in inner for piece in _pieces(part)]
