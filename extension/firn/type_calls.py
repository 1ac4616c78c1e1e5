"""Cells call `_core.type_of` wherever they call the builtin `type` with one argument (see `firn.exact_types`)."""

from __future__ import annotations

import ast
import types
from typing import Any

from firn import _core
from firn.analysis.cellfacts import functions_in
from firn.analysis.scopes import walk
from firn.exact_types import NAME, loaded


class TypeCalls(ast.NodeTransformer):
    """IPython's syntax tree transformation."""

    def visit(self, tree: ast.AST) -> ast.AST:
        return asking(tree)


def asking[T: ast.AST](tree: T) -> T:
    """The tree, changed; not that of a cell which binds the name `type`."""
    nodes = walk(tree)
    calls = [node.func for node in nodes if isinstance(node, ast.Call) and _is_question(node)]
    if calls and not any(map(_binds_it, nodes)):
        for name in calls:
            name.id = NAME  # type: ignore[attr-defined]
    return tree


def _is_question(call: ast.Call) -> bool:
    match call:
        case ast.Call(func=ast.Name(id="type"), args=[argument], keywords=[]):
            return not isinstance(argument, ast.Starred)
    return False


def _binds_it(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="type", ctx=ast.Store() | ast.Del()):
            return True
        case ast.arg(arg=name) | ast.MatchMapping(rest=name):
            return name == "type"
        case ast.alias(name=name, asname=other):
            return "type" in (name, other) or name == "*"
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return "type" in names
    return getattr(node, "name", None) == "type"  # functions, classes, exceptions, patterns, type parameters


def adapt(namespace: dict[str, Any]) -> None:
    """Changes the functions and classes that the notebook has made without `asking`: before firn was loaded."""
    for value in [*namespace.values()]:
        for found in functions_in(value, namespace):
            if isinstance(found, types.FunctionType):
                found.__code__ = loaded(found.__code__)


def lend(namespace: dict[str, Any], hidden: dict[str, Any]) -> None:
    """Puts the function into a notebook's namespace, though it is among the builtins: what pickles a function by value, for
    other processes, takes along the globals that it reads, and this one comes out as the builtin `type`."""
    namespace[NAME] = hidden[NAME] = namespace.get("type", _core.type_of)
