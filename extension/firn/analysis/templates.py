"""Statements and expressions that are written as text and stand in the place of the cell's own."""

import ast
import functools
from typing import Any


def template(source: str, where: ast.AST, **parts: ast.expr) -> list[ast.stmt]:
    """The statements of `source` at the place of `where`, with the parts in the place of the names in capitals."""
    place = {name: getattr(where, name) for name in _PLACE if getattr(where, name, None) is not None}
    return [_filled(statement, parts, place) for statement in _parsed(source)]


_PLACE = ("lineno", "col_offset", "end_lineno", "end_col_offset")


@functools.lru_cache(256)
def _parsed(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


def _filled(node: Any, parts: dict[str, ast.expr], place: dict[str, int]) -> Any:
    """A copy of a template's node."""
    if not node._fields and not node._attributes:
        return node
    if node.__class__ is ast.Name and node.id in parts:
        return parts[node.id]
    new = node.__class__.__new__(node.__class__)
    values = new.__dict__
    if node._attributes:
        values.update(place)
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            value = _filled(value, parts, place)
        elif isinstance(value, list):
            value = [_filled(part, parts, place) if isinstance(part, ast.AST) else part for part in value]
        values[field] = value
    return new


def expression(source: str, where: ast.AST, **parts: ast.expr) -> ast.expr:
    """The same of one expression."""
    [statement] = template(source, where, **parts)
    assert isinstance(statement, ast.Expr)
    return statement.value
