"""Functions from before firn was loaded get the code that they would have if it had been (see `analysis.type_calls`)."""

from __future__ import annotations

import ast
import linecache
import types
from collections.abc import Iterator
from typing import Any

from firn.analysis.cellfacts import functions_in
from firn.analysis.type_calls import asking_in
from firn.exact_types import names_it


def recompile(namespace: dict[str, Any], flags: int) -> None:
    """Gives functions and methods of the notebook that call `type` the code that their cells are compiled to now, with
    the notebook's compiler flags. What is of no cell, or no longer what that says, stays as it is."""
    cells: dict[str, dict[types.CodeType, types.CodeType]] = {}
    for value in [*namespace.values()]:
        try:
            for found in functions_in(value, namespace):
                if isinstance(found, types.FunctionType) and names_it(found.__code__):
                    filename = found.__code__.co_filename
                    if filename not in cells:
                        cells[filename] = _compiled(filename, namespace, flags)
                    found.__code__ = cells[filename].get(found.__code__, found.__code__)
        except Exception:  # objects that pretend to be of another class run code of their own
            continue


def _compiled(filename: str, namespace: dict[str, Any], flags: int) -> dict[types.CodeType, types.CodeType]:
    """The code of the functions in a cell as it is written, and what it is now."""
    source = "".join(linecache.getlines(filename))
    try:
        trees = ast.parse(source, filename), asking_in(namespace, ast.parse(source, filename))
        flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        before, after = (compile(tree, filename, "exec", flags=flags, dont_inherit=True) for tree in trees)
    except SyntaxError, ValueError:
        return {}
    return dict(_pairs(before, after))


def _pairs(before: types.CodeType, after: types.CodeType) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    others = _by_place(after)
    for place, code in _by_place(before).items():
        if code is not None and (other := others.get(place)) is not None:
            yield code, other
            yield from _pairs(code, other)


def _by_place(code: types.CodeType) -> dict[Any, types.CodeType | None]:
    """The functions and class bodies right in some code, by where they begin; None where several do."""
    found: dict[Any, types.CodeType | None] = {}
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            spots = [(line, start) for line, _, start, end in part.co_positions() if line and start is not None and end]
            place = part.co_qualname, part.co_freevars, min(spots, default=None)
            found[place] = None if place in found else part
    return found
