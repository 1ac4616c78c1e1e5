"""`type(x)` in the notebook's cells says of frozen data what it says of the original.

A frozen list is no exact list, and the builtin looks past what an object says of its class: a `__repr__` with
`type(self).__name__` would name one of firn's classes, an `__eq__` with `type(self) is type(other)` would be False. So
cells are compiled with an expression in its place that names nothing which another process or a namespace of the user's
could lack. In workers, see `firn.exact_types`, too.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from .builtin_methods import by_object
from .scopes import FUNCTIONS, walk
from .templates import expression

_NAMED = "X.__class__ if type(Y).__module__ == 'firn' else type(Z)"
_FUNCTION = "lambda x: x.__class__ if type(x).__module__ == 'firn' else type(x)"


class TypeCalls(ast.NodeTransformer):
    """IPython's syntax tree transformation."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace

    def visit(self, tree: ast.AST) -> ast.AST:
        return asking_in(self.namespace, tree)


def asking_in[T: ast.AST](namespace: Mapping[str, object], tree: T) -> T:
    """The same of a whole cell; where `type` is a variable of the notebook's own, it stays as it is."""
    if namespace.get("type", type) is not type:
        return by_object(tree)
    return asking(tree, maps=namespace.get("map", map) is map)


def asking[T: ast.AST](tree: T, maps: bool = True) -> T:
    """The tree, changed wherever the name means the builtin. `maps`: so does the name `map`."""
    nodes = walk(tree)
    if any(map(_asks, nodes)) and not _binds([tree]) and not any(map(_is_declared, nodes)):
        with suppress(RecursionError):  # an expression of hundreds of terms
            _Asking(bound=False, maps=maps and not any(_binds_it(node, "map") for node in nodes)).visit(tree)
    return by_object(tree)


class _Asking(ast.NodeTransformer):
    """For one scope, whose own statements bind the name or do not; what they bind in a function holds in all of it."""

    def __init__(self, bound: bool, maps: bool) -> None:
        self.bound = bound
        self.maps = maps

    def visit_Call(self, node: ast.Call) -> ast.AST:
        asks = not self.bound and _asks(node)
        self.generic_visit(node)
        if not asks:
            return node
        if len(node.args) == 2:
            if self.maps:
                node.args[0] = expression(_FUNCTION, node.args[0])
            return node
        [argument] = node.args
        if isinstance(argument, ast.Name):
            return expression(_NAMED, node, X=argument, Y=copy.copy(argument), Z=copy.copy(argument))
        return expression(f"({_FUNCTION})(X)", node, X=argument)

    def _visit_function(self, node: Any) -> Any:
        self._visit_list(getattr(node, "decorator_list", []))
        self._visit_list(node.args.defaults)
        node.args.kw_defaults = [default and self.visit(default) for default in node.args.kw_defaults]
        body = node.body if isinstance(node.body, list) else [node.body]
        if not _binds([node.args, *body, *getattr(node, "type_params", ())]):
            _Asking(False, self.maps)._visit_list(body)
            if isinstance(node, ast.Lambda):
                [node.body] = body
        return node  # its annotations may be read as text

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._visit_list(node.decorator_list)
        self._visit_list(node.bases)
        self._visit_list(node.keywords)
        if not _binds(node.type_params):
            # A metaclass may give the body a namespace of its own.
            _Asking(bool(node.keywords or node.bases) or _binds(node.body), self.maps)._visit_list(node.body)
        return node

    def _visit_comprehension(self, node: Any) -> Any:
        bound = any(_binds_it(part) for generator in node.generators for part in walk(generator.target))
        return node if bound else self.generic_visit(node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.target = self.visit(node.target)
        node.value = node.value and self.visit(node.value)
        return node

    def visit_TypeAlias(self, node: ast.TypeAlias) -> ast.AST:
        return node

    def _visit_list(self, nodes: list[Any]) -> None:
        nodes[:] = map(self.visit, nodes)


def _asks(node: ast.AST) -> bool:
    """Whether it is `type(x)` or `map(type, xs)`."""
    match node:
        case ast.Call(func=ast.Name(id="type"), args=[argument], keywords=[]):
            return not isinstance(argument, ast.Starred)
        case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id="type"), argument], keywords=[]):
            return not isinstance(argument, ast.Starred)
    return False


def _binds(scope: Iterable[ast.AST]) -> bool:
    """Whether a scope's own statements bind the name."""
    return any(map(_binds_it, _own_nodes(list(scope))))


def _own_nodes(scope: list[ast.AST]) -> Iterator[ast.AST]:
    todo = [*scope]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.comprehension):  # a scope of its own, of which only `:=` binds names outside
            todo += [node.iter, *node.ifs]
        elif node in scope or not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)


def _is_declared(node: ast.AST) -> bool:
    return isinstance(node, (ast.Global, ast.Nonlocal)) and "type" in node.names


def _binds_it(node: ast.AST, wanted: str = "type") -> bool:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name) | ast.MatchMapping(rest=name):
            return name == wanted
        case ast.alias(name=name, asname=other):
            return wanted in (name, other)
    return getattr(node, "name", None) == wanted  # functions, classes, exceptions, patterns, type parameters
