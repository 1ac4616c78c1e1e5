"""Calls, in the part of a cell that stays in the notebook, of functions that have loops of their own."""

import ast
import dis
import types
from collections.abc import Iterator

from .cellfacts import CellFacts
from .plan import Verdict


def inner_loops(tree: ast.Module, facts: CellFacts, verdicts: list[Verdict]) -> list[tuple[int, str]]:
    """(line, function's name) of each such function, where it is called first."""
    split = {(verdict.lines[0], verdict.column) for verdict in verdicts if verdict.loop is not None}
    found: dict[str, int] = {}
    for name, line in _calls(tree, split):
        if name not in found and any(first == name and _has_loop(code) for first, code in facts.functions([name])):
            found[name] = line
    return [(line, name) for name, line in found.items()]


def _calls(node: ast.AST, split: set[tuple[int, int]]) -> Iterator[tuple[str, int]]:
    """The calls of plain names outside the split loops' bodies and outside definitions."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
            return
        case ast.For() if (node.lineno, node.col_offset) in split:
            yield from _calls(node.iter, split)
            return
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp() if _is_at(node, split):
            yield from _calls(node.generators[0].iter, split)
            return
        case ast.Call(args=[ast.GeneratorExp() | ast.ListComp() as inner, *_]) if _is_at(node, split):
            for part in (node.func, inner.generators[0].iter, *node.args[1:], *node.keywords):
                yield from _calls(part, split)
            return
        case ast.Call(func=ast.Name(id=name)):
            yield name, node.lineno
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, split)


def _is_at(node: ast.expr, split: set[tuple[int, int]]) -> bool:
    return (node.lineno, node.col_offset) in split


def _has_loop(code: types.CodeType) -> bool:
    """Whether code, or a function inside it, has a `for` loop or a comprehension."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return any(found.opname == "FOR_ITER" for found in dis.get_instructions(code)) or any(map(_has_loop, inner))
