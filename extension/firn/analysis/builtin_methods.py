"""`set.union(*sets)` in the notebook's cells takes frozen data as it takes the original.

A method of a builtin type wants an object of that very layout, which a frozen set is not. So where a cell calls one by the
type's name, or hands it to a builtin that only calls it (`map(dict.copy, rows)`), a frozen object is asked itself. What is
written is evaluated where it stands and is called with all else; elsewhere `set.union` is what it was.
"""

import ast
import copy
from contextlib import suppress

from .scopes import walk
from .templates import expression

_METHODS = {
    (kind.__name__, name)
    for kind in (list, dict, set, frozenset)
    for name in dir(kind)
    if name == "__len__" or (type(getattr(kind, name)) is type(list.append) and not name.startswith("_"))
}
_CALLERS = frozenset({"map", "filter", "sorted", "min", "max", "reduce"})
# Says nothing by a name that could mean something else there: `().__class__.__class__` is `type`.
_IS_FROZEN = "().__class__.__class__(X).__module__ == 'firn' and X.__class__ is TYPE"
_FUNCTION = (
    "lambda t: lambda *a, **k: a[0].{name}(*a[1:], **k) if a and ().__class__.__class__(a[0]).__module__ == 'firn'"
    " and a[0].__class__ is t else t.{name}(*a, **k)"
)


def by_object[T: ast.AST](tree: T) -> T:
    """The tree with that done."""
    if any(map(_is_method, walk(tree))):
        with suppress(RecursionError):  # an expression of hundreds of terms
            _ByObject().visit(tree)
    return tree


class _ByObject(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Attribute(value=kind, attr=name) as method, args=[ast.Name() as first, *rest]) if (
                _is_method(method)
            ):
                own = ast.copy_location(ast.Attribute(copy.copy(first), name, ast.Load()), node)
                asked = ast.Call(own, rest, node.keywords)
                test = expression(_IS_FROZEN, node, X=copy.copy(first), TYPE=copy.copy(kind))
                return ast.copy_location(ast.IfExp(test, ast.copy_location(asked, node), copy.deepcopy(node)), node)
            case ast.Call(func=ast.Attribute() as method, args=[_, *_]) if _is_method(method):
                node.func = _function(method)
            case ast.Call(func=ast.Name(id=caller) | ast.Attribute(value=ast.Name(id="functools"), attr=caller)) if (
                caller in _CALLERS
            ):
                node.args[:1] = [_function(one) if _is_method(one) else one for one in node.args[:1]]
                for keyword in node.keywords:
                    if keyword.arg == "key" and _is_method(keyword.value):
                        keyword.value = _function(keyword.value)
        return node


def _function(method: ast.expr) -> ast.expr:
    assert isinstance(method, ast.Attribute)
    return expression(f"({_FUNCTION.format(name=method.attr)})(TYPE)", method, TYPE=method.value)


def _is_method(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id=kind), attr=name):
            return (kind, name) in _METHODS
    return False
