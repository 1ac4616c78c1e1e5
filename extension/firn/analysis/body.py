"""What may not stand in a split loop at all, wherever it stands."""

import ast
from collections.abc import Iterable, Iterator

from . import refusals
from .cellfacts import CellFacts
from .scopes import COMPREHENSIONS, root, uses, walk

MUTATORS = frozenset(
    [
        "write",
        "writelines",
        "writerow",
        "writerows",
        "put",
        "put_nowait",
        "truncate",
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "popitem",
        "clear",
        "sort",
        "reverse",
        "update",
        "setdefault",
        "add",
        "discard",
        "appendleft",
        "extendleft",
        "popleft",
        "rotate",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
        "subtract",
        "move_to_end",
        "__setitem__",
        "__delitem__",
        "__setattr__",
        "__delattr__",
        "__iadd__",
    ]
)
_MUTATING_FUNCTIONS = {
    "heapq": {"heappush", "heappop", "heapify", "heapreplace", "heappushpop"},
    "bisect": {"insort", "insort_left", "insort_right"},
    "random": {"shuffle"},
    "operator": {"setitem", "delitem", "iadd", "isub", "imul", "ior", "iand", "ixor", "iconcat"},
}
_MUTATING_NAMES = frozenset().union(*_MUTATING_FUNCTIONS.values()) | {"setattr", "delattr"}
_FORBIDDEN = {
    "input": "Ask before the loop.",
    "breakpoint": "Debug the loop with %%parallel --serial.",
    "exec": "Write the statements into the loop.",
    "eval": "Write the expression into the loop, or call it in a function of your own.",
    "globals": "Name the variables that the loop uses.",
    "locals": "Name the variables that the loop uses.",
    "vars": "Use the object's attributes by name.",
    "get_ipython": "Put magics and shell commands before or after the loop.",
}
_CONSUMERS = frozenset(
    ["sorted", "min", "max", "sum", "any", "all", "list", "set", "tuple", "dict", "frozenset", "len", "next"]
)


def check_expressions(facts: CellFacts, nodes: Iterable[ast.AST], bound: set[str]) -> None:
    """Refuses calls, awaits and functions that cannot run in a worker. bound: the names that the loop binds."""
    for top in nodes:
        for node in walk(top):
            match node:
                case ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                    raise refusals.not_in_body(node, "'await'", "Gather the awaited values before the loop.")
                case ast.comprehension(is_async=1):
                    raise refusals.not_in_body(
                        node.target, "an asynchronous comprehension", "Gather the awaited values before the loop."
                    )
                case ast.Yield() | ast.YieldFrom():
                    raise refusals.not_in_body(node, "'yield'", "Collect the values in a list.")
                case ast.Call(func=ast.Name(id="vars"), args=[_]):
                    pass
                case ast.Call(func=ast.Name(id=name)) if name in _FORBIDDEN and name not in bound:
                    if name == "get_ipython" or facts.is_builtin(name):
                        raise refusals.not_in_body(node, f"{name}()", _FORBIDDEN[name])
                case ast.Name(id=name) if name.startswith("__firn"):
                    raise refusals.reserved(node, name)
        for function in _escaping(top, facts):
            # Names that a lambda reads from the cell's scope and that the loop changes from one iteration to the next; its
            # defaults are read at once.
            for use in uses(function):
                if use.inner and use.name in bound:
                    raise refusals.capturing_lambda(function, use.name)


def _escaping(top: ast.AST, facts: CellFacts) -> Iterator[ast.Lambda | ast.GeneratorExp]:
    """Lambdas and generator expressions that are not used up by the expression that they stand in."""
    safe: set[int] = set()
    for node in walk(top):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _CONSUMERS:
                if facts.is_builtin(name):
                    safe.update(id(keyword.value) for keyword in keywords)
                    safe.update(id(argument) for argument in args)
                    for argument in args:
                        _lazy_arguments(argument, safe, facts)
            case ast.Call(func=ast.Name(id="Counter"), args=args):
                safe.update(id(argument) for argument in args)
            case ast.Call(func=ast.Attribute(attr="join" | "extend" | "update" | "fromkeys" | "union"), args=args):
                safe.update(id(argument) for argument in args)
                for argument in args:
                    _lazy_arguments(argument, safe, facts)
            case ast.Call(func=ast.Attribute(attr="sort" | "sub" | "nlargest" | "nsmallest"), args=args, keywords=kws):
                safe.update(id(keyword.value) for keyword in kws)
                safe.update(id(argument) for argument in args)
            case ast.Call(func=ast.Name(id="reduce"), args=[function, *_]):
                safe.add(id(function))
            case ast.Call(func=ast.Lambda() as function):
                safe.add(id(function))
            case ast.For(iter=iterable) | ast.comprehension(iter=iterable):
                safe.add(id(iterable))
                _lazy_arguments(iterable, safe, facts)
    for node in walk(top):
        if isinstance(node, (ast.Lambda, ast.GeneratorExp)) and id(node) not in safe:
            yield node


def _lazy_arguments(node: ast.expr, safe: set[int], facts: CellFacts) -> None:
    """`map(f, xs)` and `filter(f, xs)` are used up by what uses them up."""
    match node:
        case ast.Call(func=ast.Name(id="map" | "filter" | "enumerate" | "zip" as name), args=args):
            if facts.is_builtin(name):
                for argument in args:
                    safe.add(id(argument))
                    _lazy_arguments(argument, safe, facts)


_TYPES = frozenset({"list", "dict", "set", "bytearray"})


def mutations(node: ast.AST) -> Iterator[tuple[ast.AST, ast.Name | None, str]]:
    """What a piece of code changes in place: (where, the name it is reached by or None, how)."""
    for part in walk(node):
        match part:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield part, root(part), f"assignment to .{part.attr}"
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                yield part, root(part), "assignment to an item"
            case ast.Call(func=ast.Attribute(value=receiver, attr=method), args=arguments) if method in MUTATORS:
                if isinstance(receiver, ast.Name) and receiver.id in _TYPES and arguments:  # list.append(found, x)
                    receiver = arguments[0]
                for owner in map(root, _either(receiver)):
                    if owner is not None:
                        yield part, owner, f".{method}()"
            case ast.Call(func=ast.Name(id="print"), keywords=keywords):
                for keyword in keywords:
                    if keyword.arg == "file" and (owner := root(keyword.value)) is not None:
                        yield part, owner, ".write() by print(file=...)"
            case ast.Call(func=ast.Name(id="next"), args=[first, *_]) if root(first) is not None:
                yield part, root(first), "next()"
            case ast.Call(func=function, args=[first, *_]):
                match function:
                    case ast.Attribute(value=ast.Name(id=module), attr=name) if module in _MUTATING_FUNCTIONS:
                        if name in _MUTATING_FUNCTIONS[module] and root(first) is not None:
                            yield part, root(first), f"{module}.{name}()"
                    case ast.Name(id=name) if name in _MUTATING_NAMES and root(first) is not None:
                        yield part, root(first), f"{name}()"


def _either(node: ast.expr) -> list[ast.expr]:
    """What `a if c else b`, and `a or b`, may be."""
    match node:
        case ast.IfExp(body=one, orelse=other):
            return [*_either(one), *_either(other)]
        case ast.BoolOp(values=values):
            return [found for value in values for found in _either(value)]
    return [node]


def walrus_targets(node: ast.AST) -> set[str]:
    return {part.target.id for part in walk(node) if isinstance(part, ast.NamedExpr)}


def comprehensions_in(node: ast.AST) -> Iterator[ast.AST]:
    return (part for part in walk(node) if isinstance(part, COMPREHENSIONS))
