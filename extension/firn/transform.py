"""How `%%parallel` takes hold of a cell: its first line becomes a marker statement, its syntax tree is rewritten.

The cell then runs as an ordinary one, so that `await`, `!`, line magics, the display of the last expression, history and
`_` work as ever. Line numbers stay what they are in the notebook.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from firn import errors

_MARKER = "get_ipython().run_cell_magic('parallel', "
_COMMENT = "#\N{INVISIBLE SEPARATOR} "  # nobody else's
FIRST_LINE = re.compile(r"%%parallel(?![\w?])(?P<options>.*)")


def mark(lines: list[str]) -> list[str]:
    """IPython's input transformation: the marker statement in place of a first line `%%parallel ...`."""
    found = FIRST_LINE.match(lines[0]) if lines else None
    if found is None:
        return lines
    for line in lines[1:]:
        if line.startswith("%%"):
            raise errors.second_magic(line)
        if line.strip() and not line.lstrip().startswith("#"):
            break
    return [marker(found["options"].strip()) + "\n", *lines[1:]]


def is_marked(cell: str) -> bool:
    """Whether this transformed cell starts with the marker statement."""
    return cell.startswith(_MARKER) and cell.partition("\n")[0].endswith(", None)")


def marker(options: str) -> str:
    """The statement that stands for the magic's line. Where no rewriting follows, running it says so."""
    return f"{_MARKER}{options!r}, None)"


def options_of(tree: ast.AST) -> str | None:
    """The options of a marked cell, or None when the cell is not marked."""
    match tree:
        case ast.Module(
            body=[
                ast.Expr(
                    ast.Call(
                        func=ast.Attribute(attr="run_cell_magic"),
                        args=[ast.Constant("parallel"), ast.Constant(str(options)), ast.Constant(None)],
                    )
                ),
                *_,
            ]
        ):
            return options
    return None


def without_marker(tree: ast.Module) -> ast.Module:
    return ast.Module(body=tree.body[1:], type_ignores=tree.type_ignores)


def readable(cell: str) -> str:
    """A marked cell as valid Python, the marker being a comment in the magic's own words; see `as_written`."""
    first, newline, rest = cell.partition("\n")
    options = ast.literal_eval(first.removeprefix(_MARKER).removesuffix(", None)"))
    return f"{_COMMENT}%%parallel {options}".rstrip() + newline + rest


def as_written(text: str) -> str:
    """A text with lines of `readable` cells, coloured maybe, with the first ones as the user wrote them."""
    return text.replace(_COMMENT, "")


def calling(method: str, *numbers: int, line: int) -> ast.Module:
    """A cell whose one statement is `__firn__.outcome(__firn__.METHOD(numbers...))` on the given line."""
    source = f"__firn__.outcome(__firn__.{method}({', '.join(map(str, numbers))}))"
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, (ast.expr, ast.stmt)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    return module


def starting(name: str, number: int) -> ast.Module:
    """A cell that starts the run in the background, binds the handle to a name and shows it."""
    module = calling("background", number, line=1)
    call = module.body[0]
    assert isinstance(call, ast.Expr)
    module.body = [ast.Assign([ast.Name(name, ast.Store())], call.value), ast.Expr(ast.Name(name, ast.Load()))]
    for statement in module.body:
        ast.copy_location(statement, call)
    return ast.fix_missing_locations(module)


class _Bind(ast.NodeTransformer):
    """Turns the plan's `__firn__.split(k, items)` into `__firn__.outcome(__firn__.split(run, k, items))`.

    `outcome` is a C function, so that an exception of the loop is raised by the cell's own line, with no frame between.
    """

    def __init__(self, number: int, apart: bool) -> None:
        self.number, self.apart = number, apart

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id="__firn__"), attr="split"):
                node.args.insert(0, ast.copy_location(ast.Constant(self.number), node))
                result: ast.expr = node
                if self.apart:
                    node.func.attr = "split_apart"
                    result = ast.copy_location(ast.Await(node), node)
                name = ast.copy_location(ast.Name("__firn__", ast.Load()), node)
                outcome = ast.copy_location(ast.Attribute(name, "outcome", ast.Load()), node)
                return ast.copy_location(ast.Call(outcome, [result], []), node)
        return node


def bind(module: ast.Module, number: int, apart: bool = False) -> ast.Module:
    """Ties the calls of a rewritten cell to the run with this number (IPython fills in the missing locations). With
    `apart` they are awaited."""
    bound = _Bind(number, apart).visit(module)
    assert isinstance(bound, ast.Module)
    return bound


class CellRewriter(ast.NodeTransformer):
    """IPython's syntax tree transformation; hands marked cells to `rewrite(tree, options)` and never raises."""

    def __init__(self, rewrite: Callable[[ast.Module, str], ast.Module]) -> None:
        self.rewrite = rewrite

    def visit(self, tree: ast.AST) -> ast.AST:
        options = options_of(tree)
        if options is None:
            return tree
        assert isinstance(tree, ast.Module)
        return self.rewrite(without_marker(tree), options)
