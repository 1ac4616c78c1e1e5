"""Cells that were planned before. A cell that runs again is not analysed again, while what the notebook's variables say of
its names is the same: of an empty parallel cell the analysis is a third."""

import ast
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from .cellfacts import CellFacts
from .plan import CellPlan
from .scopes import copied, same_tree

MOST: Final = 32


class _Cell(NamedTuple):
    tree: ast.Module
    facts: CellFacts
    plan: CellPlan


_cells: OrderedDict[tuple[str, str, bool], _Cell] = OrderedDict()
_lock = threading.Lock()  # kernels run the cells of subshells in threads


def remember(tree: ast.Module, source: str, facts: CellFacts, plan: CellPlan) -> None:
    """Keeps a plan. Nobody else changes the tree."""
    if not facts.settle():
        return
    with _lock:
        key = (source, facts.filename, facts.reassociate)
        _cells[key] = _Cell(tree, facts, _own(plan))
        _cells.move_to_end(key)
        while len(_cells) > MOST:
            _cells.popitem(last=False)


def remembered(
    tree: ast.Module, source: str, filename: str, namespace: Mapping[str, object], reassociate: bool
) -> CellPlan | None:
    """The plan of a cell that was analysed with these variables, or with others of which the same is known. The text is
    not enough: other syntax tree transformations may have made another tree of it."""
    with _lock:
        cell = _cells.get((source, filename, reassociate))
    if cell is None or cell.facts.namespace is not namespace or not same_tree(cell.tree, tree):
        return None
    return _own(cell.plan) if cell.facts.hold() else None


def _own(plan: CellPlan) -> CellPlan:
    """A plan for one run, which changes the module and keeps its loops' last values."""
    return replace(plan, module=copied(plan.module), loops=[replace(loop) for loop in plan.loops])
