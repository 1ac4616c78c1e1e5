"""Loops that only show things: whose iterations print or display what a few operations on plain values make,
comprehensions that are a last look at what the cell has made, and loops that only apply changes which others have found.

An iteration of such a loop is short, so that a short loop of this kind is done sooner than handed out. Which ones are
short is measured when they run (`firn.brief`).
"""

import ast

from .body import MUTATORS, mutations
from .cellfacts import CellFacts
from .scopes import elements, walk

_BUILTINS = frozenset(
    [
        "print",
        "display",
        "len",
        "str",
        "repr",
        "ascii",
        "format",
        "round",
        "abs",
        "int",
        "float",
        "bool",
        "ord",
        "chr",
        "hex",
        "bin",
        "oct",
        "min",
        "max",
        "divmod",
        "type",
        "isinstance",
        "tuple",
    ]
)
_METHODS = frozenset(
    [
        "join",
        "format",
        "ljust",
        "rjust",
        "center",
        "strip",
        "lstrip",
        "rstrip",
        "upper",
        "lower",
        "title",
        "capitalize",
        "replace",
        "zfill",
        "removeprefix",
        "removesuffix",
        "startswith",
        "endswith",
        "split",
        "partition",
        "get",
        "isoformat",
        "strftime",
        "total_seconds",
    ]
)
_OPERATIONS = (
    ast.Constant, ast.Name, ast.JoinedStr, ast.FormattedValue, ast.Attribute, ast.Subscript, ast.Slice, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Starred, ast.keyword,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


def only_shows(loop: ast.For, facts: CellFacts) -> bool:
    """Whether a loop's body prints or displays, and does nothing else that could take long."""
    shows = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "display")
        for node in walk(loop)
    )
    return shows and _block(loop.body, facts)


def only_looks(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, facts: CellFacts) -> bool:
    """Whether a comprehension computes nothing that could take long."""
    parts = [*elements(node), *(test for part in node.generators for test in part.ifs)]
    return len(node.generators) == 1 and all(_plain(part, facts) for part in parts)


def only_applies(loop: ast.For, facts: CellFacts) -> bool:
    """Whether a loop's body changes something in place (`del d[k]`, `f.write(line)`), and does nothing else that could take
    long."""
    changes = any(owner is not None for _, owner, _ in mutations(loop))
    return changes and not loop.orelse and all(_applies(node, facts) for node in loop.body)


def _applies(node: ast.stmt, facts: CellFacts) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr=name), args=args, keywords=[])):
            return name in MUTATORS and all(_plain(part, facts) for part in (holder, *args))
        case ast.Assign(targets=targets, value=value):
            return all(_plain(target, facts) for target in targets) and _plain(value, facts)
        case ast.AugAssign(target=target, value=value):
            return _plain(target, facts) and _plain(value, facts)
        case ast.Delete(targets=targets):
            return all(_plain(target, facts) for target in targets)
        case ast.If(test=test, body=body, orelse=orelse):
            return _plain(test, facts) and all(_applies(part, facts) for part in (*body, *orelse))
    return _statement(node, facts)


def _block(body: list[ast.stmt], facts: CellFacts) -> bool:
    return all(_statement(node, facts) for node in body)


def _statement(node: ast.stmt, facts: CellFacts) -> bool:
    match node:
        case ast.Expr(value=value):
            return _plain(value, facts)
        case ast.Assign(targets=targets, value=value):
            return all(_names(target) for target in targets) and _plain(value, facts)
        case ast.If(test=test, body=body, orelse=orelse):
            return _plain(test, facts) and _block(body, facts) and _block(orelse, facts)
        case ast.Pass() | ast.Continue():
            return True
    return False


def _names(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(map(_names, target.elts)))


def _plain(node: ast.AST, facts: CellFacts) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            known = name in _BUILTINS and (facts.is_builtin(name) or name == "display")
            parts: list[ast.AST] = [*node.args, *node.keywords]
        case ast.Call(func=ast.Attribute(value=value, attr=name)):
            known, parts = name in _METHODS, [value, *node.args, *node.keywords]
        case _:
            known, parts = isinstance(node, _OPERATIONS), list(ast.iter_child_nodes(node))
    return known and all(_plain(part, facts) for part in parts)
