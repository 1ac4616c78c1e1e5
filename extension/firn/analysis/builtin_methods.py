"""`set.union(*sets)` in the notebook's cells takes frozen data as it takes the original.

A method of a builtin type wants an object of that very layout, which a frozen set is not. So cells are compiled with a
function in its place, where it is called or handed to a call, that asks the object for the method of this name.
"""

import ast
from contextlib import suppress

from .scopes import walk
from .templates import expression

_OPERATORS = frozenset(
    {"__len__", "__getitem__", "__contains__", "__iter__", "__add__", "__or__", "__and__", "__sub__"}
)
_KINDS = (list, dict, set, frozenset)
_METHODS = {
    (kind.__name__, name)
    for kind in _KINDS
    for name in dir(kind)
    if (type(getattr(kind, name)) is type(list.append) and not name.startswith("_")) or name in _OPERATORS
}


def by_object[T: ast.AST](tree: T) -> T:
    """The tree with that done; where the type's name means something else, the function does what is written."""
    if any(map(_is_method, walk(tree))):
        with suppress(RecursionError):  # an expression of hundreds of terms
            _ByObject().visit(tree)
    return tree


class _ByObject(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        node.func = _asking_the_object(node.func)
        node.args = [_asking_the_object(argument) for argument in node.args]
        for keyword in node.keywords:
            keyword.value = _asking_the_object(keyword.value)
        return node


def _asking_the_object(node: ast.expr) -> ast.expr:
    if not _is_method(node):
        return node
    kind, name = node.value.id, node.attr  # type: ignore[attr-defined]
    source = f"lambda *a, **k: a[0].{name}(*a[1:], **k) if a and a[0].__class__ is {kind} else {kind}.{name}(*a, **k)"
    return expression(source, node)


def _is_method(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id=kind), attr=name):
            return (kind, name) in _METHODS
    return False
