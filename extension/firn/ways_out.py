"""What the message of a write to a frozen value advises, once it is known where it was written.

The frozen types raise it and know the cell and the variables with which the value was frozen. Through which variable the
failing line reached it (a list of frozen rows, a loop variable, a parameter), and that a worker has nothing to thaw, is
seen from the traceback only.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
import types
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from firn import _core, errors
from firn.readonly import NOWHERE, frames_of, statement_at, value_of
from firn.teach import FROZEN_TYPES

_REFUSAL: Final = re.compile(
    r"(?:'(?P<name>[^']+)'|this (?P<kind>\w+)) is frozen: the %%parallel cell (?P<cell>\S+) shares "
    r"(?:it|(?P<names>.+), to which it belongs,) with the workers\. "
)
_HOLDERS: Final = (list, tuple, dict, set, frozenset)
_LOOPS: Final = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOKED_AT: Final = 100_000
"""An element is not looked for behind so many others."""


def for_worker(error: BaseException) -> None:
    """Says of a write in a worker what helps there: thawed or copied before, the data is frozen when it arrives."""
    if found := _refusal(error):
        error.args = (errors.written_in_worker(found[0].rstrip(" .")),)


def for_notebook(error: BaseException) -> None:
    """Names the variables through which the failing line reached what it wrote to, where they are others than those with
    which that was frozen."""
    found = _refusal(error)
    if not found:
        return
    known = [found["name"]] if found["name"] else re.findall(r"'([^']+)'", found["names"])
    frames = frames_of(error)
    if not frames:
        return
    written, exactly, _ = _reached(frames[0])
    bound = {name for at in frames for loop in _loops_around(at) for name in _bound_by(loop)}
    names = (
        _on_the_line(frames, written)
        or [name for name in _in_the_code(frames, written, known) if name not in bound]
        or [name for name in _holding(written) if name not in bound][:3]
        or _still_frozen(known)
    )
    if names and names != known:
        kind = found["kind"] or (written.__class__.__name__ if exactly else "value")
        own = [name for name in names if _is_frozen_container(_notebook().get(name))]
        error.args = (errors.frozen_written(kind, found["cell"], known, names, own),)


def _refusal(error: BaseException) -> re.Match[str] | None:
    if type(error) is not TypeError or len(error.args) != 1 or type(error.args[0]) is not str:
        return None
    return _REFUSAL.match(error.args[0])


def _on_the_line(frames: list[types.TracebackType], written: Any) -> list[str]:
    """The notebook's variables on the innermost line that has any which lead to what is frozen: those that lead to what
    was written to, where that can be seen."""
    for at in frames:
        names = [name for name in dict.fromkeys(_used(at)) if _holds(_notebook().get(name))]
        if names:
            return [name for name in names if _leads(_notebook()[name], written)] or names
    return []


def _in_the_code(frames: list[types.TracebackType], written: Any, known: list[str]) -> list[str]:
    """The notebook's variables that the code around the line uses, of the innermost code that has any which lead to what
    was written to; where that cannot be seen (a magic's code has no lines), which lead to anything frozen."""
    for at in frames:
        used = [name for name in at.tb_frame.f_code.co_names if at.tb_frame.f_globals is _notebook()]
        leads = _holds if written is NOWHERE else partial(_leads, written=written)
        names = [name for name in used if leads(_notebook().get(name))]
        if names:
            return [name for name in names if name in known] or names
    return []


def _used(at: types.TracebackType) -> Iterator[str]:
    """The notebook's variables that the failing part of a line uses, in place of a loop's variable those that the loop runs
    over."""
    frame = at.tb_frame
    if frame.f_globals is not _notebook():
        return
    *_, root = _reached(at)
    own = frame.f_code.co_varnames + frame.f_code.co_freevars + frame.f_code.co_cellvars
    parts = [root] if root is not None and _holds(_looked_up(root, frame)) else _names(statement_at(at))
    loops = _loops_around(at)
    for name in parts:
        over = _run_over(name, loops)
        yield from (one for one in over or [name] if one not in own)


def _looked_up(name: str, frame: types.FrameType) -> Any:
    return value_of(ast.Name(name, ast.Load()), frame)


def _names(tree: ast.AST) -> list[str]:
    """The names in a part of a line, but for those that it binds itself."""
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.comprehension):
            bound.update(_all_names(node.target))
    return [name for name in _all_names(tree) if name not in bound]


def _all_names(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _reached(at: types.TracebackType) -> tuple[Any, bool, str | None]:
    """What the failing part of a line wrote to, as far as that can be told without running code: the first frozen value on
    the way from there to a variable, whether that is it, and the variable's name."""
    way, written = _way(statement_at(at))
    name = way[-1].id if way and isinstance(way[-1], ast.Name) else None
    for step, node in enumerate(way[written:]):
        if _is_frozen_container(value := value_of(node, at.tb_frame)):
            return value, step == 0, name
    return NOWHERE, False, name


def _way(node: Any) -> tuple[list[ast.expr], int]:
    """`a[0].b.append`, `a[0].b`, `a[0]` and `a` of `a[0].b.append(1)`, and which of them is written to."""
    way: list[ast.expr] = []
    written = 1
    while True:
        match node:
            case ast.Module(body=[inner]) | ast.Expr(value=inner) | ast.Call(func=inner):
                pass
            case ast.AugAssign(target=inner):
                written = 0
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                way.append(node)
            case ast.Name():
                return [*way, node], written
            case _:
                return way, written
        node = inner


def _loops_around(at: types.TracebackType) -> list[ast.AST]:
    """The loops of the source that the line stands in."""
    lines = linecache.getlines(at.tb_frame.f_code.co_filename, at.tb_frame.f_globals)
    try:  # without the magics that a cell begins with
        tree = ast.parse("".join("\n" if line.startswith(("%", "!")) else line for line in lines))
    except SyntaxError:
        return []
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, _LOOPS) and node.lineno <= at.tb_lineno <= (node.end_lineno or 0)
    ]


def _parts(loop: Any) -> list[Any]:
    """What has a target and something that is run over."""
    return [loop] if isinstance(loop, ast.For) else loop.generators


def _bound_by(loop: ast.AST) -> list[str]:
    return [name for part in _parts(loop) for name in _all_names(part.target)]


def _run_over(name: str, loops: list[ast.AST], depth: int = 3) -> list[str]:
    """The variables in what the loop runs over that binds a name."""
    for loop in loops:
        for part in _parts(loop):
            if name in _all_names(part.target) and name not in _names(part.iter):
                found = _names(part.iter)
                return [one for inner in found for one in (depth and _run_over(inner, loops, depth - 1)) or [inner]]
    return []


def _notebook() -> dict[str, Any]:
    return sys.modules["__main__"].__dict__


def _still_frozen(names: list[str]) -> list[str]:
    """The names with which a value was frozen, if one of them is bound to something frozen now; of variables only."""
    variables = [name for name in names if name.isidentifier()]  # "Cfg.d" is what a class holds
    return variables if any(_is_frozen_container(_notebook().get(name)) for name in variables) else []


def _holding(written: Any) -> list[str]:
    """The variables that lead to what was written to."""
    if written is NOWHERE:
        return []
    values = list(_notebook().items())
    return [name for name, value in values if not name.startswith("_") and _leads(value, written)]


def _is_frozen_container(value: Any) -> bool:
    return type(value) in FROZEN_TYPES or (type(value) in (tuple, frozenset) and _core.is_frozen(value))


def _inside(value: Any, depth: int = 2) -> Iterator[Any]:
    """A value, the elements of a builtin container (of a mapping the values), and theirs."""
    level = [value]
    while level:
        yield from level
        parts = chain.from_iterable(_elements(one) for one in level) if depth else ()
        level, depth = list(islice(parts, _LOOKED_AT)), depth - 1


def _elements(value: Any) -> Iterable[Any]:
    if type(value) in _HOLDERS or type(value) in FROZEN_TYPES[:2]:
        return value.values() if isinstance(value, dict) else value
    return ()


def _holds(value: Any) -> bool:
    """Whether a value is a frozen container, or one of the notebook's own that has some in it."""
    return any(_is_frozen_container(one) for one in _inside(value))


def _leads(value: Any, written: Any) -> bool:
    """Whether a value is what was written to, or has it among its elements or theirs."""
    return any(one is written for one in _inside(value))
