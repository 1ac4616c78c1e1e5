"""Cells call `_core.type_of` wherever they call the builtin `type` with one argument (see `firn.exact_types`)."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from firn import _core
from firn.exact_types import NAME, changed

from .cellfacts import functions_in
from .scopes import walk

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class TypeCalls(ast.NodeTransformer):
    """IPython's syntax tree transformation."""

    def visit(self, tree: ast.AST) -> ast.AST:
        return asking(tree)


def asking[T: ast.AST](tree: T) -> T:
    """The tree, changed where the name means the builtin, or a variable of the notebook that existed before."""
    nodes = walk(tree)
    if any(_question(node) for node in nodes) and not _binds([tree]) and not any(map(_is_declared, nodes)):
        _ask(tree, False, False)
    return tree


def _ask(node: ast.AST, here: bool, inside: bool) -> None:
    """`here`: this scope binds the name; `inside`: functions in it see that, too."""
    if not here and (name := _question(node)) is not None:
        name.id = NAME
    if isinstance(node, _FUNCTIONS):
        body = node.body if isinstance(node.body, list) else [node.body]
        bound = inside or _binds([node.args, *body])
        _ask_all(
            [*getattr(node, "decorator_list", ()), *node.args.defaults, *filter(None, node.args.kw_defaults)],
            here,
            inside,
        )
        _ask_all(body, bound, bound)
    elif isinstance(node, ast.ClassDef):
        _ask_all([*node.decorator_list, *node.bases, *node.keywords], here, inside)
        # A metaclass may give the body a namespace of its own.
        _ask_all(node.body, here or bool(node.keywords) or _binds(node.body), inside)
    elif isinstance(node, _COMPREHENSIONS) and any(_binds_it(n) for part in node.generators for n in walk(part.target)):
        return
    elif isinstance(node, ast.AnnAssign):  # annotations may be read as text
        _ask_all(filter(None, [node.target, node.value]), here, inside)
    else:
        _ask_all(ast.iter_child_nodes(node), here, inside)


def _ask_all(nodes: Iterable[ast.AST], here: bool, inside: bool) -> None:
    for node in nodes:
        _ask(node, here, inside)


def _question(node: ast.AST) -> ast.Name | None:
    """The name in `type(x)`, and in `map(type, xs)`."""
    match node:
        case ast.Call(func=ast.Name(id="type") as name, args=[argument], keywords=[]):
            return None if isinstance(argument, ast.Starred) else name
        case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id="type") as name, argument], keywords=[]):
            return None if isinstance(argument, ast.Starred) else name
    return None


def _binds(scope: list[Any]) -> bool:
    """Whether a scope's own statements bind the name."""
    return any(_binds_it(node) for node in _own_nodes(scope))


def _own_nodes(scope: list[Any]) -> Iterator[ast.AST]:
    todo: list[ast.AST] = [*scope]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.comprehension):  # a scope of its own, of which only `:=` binds names outside
            todo += [node.iter, *node.ifs]
        elif node in scope or not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)


def _is_declared(node: ast.AST) -> bool:
    return isinstance(node, (ast.Global, ast.Nonlocal)) and "type" in node.names


def _binds_it(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="type", ctx=ast.Store() | ast.Del()):
            return True
        case ast.arg(arg=name) | ast.MatchMapping(rest=name):
            return name == "type"
        case ast.alias(name=name, asname=other):
            return "type" in (name, other) or name == "*"
    return getattr(node, "name", None) == "type"  # functions, classes, exceptions, patterns, type parameters


def adapt(namespace: dict[str, Any]) -> None:
    """Changes the functions and classes that the notebook has made without `asking`: before firn was loaded."""
    for value in [*namespace.values()]:
        with suppress(Exception):  # objects that pretend to be of another class run code of their own
            for found in functions_in(value, namespace):
                if isinstance(found, types.FunctionType):
                    found.__code__ = changed(found.__code__)


def lend(namespace: dict[str, Any], hidden: dict[str, Any]) -> None:
    """Puts the function into a notebook's namespace, though it is among the builtins: what pickles a function by value, for
    other processes, takes along the globals that it reads, and this one comes out as the builtin `type`."""
    namespace[NAME] = hidden[NAME] = namespace.get("type", _core.type_of)
